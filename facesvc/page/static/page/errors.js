/** What went wrong and what to do next, in words, by the codes of the API. */

import {about, isEnglish, t} from "./words.js";

// What the service itself says adds something to our words about these.
const TOLD = ["insufficient_scope", "internal_error", "low_quality"];

const spaced = (code) => code.replaceAll("_", " ");

/** Of one face: recognition/inference/quality.py names the reasons. */
export function reasonInWords(reason) {
  return about("reasons", reason) ?? spaced(reason);
}

/** What speaks against an attempt (docs/risk.md). That no check took part is worth saying of a success only. */
export function factorsInWords(factors, {isSuccess = false} = {}) {
  return factors
    .filter((factor) => isSuccess || !["liveness_missing", "deepfake_missing"].includes(factor))
    .map((factor) => about("factors", factor) ?? spaced(factor));
}

/** What an erasure removed: a count for each kind. */
export function removedInWords(removed) {
  return Object.entries(removed).map(([what, count]) => `${count} ${about("removed", what) ?? spaced(what)}`).join(", ");
}

/**
 * {what, next, more, said}: what happened, what to do, an id to look for, and what the service itself said in
 * English, if it adds something.
 */
export function inWords(error) {
  const known = about("errors", error.code);
  const [what, next] = known ?? [(isEnglish && error.message) || t("something_wrong"), ""];
  const advice = (error.details?.reasons ?? []).map(reasonInWords);
  const wait = error.retryAfter ? t("go_on_in", {time: duration(error.retryAfter)}) : "";
  const isTold = isEnglish ? known && TOLD.includes(error.code) : true;
  const more = error.code === "internal_error" && error.requestId ? t("request_id", {id: error.requestId}) : "";
  return {what, next: [next, ...advice, wait].filter(Boolean).join(" "), more, said: isTold ? error.message : ""};
}

export function duration(seconds) {
  if (seconds < 90) return t("seconds", {count: Math.ceil(seconds)});
  if (seconds < 5400) return t("minutes", {count: Math.ceil(seconds / 60)});
  return t("hours", {count: Math.ceil(seconds / 3600)});
}
