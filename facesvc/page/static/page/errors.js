/** What went wrong and what to do next, in words, by the codes of the API. */

const WORDS = {
  // the way to the service
  unreachable: ["The service does not answer.", "See whether it still runs, and whether you are online. Then try again."],
  no_json: ["The answer is not one of this service.", "A proxy in between may have refused the request: try again, or with a smaller picture."],
  requests_in_progress: ["The service still works on the last pictures.", "Try again when it is done."],
  request_in_progress: ["The service still works on this.", "Try again in a moment."],
  rate_limited: ["The token has made too many requests.", "Wait a moment and try again."],
  unavailable: ["The service is busy.", "Try again in a few seconds."],
  internal_error: ["Something went wrong in the service.", "Its log has the request id below."],
  // the token
  not_authenticated: ["There is no token.", "Paste one."],
  invalid_token: ["The token is not valid here.", "Copy it once more from the terminal, all of it, or make another."],
  token_expired: ["The token has expired.", "Make another one and paste it."],
  insufficient_scope: ["The token does not allow this.", "Make one with the scope that is named below."],
  not_your_user: ["This token is one user's, and this is about another one.", "Choose yourself, or take a service's token."],
  service_only: ["Only services may do this.", "Take a service's token."],
  // the picture
  empty_image: ["The picture is empty.", "Choose another one."],
  invalid_image: ["The picture cannot be read.", "Save it as JPEG or PNG, or choose another one."],
  truncated_image: ["The picture ends in the middle.", "Copy it again from where it came, or choose another one."],
  unsupported_format: ["This kind of picture is not taken.", "Save it as JPEG, PNG or WebP."],
  unreadable_file: ["The browser cannot read this file as a picture.", "Choose a JPEG, PNG or WebP. HEIC photos of an iPhone: choose them from the photo library, which converts them."],
  insecure_context: ["Browsers give the camera to https pages and to localhost only.", "Open this page on the machine itself at localhost, or put https in front of the service (docs/deployment.md). Choosing or taking a photo works here all the same."],
  camera_refused: ["The browser may not use the camera.", "Allow it by the sign beside the address, then turn the camera on again. Choosing a picture works as well."],
  camera_missing: ["No camera was found.", "Connect one, or choose a picture."],
  camera_taken: ["The camera does not start.", "Another program may be using it: close that, then try again. Choosing a picture works as well."],
  image_too_small: ["The picture is too small.", "Choose a larger one."],
  image_too_large: ["The picture has too many bytes.", "Choose a smaller one."],
  too_many_pixels: ["The picture has too many pixels.", "Choose a smaller one."],
  payload_too_large: ["The picture has too many bytes.", "Choose a smaller one."],
  // the face
  no_face: ["No face was found.", "Face the camera with nothing over the face, with light from the front, and come closer."],
  multiple_faces: ["There are several faces in the picture.", "Be alone in the picture, or tag the faces one by one under “Tag a photo”."],
  invalid_face_index: ["This face is no longer found in the picture.", "Choose the photo again."],
  low_quality: ["The face can hardly be recognised like this.", "Take another picture:"],
  duplicate_face: ["This very picture is enrolled already.", "Nothing is left to do. Another picture of the same person is welcome."],
  consent_required: ["This service stores a face with a recorded consent only.", "Enrol it by the API, with metadata.consent."],
  encryption_not_set_up: ["The service has no key to keep pictures with.", "Set FACESVC_CROP_KEYS; `make run` writes one into .env."],
  // who
  user_not_found: ["This person is not known here.", "They may have been erased. Choose another one."],
  user_suspended: ["This person is suspended.", "A moderator can end that in the admin."],
  user_merged: ["This person was merged into another one.", "Choose the other one."],
  face_not_found: ["This face is no longer there.", "Look at the list again."],
  // sessions
  session_not_found: ["This session is no longer there.", "Begin again."],
  session_ended: ["The session is over.", "Begin again: a login lasts a few minutes."],
  too_many_frames: ["Frames come too fast.", "The page sends the next one a little later."],
  frames_in_progress: ["The service is still looking at the last frames.", "The page sends the next one a little later."],
  too_many_attempts: ["Too many attempts failed.", "Wait, then try again."],
  locked: ["This person is locked after many failures.", "A moderator unlocks them in the admin."],
};

// Of one face: recognition/inference/quality.py names these.
const REASONS = {
  face_too_small: "Come closer.",
  blurred: "Hold still: the picture is blurred.",
  badly_exposed: "Change the light: it is too dark or too bright.",
  low_contrast: "More light from the front: the picture is flat.",
  turned_away: "Look straight into the camera.",
  uncertain_detection: "Uncover the face: it can hardly be seen.",
  cut_off: "Move to the middle: the face is cut off.",
  hard_to_recognise: "Look straight into the camera, with even light.",
  uneven: "Hold the camera level and look straight into it, with even light from the front.",
  not_level: "Hold the camera level: the face seems to lie on its side, or upside down.",
  moved: "Hold the camera still: the picture is smeared.",
  too_coarse: "Move closer: the picture has too few pixels.",
  mouth_covered: "Take the mask off, and whatever else covers mouth and nose.",
  eyes_covered: "Uncover the eyes: take off dark glasses.",
};

// Of a verification: docs/risk.md has the rules.
const FACTORS = {
  repeated_failures: "Several attempts failed right before this one.",
  liveness_failed: "It looks like a photo, a screen or a mask, not like a person.",
  liveness_missing: "No check for photos and screens took part: a photo held before the camera would pass as well.",
  deepfake_suspected: "The picture looks generated or altered.",
  deepfake_missing: "No check for deepfakes took part.",
  check_unanswered: "A check for fakes did not answer.",
  threshold_provisional: "This model was not measured for a strict check.",
  score_near_threshold: "The face is only just similar enough.",
  poor_quality: "The picture is worse than one that may be enrolled.",
  new_device: "This person was never verified from this browser before.",
  replayed_picture: "The same picture came before. Move a little and take a new one.",
  unlike_face: "The face that matches is new, and resembles none of the others of this person. Try again tomorrow.",
  many_users_tried: "Attempts for many people failed from this browser within the hour.",
};

export function reasonInWords(reason) {
  return REASONS[reason] ?? reason.replaceAll("_", " ");
}

/** What speaks against an attempt. That no check took part is worth saying of a success only. */
export function factorsInWords(factors, {isSuccess = false} = {}) {
  return factors
    .filter((factor) => isSuccess || !["liveness_missing", "deepfake_missing"].includes(factor))
    .map((factor) => FACTORS[factor] ?? factor.replaceAll("_", " "));
}

/** {what, next, more}: what happened, what to do, and what the service itself said, if it adds something. */
export function inWords(error) {
  const [what, next] = WORDS[error.code] ?? [error.message || "Something went wrong.", ""];
  const advice = (error.details?.reasons ?? []).map(reasonInWords);
  const wait = error.retryAfter ? ` It may go on in ${duration(error.retryAfter)}.` : "";
  const isTold = !WORDS[error.code] || ["insufficient_scope", "internal_error", "low_quality"].includes(error.code);
  const said = isTold && WORDS[error.code] ? error.message : "";
  const id = error.code === "internal_error" && error.requestId ? ` Request id: ${error.requestId}` : "";
  return {what, next: [next, ...advice].filter(Boolean).join(" ") + wait, more: said + id};
}

export function duration(seconds) {
  if (seconds < 90) return `${Math.ceil(seconds)} seconds`;
  if (seconds < 5400) return `${Math.ceil(seconds / 60)} minutes`;
  return `${Math.ceil(seconds / 3600)} hours`;
}
