/** People: their faces, their privacy, and the erasure of all that is held. */

import {$, busy, confirmed, copy, el, say, score, show, showError} from "../dom.js";
import {removedInWords} from "../errors.js";
import {nameOf} from "../people.js";
import {dateAndTime, t} from "../words.js";

const PRIVACY = {public: t("privacy_public"), friends: t("privacy_friends"), private: t("privacy_private")};

export function start(panel, {api, people, go}) {
  const result = $(".result", panel), list = $("ul.people", panel), more = $("[data-more]", panel);
  let cursor = null;

  more.addEventListener("click", () => busy(more, () => page(cursor)));

  async function page(from) {
    try {
      const {users, next_cursor: next} = await pageOf(from);
      if (!from) list.replaceChildren();
      list.append(...users.map(person));
      cursor = next;
      more.hidden = !next;
      if (!list.children.length) show(result, "plain", t("nobody_enrolled_yet"), el("p", {class: "actions"}, el("button", {type: "button", class: "primary", onclick: () => go("enrol")}, t("enrol_a_face"))));
    } catch (error) {
      showError(result, error);
    }
  }

  /** A page of all, or the one user of the token. */
  async function pageOf(from) {
    if (!people.self) return api.listUsers({cursor: from ?? undefined, page_size: 20});
    try {
      return {users: [await api.getUser({user_id: people.self})], next_cursor: null};
    } catch (error) {
      if (error.code !== "user_not_found") throw error;
      return {users: [], next_cursor: null};
    }
  }

  function person(user) {
    const name = nameOf(user);
    const faces = el("ul", {class: "facelist"});
    const details = el("details", {}, el("summary", {}, t("faces")), faces);
    details.addEventListener("toggle", () => { if (details.open) showFaces(user, faces); });
    const erase = el("button", {type: "button", class: "danger", "aria-label": t("erase_name", {name}), onclick: () => busy(erase, () => eraseUser(user, item))}, t("erase"));
    const item = el(
      "li", {class: "card"},
      el("h3", {}, name),
      el("p", {class: "hint id"}, el("code", {}, user.user_id), el("button", {type: "button", class: "quiet", "aria-label": t("copy_id", {name}), onclick: (event) => copy(user.user_id, event.currentTarget)}, t("copy"))),
      privacy(user),
      details,
      el(
        "p", {class: "actions"},
        el("button", {type: "button", "aria-label": t("add_picture_of", {name}), onclick: () => go("enrol", user.user_id)}, t("add_picture")),
        el("button", {type: "button", "aria-label": t("log_in_as", {name}), onclick: () => go("login", user.user_id)}, t("log_in")),
        erase,
      ),
    );
    return item;
  }

  function privacy(user) {
    const id = `privacy-${user.user_id}`;
    const select = el("select", {id}, ...Object.entries(PRIVACY).map(([value, text]) => el("option", {value}, text)));
    select.value = user.privacy_level;
    select.addEventListener("change", async () => {
      try {
        const changed = await api.putUser({user_id: user.user_id, privacy_level: select.value});
        people.keep(changed);
        user.privacy_level = changed.privacy_level;
        say(t("privacy_changed", {name: nameOf(user), privacy: PRIVACY[changed.privacy_level]}));
      } catch (error) {
        select.value = user.privacy_level;
        showError(result, error);
      }
    });
    return el("div", {class: "field"}, el("label", {for: id}, t("privacy")), select);
  }

  async function showFaces(user, place, from = undefined) {
    try {
      const {faces, next_cursor: next} = await api.listFaces({user_id: user.user_id, cursor: from});
      if (!from) place.replaceChildren();
      place.append(...faces.map((face) => faceItem(face, place)));
      if (next) {
        const button = el("button", {type: "button", onclick: () => { button.parentNode.remove(); showFaces(user, place, next); }}, t("show_more"));
        place.append(el("li", {}, button));
      }
      if (!place.children.length) place.replaceChildren(el("li", {class: "hint"}, t("no_face_enrolled")));
    } catch (error) {
      showError(result, error);
    }
  }

  function faceItem(face) {
    const remove = el("button", {type: "button", class: "quiet danger", "aria-label": t("delete_face", {face: face.face_id}), onclick: () => busy(remove, () => deleteFace(face, item))}, t("delete"));
    const facts = {score: score(face.face_quality_score), date: dateAndTime(new Date(face.created_at))};
    const item = el("li", {}, el("span", {}, el("code", {}, face.face_id), " ", el("span", {class: "hint"}, t("face_facts", facts))), remove);
    return item;
  }

  async function deleteFace(face, item) {
    if (!(await confirmed(t("delete_title"), t("delete_text", {face: face.face_id}), t("delete")))) return;
    try {
      await api.deleteFace({face_id: face.face_id});
      focusAfter(item);
      item.remove();
      say(t("face_deleted"));
    } catch (error) {
      showError(result, error);
    }
  }

  async function eraseUser(user, item) {
    const name = nameOf(user);
    if (!(await confirmed(t("erase_title", {name}), t("erase_text"), t("erase_all")))) return;
    try {
      const receipt = await api.eraseUser({user_id: user.user_id});
      people.drop(user.user_id);
      focusAfter(item);
      item.remove();
      const removed = removedInWords(receipt.removed);
      const date = dateAndTime(new Date(receipt.erased_at));
      show(result, "good", t("erased", {name}), t("receipt", {id: receipt.receipt_id, date}), removed && t("removed", {what: removed}));
    } catch (error) {
      showError(result, error);
    }
  }

  return {
    enter() {
      cursor = null;
      result.replaceChildren();
      page(null);
    },
    leave() {},
  };
}

/** The focus of what is about to vanish. */
function focusAfter(item) {
  const near = item.nextElementSibling ?? item.previousElementSibling;
  ($("button, summary", near ?? item.parentNode) ?? $("#tab-people")).focus();
}
