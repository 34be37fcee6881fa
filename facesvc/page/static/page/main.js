/** The page: the token that opens it, and its tabs. */

import {FaceApi} from "./api.js";
import {$, $$, asItCame, confirmed, copy, el, onSubmit, say} from "./dom.js";
import {duration, inWords} from "./errors.js";
import {People} from "./people.js";
import {listRequests} from "./requests.js";
import * as enrol from "./tabs/enrol.js";
import * as live from "./tabs/live.js";
import * as login from "./tabs/login.js";
import * as people from "./tabs/people.js";
import * as tag from "./tabs/tag.js";
import {t, time} from "./words.js";

const STORED = "facesvc.token";
const SOON = 3; // seconds that need no words
const TABS = {enrol, login, tag, live, people};
const api = new FaceApi({token: ""});
const everybody = new People(api);
const tabs = {};
let current = null;
let last = ""; // the tab before the token was asked for

// --- The token ---------------------------------------------------------------

/** The token or key in what somebody pasted: also the whole line of the terminal, or the whole link. */
const tokenIn = (pasted) => pasted.match(/([\w-]+\.[\w-]+\.[\w-]+|fk_[0-9a-f_]+)$/)?.[0] ?? pasted;

/** From the address, which forgets it at once, or as this tab of the browser kept it. */
async function givenToken() {
  const kept = sessionStorage.getItem(STORED) ?? "";
  const given = new URLSearchParams(location.hash.slice(1)).get("token")?.trim();
  if (given === undefined) return kept;
  history.replaceState(null, "", location.pathname);
  if (!(await mayReplace(kept, given))) return kept;
  sessionStorage.setItem(STORED, given);
  return given;
}

/** A link of somebody else would have faces enrolled for them: who has a token here is asked. */
async function mayReplace(kept, given) {
  const [ours, theirs] = [kept, given].map((token) => new FaceApi({token}).claims);
  const isVoid = !ours.sub || 1000 * ours.exp < Date.now();
  if (isVoid || ours.sub === theirs.sub) return true;
  const other = String(theirs.sub ?? t("somebody")).slice(0, 60);
  return confirmed(t("link_title"), t("link_text", {ours: ours.sub, theirs: other}), t("link_use"));
}

async function takeToken() {
  const token = await givenToken();
  if (current && token === api.token) history.replaceState(null, "", `#${current}`);
  else await useToken(token);
}

async function useToken(token) {
  api.token = token;
  if (!token) return askForToken(t("no_token_yet"));
  try {
    await Promise.all([everybody.load(), showModel()]);
  } catch (error) {
    if (error.status !== 401) askForToken(`${inWords(error).what} ${inWords(error).next}`);
    return undefined; // of a 401 the listener below has said it
  }
  sessionStorage.setItem(STORED, token);
  $("#gate").hidden = true;
  $("#app").hidden = false;
  showToken();
  const wanted = last || location.hash.slice(1);
  open(wanted in TABS ? wanted : "enrol");
  return undefined;
}

function askForToken(why, mayCancel = false) {
  if (current) tabs[current].leave();
  [last, current] = [current ?? last, null];
  $("#gate").hidden = false;
  $("#app").hidden = true;
  $("#gate-cancel").hidden = !mayCancel;
  $("#gate-why").textContent = why;
  $("#gate-token").value = "";
  $("#gate-token").focus();
  say(`${$("#gate-title").textContent}. ${why}`);
}

/** Which model compares the faces, and why: nothing where the token may not know. */
async function showModel() {
  const {models} = await api.listModels().catch(() => ({models: []}));
  const active = models.find((model) => model.active);
  $("#model").hidden = !active;
  if (active) $("#model").replaceChildren(t("model", {name: active.name}), " ", asItCame(active.reason) ?? "");
}

function showToken() {
  const {sub, exp} = api.claims;
  const who = (everybody.self ? everybody.nameOf(everybody.self) : sub) ?? t("of_somebody");
  const until = exp && time(new Date(1000 * exp), {hour: "2-digit", minute: "2-digit"});
  const whose = until ? t("token_until", {who, time: until}) : t("token_of", {who});
  $("#token-button").replaceChildren(t("token"), el("span", {class: "rest"}, whose));
  $("#token-button").hidden = false;
}

// --- Tabs: https://www.w3.org/WAI/ARIA/apg/patterns/tabs/ ------------------------

function open(name, {focus = false} = {}) {
  if (name === current) return;
  // Who has turned the camera on wants it in the next tab, too.
  const hasCamera = tabs[current]?.stage?.hasCamera;
  if (current) tabs[current].leave();
  current = name;
  for (const tab of $$("[role=tab]")) {
    const isChosen = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    $(`#${tab.getAttribute("aria-controls")}`).hidden = !isChosen;
    if (isChosen) tab.scrollIntoView({block: "nearest", inline: "nearest", behavior: "instant"});
    if (isChosen && focus) tab.focus();
  }
  history.replaceState(null, "", `#${name}`);
  tabs[name].enter();
  if (hasCamera && tabs[name].stage?.camera) tabs[name].stage.start();
}

/** To another tab, about a person. */
function go(name, userId = "") {
  if (userId) everybody.choose(userId);
  open(name, {focus: true});
  if (userId) tabs[name].of?.(userId);
}

function onKey(event) {
  const names = Object.keys(TABS), at = names.indexOf(current);
  const next = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1}[event.key];
  if (next === undefined) return;
  event.preventDefault();
  open(names.at(next % names.length), {focus: true});
}

// --- The beginning -----------------------------------------------------------------

$(".tabs").addEventListener("keydown", onKey);
for (const tab of $$("[role=tab]")) tab.addEventListener("click", () => open(tab.getAttribute("aria-controls")));
for (const name of Object.keys(TABS)) tabs[name] = TABS[name].start($(`#${name}`), {api, people: everybody, go});
for (const button of $$("[data-copy]")) button.addEventListener("click", () => copy($(`#${button.dataset.copy}`).textContent, button));
listRequests($(".requests"), api);
// The page comes back in the other language, in the same tab.
for (const link of $$("[data-language]")) link.addEventListener("click", () => { link.hash = location.hash; });
onSubmit($("#gate-form"), () => useToken(tokenIn($("#gate-token").value.trim())));
$("#gate-cancel").addEventListener("click", () => useToken(api.token));
$("#token-button").addEventListener("click", () => askForToken(t("paste_another"), true));
window.addEventListener("hashchange", () => { if (location.hash.startsWith("#token=")) takeToken(); });

api.addEventListener("refused", ({detail: error}) => {
  if (error.status === 401) askForToken(`${inWords(error).what} ${inWords(error).next}`);
});
api.addEventListener("wait", ({detail: {seconds, error}}) => {
  if (seconds < SOON) return;
  const notice = $("#waiting");
  notice.replaceChildren(el("span", {}, `${inWords(error).what} ${t("tries_again_in", {time: duration(seconds)})}`));
  notice.hidden = false;
  setTimeout(() => { notice.hidden = true; }, 1000 * seconds);
});

takeToken();
