"""What the tests do with a browser: open pages, wait, look, and ask axe-core what it finds."""

import base64
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from selenium.common.exceptions import (
    ElementNotInteractableException,
    StaleElementReferenceException,
    TimeoutException,
    WebDriverException,
)
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from recognition.inference.arrays import Image
from tests.support.photos import encode, jpeg, package_file

T = TypeVar("T")
SCREENSHOTS = Path(__file__).parents[2] / "docs" / "screenshots"
PATIENCE = 120  # seconds, on a busy machine
PHONE = (360, 740)
# 22 instead of 256 shades of each colour: few see it, and a picture takes less than half the room.
_FEWER_SHADES = np.minimum(np.round(np.arange(256) / 12) * 12, 255).astype(np.uint8)
# Photos are packed better with filters, text without.
_FILTERS = (cv2.IMWRITE_PNG_ALL_FILTERS, cv2.IMWRITE_PNG_FILTER_NONE)
DESKTOP = (1200, 860)
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--hide-scrollbars", "--force-color-profile=srgb"),
)
CAMERA_FLAGS = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


def start(chromium: str, chromedriver: str, profile: Path, *, camera: Path | None) -> Chrome:
    options = ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    if camera is not None:
        for flag in (*CAMERA_FLAGS, f"--use-file-for-fake-video-capture={camera}"):
            options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return Chrome(options=options, service=Service(chromedriver))


@dataclass
class Browser:
    """One window. `size` is that of the page in pixels; a narrow one is a phone's."""

    driver: Chrome
    url: str
    size: tuple[int, int] = DESKTOP

    def __post_init__(self) -> None:
        self.resize(*self.size)
        self.driver.set_script_timeout(PATIENCE)

    def open(self, path: str) -> None:
        self.driver.get(f"{self.url}{path}")

    def resize(self, width: int, height: int) -> None:
        """Also below the least width of a window."""
        is_phone = width < 600
        self.size = width, height
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def theme(self, name: str) -> None:
        """`light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def wait(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """What the condition gives when it is true; elements may vanish in between."""

        def met(driver: Chrome) -> Any:
            try:
                return condition()
            except WebDriverException as error:
                if not _has_vanished(error):
                    raise
                return None

        return WebDriverWait(self.driver, seconds, 0.1).until(met)

    def all(self, css: str) -> list[WebElement]:
        """Those that can be seen."""
        found = self.driver.find_elements(By.CSS_SELECTOR, css)
        return [element for element in found if element.is_displayed()]

    def find(self, css: str, text: str = "") -> WebElement:
        """Waits for the first element that can be seen and holds the text. A page may put another
        in its place at any time: `read`, `click` and `type` find it and use it at once."""
        return self._with_first(css, text, lambda element: element)

    def read(self, css: str, text: str = "") -> str:
        """The text of the element that `find` finds."""
        return self._with_first(css, text, lambda element: element.text)

    def click(self, css: str, text: str = "") -> None:
        self._with_first(css, text, lambda element: element.click())

    def type(self, css: str, *keys: str) -> None:
        self._with_first(css, "", lambda element: element.send_keys(*keys))

    def _with_first(self, css: str, text: str, use: Callable[[WebElement], T]) -> T:
        """Begins anew when the element vanishes before it was used, or cannot be used yet."""
        refusals = [""]

        def used() -> tuple[T] | None:
            element = next((each for each in self.all(css) if text in each.text), None)
            try:
                return (use(element),) if element else None
            except ElementNotInteractableException as error:
                refusals.append(str(error.msg))
                return None

        try:
            result: tuple[T] = self.wait(used)
        except TimeoutException:
            raise TimeoutException(f"{css} with {text!r}: {refusals[-1] or 'not seen'}") from None
        return result[0]

    def text(self) -> str:
        return str(self.driver.execute_script("return document.body.innerText"))

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)  # type: ignore[no-untyped-call]

    def problems(self) -> list[str]:
        """Errors in the console since the last call, also those of the content security policy.

        The browser writes down every refusal of the API; what the page makes of it is its matter.
        """
        return [
            f"{entry['source']}: {entry['message']}"
            for entry in self.driver.get_log("browser")
            if entry["level"] == "SEVERE" and not _is_refusal(entry)
        ]

    def axe(self) -> list[str]:
        """What axe-core finds in the page as it is shown now, if it is serious or critical."""
        source = package_file("axe_playwright_python", "axe.min.js").read_text()
        self.run(source)
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            # It would copy style sheets into the page, which the content security policy forbids.
            "axe.run({preload: false}).then(done, (error) => done({error: `${error}`}));"
        )
        assert "violations" in found, found
        assert found["passes"], "axe-core looked at nothing"
        return [
            f"{each['id']} ({each['impact']}): {node['target']} {node['failureSummary']}"
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window, which a phone then zooms out."""
        return int(self.run("return document.documentElement.scrollWidth")) - self.size[0]

    def screenshot(self, name: str) -> None:
        """The whole page, at three quarters, into docs/screenshots/NAME.png; only if asked for."""
        if not os.environ.get("FACESVC_SCREENSHOTS"):
            return
        width = self.size[0]
        height = self.run("return document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 0.75}
        options = {"format": "png", "captureBeyondViewport": True, "clip": clip}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", options)
        SCREENSHOTS.mkdir(exist_ok=True)
        pixels = np.frombuffer(base64.b64decode(shot["data"]), np.uint8)
        image = cv2.LUT(cv2.imdecode(pixels, cv2.IMREAD_COLOR), _FEWER_SHADES)
        packing = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_FILTER]
        packed = [encode(image, ".png", *packing, filters) for filters in _FILTERS]
        (SCREENSHOTS / f"{name}.png").write_bytes(min(packed, key=len))


