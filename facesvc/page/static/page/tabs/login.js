/** Log in by face: a session, a picture, and what speaks against it. */

import {uuid} from "../api.js";
import {$, el, onSubmit, score, show, showError} from "../dom.js";
import {factorsInWords} from "../errors.js";
import {Picker} from "../people.js";
import {watchQuality} from "../quality.js";
import {Stage} from "../stage.js";

const DEVICE = "facesvc.device";

export function start(panel, {api, people, go}) {
  const form = $("form", panel), result = $(".result", form);
  const stage = new Stage($(".stage", panel), {words: "Look into the camera, or choose a photo that was not used before."});
  const picker = new Picker($("[data-picker]", form), people, {label: "Who are you?"});
  let watching = null;
  let session = null;

  onSubmit(form, async () => {
    if (!picker.value) {
      const first = el("button", {type: "button", class: "primary", onclick: () => go("enrol")}, "Enrol a face");
      show(result, "careful", "Nobody is chosen.", "Enrol a face first, then log in with it.", el("p", {class: "actions"}, first));
    } else if (stage.state === "empty") {
      show(result, "careful", "There is no picture yet.", "Turn on the camera, or choose a picture.");
    } else {
      await attempt(picker.value, $("#login-level").value);
    }
  });

  async function attempt(userId, level) {
    const image = await stage.freeze();
    const metadata = {device_id: device()};
    try {
      if (!session || session.user_id !== userId || session.verification_level !== level || isOver(session)) {
        session = await api.openSession({user_id: userId, purpose: "login", verification_level: level, metadata});
      }
      const answer = await api.verify({user_id: userId, image, metadata: {...metadata, session_id: session.session_id}});
      session = await api.getSession({session_id: session.session_id});
      tell(answer, people.nameOf(userId));
    } catch (error) {
      session = null;
      showError(result, error);
    }
    if (session?.state !== "verified" && stage.hasCamera) stage.resume();
  }

  function tell(answer, name) {
    const {verification_result: outcome, risk_assessment: risk} = answer;
    const confidence = `Confidence ${score(answer.confidence_score)} of 1.`;
    if (outcome === "success" && session.state === "verified") {
      show(result, "good", `Welcome, ${name}.`, confidence, against(risk, true));
    } else if (outcome === "rejected") {
      show(result, "bad", "Refused. The face did not count.", risk.explanation ?? "", against(risk));
    } else if (outcome === "no_registered_faces") {
      const add = el("button", {type: "button", class: "primary", onclick: () => go("enrol", picker.value)}, "Enrol a face");
      show(result, "careful", `No face of ${name} is enrolled.`, "Enrol one, then log in.", el("p", {class: "actions"}, add));
    } else if (outcome === "no_face_detected") {
      show(result, "bad", "No face was found.", "Face the camera with nothing over the face, with light from the front, and try again.");
    } else {
      show(result, "bad", `This does not look like ${name}.`, `${confidence} Look straight into the camera, with even light, and try again. Another enrolled picture helps.`, against(risk));
    }
  }

  return {
    stage,
    enter() {
      watching = new AbortController();
      watchQuality(stage, api, watching.signal);
    },
    leave() {
      watching?.abort();
      stage.clear();
      result.replaceChildren();
      session = null;
    },
  };
}

function isOver(session) {
  return session.ended_at !== null || new Date(session.expires_at) <= new Date();
}

/** What speaks against the attempt, as a list. */
function against(risk, isSuccess = false) {
  const words = factorsInWords(risk.factors, {isSuccess});
  if (!words.length) return isSuccess ? "Nothing speaks against it." : "";
  return el(
    "div", {class: "against"},
    el("p", {}, `What speaks against it (risk ${risk.risk_level}):`),
    el("ul", {}, ...words.map((each) => el("li", {}, each))),
  );
}

/** A random secret that this browser keeps, so that a known one is told from an unknown. */
function device() {
  try {
    if (!localStorage.getItem(DEVICE)) localStorage.setItem(DEVICE, uuid());
    return localStorage.getItem(DEVICE);
  } catch {
    return undefined; // the browser keeps nothing
  }
}
