"""What is left in English on a page that a person reads in Thai."""

import re

from tests.browser.driving import Browser

PHONE = (390, 844)
# Ids, times, formats and names of what has no other name.
_NAMES = re.compile(
    r"facesvc|API|UTC|JPEG|PNG|WebP|BMP|UUID|HTTP|https?://\S+|\bid\b|\bms\b|\bs\b"
    r"|(?:face|erasure|job|msg)_\w+|[a-z]+(?:_[a-z]+)+|[a-z_]+\.[a-z_]+|[0-9a-f]{8}\S*|[A-Z][A-Z_]{3,}|\w+:\w+"
)
_SHOWN = """
const inEnglish = "code, pre, [lang=en], .brand, .requests ol, [data-summary], .selector";
const hidden = [...document.querySelectorAll(inEnglish)].filter((each) => !each.hidden);
for (const each of hidden) each.hidden = true;
const names = ["aria-label", "placeholder", "title", "alt"];
const labels = [...document.querySelectorAll(names.map((name) => `[${name}]`).join())]
  .filter((each) => each.offsetParent)
  .flatMap((each) => names.map((name) => each.getAttribute(name) ?? ""));
const text = [document.title, document.body.innerText, ...labels].join("\\n");
for (const each of hidden) each.hidden = false;
return text;
"""


def english(browser: Browser, *known: str) -> list[str]:
    """The Latin words that the page shows, without code, names and what is marked as English."""
    text = _NAMES.sub("", str(browser.run(_SHOWN)))
    for each in known:
        text = text.replace(each, "")
    return re.findall(r"[A-Za-z][A-Za-z]+", text)
