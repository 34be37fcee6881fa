"""What the tests do with a browser: open pages, wait, look, and ask axe-core what it finds."""

import base64
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from recognition.inference.arrays import Image
from tests.photos import jpeg, package_file

SCREENSHOTS = Path(__file__).parents[2] / "docs" / "screenshots"
PATIENCE = 30  # seconds
PHONE = (360, 740)
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
        ignored = (StaleElementReferenceException,)
        waiting = WebDriverWait(self.driver, seconds, 0.1, ignored)
        return waiting.until(lambda driver: condition())

    def all(self, css: str) -> list[WebElement]:
        """Those that can be seen."""
        found = self.driver.find_elements(By.CSS_SELECTOR, css)
        return [element for element in found if element.is_displayed()]

    def find(self, css: str, text: str = "") -> WebElement:
        """Waits for the first that can be seen and holds the text."""

        def found() -> WebElement | None:
            return next((each for each in self.all(css) if text in each.text), None)

        element: WebElement = self.wait(found)
        return element

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
            "axe.run().then((result) => done(result), (error) => done({error: `${error}`}));"
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
        """The whole page, into docs/screenshots/NAME.png; only if asked for."""
        if not os.environ.get("FACESVC_SCREENSHOTS"):
            return
        width = self.size[0]
        height = self.run("return document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        options = {"format": "png", "captureBeyondViewport": True, "clip": clip}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", options)
        SCREENSHOTS.mkdir(exist_ok=True)
        (SCREENSHOTS / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


def _is_refusal(entry: dict[str, Any]) -> bool:
    return entry["source"] == "network" and "/api/v1/" in entry["message"]


def video(path: Path, images: Iterable[Image]) -> Path:
    """What a fake camera shows, again and again: a file of JPEGs, all of the same size."""
    path.write_bytes(b"".join(jpeg(image) for image in images))
    return path


def moving(image: Image, frames: int = 60) -> list[Image]:
    """640 x 480, as somebody before a camera moves: to the side, nearer, tilted, in other light."""
    width, height = 640, 480
    scale = min(width / image.shape[1], height / image.shape[0])
    shown = []
    for number in range(frames):
        sway, nod, breath = (np.sin(2 * np.pi * number / frames * turns) for turns in (1, 2, 3))
        zoom = scale * (1.02 + 0.08 * nod)
        matrix = cv2.getRotationMatrix2D((image.shape[1] / 2, image.shape[0] / 2), 7 * sway, zoom)
        matrix[:, 2] += (width / 2 - image.shape[1] / 2, height / 2 - image.shape[0] / 2)
        matrix[:, 2] += (24 * breath, 12 * sway)
        view = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        shown.append(np.clip(view * (1 + 0.1 * breath) + 6 * sway, 0, 255).astype(np.uint8))
    return shown
