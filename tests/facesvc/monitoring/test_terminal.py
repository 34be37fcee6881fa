"""What people see in a terminal: the log, the steps of a start, and what is said at its end."""

import io
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
from django.test import Client
from django.urls import resolve
from pytest_django import Settings

from batch.jobs import work
from facesvc.monitoring import logs, terminal
from facesvc.running import run
from recognition.api.callers import tokens
from tests.support.builders import (
    OWNER,
    PICTURE_BASE64,
    PREFIX,
    FakePipeline,
    Person,
    make_user,
    vector,
)

URL = "http://127.0.0.1:8000"
MODEL = "The model pack dlib compares the faces."
LOG = logging.getLogger("facesvc.test")


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def no_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account that runs the tests may have some."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def screen() -> Iterator[Screen]:
    """What the log shows to people, with neither colours nor the time."""
    text, root = Screen(), logging.getLogger()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logs.TextFormatter(colour=False))
    for one in (logs.RequestIdFilter(), logs.FailureFilter(), terminal.LineFilter()):
        handler.addFilter(one)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


def lines(screen: Screen) -> list[str]:
    """Without the time and with 0 milliseconds."""
    shown = screen.getvalue().splitlines()
    assert all(re.match("[0-9]{2}:[0-9]{2}:[0-9]{2}  ", line) for line in shown), shown
    return [re.sub("[ 0-9]{7} ms", "      0 ms", line[10:]) for line in shown]


# --- requests -------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_it_works(owner: Person, screen: Screen) -> None:
    """One line a request, its route in place of the path, since that may name a user."""
    make_user(OWNER)
    owner.get(f"users/{OWNER}")
    owner.get("faces/face_0123456789ab")
    Person("no token", owner.client).get("users")
    owner.get(f"nothing/{OWNER}")
    owner.client.get(f"/static/{OWNER}.css")
    owner.client.get("/admin/")
    assert lines(screen) == [
        "200       0 ms  user      GET /users/{user_id}",
        "404       0 ms  user      GET /faces/{face_id}  face_not_found",
        "401       0 ms  nobody    GET /users  invalid_token",
        "404       0 ms  nobody    GET an unknown path",
        "404       0 ms  nobody    GET a static file",
        "302       0 ms  nobody    GET /admin/",
    ]


@pytest.mark.django_db
def test_what_is_asked_for_by_itself_is_not_shown(client: Client, screen: Screen) -> None:
    for path in ("/health/live", "/favicon.ico", "/static/admin/css/base.css"):
        assert client.get(path).status_code in (200, 204)
    assert client.get("/metrics").status_code == 404
    assert lines(screen) == ["404       0 ms  nobody    GET /metrics"]


def test_what_pages_of_the_admin_are_made_of_is_not_shown(screen: Screen) -> None:
    for path in ("/admin/jsi18n/", "/admin/recognition/face/picture/1-signed/"):
        LOG.info("request", extra={"route": f"/{resolve(path).route}", "status": 200})
    assert lines(screen) == []


@pytest.mark.django_db
def test_a_picture_of_a_job(service: Person, fake: FakePipeline, screen: Screen) -> None:
    fake.show(vector(1))
    images = [{"image_id": "secret", "image": PICTURE_BASE64}]
    service.post("batch-identify", images=images, processing_options={"async": True})
    work.work()
    assert re.fullmatch("a picture of job_[0-9a-f]+ is done", lines(screen)[-1])
    assert "secret" not in screen.getvalue()


# --- anything else --------------------------------------------------------------------------------


def test_warnings_and_errors(screen: Screen) -> None:
    LOG.info("as expected")
    LOG.warning("the %s service fails", "deepfake")
    LOG.error("it is broken")
    assert lines(screen) == [
        *("as expected", "WARNING  the deepfake service fails", "ERROR  it is broken")
    ]


def test_a_traceback_has_no_row(screen: Screen) -> None:
    text = "a row is wrong\nDETAIL:  Failing row contains ([0.1,0.2]).\nmore"
    try:
        raise ValueError(text)
    except ValueError:
        LOG.exception("it is broken")
    assert "ERROR  it is broken\nTraceback" in screen.getvalue()
    assert "a row is wrong\nmore" in screen.getvalue() and "Failing" not in screen.getvalue()


def test_housekeeping_is_not_shown() -> None:
    quiet = logs.configuration("INFO", "text")["loggers"]
    for name in ("django-q", "batch.tasks", "gunicorn.error"):
        assert quiet[name]["level"] == "WARNING"
        assert logs.configuration("DEBUG", "text")["loggers"][name]["level"] == "DEBUG"
        assert logs.configuration("ERROR", "text")["loggers"][name]["level"] == "ERROR"
    assert "django-q" not in logs.configuration("INFO", "json")["loggers"]


def test_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    record = logging.makeLogRecord({"levelno": logging.ERROR, "levelname": "ERROR", "msg": "no"})
    assert "\x1b[31mERROR\x1b[0m  no" in logs.TextFormatter(colour=True).format(record)
    fields = {"route": "/health", "method": "GET", "caller": "nobody", "total_ms": 1.0}
    for status, colour in ((101, 36), (204, 32), (302, 36), (404, 33), (500, 31)):
        record = logging.makeLogRecord({"msg": "request", "status": status, **fields})
        assert f"\x1b[{colour}m{status}\x1b[0m" in logs.TextFormatter(colour=True).format(record)
        assert "\x1b" not in logs.TextFormatter(colour=False).format(record)


