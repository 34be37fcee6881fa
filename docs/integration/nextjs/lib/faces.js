/** facesvc, for the server alone: whoever has the token of a service can see and erase everybody. */

import {createHmac} from "node:crypto";
import {FaceApi} from "./api.js";

const NAME = "my-app";
const SCOPES = "face:register face:verify face:identify face:manage";

/** A JSON Web Token for the next five minutes. @param {Record<string, string>} claims */
function token(claims) {
  const exp = Math.floor(Date.now() / 1000) + 300;
  const part = (/** @type {object} */ value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({alg: "HS256", typ: "JWT"})}.${part({...claims, exp})}`;
  const key = process.env.FACES_JWT_SECRET;
  if (!key) throw new Error("FACES_JWT_SECRET is not set");
  return `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
}

export function faces() {
  return new FaceApi({
    base: process.env.FACES_URL,
    token: token({sub: NAME, client_id: NAME, scope: SCOPES}),
  });
}

/** A token for the browser of one user: for this user alone, and to verify only. @param {string} userId */
export function browserToken(userId) {
  return token({sub: userId, scope: "face:verify"});
}

/** Whether the picture, taken just now, shows the user. @param {string} userId @param {Blob} photo @param {string} device */
export async function isFaceOf(userId, photo, device) {
  const api = faces(), once = {most: 1}; // a person waits
  const about = {device_id: device};
  const {session_id} = await api.openSession({user_id: userId, purpose: "login", metadata: about}, once);
  await api.verify({user_id: userId, image: photo, metadata: {...about, session_id}}, once);
  return (await api.getSession({session_id}, once)).state === "verified";
}
