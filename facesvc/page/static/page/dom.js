/** Elements, what a screen reader hears, and results that stand where they belong. */

import {inWords} from "./errors.js";
import {isEnglish, t} from "./words.js";

export const $ = (css, within = document) => within.querySelector(css);
export const $$ = (css, within = document) => [...within.querySelectorAll(css)];

/** An element: el("button", {class: "quiet", onclick}, "Copy"). Texts are never read as HTML. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

/** Read out, and shown nowhere. */
export function say(text) {
  const place = $("#says");
  if (place.textContent !== text) place.textContent = text;
}

/** A score from 0 to 1, rounded down as the API does: 1.00 would be more than was measured. */
export function score(value) {
  return (Math.floor(100 * value + 1e-6) / 100).toFixed(2);
}

/** `kind` is good, bad, careful or plain. It is read out and scrolled into view. */
export function show(place, kind, title, ...more) {
  const box = el("div", {class: `outcome ${kind}`}, el("p", {class: "title"}, title));
  box.append(...more.filter(Boolean).map((each) => (each instanceof Node ? each : el("p", {}, each))));
  place.replaceChildren(box);
  say([...box.querySelectorAll(":not(details) > p, li")].map((each) => each.textContent).join(" "));
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  box.scrollIntoView({block: "nearest", behavior: calm ? "instant" : "smooth"});
}

export function showError(place, error, ...more) {
  if (error.name === "AbortError") return;
  if (!error.code) console.error(error);
  const words = inWords(error);
  const hint = words.more && el("p", {class: "hint"}, words.more);
  show(place, "bad", words.what, words.next, hint, asItCame(words.said), ...more);
}

/** A sentence of the service, which speaks English: on a page in another language it has to be opened. */
export function asItCame(text) {
  if (!text) return null;
  const said = el("p", {class: "hint", lang: "en"}, text);
  return isEnglish ? said : el("details", {class: "said"}, el("summary", {}, t("in_english")), said);
}

/** Whether the person agrees, asked in a dialog. While another question is open, they do not. */
export async function confirmed(title, text, button) {
  const dialog = $("#confirm");
  if (dialog.open) return false;
  $("#confirm-title").textContent = title;
  $("#confirm-text").textContent = text;
  $("[value=yes]", dialog).textContent = button;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), {once: true});
  });
}

/** The button does nothing more while its work is done, and says so. */
export async function busy(button, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

export async function copy(text, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = t("copied");
  } catch {
    button.textContent = t("copy_by_hand");
  }
  say(button.textContent);
  setTimeout(() => { button.textContent = before; }, 1500);
}

/** A form that calls `work` in place of being sent. */
export function onSubmit(form, work) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(event.submitter ?? $("button.primary", form), work);
  });
}