@pytest.mark.parametrize(
    ("stream", "wishes", "colours"),
    [
        (Screen(), {}, True),
        (Screen(), {"NO_COLOR": "1"}, False),
        (Screen(), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (Screen(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
    ],
)
def test_when_there_are_colours(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, wishes: dict[str, str], colours: bool
) -> None:
    for name, value in wishes.items():
        monkeypatch.setenv(name, value)
    assert terminal.in_colour(stream) is colours


@pytest.mark.parametrize(
    ("stream", "style", "formatter"),
    [
        (Screen(), "auto", "text"),
        (io.StringIO(), "auto", "json"),
        (Screen(), "json", "json"),
        (io.StringIO(), "text", "text"),
    ],
)
def test_which_style(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, style: str, formatter: str
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    handler = logs.configuration("INFO", style)["handlers"]["stderr"]
    assert handler["formatter"] == formatter


# --- make run -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "configured", "given"),
    [
        (Screen(), "auto", {"FACESVC_LOG_FORMAT": "text", "FORCE_COLOR": "1"}),
        (io.StringIO(), "auto", {"FACESVC_LOG_FORMAT": "json"}),
        (Screen(), "json", {}),
    ],
)
def test_what_the_children_are_given(
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    stream: io.StringIO,
    configured: str,
    given: dict[str, str],
) -> None:
    """They write into pipes, and cannot see the terminal."""
    settings.FACESVC_LOG_FORMAT = configured
    monkeypatch.setattr(sys, "stdout", stream)
    assert run._log_style() == given
    monkeypatch.setenv("NO_COLOR", "1")
    assert "FORCE_COLOR" not in run._log_style()


def test_a_step_says_how_long_it_took(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([10.0, 10.9, 20.0, 24.2])
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(now))  # type: ignore[attr-defined]
    with terminal.step("Quick"):
        pass
    with terminal.step("Slow"):
        LOG.warning("%s is odd", "it")
    assert capsys.readouterr().out == "Quick\nSlow (4 s)\n  it is odd\n"


def test_a_step_that_fails_ends_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), terminal.step("Slow"):
        raise KeyboardInterrupt
    assert capsys.readouterr().out == "Slow\n"


def announced(monkeypatch: pytest.MonkeyPatch, screen: io.StringIO) -> str:
    def manage(*words: str, environment: Any) -> str:
        if words[0] == "issue_token":
            return tokens.issue("local", ["face:admin"], minutes=int(words[-1])) + "\n"
        raise AssertionError(words)

    monkeypatch.setattr(run, "_manage", manage)
    monkeypatch.setattr(sys, "stdout", screen)
    run._announce(URL, MODEL, {})
    return screen.getvalue()


def test_where_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    text = announced(monkeypatch, Screen())
    (token,) = re.findall(r"^export TOKEN=([\w.-]+)$", text, re.MULTILINE)
    assert f"{URL}/#token={token}\n" in text
    assert f"\n\n{MODEL}\n\n" in text
    assert tokens.read(token).subject == "local"
    for word in ("/api/docs", "/admin/", "manage.py createsuperuser", "$(make token)"):
        assert word in text
    assert all(len(line) <= 80 for line in text.splitlines() if token not in line)


def test_the_token_is_in_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody looks, the command that makes one is named."""
    text = announced(monkeypatch, io.StringIO())
    assert "eyJ" not in text and "#token" not in text
    assert "export TOKEN=$(make token)" in text and f"{URL}\n" in text


def test_tokens_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> NoReturn:
        raise run.RunError("tokens come from the identity provider")

    monkeypatch.setattr(run, "_manage", refused)
    monkeypatch.setattr(sys, "stdout", screen := Screen())
    run._announce(URL, MODEL, {})
    assert "tokens come from the identity provider" in screen.getvalue()
    assert "TOKEN=" not in screen.getvalue() and f"{URL}\n" in screen.getvalue()


def test_without_the_page(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.FACESVC_PAGE = False
    text = announced(monkeypatch, Screen())
    assert "#token" not in text and f"{URL}\n" in text and "export TOKEN=eyJ" in text


def test_other_data_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(run._ENVIRONMENT, "FACESVC_DATA", "/mnt/my data")
    command = "FACESVC_DATA='/mnt/my data' .venv/bin/python manage.py createsuperuser"
    text = run.announcement(URL, MODEL, "")
    assert command in text
    assert "export TOKEN=$(FACESVC_DATA='/mnt/my data' make token)" in text


def test_another_database_is_named_and_its_password_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(run._ENVIRONMENT, "DATABASE_URL", "postgresql://one:secret@two/facesvc")
    text = run.announcement(URL, MODEL, "")
    assert "\n      DATABASE_URL=... .venv/bin/python manage.py createsuperuser\n" in text
    assert "export TOKEN=$(make token)" in text and "secret" not in text  # it asks no database


def test_the_file_with_the_address_of_another_database_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(run._ENVIRONMENT, "DATABASE_URL_FILE", "/run/secrets/url")
    text = run.announcement(URL, MODEL, "")
    command = "DATABASE_URL_FILE=/run/secrets/url .venv/bin/python manage.py createsuperuser"
    assert command in text


def test_routes() -> None:
    route = f"{PREFIX}users/<user_id:user_id>/friends/<user_id:other_id>"
    assert terminal.route_for_people(route) == "/users/{user_id}/friends/{other_id}"
    assert (
        terminal.route_for_people("/admin/<path:object_id>/change/") == "/admin/{object_id}/change/"
    )
