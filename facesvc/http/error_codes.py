"""The one table of error codes: status, meaning, and what a client does about each.

The answers (facesvc/http/errors.py), the API description and docs/errors.md are made from it.
"""

import re
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
COLLECTIONS = "Collections"
SERVICE = "The service"

# Any operation may answer a code of these topics; the other topics belong to some operations.
EVERYWHERE = (REQUEST, CALLER, SERVICE)


class Code(NamedTuple):
    status: int
    topic: str
    meaning: str  # a sentence
    advice: str  # a sentence for the people who write the client


# Codes are part of the API and never change their meaning. Each has its status, its name and its
# meaning in the first line, and below it the advice.
_TEXTS = {
    REQUEST: """
400 invalid_request: Fields are missing or have values that are not allowed.
    Correct what `details.fields` or the message names.
400 malformed_json: The body is not a JSON object.
    Send one JSON object in UTF-8, without duplicate keys.
400 unknown_field: The request has a field that the service does not know.
    Look for a misspelling; `details.known` lists the fields.
400 invalid_cursor: The cursor does not belong to this list.
    Use `next_cursor` of the previous page, or begin again without a cursor.
404 not_found: The service has no such address.
    Compare the path with the API description.
405 method_not_allowed: The address does not take this method.
    The header `Allow` lists the methods that it takes.
406 not_acceptable: The header `Accept` excludes JSON.
    Send `Accept: application/json`, or leave the header out.
409 idempotency_conflict: The `Idempotency-Key` was used for a different request before.
    Use a new key for each new request.
409 request_in_progress: A request with the same `Idempotency-Key` is being worked on.
    Send the same request again after `Retry-After`: it gets the first one's answer.
411 length_required: The request does not say how long its body is.
    Send `Content-Length` in place of `Transfer-Encoding: chunked`.
413 payload_too_large: The body, or its part without the pictures, is too long.
    Send fewer or smaller pictures; the message names the limit.
415 unsupported_media_type: The `Content-Type` or `Content-Encoding` of the body is not accepted.
    Send one of the types that the API description lists for the operation, not compressed.
429 requests_in_progress: Two requests with pictures, or a batch, of this user are in progress.
    Send the next request after the answer to one of them.
429 rate_limited: The token has made too many calls, or looked up too many faces.
    Wait for `Retry-After` seconds. `RATE_LIMIT_PER_MINUTE` and `RATE_LIMIT_PER_HOUR` limit the
    calls of a token; `FACESVC_FACES_PER_HOUR` limits the faces for one user.
""",
    CALLER: """
401 not_authenticated: The request has no token.
    Send the header `Authorization: Bearer <token>`.
401 invalid_token: The service cannot trust the token.
    Check its signature, `aud`, `iss` and `sub`, or get a new one. An API key was revoked or has
    expired, or its collection was erased: ask who runs the service for another.
401 token_expired: The token has expired.
    Get a new token and send the request again.
403 insufficient_scope: The token lacks a scope that is needed here.
    Get a token with the scope that the message names.
403 not_your_user: The token of an end user names another user.
    Send the user's own id, or call with a service's token.
403 collection_suspended: The collection of the token is suspended.
    Ask who runs the service; nothing of the collection is lost.
403 service_only: Only services may do this.
    Call from your server, with a service's token.
""",
    PICTURE: """
400 invalid_base64: The text of a picture is not base64.
    Encode the bytes of the file as base64, or send the file itself in a form.
400 empty_image: The picture is empty.
    Check that the file was read before it was sent.
400 invalid_image: The picture cannot be decoded.
    Save it again with another program, or use another picture.
400 truncated_image: The picture ends too early.
    Send the whole file; the upload or the download before it may have been cut.
413 image_too_large: The picture has too many bytes.
    Compress it more; `MAX_IMAGE_SIZE_MB` is the limit.
413 too_many_pixels: The picture has too many pixels.
    Make it smaller; the message names the limit.
415 unsupported_format: The picture is not JPEG, PNG, WebP or BMP; the message names what it is.
    Convert it; a browser's canvas and every phone can save JPEG.
422 image_too_small: The picture has too few pixels for a face.
    Send a larger one; the message names the limit.
""",
    FACE: """
409 duplicate_face: The user already has this picture.
    You need not do anything: `details.face_id` is its face.
422 no_face: No face was found in the picture.
    Ask for a photo of the face from the front, in good light, with nothing over it.
422 multiple_faces: The picture has several faces, but only one can be enrolled.
    Crop it, or choose a face of `details.faces` with `face_index`.
422 invalid_face_index: `face_index` is not one of the faces that were found.
    Count from 0, in the order in which detect lists the faces.
422 low_quality: The face cannot be recognised surely enough to be enrolled, or to be compared.
    Tell the user what `details.advice` says, and take another photo.
422 different_people: The photos do not show one person.
    `details.images` has the places of those that differ, from 0; leave them out. If it has all, no
    two of them are alike.
422 faces_refused: Some faces of the picture cannot be enrolled, so none of them was.
    `details.faces` has each refused face with its own code; leave these out, and send the others.
422 consent_required: This service stores a face only with the record of a consent.
    Send `metadata.consent` with `given_at` and `text_version`.
""",
    STORED: """
404 user_not_found: There is no such user, or the caller may not see it.
    Check the id; `PUT /users/{user_id}` or an enrolment creates a user.
404 user_merged: The user was merged into another one, and this id can no longer be used.
    Use the id of the user who stayed and drop this one; your app chose which one stays.
403 user_suspended: A moderator has suspended the user. Only services get this code.
    Wait until a moderator ends it: `POST /users/{user_id}/unsuspend`.
404 face_not_found: There is no such face, or the caller may not see it.
    `GET /users/{user_id}/faces` lists the faces of a user.
409 no_template: The model that serves has no template of this face, so it cannot be compared.
    Enrol a photo again, or make the templates of kept pictures with `manage.py reembed`.
404 crop_not_found: No picture of the face is kept.
    Enrol a photo again while `STORE_FACE_CROPS` is on, if you need its picture.
""",
    SESSION: """
404 session_not_found: There is no such session, or the caller may not see it.
    Open a session with `POST /sessions`.
409 session_ended: The session is over; `details.state` says how it ended.
    Open another session.
409 session_not_live: The session is for a login and takes no frames.
    Send its picture to verify, with `metadata.session_id`.
409 session_is_live: The session is for a video call and takes frames only.
    Send its pictures to `POST /sessions/{session_id}/frames`.
423 locked: Too many attempts failed, and the user is locked.
    A moderator has to unlock the user: `POST /users/{user_id}/unlock`, or the admin pages.
429 too_many_attempts: Attempts failed, and the next one has to wait.
    Wait for `details.retry_after` seconds.
429 too_many_frames: The frames of a call come too fast.
    Send fewer; `FACESVC_LIVE_FRAMES_PER_SECOND` is the limit of a session.
429 frames_in_progress: Earlier frames of the call are still in progress.
    Send the next frame after an answer.
""",
    GRAPH: """
404 friendship_not_found: The two users are not friends, or the caller may not see it.
    `GET /users/{user_id}/friends` lists a user's friends.
404 group_not_found: There is no such group, or the caller may not see it.
    `PUT /groups/{name}` creates one.
404 membership_not_found: The user is not a member of the group, or the caller may not see it.
    `GET /groups/{name}/members` lists the members.
422 invalid_friendship: A user cannot be their own friend.
    Name two different users.
422 invalid_group_name: A group cannot have this name.
    The message says which names are accepted.
422 invalid_graph: Some lines of the graph are wrong, so nothing was imported.
    Correct the lines that `details.errors` lists, and send the whole graph again.
""",
    MODERATION: """
422 same_user: The face already belongs to this user, or both ids are one user's.
    Name another user.
404 duplicate_not_found: There is no such possible duplicate, or it no longer exists.
    `GET /duplicates` lists them. If one of the two faces or users is deleted, the service deletes
    the entry, too.
409 already_decided: This possible duplicate has already been decided.
    `details.state` says how it was decided.
""",
    BATCH: """
404 job_not_found: There is no such job, or another client created it.
    `GET /batch-jobs` lists your jobs.
413 too_many_images: The batch has too many pictures.
    Send several batches; `details.limit` is the limit of one.
422 invalid_callback_url: The service sends no callbacks to this address.
    The message says why; see docs/webhooks.md.
""",
    COLLECTIONS: """
403 default_collection_only: Only services of the collection `default` may do this.
    Call with a token of `default`: one without a collection.
404 collection_not_found: There is no such collection.
    `GET /collections` lists them.
409 collection_exists: There is a collection of this name already.
    Take another name, or erase the other collection first.
409 default_collection: The collection `default` always exists, and has the service's own settings.
    It cannot be suspended or erased, and has no rules: change the settings.
409 template_key_needed: A collection beside `default` needs protected templates.
    The operator has to set `FACESVC_TEMPLATE_KEYS`.
409 too_many_collections: There are as many collections as there may be.
    Erase one, or raise `FACESVC_MOST_COLLECTIONS`.
""",
    SERVICE: """
500 internal_error: The service has a fault.
    Give `metadata.request_id` to the operator, who finds the fault in the log by it.
503 unavailable: The service is overloaded, or something that it needs is unavailable.
    Send the same request again after `Retry-After` seconds. Nothing was done, unless the database
    was lost just as it stored the answer: an `Idempotency-Key` makes the repetition safe then, too.
503 encryption_not_set_up: Pictures are stored encrypted, and the service has no key for this one.
    The operator has to set `FACESVC_CROP_KEYS`.
""",
}
_CODE = re.compile(r"(\d{3}) (\w+): (.+)\n((?: {4}.+\n)+)")
CODES = {
    code: Code(int(status), topic, meaning, " ".join(advice.split()))
    for topic, text in _TEXTS.items()
    for status, code, meaning, advice in _CODE.findall(text)
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
    return [*_TEXTS]
