/** Pictures: from a camera or a file to a JPEG that is worth sending. */

import {ApiError} from "./api.js";

/** The longest side that is sent, in pixels. For one face more helps no recogniser and costs everybody time. */
export const LONGEST_SIDE = 1600;
/** The longest side of a photo of many people: small faces need it. A canvas of an iPhone holds 4096 x 4096. */
export const LONGEST_SIDE_OF_GROUPS = 4000;

const CAMERA_ERRORS = {
  NotAllowedError: "camera_refused",
  SecurityError: "camera_refused",
  NotFoundError: "camera_missing",
  OverconstrainedError: "camera_missing",
};

/** A MediaStream. Throws an ApiError that says why there is none. */
export async function openCamera(facing) {
  if (!window.isSecureContext) throw problem("insecure_context");
  if (!navigator.mediaDevices?.getUserMedia) throw problem("camera_missing");
  const video = {facingMode: facing, width: {ideal: 1280}, height: {ideal: 720}};
  try {
    return await navigator.mediaDevices.getUserMedia({video, audio: false});
  } catch (error) {
    throw problem(CAMERA_ERRORS[error.name] ?? "camera_taken", error.message);
  }
}

/** The file on a canvas, upright (by its EXIF data) and no larger than is sent. */
export async function canvasOfFile(file, longest) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, {imageOrientation: "from-image"});
  } catch (error) {
    throw problem("unreadable_file", error.message);
  }
  const canvas = canvasOf(bitmap, bitmap.width, bitmap.height, longest);
  bitmap.close(); // a phone's photo takes 200 MB until then
  return canvas;
}

export function canvasOf(source, width, height, longest) {
  const scale = Math.min(1, longest / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // behind what a PNG leaves open
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

export async function jpegOf(canvas, name, quality = 0.92) {
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
  return new File([blob], name.replace(/(\.\w+)?$/, ".jpg"), {type: "image/jpeg"});
}

function problem(code, message = "") {
  return new ApiError({code, message});
}
