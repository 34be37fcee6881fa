/** A form with `data-camera` and a <video>: it is sent with a picture of the camera as `photo`. */

import {openCamera, picture} from "./camera.js";

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
