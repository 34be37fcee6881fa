/** The people whom the token may see, and a field to choose one of them. */

import {claimOf} from "./claims.js";
import {$, el} from "./dom.js";
import {t} from "./words.js";

// No user id begins with a blank.
const NEW = " new", BY_ID = " id";

/** Events: `change` when the list changes. `chosen` is the id of the one who was dealt with last. */
export class People extends EventTarget {
  constructor(api) {
    super();
    // `self` is the user of an end user's token, and empty for a service.
    Object.assign(this, {api, list: [], hasMore: false, chosen: "", self: ""});
  }

  /** The newest 200, or the one user of the token: only services may list users. */
  async load() {
    const page = await this.api.listUsers({page_size: 200}).catch((error) => {
      if (error.code !== "service_only") throw error;
      return null;
    });
    this.self = "";
    if (!page) {
      const own = String(claimOf(this.api.claims, document.body.dataset.userClaim) ?? "");
      const user = await this.api.getUser({user_id: own}).catch((error) => {
        if (error.code !== "user_not_found") throw error;
        return {user_id: own, display_name: "", privacy_level: "friends"};
      });
      this.self = user.user_id; // as the service writes it: a UUID in lower case
      this.#set([user], false);
      return;
    }
    const {users, next_cursor: next} = page;
    users.sort((a, b) => b.created_at.localeCompare(a.created_at));
    this.#set(users, next !== null);
  }

  keep(user) {
    const others = this.list.filter((each) => each.user_id !== user.user_id);
    this.#set([user, ...others], this.hasMore);
  }

  drop(userId) {
    if (this.chosen === userId) this.chosen = "";
    this.#set(this.list.filter((each) => each.user_id !== userId), this.hasMore);
  }

  choose(userId) {
    this.chosen = userId;
    this.dispatchEvent(new Event("chosen"));
  }

  nameOf(userId) {
    const user = this.list.find((each) => each.user_id === userId);
    return user ? nameOf(user) : t("the_person", {id: userId.slice(0, 8)});
  }

  #set(list, hasMore) {
    [this.list, this.hasMore] = [list, hasMore];
    this.dispatchEvent(new Event("change"));
  }
}

export function nameOf(user) {
  return user.display_name || t("nameless", {id: user.user_id.slice(0, 8)});
}

/** A field to choose a person. `withNew` offers somebody new first; then `value` is "". */
export class Picker extends EventTarget {
  constructor(place, people, {label, withNew = false}) {
    super();
    Object.assign(this, {people, withNew});
    const id = `${place.closest("[role=tabpanel]").id}-${withNew ? "whose" : "who"}`;
    this.select = el("select", {id});
    this.input = el("input", {id: `${id}-id`, maxlength: 128, placeholder: t("by_app_id"), autocomplete: "off", spellcheck: "false"});
    this.byId = el("div", {class: "field", hidden: true}, el("label", {for: `${id}-id`}, t("user_id")), this.input);
    place.replaceChildren(el("label", {for: id}, label), this.select, this.byId);
    this.select.addEventListener("change", () => this.#changed());
    people.addEventListener("change", () => this.#fill());
    people.addEventListener("chosen", () => this.#fill(withNew ? this.select.value : people.chosen));
    this.#fill();
  }

  get isNew() { return this.select.value === NEW; }

  get value() {
    const {value} = this.select;
    if (value === BY_ID) return this.input.value.trim();
    return value === NEW ? "" : value;
  }

  set value(userId) { this.#fill(userId || NEW); }

  #fill(wanted = this.select.value) {
    const {list, self, hasMore} = this.people;
    const names = list.map(nameOf);
    const isShared = (name) => names.indexOf(name) !== names.lastIndexOf(name);
    const options = list.map(({user_id: userId}, number) => {
      const name = names[number];
      return el("option", {value: userId}, isShared(name) ? `${name}, ${userId.slice(0, 8)}` : name);
    });
    if (this.withNew && !self) options.unshift(el("option", {value: NEW}, t("new_person")));
    if (!this.withNew && !list.length) options.push(el("option", {value: ""}, t("nobody_enrolled")));
    if (!self && (hasMore || list.length)) options.push(el("option", {value: BY_ID}, t(hasMore ? "somebody_by_id" : "by_id")));
    this.select.replaceChildren(...options);
    if (options.some((option) => option.value === wanted)) this.select.value = wanted;
    this.#changed();
  }

  #changed() {
    const isById = this.select.value === BY_ID;
    this.byId.hidden = !isById;
    this.input.required = isById;
    this.dispatchEvent(new Event("change"));
  }
}

/** Fields for a new person: shown only while one is chosen. */
export function onlyForNew(form, picker) {
  const fields = [...form.querySelectorAll("[data-new-person]")];
  const update = () => {
    for (const field of fields) {
      field.hidden = !picker.isNew;
      for (const input of field.querySelectorAll("input")) input.disabled = !picker.isNew;
    }
  };
  picker.addEventListener("change", update);
  update();
  return () => ({
    display_name: $("input[id$=name]", form).value.trim(),
    privacy_level: $("[name=privacy]:checked", form)?.value ?? "public",
  });
}
