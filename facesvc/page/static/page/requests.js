/** What the page sent, each as a curl command. */

import {curlOf} from "./api.js";
import {$, copy, el} from "./dom.js";
import {t} from "./words.js";

const KEPT = 40;

export function listRequests(place, api) {
  const list = $("ol", place);
  let last = null;
  api.addEventListener("request", ({detail}) => {
    $("[data-summary]", place).textContent = `${detail.method} ${detail.path}, ${detail.status || t("no_answer")}, ${detail.ms} ms`;
    const kind = `${detail.method} ${detail.path} ${detail.status}`;
    if (last?.kind === kind) {
      last.count += 1;
      last.item.replaceWith(last.item = item(detail, last.count));
    } else {
      last = {kind, count: 1, item: item(detail, 1)};
      list.prepend(last.item);
      while (list.children.length > KEPT) list.lastChild.remove();
    }
  });
}

function item(detail, count) {
  const curl = curlOf(detail, location.origin);
  const isGood = detail.status >= 200 && detail.status < 300;
  return el(
    "li", {},
    el(
      "p", {},
      el("span", {class: `status ${isGood ? "good" : "bad"}`}, String(detail.status || "–")), " ",
      el("span", {class: "what"}, `${detail.method} ${detail.path}`), " ",
      el("span", {class: "hint"}, count > 1 ? t("times", {ms: detail.ms, count}) : `${detail.ms} ms`),
    ),
    el("div", {class: "command"}, el("code", {}, curl), el("button", {type: "button", class: "quiet", "aria-label": t("copy_command", {what: `${detail.method} ${detail.path}`}), onclick: (event) => copy(curl, event.currentTarget)}, t("copy"))),
  );
}
