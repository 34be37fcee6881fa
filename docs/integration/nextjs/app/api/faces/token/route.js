import {browserToken} from "../../../../lib/faces.js";
import {userOf} from "../../../../lib/session.js";

/** For pages that send many frames, such as a video call. @param {Request} request */
export async function POST(request) {
  const userId = userOf(request);
  if (!userId) return Response.json({problem: "Log in first."}, {status: 401});
  const headers = {"Cache-Control": "no-store"};
  return Response.json({token: browserToken(userId), user_id: userId}, {headers});
}
