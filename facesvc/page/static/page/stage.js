/** The place for a picture: the camera or a photo, with boxes around faces. */

import {$, el, say} from "./dom.js";
import {LONGEST_SIDE, canvasOf, canvasOfFile, jpegOf, openCamera} from "./pictures.js";
import {inWords} from "./errors.js";
import {t} from "./words.js";

/**
 * `state` is "empty", "live" (the camera runs) or "still" (one picture). Events: `change` when it
 * changes. `camera` or `photos` false leaves the other only; `facing` is the camera of a phone;
 * `longest` is the longest side of a photo that is sent.
 */
export class Stage extends EventTarget {
  #stream = null;
  #canvas = null;
  #file = null;
  #turn = 0; // of the camera: what began before the last one no longer counts

  constructor(place, {camera = true, photos = true, facing = "user", longest = LONGEST_SIDE, words}) {
    super();
    this.place = place;
    this.facing = facing;
    this.longest = longest;
    this.state = place.dataset.state = "empty";
    this.camera = camera;
    this.#build(camera, photos, words);
    if (photos) this.#takeDrops(place);
  }

  #takeDrops(place) {
    place.addEventListener("dragover", (event) => {
      event.preventDefault();
      place.classList.add("over");
    });
    place.addEventListener("dragleave", () => place.classList.remove("over"));
    place.addEventListener("drop", (event) => {
      event.preventDefault();
      place.classList.remove("over");
      if (event.dataTransfer.files[0]) this.#take(event.dataTransfer.files[0]);
    });
  }

  #build(camera, photos, words) {
    this.video = el("video", {muted: true, playsinline: true, "aria-label": t("camera")});
    this.video.muted = true;
    this.picture = el("div", {class: "picture"});
    this.faces = el("div", {class: "boxes"});
    this.view = el("div", {class: "view", hidden: true}, this.video, this.picture, this.faces);
    const file = this.#input(t("choose_picture"), {});
    const shot = this.#input(t("take_photo"), {capture: this.facing, class: "shot"});
    const on = camera && el("button", {type: "button", class: "primary", "data-camera": true, onclick: () => this.start()}, t("turn_on"));
    this.trouble = el("p", {class: "trouble", role: "alert"});
    this.choose = el(
      "div", {class: "choose"},
      el("p", {class: "words"}, words),
      el("p", {class: "actions"}, on || null, photos ? file : null, photos ? shot : null),
      photos ? el("p", {class: "hint drop"}, t("drop")) : null,
      this.trouble,
    );
    this.again = el("button", {type: "button", "data-again": true, onclick: () => this.resume()}, t("take_another"));
    this.off = el("button", {type: "button", "data-off": true, onclick: () => this.clear()}, t("turn_off"));
    this.meter = el("p", {class: "meter"});
    this.controls = el("div", {class: "controls", hidden: true}, this.meter, this.again, this.off);
    this.place.replaceChildren(this.choose, this.view, this.controls);
  }

  #input(text, attributes) {
    const input = el("input", {type: "file", accept: "image/*", capture: attributes.capture, class: "unseen"});
    input.addEventListener("change", () => {
      if (input.files[0]) this.#take(input.files[0]);
      input.value = ""; // the same one may be chosen again
    });
    return el("label", {class: `button ${attributes.class ?? ""}`}, input, text);
  }

  async start() {
    const turn = this.#stop();
    this.trouble.textContent = "";
    try {
      const stream = await openCamera(this.facing);
      if (turn !== this.#turn) return release(stream); // left meanwhile: it must not stay on
      this.#stream = stream;
      stream.getVideoTracks()[0].addEventListener("ended", () => this.clear());
      this.video.srcObject = stream;
      await this.video.play();
    } catch (error) {
      if (turn === this.#turn) this.#tell(error);
      return;
    }
    if (turn !== this.#turn) return;
    this.#shape(this.video.videoWidth, this.video.videoHeight);
    this.#become("live");
  }

  /** A file or photo in place of the camera. */
  async #take(file) {
    this.trouble.textContent = "";
    try {
      const canvas = await canvasOfFile(file, this.longest);
      this.#stop();
      this.#hold(canvas, await jpegOf(canvas, file.name || "photo.jpg"));
    } catch (error) {
      this.#tell(error);
    }
  }

  /** The picture to send, a JPEG file; the camera's is held from now on. */
  async freeze() {
    if (this.state === "live") {
      const canvas = this.#grab(LONGEST_SIDE);
      this.#hold(canvas, await jpegOf(canvas, "webcam.jpg"));
    }
    return this.#file;
  }

  /** One frame of the running camera: a smaller JPEG `file`, and its `size`. */
  async frame(longest) {
    const canvas = this.#grab(longest);
    return {file: await jpegOf(canvas, "frame.jpg", 0.85), size: {width: canvas.width, height: canvas.height}};
  }

  /** Back to the camera, or to the choice. */
  resume() {
    this.#file = null;
    if (!this.hasCamera) {
      this.clear();
    } else {
      this.#shape(this.video.videoWidth, this.video.videoHeight);
      this.#become("live");
    }
  }

  clear() {
    this.#stop();
    this.#file = null;
    this.#become("empty");
  }

  get file() { return this.#file; }

  get hasCamera() { return this.#stream !== null; }

  /** Boxes of faces in the pixels of a picture of that size; `look` says of each {text, kind, onclick}. */
  box(faces, size, look = () => ({})) {
    const made = faces.map((face, number) => {
      const {text, label, kind = "", onclick} = look(face, number);
      const element = onclick
        ? el("button", {type: "button", class: `box ${kind}`, "aria-label": label, onclick}, el("span", {}, text))
        : el("div", {class: `box ${kind}`}, text ? el("span", {}, text) : null);
      const {x, y, width, height} = face.box;
      const left = this.#isMirrored ? size.width - x - width : x;
      element.style.left = `${(100 * left) / size.width}%`;
      element.style.top = `${(100 * y) / size.height}%`;
      element.style.width = `${(100 * width) / size.width}%`;
      element.style.height = `${(100 * height) / size.height}%`;
      return element;
    });
    this.faces.replaceChildren(...made);
  }

  /** The size of the held picture. */
  get size() {
    return {width: this.#canvas.width, height: this.#canvas.height};
  }

  /** `value` from 0 to 1 as a bar, with words. */
  measure(kind, text, value = null) {
    const bar = el("span", {class: "bar", "aria-hidden": "true"}, el("span", {}));
    bar.firstChild.style.width = `${Math.round(100 * (value ?? 0))}%`;
    this.meter.className = `meter ${kind}`;
    this.meter.replaceChildren(...(value === null ? [] : [bar]), el("span", {}, text));
  }

  get #isMirrored() { return this.hasCamera && this.facing === "user"; }

  #grab(longest) {
    return canvasOf(this.video, this.video.videoWidth, this.video.videoHeight, longest);
  }

  #hold(canvas, file) {
    [this.#canvas, this.#file] = [canvas, file];
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", t(this.hasCamera ? "taken_picture" : "chosen_picture"));
    this.picture.replaceChildren(canvas);
    this.#shape(canvas.width, canvas.height);
    this.#become("still");
  }

  #shape(width, height) {
    this.view.style.setProperty("--ratio", `${width / height}`);
  }

  #become(state) {
    const hadFocus = this.place.contains(document.activeElement);
    this.state = state;
    this.faces.replaceChildren();
    this.measure("", "");
    this.choose.hidden = state !== "empty";
    this.view.hidden = this.controls.hidden = state === "empty";
    this.video.hidden = state !== "live";
    this.picture.hidden = state !== "still";
    this.again.hidden = state !== "still";
    this.again.textContent = t(this.hasCamera ? "take_another" : "choose_another");
    this.off.hidden = state !== "live";
    this.view.classList.toggle("mirrored", this.#isMirrored);
    this.place.dataset.state = state;
    // What had the focus may have vanished.
    if (hadFocus) $("button:not([hidden]), input", state === "empty" ? this.choose : this.controls).focus();
    this.dispatchEvent(new Event("change"));
  }

  #stop() {
    if (this.#stream) release(this.#stream);
    this.#stream = this.video.srcObject = null;
    this.#turn += 1;
    return this.#turn;
  }

  #tell(error) {
    const {what, next} = inWords(error);
    this.trouble.textContent = `${what} ${next}`;
    if (this.state !== "empty") say(this.trouble.textContent);
  }
}

function release(stream) {
  for (const track of stream.getTracks()) track.stop();
}
