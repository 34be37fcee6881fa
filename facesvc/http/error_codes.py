"""The one table of error codes: status, meaning, and what a client does about each.

The answers (facesvc/http/errors.py), the API description and docs/errors.md are made from it.
"""

from typing import NamedTuple

REQUEST = "The request"
CALLER = "The caller"
PICTURE = "The picture"
FACE = "The face"
STORED = "Users and faces"
SESSION = "Sessions and failed attempts"
GRAPH = "Friends and groups"
MODERATION = "Moderation"
BATCH = "Batches"
SERVICE = "The service"

# Any operation may answer a code of these topics; the other topics belong to some operations.
EVERYWHERE = (REQUEST, CALLER, SERVICE)


class Code(NamedTuple):
    status: int
    topic: str
    meaning: str  # a sentence
    advice: str  # a sentence for the people who write the client


# Codes are part of the API and never change their meaning.
CODES = {
    "invalid_request": Code(
        *(400, REQUEST, "Fields are missing or have values that are not allowed."),
        "Correct what `details.fields` or the message names.",
    ),
    "malformed_json": Code(
        *(400, REQUEST, "The body is not a JSON object."),
        "Send one JSON object in UTF-8, without duplicate keys.",
    ),
    "unknown_field": Code(
        *(400, REQUEST, "The request has a field that the service does not know."),
        "Look for a misspelling; `details.known` lists the fields.",
    ),
    "invalid_cursor": Code(
        *(400, REQUEST, "The cursor does not belong to this list."),
        "Use `next_cursor` of the previous page, or begin again without a cursor.",
    ),
    "not_found": Code(
        *(404, REQUEST, "The service has no such address."),
        "Compare the path with the API description.",
    ),
    "method_not_allowed": Code(
        *(405, REQUEST, "The address does not take this method."),
        "The header `Allow` lists the methods that it takes.",
    ),
    "not_acceptable": Code(
        *(406, REQUEST, "The header `Accept` excludes JSON."),
        "Send `Accept: application/json`, or leave the header out.",
    ),
    "idempotency_conflict": Code(
        *(409, REQUEST, "The `Idempotency-Key` was used for a different request before."),
        "Use a new key for each new request.",
    ),
    "request_in_progress": Code(
        *(409, REQUEST, "A request with the same `Idempotency-Key` is being worked on."),
        "Send the same request again after `Retry-After`: it gets the first one's answer.",
    ),
    "length_required": Code(
        *(411, REQUEST, "The request does not say how long its body is."),
        "Send `Content-Length` in place of `Transfer-Encoding: chunked`.",
    ),
    "payload_too_large": Code(
        *(413, REQUEST, "The body, or its part without the pictures, is too long."),
        "Send fewer or smaller pictures; the message names the limit.",
    ),
    "unsupported_media_type": Code(
        *(415, REQUEST, "The `Content-Type` or `Content-Encoding` of the body is not accepted."),
        "Send one of the types that the API description lists for the operation, not compressed.",
    ),
    "requests_in_progress": Code(
        *(429, REQUEST, "Two requests with pictures, or a batch, of this user are in progress."),
        "Send the next request after the answer to one of them.",
    ),
    "rate_limited": Code(
        *(429, REQUEST, "The token has made too many calls, or looked up too many faces."),
        "Wait for `Retry-After` seconds. `RATE_LIMIT_PER_MINUTE` and `RATE_LIMIT_PER_HOUR` are "
        "the limits of a token, `FACESVC_FACES_PER_HOUR` that of the faces for one user.",
    ),
    "not_authenticated": Code(
        *(401, CALLER, "The request has no token."),
        "Send the header `Authorization: Bearer <token>`.",
    ),
    "invalid_token": Code(
        *(401, CALLER, "The service cannot trust the token."),
        "Check its signature, `aud`, `iss` and `sub`, or get a new one.",
    ),
    "token_expired": Code(
        *(401, CALLER, "The token has expired."),
        "Get a new token and send the request again.",
    ),
    "insufficient_scope": Code(
        *(403, CALLER, "The token lacks a scope that is needed here."),
        "Get a token with the scope that the message names.",
    ),
    "not_your_user": Code(
        *(403, CALLER, "The token of an end user names another user."),
        "Send the user's own id, or call with a service's token.",
    ),
    "service_only": Code(
        *(403, CALLER, "Only services may do this."),
        "Call from your server, with a service's token.",
    ),
    "invalid_base64": Code(
        *(400, PICTURE, "The text of a picture is not base64."),
        "Encode the bytes of the file as base64, or send the file itself in a form.",
    ),
    "empty_image": Code(
        *(400, PICTURE, "The picture is empty."),
        "Check that the file was read before it was sent.",
    ),
    "invalid_image": Code(
        *(400, PICTURE, "The picture cannot be decoded."),
        "Save it again with another program, or use another picture.",
    ),
    "truncated_image": Code(
        *(400, PICTURE, "The picture ends too early."),
        "Send the whole file; the upload or the download before it may have been cut.",
    ),
    "image_too_large": Code(
        *(413, PICTURE, "The picture has too many bytes."),
        "Compress it more; `MAX_IMAGE_SIZE_MB` is the limit.",
    ),
    "too_many_pixels": Code(
        *(413, PICTURE, "The picture has too many pixels."),
        "Make it smaller; the message names the limit.",
    ),
    "unsupported_format": Code(
        *(415, PICTURE, "The picture is not JPEG, PNG, WebP or BMP; the message names what it is."),
        "Convert it; a browser's canvas and every phone can save JPEG.",
    ),
    "image_too_small": Code(
        *(422, PICTURE, "The picture has too few pixels for a face."),
        "Send a larger one; the message names the limit.",
    ),
    "duplicate_face": Code(
        *(409, FACE, "The user already has this picture."),
        "You need not do anything: `details.face_id` is its face.",
    ),
    "no_face": Code(
        *(422, FACE, "No face was found in the picture."),
        "Ask for a photo of the face from the front, in good light.",
    ),
    "multiple_faces": Code(
        *(422, FACE, "The picture has several faces, but only one can be enrolled."),
        "Crop it, or choose a face of `details.faces` with `face_index`.",
    ),
    "invalid_face_index": Code(
        *(422, FACE, "`face_index` is not one of the faces that were found."),
        "Count from 0, in the order in which detect lists the faces.",
    ),
    "low_quality": Code(
        *(422, FACE, "The face is too dark, blurred, small or far turned to be enrolled."),
        "Tell the user what `details.reasons` says, and take another photo.",
    ),
    "consent_required": Code(
        *(422, FACE, "This service stores a face only with the record of a consent."),
        "Send `metadata.consent` with `given_at` and `text_version`.",
    ),
    "user_not_found": Code(
        *(404, STORED, "There is no such user, or the caller may not see it."),
        "Check the id; `PUT /users/{user_id}` or an enrolment creates a user.",
    ),
    "user_merged": Code(
        *(404, STORED, "The user was merged into another one, and this id can no longer be used."),
        "Use the id of the user who stayed and drop this one; your app chose which one stays.",
    ),
    "user_suspended": Code(
        *(403, STORED, "A moderator has suspended the user. Only services get this code."),
        "Wait until a moderator ends it: `POST /users/{user_id}/unsuspend`.",
    ),
    "face_not_found": Code(
        *(404, STORED, "There is no such face, or the caller may not see it."),
        "`GET /users/{user_id}/faces` lists the faces of a user.",
    ),
    "session_not_found": Code(
        *(404, SESSION, "There is no such session, or the caller may not see it."),
        "Open a session with `POST /sessions`.",
    ),
    "session_ended": Code(
        *(409, SESSION, "The session is over; `details.state` says how it ended."),
        "Open another session.",
    ),
    "session_not_live": Code(
        *(409, SESSION, "The session is for a login and takes no frames."),
        "Send its picture to verify, with `metadata.session_id`.",
    ),
    "session_is_live": Code(
        *(409, SESSION, "The session is for a video call and takes frames only."),
        "Send its pictures to `POST /sessions/{session_id}/frames`.",
    ),
    "locked": Code(
        *(423, SESSION, "Too many attempts failed, and the user is locked."),
        "A moderator has to unlock the user: `POST /users/{user_id}/unlock`, or the admin pages.",
    ),
    "too_many_attempts": Code(
        *(429, SESSION, "Attempts failed, and the next one has to wait."),
        "Wait for `details.retry_after` seconds.",
    ),
    "too_many_frames": Code(
        *(429, SESSION, "The frames of a call come too fast."),
        "Send fewer; `FACESVC_LIVE_FRAMES_PER_SECOND` is the limit of a session.",
    ),
    "frames_in_progress": Code(
        *(429, SESSION, "Earlier frames of the call are still in progress."),
        "Send the next frame after an answer.",
    ),
    "friendship_not_found": Code(
        *(404, GRAPH, "The two users are not friends, or the caller may not see it."),
        "`GET /users/{user_id}/friends` lists a user's friends.",
    ),
    "group_not_found": Code(
        *(404, GRAPH, "There is no such group, or the caller may not see it."),
        "`PUT /groups/{name}` creates one.",
    ),
    "membership_not_found": Code(
        *(404, GRAPH, "The user is not a member of the group, or the caller may not see it."),
        "`GET /groups/{name}/members` lists the members.",
    ),
    "invalid_friendship": Code(
        *(422, GRAPH, "A user cannot be their own friend."),
        "Name two different users.",
    ),
    "invalid_group_name": Code(
        *(422, GRAPH, "A group cannot have this name."),
        "The message says which names are accepted.",
    ),
    "invalid_graph": Code(
        *(422, GRAPH, "Some lines of the graph are wrong, so nothing was imported."),
        "Correct the lines that `details.errors` lists, and send the whole graph again.",
    ),
    "same_user": Code(
        *(422, MODERATION, "The face already belongs to this user, or both ids are one user's."),
        "Name another user.",
    ),
    "duplicate_not_found": Code(
        *(404, MODERATION, "There is no such possible duplicate, or it no longer exists."),
        "`GET /duplicates` lists them. An entry is deleted with either of its faces or users.",
    ),
    "already_decided": Code(
        *(409, MODERATION, "This possible duplicate has already been decided."),
        "`details.state` says how it was decided.",
    ),
    "job_not_found": Code(
        *(404, BATCH, "There is no such job, or another client created it."),
        "`GET /batch-jobs` lists your jobs.",
    ),
    "too_many_images": Code(
        *(413, BATCH, "The batch has too many pictures."),
        "Send several batches; `details.limit` is the limit of one.",
    ),
    "invalid_callback_url": Code(
        *(422, BATCH, "The service sends no callbacks to this address."),
        "The message says why; see docs/webhooks.md.",
    ),
    "internal_error": Code(
        *(500, SERVICE, "The service has a fault."),
        "Give `metadata.request_id` to the operator, who finds the fault in the log by it.",
    ),
    "unavailable": Code(
        *(503, SERVICE, "The service is overloaded, or something that it needs is unavailable."),
        "Nothing was done: send the same request again after `Retry-After` seconds.",
    ),
    "encryption_not_set_up": Code(
        *(503, SERVICE, "Pictures of a job are stored encrypted, and the service has no key."),
        "The operator has to set `FACESVC_CROP_KEYS`.",
    ),
}

STATUS = {code: each.status for code, each in CODES.items()}


def table(topic: str) -> str:
    """The codes of a topic as a table in Markdown."""
    rows = [
        f"| `{code}` | {each.status} | {each.meaning} | {each.advice} |"
        for code, each in CODES.items()
        if each.topic == topic
    ]
    head = "| code | status | what it means | what to do |\n|---|---|---|---|"
    return "\n".join([head, *rows])


def topics() -> list[str]:
    """The topics in the order of the table."""
    return [*dict.fromkeys(each.topic for each in CODES.values())]
