"""A real browser in front of the real service. Skipped where Chromium or its driver is missing.

`FACESVC_SCREENSHOTS=1` makes `Browser.screenshot` write into docs/screenshots.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from tests.browser.driving import Browser, start

Open = Callable[..., Browser]


@pytest.fixture
def open_browser(live_server: LiveServer, tmp_path: Path) -> Iterator[Open]:
    """Starts browsers; `camera` is the video that one sees, see `tests.browser.driving.video`.

    A test fails when a page of its browsers logs an error or breaks its content security policy.
    """
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("chromium or chromedriver is not installed")
    opened: list[Browser] = []

    def one(camera: Path | None = None, **options: Any) -> Browser:
        profile = tmp_path / f"profile-{len(opened)}"
        chromium = start(browser, driver, profile, camera=camera)
        opened.append(Browser(chromium, live_server.url, **options))
        return opened[-1]

    yield one
    problems = [problem for each in opened for problem in each.problems()]
    for each in opened:
        each.driver.quit()
    assert not problems, "\n".join(problems)


@pytest.fixture
def browser(open_browser: Open) -> Browser:
    """One without a camera."""
    return open_browser()
