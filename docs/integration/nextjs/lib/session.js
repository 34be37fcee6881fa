/** The login of your app, as it may be: a signed cookie with the id of the user. */

import {createHmac, timingSafeEqual} from "node:crypto";

const COOKIE = "session";
const SECONDS = 7 * 24 * 3600;

/** @param {string} text */
function signature(text) {
  return createHmac("sha256", process.env.APP_SECRET_KEY ?? "").update(text).digest("base64url");
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
  const wanted = signature(text);
  if (given.length !== wanted.length || !timingSafeEqual(Buffer.from(given), Buffer.from(wanted))) return null;
  const {userId, until} = JSON.parse(Buffer.from(text, "base64url").toString());
  return until > Date.now() ? /** @type {string} */ (userId) : null;
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
