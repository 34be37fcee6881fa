"""A real browser in front of the real service. Skipped where Chromium or its driver is missing.

`FACESVC_SCREENSHOTS=1` makes `Browser.screenshot` write into docs/screenshots.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from tests.browser.driving import PATIENCE, Browser, start

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

    with counted(live_server) as running:
        yield one
        problems = [problem for each in opened for problem in each.problems()]
        for each in opened:
            each.driver.quit()
        # The tables are emptied next, and what still works on them would stand in the way.
        wait_until(lambda: not running)
    assert not problems, "\n".join(problems)


@contextmanager
def counted(server: LiveServer) -> Iterator[set[object]]:
    """The requests that the server works on."""
    httpd = server.thread.httpd
    application = httpd.get_app()
    running: set[object] = set()

    def counting(environ: Any, start_response: Any) -> Any:
        running.add(one := object())
        try:
            return application(environ, start_response)
        finally:
            running.discard(one)

    httpd.set_app(counting)
    try:
        yield running
    finally:
        httpd.set_app(application)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "requests do not end"
        time.sleep(0.05)


@pytest.fixture
def browser(open_browser: Open) -> Browser:
    """One without a camera."""
    return open_browser()
