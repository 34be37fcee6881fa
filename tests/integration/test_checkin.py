"""Check-in by webcam: docs/integration/checkin.md."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_django import Settings

from recognition.models import Session
from tests.browser.driving import ASTRONAUT, Browser, moving, video
from tests.browser.driving import start as start_browser
from tests.integration.conftest import App, photo
from tests.integration.django_project import PASSWORD, by_password, enrol, served
from tests.support.builders import FakePipeline, near, vector
from tests.support.photos import astronaut

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
VISITS = "from checkin.models import Visit; print([v.user.username for v in Visit.objects.all()])"
# The same person on each frame, and no two frames alike.
MOVING = [near(vector(1), 0.96, toward=30 + at) for at in range(40)]


@pytest.fixture
def app(start: Callable[[str], App], fake: FakePipeline, settings: Settings) -> App:
    settings.FACESVC_LIVE_FRAMES_PER_SECOND = 1000  # the tests do not wait between frames
    app = start("django")
    app.environment["APP_DEBUG"] = "1"  # serves the static files
    served(app, fake)
    fake.varies = False
    enrol(app, fake, "ann")
    return app


def visits(app: App) -> str:
    return app.run("python", "manage.py", "shell", "--no-imports", "-c", VISITS).split("\n")[-2]


@pytest.fixture
def door(app: App) -> httpx.Client:
    visitor = by_password(app, "door")
    assert visitor.get("/checkin/").status_code == 200
    return visitor


def sent(door: httpx.Client, number: int) -> Any:
    headers = {"X-CSRFToken": door.cookies["csrftoken"], "Content-Type": "image/png"}
    return door.post("/checkin/frame/", content=photo(100 + number), headers=headers).json()


def states(door: httpx.Client, frames: int) -> list[str]:
    return [sent(door, at)["state"] for at in range(frames)]


def test_it_works(app: App, door: httpx.Client, fake: FakePipeline) -> None:
    fake.show([], *MOVING)
    assert states(door, 3) == ["nobody", "verifying", "verifying"]
    assert sent(door, 3) == {"state": "welcome", "name": "ann"}
    assert visits(app) == "['ann']"
    assert not Session.objects.filter(ended_at=None).exists()


def test_a_still_picture_is_never_let_in(app: App, door: httpx.Client, fake: FakePipeline) -> None:
    fake.show(MOVING[0])
    said = states(door, 26)
    assert said[:2] == ["verifying", "verifying"] and said[24] == "again"
    assert "welcome" not in said and visits(app) == "[]"


def test_a_stranger_is_nobody(app: App, door: httpx.Client, fake: FakePipeline) -> None:
    fake.show(vector(9))
    assert set(states(door, 3)) == {"nobody"} and visits(app) == "[]"


def test_somebody_else_cannot_step_in(app: App, door: httpx.Client, fake: FakePipeline) -> None:
    fake.show(MOVING[0], MOVING[1], *(near(vector(9), 0.9, toward=30 + at) for at in range(9)))
    said = states(door, 5)
    assert "welcome" not in said and "again" in said and visits(app) == "[]"


def test_only_the_account_of_the_door_may_send_frames(app: App) -> None:
    ann = by_password(app, "ann")
    assert ann.get("/checkin/").url.path == "/login/"
    headers = {"X-CSRFToken": ann.cookies["csrftoken"]}
    answer = ann.post("/checkin/frame/", content=photo(1), headers=headers)
    assert answer.url.path == "/login/"


def test_the_page_sends_what_the_camera_sees(app: App, fake: FakePipeline, tmp_path: Path) -> None:
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("chromium or chromedriver is not installed")
    fake.show(*MOVING)
    camera = video(tmp_path / "camera.mjpeg", moving(astronaut(), ASTRONAUT))
    driver = start_browser(chromium, chromedriver, tmp_path / "profile", camera=camera)
    try:
        browser = Browser(driver, app.url)
        browser.open("/login/?next=/checkin/")
        driver.find_element("name", "username").send_keys("door")
        driver.find_element("name", "password").send_keys(PASSWORD)
        driver.find_element("css selector", "button").click()
        said = "return document.querySelector('[role=status]')?.textContent"
        browser.wait(lambda: driver.execute_script(said) == "Welcome, ann!")
        fake.varies = True  # or the next picture would be a replay
        fake.show(vector(1))
        driver.delete_all_cookies()
        browser.open("/login/face/")
        driver.find_element("name", "username").send_keys("ann")
        playing = "return document.querySelector('video').readyState > 2"
        browser.wait(lambda: driver.execute_script(playing))
        driver.find_element("css selector", "button").click()
        browser.wait(lambda: driver.find_element("css selector", "body").text == "Hello, ann.")
    finally:
        driver.quit()
    assert visits(app) == "['ann']"
