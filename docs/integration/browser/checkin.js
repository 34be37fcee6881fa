/** Sends what the camera sees to the server, a frame at a time, and says what the server answers. */

import {openCamera, picture} from "./camera.js";

// What the person reads, and how many milliseconds later the next frame is taken.
const STATES = {
  nobody: ["Look into the camera.", 1500],
  verifying: ["Turn your head a little.", 250],
  welcome: ["Welcome, ", 4000],
  again: ["Please try once more.", 2000],
  busy: ["One moment.", 3000],
};

export async function watch(video, {url, token, show}) {
  await openCamera(video);
  for (;;) {
    const {state, name} = await sent(await picture(video, 640), url, token);
    const [words, pause] = STATES[state];
    show(name ? `${words}${name}!` : words);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

async function sent(frame, url, token) {
  const headers = {"Content-Type": "image/jpeg", "X-CSRFToken": token};
  try {
    const answer = await fetch(url, {method: "POST", headers, body: frame});
    return answer.ok ? await answer.json() : {state: "busy"};
  } catch {
    return {state: "busy"}; // the network is away for a moment
  }
}

const status = document.querySelector("[role=status][data-url]");
watch(document.querySelector("video"), {
  ...status.dataset, show: (words) => { status.textContent = words; },
}).catch(() => { status.textContent = "This page needs your camera."; });
