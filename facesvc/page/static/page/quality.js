/** Whether the face before the camera can be used, while it moves: `detect` on a frame now and then. */

import {say} from "./dom.js";
import {inWords, reasonInWords} from "./errors.js";
import {t} from "./words.js";

const LONGEST_SIDE = 640;
const SHORTEST_PAUSE = 500; // milliseconds
// Requests a minute that are left to the person who uses the page.
const RESERVE = 15;
// A screen reader hears the same advice no more often than this.
const SILENCE = 4000;

/** Watches the camera while it runs, and looks once at a chosen photo, until the signal. */
export async function watchQuality(stage, api, signal) {
  let lastSaid = 0, judged = null;
  while (!signal.aborted) {
    const isLive = stage.state === "live";
    const isNew = stage.state === "still" && !stage.hasCamera && stage.file !== judged;
    if (document.hidden || !(isLive || isNew)) {
      await sleep(200, signal);
      continue;
    }
    const started = performance.now();
    try {
      const {file, size} = isLive ? await stage.frame(LONGEST_SIDE) : stage;
      judged = file;
      const {faces} = await api.detect({image: file}, {signal});
      // Only of what is still shown.
      if (isLive ? stage.state === "live" : stage.file === file) {
        const text = judge(stage, faces, size);
        if (performance.now() - lastSaid > SILENCE) {
          say(text);
          lastSaid = performance.now();
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!error.code) throw error;
      stage.measure("bad", inWords(error).what);
      await sleep(3000, signal);
    }
    await sleep(pause(api.limit, performance.now() - started), signal);
  }
}

/** Shows what was found in a picture of that size, and answers it in words. */
function judge(stage, faces, size) {
  const [verdict, text, value] = verdictOf(faces);
  stage.box(faces, size, (face, number) => ({kind: number ? "other" : verdict}));
  stage.measure(verdict, text, value);
  return text;
}

/** [kind, words, quality] for the faces of a picture. */
export function verdictOf(faces) {
  const least = Number(document.body.dataset.minQuality);
  if (!faces.length) return ["bad", t("no_face_in_view"), null];
  if (faces.length > 1) return ["bad", t("several_in_view", {count: faces.length}), null];
  const {face_quality_score: score, reasons} = faces[0].quality;
  const advice = reasons.map(reasonInWords).join(" ");
  if (score < least) return ["bad", advice || t("not_clear"), score];
  return advice ? ["careful", advice, score] : ["good", t("good_picture"), score];
}

/** Milliseconds until the next frame: slower where the token's limit is near. */
function pause(limit, spent) {
  const shortest = Math.max(SHORTEST_PAUSE, spent);
  if (!limit) return shortest;
  const room = limit.remaining - RESERVE;
  const rest = 1000 * limit.reset;
  return Math.max(shortest, room > 0 ? rest / room : Math.min(rest, 60_000));
}

export function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, {once: true});
  });
}
