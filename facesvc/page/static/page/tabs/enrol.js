/** Enrol: a picture, a name, done. */

import {uuid} from "../api.js";
import {$, el, onSubmit, score, show, showError} from "../dom.js";
import {Picker, onlyForNew} from "../people.js";
import {watchQuality} from "../quality.js";
import {Stage} from "../stage.js";
import {t} from "../words.js";

export function start(panel, {api, people, go}) {
  const form = $("form", panel), result = $(".result", form);
  const stage = new Stage($(".stage", panel), {words: t("enrol_words")});
  const picker = new Picker($("[data-picker]", form), people, {label: t("enrol_whose"), withNew: true});
  const details = onlyForNew(form, picker);
  let watching = null;
  // Until it succeeded a new person keeps their id, so that nobody is made twice.
  let newId = uuid();
  let sent = {};

  onSubmit(form, async () => {
    if (stage.state === "empty") {
      show(result, "careful", t("no_picture"), t("no_picture_next"));
      return;
    }
    const image = await stage.freeze();
    const userId = picker.isNew ? newId : picker.value;
    if (sent.image !== image || sent.user_id !== userId) sent = {image, user_id: userId, idempotency_key: uuid()};
    try {
      const face = await api.register(sent);
      const user = picker.isNew ? await api.putUser({user_id: userId, ...details()}) : await api.getUser({user_id: userId});
      enrolled(user, face);
    } catch (error) {
      showError(result, error);
      if (stage.hasCamera && error.status === 422) stage.resume();
    }
  });

  function enrolled(user, face) {
    people.keep(user);
    people.choose(user.user_id);
    const name = people.nameOf(user.user_id);
    const next = el("button", {type: "button", class: "primary", "data-next": "login", onclick: () => go("login")}, t("now_log_in"));
    const more = el("button", {type: "button", onclick: () => { picker.value = user.user_id; stage.resume(); result.replaceChildren(); }}, t("add_another"));
    show(result, "good", t("enrolled", {name}), t("quality", {score: score(face.face_quality_score)}), el("p", {class: "actions"}, next, more));
    [newId, sent] = [uuid(), {}];
    if (picker.isNew) $("#enrol-name").value = "";
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
    },
    of(userId) { picker.value = userId; },
  };
}
