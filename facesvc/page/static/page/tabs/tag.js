/** Tag a photo: boxes, names, and unknown faces to enrol. */

import {uuid} from "../api.js";
import {hasScope} from "../claims.js";
import {$, busy, el, onSubmit, say, score, show, showError} from "../dom.js";
import {reasonInWords} from "../errors.js";
import {Picker, nameOf, onlyForNew} from "../people.js";
import {LONGEST_SIDE_OF_GROUPS} from "../pictures.js";
import {Stage} from "../stage.js";
import {t} from "../words.js";

const TAGGING = {source: "auto_tagging"};
const PUBLIC = "public", EVERYONE = "all";

export function start(panel, {api, people}) {
  const result = $(".result", panel), list = $(".faces", panel), form = $("form", panel);
  const scope = $("#tag-scope"), hint = $("#tag-scope-hint");
  const stage = new Stage($(".stage", panel), {
    camera: false, facing: "environment", longest: LONGEST_SIDE_OF_GROUPS, words: t("tag_words"),
  });
  const picker = new Picker($("[data-picker]", form), people, {label: t("who_is_it"), withNew: true});
  const details = onlyForNew(form, picker);
  let chosen = -1;
  let newId = uuid();

  stage.addEventListener("change", () => {
    choose(-1);
    list.replaceChildren();
    result.replaceChildren();
    if (stage.state === "still") search();
  });
  people.addEventListener("change", fillScope);
  scope.addEventListener("change", () => {
    fillScope();
    if (stage.state === "still") search();
  });
  $("[data-cancel]", form).addEventListener("click", () => choose(-1));
  onSubmit(form, () => enrol(false));

  function fillScope() {
    const before = scope.value;
    const {self, list: known} = people;
    const options = self ? [] : [el("option", {value: PUBLIC}, t("public_people"))];
    if (!self && hasScope(api.claims, "face:admin")) options.push(el("option", {value: EVERYONE}, t("everybody_audited")));
    options.push(...known.map((user) => el("option", {value: user.user_id}, t("what_may_see", {name: nameOf(user)}))));
    scope.replaceChildren(...options);
    if (options.some((option) => option.value === before)) scope.value = before;
    hint.textContent = scope.value === PUBLIC ? t("scope_hint") : "";
  }

  async function search() {
    result.replaceChildren(el("p", {class: "hint"}, t("looking_for_faces")));
    const value = scope.value;
    const searched = value === EVERYONE ? {scope: "all"} : undefined;
    const onBehalfOf = [PUBLIC, EVERYONE, people.self].includes(value) ? undefined : value;
    const image = stage.file;
    try {
      const {faces, search_stats: stats} = await api.identify({image, search_scope: searched, on_behalf_of: onBehalfOf, metadata: TAGGING});
      if (stage.file === image) tell(faces, stats.faces_searched);
    } catch (error) {
      showError(result, error);
    }
  }

  function tell(faces, searched) {
    const named = faces.filter((face) => face.candidates.length).length;
    if (!faces.length) show(result, "careful", t("no_face_found"), t("no_face_next"));
    else show(result, "plain", t("known", {count: faces.length, known: named}), t("compared", {count: searched}));
    stage.box(faces, stage.size, (face, number) => lookOf(face, number));
    list.replaceChildren(...faces.map((face, number) => item(face, number)));
  }

  function lookOf(face, number) {
    const [best] = face.candidates;
    return {
      text: best ? best.user_info.display_name || t("without_name") : String(number + 1),
      label: describe(face, number),
      kind: best ? "good" : "unknown",
      onclick: () => (best ? $(`li:nth-child(${number + 1})`, list).scrollIntoView({block: "nearest"}) : choose(number)),
    };
  }

  function item(face, number) {
    const [best] = face.candidates;
    const name = best ? nameOf({...best, ...best.user_info}) : t("unknown");
    const more = best ? t("tag_confidence", {score: score(best.confidence_score)}) : face.quality.reasons.map(reasonInWords).join(" ");
    const button = !best && el("button", {type: "button", class: "quiet", "aria-label": t("enrol_number", {number: number + 1}), onclick: () => choose(number)}, t("enrol"));
    return el("li", {class: best ? "known" : ""}, el("span", {class: "name"}, name), " ", el("span", {class: "hint"}, more), button || null);
  }

  function choose(number) {
    chosen = number;
    form.hidden = number < 0;
    $(".result", form).replaceChildren();
    for (const [at, box] of [...stage.faces.children].entries()) box.classList.toggle("chosen", at === number);
    if (number < 0) return;
    $("#tagging-title").textContent = t("enrol_number", {number: number + 1});
    (picker.isNew ? $("#tag-name") : picker.select).focus();
  }

  async function enrol(evenIfPoor) {
    const userId = picker.isNew ? newId : picker.value;
    const metadata = evenIfPoor ? {quality_check: false} : undefined;
    try {
      await api.register({user_id: userId, image: stage.file, face_index: chosen, metadata});
      const user = picker.isNew ? await api.putUser({user_id: userId, ...details()}) : await api.getUser({user_id: userId});
      newId = uuid();
      $("#tag-name").value = "";
      people.keep(user);
      choose(-1);
      await search();
      say(t("enrolled_more", {name: nameOf(user), more: result.textContent}));
    } catch (error) {
      showError($(".result", form), error, error.code === "low_quality" && !people.self && allTheSame());
    }
  }

  function allTheSame() {
    const button = el("button", {type: "button", onclick: () => busy(button, () => enrol(true))}, t("enrol_all_the_same"));
    return el("p", {class: "actions"}, button);
  }

  return {
    stage,
    enter: fillScope,
    leave() {},
  };
}

function describe(face, number) {
  const [best] = face.candidates;
  if (best) return t("describe_known", {number: number + 1, name: best.user_info.display_name || t("without_name"), score: score(best.confidence_score)});
  const reasons = face.quality.reasons.map(reasonInWords).join(" ");
  return t("describe_unknown", {number: number + 1, reasons});
}
