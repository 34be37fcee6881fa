"""The login of the admin pages: nobody guesses for long, or has us compute for nothing."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from facesvc.http import login
from recognition.rate_windows import RateLimits

pytestmark = pytest.mark.django_db
TOO_MANY = "Too many attempts"


@pytest.fixture(autouse=True)
def operator(settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = False
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick
    User.objects.create_superuser("op", password="right")


def log_in(client: Client, password: str, name: str = "op", **others: Any) -> bool:
    """Whether it worked; AssertionError if it was wrong and not one too many."""
    fields = {"username": name, "password": password}
    answer = client.post("/admin/login/?next=/admin/", fields, **others)
    if answer.status_code != 302:
        assert TOO_MANY in answer.content.decode() or password == "wrong"
    return answer.status_code == 302


def is_refused(client: Client, name: str = "op", **others: Any) -> bool:
    fields = {"username": name, "password": "wrong"}
    return TOO_MANY in client.post("/admin/login/", fields, **others).content.decode()


def test_passwords_cannot_be_guessed_for_long(client: Client) -> None:
    for _ in range(5):
        assert not log_in(client, "wrong")
    assert not log_in(client, "right")
    assert log_in(client, "right", REMOTE_ADDR="10.0.0.9")


def test_names_that_nobody_has_are_computed_for_no_longer(client: Client) -> None:
    tries = [is_refused(client, f"somebody {number}") for number in range(31)]
    assert tries == [False] * 30 + [True]


def test_behind_a_proxy_a_stranger_locks_nobody_out(client: Client, settings: Settings) -> None:
    settings.FACESVC_BEHIND_TLS_PROXY, settings.SECURE_SSL_REDIRECT = True, False
    # What a client claims comes before what the proxy adds.
    stranger = {"HTTP_X_FORWARDED_FOR": "10.0.0.9, 192.0.2.1"}
    for _ in range(6):
        log_in(client, "wrong", **stranger)
    assert is_refused(client, HTTP_X_FORWARDED_FOR="10.0.0.8, 192.0.2.1")
    assert log_in(client, "right", HTTP_X_FORWARDED_FOR="10.0.0.9")


def test_a_proxy_that_lets_clients_claim_what_they_like(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FACESVC_BEHIND_TLS_PROXY, settings.SECURE_SSL_REDIRECT = True, False
    monkeypatch.setattr(login, "_THROUGH_THE_PROXY", RateLimits(3, 3))
    tries = [is_refused(client, HTTP_X_FORWARDED_FOR=f"10.0.0.{number}") for number in range(4)]
    assert tries == [False] * 3 + [True]


def test_without_the_proxy_claims_do_not_count(client: Client) -> None:
    tries = [is_refused(client, HTTP_X_FORWARDED_FOR=f"10.0.0.{number}") for number in range(6)]
    assert tries == [False] * 5 + [True]


def test_one_password_at_a_time(client: Client) -> None:
    with login._alone():
        assert not log_in(client, "right")
    assert log_in(client, "right")
