import {randomBytes} from "node:crypto";
import {isFaceOf} from "../../../../lib/faces.js";
import {cookie, cookieOf, formOf, isFromElsewhere, sessionCookie} from "../../../../lib/session.js";
import {userByName} from "../../../../lib/users.js";

// One sentence for all reasons, or strangers would learn which users there are.
const FAILED = "That did not work. Take a new picture in a minute, or log in with your password.";
const TWO_YEARS = 63072000;

/** @param {Request} request */
export async function POST(request) {
  const form = isFromElsewhere(request) ? null : await formOf(request);
  if (!form) return Response.json({problem: FAILED}, {status: 400});
  const user = userByName(form.get("name")), photo = form.get("photo");
  // A known browser cannot be locked out by strangers who try.
  const device = cookieOf(request, "device") ?? randomBytes(32).toString("base64url");
  const headers = new Headers({"Set-Cookie": cookie("device", device, TWO_YEARS)});
  try {
    if (user && photo instanceof Blob && await isFaceOf(user.id, photo, device)) {
      headers.append("Set-Cookie", sessionCookie(user.id));
      return Response.json({name: user.name}, {headers});
    }
  } catch (error) {
    console.error("a login by face failed", error); // the service is away, or refuses
  }
  return Response.json({problem: FAILED}, {status: 401, headers});
}
