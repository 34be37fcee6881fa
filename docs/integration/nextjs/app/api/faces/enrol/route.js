import {ApiError} from "../../../../lib/api.js";
import {faces} from "../../../../lib/faces.js";
import {formOf, userOf} from "../../../../lib/session.js";

const CONSENT = "2026-11"; // the version of the text that people agree to

/** @param {Request} request */
export async function POST(request) {
  const userId = userOf(request);
  if (!userId) return Response.json({problem: "Log in first."}, {status: 401});
  const form = await formOf(request), photo = form?.get("photo");
  if (!form) return Response.json({problem: "The picture is too large."}, {status: 413});
  if (!form.get("consent")) return Response.json({problem: "Please agree first."}, {status: 400});
  if (!(photo instanceof Blob)) return Response.json({problem: "There is no picture."}, {status: 400});
  const consent = {given_at: new Date().toISOString(), text_version: CONSENT};
  try {
    const face = await faces().register({user_id: userId, image: photo, metadata: {consent}});
    return Response.json({face_id: face.face_id}, {status: 201});
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // No face or a bad picture: the message says what to do. A mistake of this app is logged.
    const isTheirs = [400, 409, 413, 415, 422].includes(error.status);
    if (!isTheirs) console.error(`the service did not do it: ${error.code}, ${error.message}`);
    const problem = isTheirs ? error.message : "Try again later.";
    return Response.json({problem}, {status: isTheirs ? error.status : 503});
  }
}
