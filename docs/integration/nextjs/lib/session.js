/** The login of your app, as it may be: a signed cookie with the id of the user. */

import {createHmac, timingSafeEqual} from "node:crypto";

const COOKIE = "session";
const SECONDS = 7 * 24 * 3600;
const MOST_BYTES = 11_000_000; // facesvc takes pictures of 10 MB

/** @param {string} text */
function signature(text) {
  const key = process.env.APP_SECRET_KEY;
  if (!key) throw new Error("APP_SECRET_KEY is not set"); // with no key, anybody can sign
  return createHmac("sha256", key).update(text).digest("base64url");
}

/** The header that logs a user in. @param {string} userId */
export function sessionCookie(userId) {
  const text = Buffer.from(JSON.stringify({userId, until: Date.now() + SECONDS * 1000})).toString("base64url");
  return cookie(COOKIE, `${text}.${signature(text)}`, SECONDS);
}

/** The id of the user who is logged in, or null. @param {Request} request */
export function userOf(request) {
  const [text, given] = (cookieOf(request, COOKIE) ?? "").split(".");
  if (!given) return null;
  const [theirs, ours] = [given, signature(text)].map((each) => Buffer.from(each));
  if (theirs.length !== ours.length || !timingSafeEqual(theirs, ours)) return null;
  const {userId, until} = JSON.parse(Buffer.from(text, "base64url").toString());
  return until > Date.now() ? /** @type {string} */ (userId) : null;
}

/** Whether a browser says that another site sends this. It might log a visitor in as somebody else. @param {Request} request */
export function isFromElsewhere(request) {
  return !["same-origin", "none", null].includes(request.headers.get("sec-fetch-site"));
}

/** The form of a request, or null if it is longer than a picture may be. @param {Request} request */
export async function formOf(request) {
  const length = Number(request.headers.get("content-length") ?? Infinity);
  return length <= MOST_BYTES ? await request.formData() : null;
}

/** No script reads it, and no other site sends it with a POST. @param {string} name @param {string} value @param {number} seconds */
export function cookie(name, value, seconds) {
  const isSecure = process.env.NODE_ENV === "production" ? "; Secure" : "";
  return `${name}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Lax${isSecure}`;
}

/** @param {Request} request @param {string} name */
export function cookieOf(request, name) {
  const all = (request.headers.get("cookie") ?? "").split("; ").map((each) => each.split("="));
  return all.find(([each]) => each === name)?.[1];
}
