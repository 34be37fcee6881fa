"""What an answer says to browsers: to trust little, and no other origin that is not listed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from tests.support.builders import OWNER, PREFIX, Person, make_user

pytestmark = pytest.mark.django_db
PROJECT = Path(__file__).parents[2]
APP = "https://app.example"


def policy(answer: HttpResponse) -> dict[str, str]:
    directives = answer["Content-Security-Policy"].split(";")
    return dict(each.strip().split(" ", 1) for each in directives if each.strip())


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/health/live",
        "/api/docs",
        "/api/schema",
        "/admin/login/",
        "/nothing",
        f"{PREFIX}users",
    ],
)
def test_it_works(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["X-Frame-Options"] == "DENY"
    told = policy(answer)
    assert told["default-src"] == "'self'" and told["frame-ancestors"] == "'none'"
    assert "script-src" not in told and "unsafe" not in told["default-src"]
    assert "Strict-Transport-Security" not in answer  # over http nobody would heed it
    assert "Access-Control-Allow-Origin" not in answer


@pytest.mark.parametrize("path", ["/", "/api/docs", "/admin/login/"])
def test_the_pages_do_what_their_policy_allows(client: Client, path: str) -> None:
    """Scripts come as files of ours. What is embedded is data, which no browser runs."""
    page = client.get(path)
    text = page.content.decode()
    assert re.search("<script", text) or path == "/admin/login/"
    assert not re.search(
        r"<script(?![^>]*\s(src=|type=\"application/json\"))|\son\w+=|javascript:", text
    )
    if "'unsafe-inline'" not in policy(page).get("style-src", ""):
        assert not re.search(r"<style|\sstyle=", text)


def test_answers_about_people_are_not_kept(owner: Person, client: Client) -> None:
    make_user(OWNER)
    assert owner.get(f"users/{OWNER}")["Cache-Control"] == "no-store"
    assert "no-store" not in client.get("/api/schema").get("Cache-Control", "")


@pytest.mark.parametrize(
    ("listed", "origin", "allowed"),
    [
        ([], APP, False),
        ([APP], APP, True),
        ([APP], "https://evil.example", False),
        ([APP], "null", False),
        ([APP], f"{APP}.evil.example", False),
    ],
)
def test_other_origins(
    client: Client, settings: Settings, listed: list[str], origin: str, allowed: bool
) -> None:
    settings.CORS_ALLOWED_ORIGINS = listed
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,idempotency-key",
    }
    preflight = client.options(f"{PREFIX}identify", headers=asked)
    answer = client.post(f"{PREFIX}identify", headers={"Origin": origin})
    for each in (preflight, answer):
        assert each.get("Access-Control-Allow-Origin") == (origin if allowed else None)
        assert "Access-Control-Allow-Credentials" not in each
    if allowed:
        assert "authorization" in preflight["Access-Control-Allow-Headers"]
        assert "Retry-After" in answer["Access-Control-Expose-Headers"]
    elsewhere = client.get("/admin/login/", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in elsewhere


def test_behind_a_proxy_with_tls(client: Client, settings: Settings) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 3600
    secure = {"X-Forwarded-Proto": "https"}
    answer = client.get("/admin/login/", headers=secure)
    assert answer["Strict-Transport-Security"] == "max-age=3600"
    assert all(cookie["secure"] for cookie in answer.cookies.values()) and answer.cookies
    assert client.get("/admin/login/")["Location"].startswith("https://")
    assert client.get("/health/live").status_code == 200  # of the proxy itself


@pytest.mark.parametrize(
    ("path", "statuses"),
    [
        ("/health/live", {200}),
        ("/health/ready", {200, 503}),
        ("/metrics", {404}),  # nobody may see them by default
        ("/api/docs", {400}),
        ("/health/nothing", {400}),
    ],
)
def test_probes_may_ask_for_any_host(
    client: Client, settings: Settings, path: str, statuses: set[int]
) -> None:
    settings.ALLOWED_HOSTS = ["faces.example"]
    answer = client.get(path, headers={"Host": "10.1.2.3:8000"})
    assert answer.status_code in statuses
    assert (answer.status_code == 400) == (b"ALLOWED_HOSTS" in answer.content)


def check_deploy(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    environment |= {"PATH": "", "DATABASE_URL": "postgres://localhost/none", "DEBUG": "false"}
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, env=environment)


GOOD = {
    "SECRET_KEY": "kq3v-8Zr1xNw5Yt0bLm7Hs2Gd9Fc4Pa6Ej-Uo3Ri8Tk1Wz5Xv0Qn7By2",
    "FACESVC_CROP_KEYS": "bWFkZS1mb3ItdGhpcy10ZXN0LTAxMjM0NTY3ODlhYmM=",
    "FACESVC_BEHIND_TLS_PROXY": "true",
    "ALLOWED_HOSTS": "faces.example",
}


def test_the_deployment_check_is_content() -> None:
    result = check_deploy(**GOOD)
    assert result.returncode == 0, result.stderr


def test_the_deployment_check_asks_for_tls() -> None:
    result = check_deploy(**{**GOOD, "FACESVC_BEHIND_TLS_PROXY": "false"})
    assert result.returncode and "security.W008" in result.stderr
