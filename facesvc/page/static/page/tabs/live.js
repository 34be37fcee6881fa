/** Live call: frames in, the state out. One frame at a time is on its way. */

import {$, el, onSubmit, say, show, showError} from "../dom.js";
import {factorsInWords} from "../errors.js";
import {Picker} from "../people.js";
import {sleep} from "../quality.js";
import {Stage} from "../stage.js";
import {t, time} from "../words.js";

const LONGEST_SIDE = 640;
const BUSY = new Set(["too_many_frames", "frames_in_progress", "requests_in_progress", "unavailable", "rate_limited"]);

export function start(panel, {api, people, go}) {
  const form = $("form", panel), result = $(".result", form), call = $(".call", form);
  const button = $("button.primary", form), state = $(".state", call), timeline = $(".timeline", call);
  const stage = new Stage($(".stage", panel), {photos: false, words: t("live_words")});
  const picker = new Picker($("[data-picker]", form), people, {label: t("who_should_be")});
  let running = null; // {session, abort, name}

  onSubmit(form, () => (running ? end() : begin()));
  stage.addEventListener("change", () => { if (running && stage.state !== "live") end(); });
  window.addEventListener("pagehide", () => {
    if (running) api.endSession({session_id: running.session.session_id}, {keepalive: true});
  });

  async function begin() {
    if (!picker.value) {
      const first = el("button", {type: "button", class: "primary", onclick: () => go("enrol")}, t("enrol_a_face"));
      show(result, "careful", t("nobody_chosen"), t("enrol_first"), el("p", {class: "actions"}, first));
      return;
    }
    if (stage.state !== "live") await stage.start();
    if (stage.state !== "live") return;
    try {
      const session = await api.openSession({user_id: picker.value, purpose: "video_call"});
      running = {session, abort: new AbortController(), name: people.nameOf(picker.value)};
    } catch (error) {
      showError(result, error);
      return;
    }
    result.replaceChildren();
    timeline.replaceChildren();
    call.hidden = false;
    button.textContent = t("end_call");
    tell(running.session);
    send(running);
  }

  async function send({session, abort: {signal}}) {
    const gap = 1000 / Number(document.body.dataset.framesPerSecond);
    const latencies = [];
    const began = performance.now();
    for (let sequence = 1; !signal.aborted; sequence += 1) {
      const started = performance.now();
      try {
        const {file} = await stage.frame(LONGEST_SIDE);
        const answer = await api.postFrame({session_id: session.session_id, image: file, sequence}, {signal, most: 1});
        latencies.push(performance.now() - started);
        if (signal.aborted) return;
        tell(answer);
        figures(latencies, answer.frames, performance.now() - began);
      } catch (error) {
        if (signal.aborted) return;
        if (!BUSY.has(error.code)) {
          end();
          showError(result, error);
          return;
        }
        await sleep(1000 * Math.max(1, error.retryAfter), signal);
      }
      await sleep(Math.max(0, gap - (performance.now() - started)), signal);
    }
  }

  function figures(latencies, frames, elapsed) {
    const recent = latencies.slice(-15).sort((a, b) => a - b);
    $("[data-latency]", call).textContent = `${Math.round(recent[Math.floor(recent.length / 2)])} ms`;
    $("[data-frames]", call).textContent = frames;
    $("[data-rate]", call).textContent = ((1000 * latencies.length) / elapsed).toFixed(1);
  }

  function tell(session) {
    const words = inWords(session.state, running.name);
    $(".reasons", state)?.remove();
    if (state.dataset.shown !== words) {
      state.dataset.shown = words;
      state.dataset.state = session.state;
      timeline.prepend(el("li", {}, el("time", {}, time(new Date())), ` ${words}`));
      say(words);
    }
    const reasons = factorsInWords(session.risk_assessment.factors).join(" ");
    state.replaceChildren(words, session.state === "mismatch" && reasons ? el("small", {class: "reasons"}, reasons) : "");
  }

  function end() {
    const ended = running;
    if (!ended) return;
    running = null;
    ended.abort.abort();
    delete state.dataset.shown;
    button.textContent = t("start_call");
    timeline.prepend(el("li", {}, el("time", {}, time(new Date())), ` ${t("call_ended")}`));
    state.dataset.state = "ended";
    state.replaceChildren(t("call_ended"));
    say(t("call_ended"));
    api.endSession({session_id: ended.session.session_id}).catch((error) => showError(result, error));
  }

  return {
    stage,
    enter() {},
    leave() {
      end();
      stage.clear();
      call.hidden = true;
      result.replaceChildren();
    },
  };
}

function inWords(state, name) {
  const texts = {verifying: "looking", verified: "is_there", lost: "nobody_in_view", mismatch: "is_not"};
  return t(texts[state] ?? "call_ended", {name});
}
