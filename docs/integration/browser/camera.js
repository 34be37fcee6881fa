/** The webcam: a stream for a <video>, and pictures of it as JPEG. Browsers ask for https. */

export async function openCamera(video) {
  const wanted = {facingMode: "user", width: {ideal: 1280}, height: {ideal: 720}};
  video.srcObject = await navigator.mediaDevices.getUserMedia({video: wanted, audio: false});
  await video.play();
}

/** What the camera shows now, as a Blob. `longest` is the longest side in pixels. */
export async function picture(video, longest = 1280) {
  const scale = Math.min(1, longest / Math.max(video.videoWidth, video.videoHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
}

/** Sends a form with a picture of its camera as the file `photo`. */
function watch(form) {
  const video = form.querySelector("video");
  const alert = form.querySelector("[role=alert]");
  openCamera(video).catch(() => { alert.textContent = "This page needs your camera."; });
  form.addEventListener("formdata", ({formData}) => formData.set("photo", form.photo, "photo.jpg"));
  form.addEventListener("submit", async (event) => {
    if (form.photo) return;
    event.preventDefault();
    form.photo = await picture(video);
    form.submit();
  });
}

for (const form of document.querySelectorAll("form[data-camera]")) watch(form);
