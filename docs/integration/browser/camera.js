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
