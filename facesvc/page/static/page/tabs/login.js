/** Log in by face: a session, a picture, and what speaks against it. */

import {uuid} from "../api.js";
import {$, el, onSubmit, score, show, showError} from "../dom.js";
import {factorsInWords} from "../errors.js";
import {Picker} from "../people.js";
import {watchQuality} from "../quality.js";
import {Stage} from "../stage.js";
import {isEnglish, t} from "../words.js";

const DEVICE = "facesvc.device";

export function start(panel, {api, people, go}) {
  const form = $("form", panel), result = $(".result", form);
  const stage = new Stage($(".stage", panel), {words: t("login_words")});
  const picker = new Picker($("[data-picker]", form), people, {label: t("who_are_you")});
  let watching = null;
  let session = null;

  onSubmit(form, async () => {
    if (!picker.value) {
      const first = el("button", {type: "button", class: "primary", onclick: () => go("enrol")}, t("enrol_a_face"));
      show(result, "careful", t("nobody_chosen"), t("enrol_then_log_in"), el("p", {class: "actions"}, first));
    } else if (stage.state === "empty") {
      show(result, "careful", t("no_picture"), t("no_picture_next"));
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
    const confidence = t("confidence", {score: score(answer.confidence_score)});
    if (outcome === "success" && session.state === "verified") {
      show(result, "good", t("welcome", {name}), confidence, against(risk, true));
    } else if (outcome === "rejected") {
      show(result, "bad", t("refused"), isEnglish && risk.explanation, against(risk));
    } else if (outcome === "no_registered_faces") {
      const add = el("button", {type: "button", class: "primary", onclick: () => go("enrol", picker.value)}, t("enrol_a_face"));
      show(result, "careful", t("none_of", {name}), t("enrol_it"), el("p", {class: "actions"}, add));
    } else if (outcome === "no_face_detected") {
      showError(result, {code: "no_face", message: ""});
    } else {
      show(result, "bad", t("unlike", {name}), `${confidence} ${t("unlike_next")}`, against(risk));
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
  if (!words.length) return isSuccess ? t("nothing_against") : "";
  return el(
    "div", {class: "against"},
    el("p", {}, t("against", {risk: t(`risk_${risk.risk_level}`)})),
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