def _has_vanished(error: WebDriverException) -> bool:
    """The element belongs to a page that was left, or the page put another in its place. While the
    next page is being loaded, chromedriver reports an unknown error with a message of the browser's
    inspector."""
    vanished = "does not belong to the document"
    return isinstance(error, StaleElementReferenceException) or vanished in (error.msg or "")


def _is_refusal(entry: dict[str, Any]) -> bool:
    return entry["source"] == "network" and "/api/v1/" in entry["message"]


def video(path: Path, images: Iterable[Image]) -> Path:
    """What a fake camera shows, again and again: a file of JPEGs, all of the same size."""
    path.write_bytes(b"".join(jpeg(image) for image in images))
    return path


# Where the face is: its middle, and the side of a square around it.
Place = tuple[float, float, float]
ASTRONAUT: Place = (224, 115, 105)
TOM_HANKS: Place = (56, 60, 84)
_VIEW = 640, 480
_FACE = 220  # pixels of the view that a face takes


def moving(image: Image, place: Place, frames: int = 120) -> list[Image]:
    """Somebody before a camera, 640 x 480: the head turns, nods and comes nearer, the mouth opens
    and the light changes. Embeddings of two such frames have a cosine of about 0.97."""
    return [_moved(image, place, 2 * np.pi * number / frames) for number in range(frames)]


def _moved(image: Image, place: Place, phase: float) -> Image:
    (width, height), (x, y, side) = _VIEW, place
    sway, nod, breath = (float(np.sin(turns * phase + turns - 1)) for turns in (1, 2, 3))
    matrix = cv2.getRotationMatrix2D((x, y), 6 * sway, _FACE / side * (1 + 0.06 * nod))
    matrix[:, 2] += (width / 2 - x + 20 * breath, height / 2 - y + 8 * sway)
    view = cv2.warpAffine(image, matrix, _VIEW, borderMode=cv2.BORDER_REPLICATE)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    across, down = (columns - width / 2) / (_FACE / 2), (rows - height / 2) / (_FACE / 2)
    # What is nearer to the camera moves further; and so does the chin.
    near = np.exp(-(across**2 + down**2) / 1.2)
    chin = np.exp(-((across / 0.7) ** 2 + ((down - 0.75) / 0.45) ** 2))
    to_the_side = columns + 0.13 * _FACE * sway * near
    up = rows + _FACE * (0.08 * nod * near + 0.1 * max(0.0, breath) * chin)
    view = cv2.remap(
        view,
        to_the_side.astype(np.float32),
        up.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    light = 1 + 0.1 * breath + 0.14 * sway * across
    return np.clip(view * light[..., None] + 6 * sway, 0, 255).astype(np.uint8)
