/** People: their faces, their privacy, and the erasure of all that is held. */

import {$, busy, confirmed, copy, el, say, score, show, showError} from "../dom.js";
import {nameOf} from "../people.js";

const PRIVACY = {public: "Everybody may find them", friends: "Friends and shared groups", private: "Nobody else"};

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
      if (!list.children.length) show(result, "plain", "Nobody is enrolled yet.", el("p", {class: "actions"}, el("button", {type: "button", class: "primary", onclick: () => go("enrol")}, "Enrol a face")));
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
    const details = el("details", {}, el("summary", {}, "Faces"), faces);
    details.addEventListener("toggle", () => { if (details.open) showFaces(user, faces); });
    const erase = el("button", {type: "button", class: "danger", "aria-label": `Erase ${name}`, onclick: () => busy(erase, () => eraseUser(user, item))}, "Erase…");
    const item = el(
      "li", {class: "card"},
      el("h3", {}, name),
      el("p", {class: "hint id"}, el("code", {}, user.user_id), el("button", {type: "button", class: "quiet", "aria-label": `Copy the id of ${name}`, onclick: (event) => copy(user.user_id, event.currentTarget)}, "Copy")),
      privacy(user),
      details,
      el(
        "p", {class: "actions"},
        el("button", {type: "button", "aria-label": `Add a picture of ${name}`, onclick: () => go("enrol", user.user_id)}, "Add a picture"),
        el("button", {type: "button", "aria-label": `Log in as ${name}`, onclick: () => go("login", user.user_id)}, "Log in"),
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
        say(`Privacy of ${nameOf(user)}: ${PRIVACY[changed.privacy_level]}`);
      } catch (error) {
        select.value = user.privacy_level;
        showError(result, error);
      }
    });
    return el("div", {class: "field"}, el("label", {for: id}, "Privacy"), select);
  }

  async function showFaces(user, place, from = undefined) {
    try {
      const {faces, next_cursor: next} = await api.listFaces({user_id: user.user_id, cursor: from});
      if (!from) place.replaceChildren();
      place.append(...faces.map((face) => faceItem(face, place)));
      if (next) {
        const button = el("button", {type: "button", onclick: () => { button.parentNode.remove(); showFaces(user, place, next); }}, "Show more");
        place.append(el("li", {}, button));
      }
      if (!place.children.length) place.replaceChildren(el("li", {class: "hint"}, "No face is enrolled."));
    } catch (error) {
      showError(result, error);
    }
  }

  function faceItem(face) {
    const remove = el("button", {type: "button", class: "quiet danger", "aria-label": `Delete ${face.face_id}`, onclick: () => busy(remove, () => deleteFace(face, item))}, "Delete");
    const date = new Date(face.created_at).toLocaleString();
    const item = el("li", {}, el("span", {}, el("code", {}, face.face_id), " ", el("span", {class: "hint"}, `quality ${score(face.face_quality_score)}, enrolled ${date}`)), remove);
    return item;
  }

  async function deleteFace(face, item) {
    if (!(await confirmed("Delete this face?", `${face.face_id} is forgotten. Other faces of this person stay.`, "Delete"))) return;
    try {
      await api.deleteFace({face_id: face.face_id});
      focusAfter(item);
      item.remove();
      say("The face is deleted.");
    } catch (error) {
      showError(result, error);
    }
  }

  async function eraseUser(user, item) {
    const name = nameOf(user);
    const text = "All that is held is removed for good: faces, templates, pictures, friends, groups, logins and calls.";
    if (!(await confirmed(`Erase ${name}?`, text, "Erase all"))) return;
    try {
      const receipt = await api.eraseUser({user_id: user.user_id});
      people.drop(user.user_id);
      focusAfter(item);
      item.remove();
      const removed = Object.entries(receipt.removed).map(([what, count]) => `${count} ${what.replaceAll("_", " ")}`).join(", ");
      show(result, "good", `${name} is erased.`, `Receipt ${receipt.receipt_id}, ${new Date(receipt.erased_at).toLocaleString()}.`, removed && `Removed: ${removed}.`);
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
