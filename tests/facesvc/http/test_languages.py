"""The language of the pages: chosen, or the browser's. The API has one."""

import pytest
from django.test import Client
from pytest_django import Settings

from tests.support.builders import refusal

THAI = {"Accept-Language": "th"}


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("th", "th"),
        ("TH-th", "th"),
        ("fr, th;q=0.8, en;q=0.4", "th"),
        ("en-GB, th;q=0.8", "en"),
        ("th;q=0, en", "en"),
        ("tha, threnglish", "en"),
        ("", "en"),
        ("*, th;q=0.1", "en"),
        ("th;q=x", "en"),
        ("th" * 5000, "en"),
    ],
)
def test_it_works(client: Client, asked: str, language: str) -> None:
    answer = client.get("/", headers={"Accept-Language": asked})
    assert answer.status_code == 200 and answer["Content-Language"] == language
    assert {"Accept-Language", "Cookie"} <= set(answer["Vary"].split(", "))


def test_a_choice_is_remembered(client: Client) -> None:
    answer = client.get("/?a=1&language=th&a=%26")
    assert (answer.status_code, answer["Location"]) == (302, "/?a=1&a=%26")
    assert answer["Cache-Control"] == "no-store"
    cookie = answer.cookies["facesvc_language"]
    assert cookie.value == "th" and cookie["httponly"] and cookie["samesite"] == "Lax"
    assert client.get("/", headers={"Accept-Language": "en"})["Content-Language"] == "th"
    client.get("/?language=en")
    assert client.get("/", headers=THAI)["Content-Language"] == "en"


def test_an_unknown_language_changes_nothing(client: Client) -> None:
    answer = client.get("/?language=../../etc")
    assert answer.status_code == 200 and not answer.cookies
    client.cookies["facesvc_language"] = "../../etc"
    assert client.get("/", headers=THAI)["Content-Language"] == "th"


def test_over_https_the_cookie_stays_there(client: Client) -> None:
    answer = client.get("/?language=th", secure=True)
    assert answer.cookies["facesvc_language"]["secure"]


def test_the_api_stays_english(client: Client, settings: Settings) -> None:
    """The thread that has just shown a page in Thai answers in English, too."""
    settings.FACESVC_LANGUAGE = "th"
    assert client.get("/", headers=THAI)["Content-Language"] == "th"
    answer = client.get("/api/v1/face-recognition/users", headers=THAI)
    assert refusal(answer) == (401, "not_authenticated")
    assert answer.json()["error"]["message"].isascii()
    assert "Content-Language" not in answer
    assert "Accept-Language" not in answer.get("Vary", "")


@pytest.mark.django_db
def test_the_admin_speaks_thai(client: Client) -> None:
    page = client.get("/admin/login/", headers=THAI)
    assert page["Content-Language"] == "th"
    assert '<html lang="th"' in page.content.decode()
