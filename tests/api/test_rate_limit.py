"""60 requests a minute and 1,000 an hour for each token."""

import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.db.models import F
from django.test import Client
from pytest_django import Settings

from recognition.api.callers import tokens
from recognition.models import RateWindow
from tests.api.test_auth import EC_KEY, pem, signed
from tests.support.builders import (
    OWNER,
    USER_SCOPES,
    Person,
    id_of,
    make_user,
    refusal,
    user_token,
)
from tests.support.processes import Hammering, hammer

pytestmark = pytest.mark.django_db

# The order of the group of the curve P-256: FIPS 186-4, D.1.2.3.
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture(autouse=True)
def limits(settings: Settings) -> None:
    settings.RATE_LIMIT_PER_MINUTE, settings.RATE_LIMIT_PER_HOUR = 60, 1000


def test_it_works(owner: Person) -> None:
    make_user(OWNER)
    answers = [owner.get(f"users/{OWNER}") for _ in range(61)]
    assert [answer.status_code for answer in answers[:60]] == [200] * 60
    assert [answer["RateLimit-Remaining"] for answer in answers[:60]] == [
        str(left) for left in range(59, -1, -1)
    ]
    last = answers[60]
    assert refusal(last) == (429, "rate_limited")
    assert (last["RateLimit-Limit"], last["RateLimit-Remaining"]) == ("60", "0")
    assert 1 <= int(last["Retry-After"]) <= 60
    assert 1 <= int(last["RateLimit-Reset"]) <= 60
    assert "60 calls per minute (RATE_LIMIT_PER_MINUTE)" in last.json()["error"]["message"]


def test_what_is_refused_for_the_minute_uses_nothing_of_the_hour(
    owner: Person, settings: Settings
) -> None:
    settings.RATE_LIMIT_PER_MINUTE, settings.RATE_LIMIT_PER_HOUR = 2, 4
    make_user(OWNER)
    statuses = [owner.get(f"users/{OWNER}").status_code for _ in range(8)]
    assert statuses == [200, 200, *[429] * 6]
    assert int(owner.get(f"users/{OWNER}")["Retry-After"]) <= 60
    RateWindow.objects.update(minute_start=F("minute_start") - timedelta(seconds=61))
    assert [owner.get(f"users/{OWNER}").status_code for _ in range(2)] == [200, 200]
    last = owner.get(f"users/{OWNER}")  # both are full, and the hour is so for longer
    assert (last.status_code, last["RateLimit-Limit"]) == (429, "4")
    assert 60 < int(last["Retry-After"]) <= 3600
    assert "4 calls per hour (RATE_LIMIT_PER_HOUR)" in last.json()["error"]["message"]


def test_the_headers_speak_of_the_limit_that_is_hit_next(owner: Person, settings: Settings) -> None:
    settings.RATE_LIMIT_PER_MINUTE, settings.RATE_LIMIT_PER_HOUR = 3, 4
    make_user(OWNER)
    told = [owner.get(f"users/{OWNER}")["RateLimit-Limit"] for _ in range(3)]
    assert told == ["3"] * 3
    RateWindow.objects.update(minute_start=F("minute_start") - timedelta(seconds=61))
    answer = owner.get(f"users/{OWNER}")
    assert (answer["RateLimit-Limit"], answer["RateLimit-Remaining"]) == ("4", "0")
    assert int(answer["RateLimit-Reset"]) > 60


def test_a_token_may_have_its_own_limit(client: Client, settings: Settings) -> None:
    settings.RATE_LIMIT_PER_MINUTE = 1
    make_user(OWNER)
    token = tokens.issue(id_of(OWNER), USER_SCOPES, minutes=5, calls_per_minute=3)
    person = Person(token, client)
    assert [person.get(f"users/{OWNER}").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert "calls_per_minute" in person.get(f"users/{OWNER}").json()["error"]["message"]


@pytest.mark.parametrize("own", [0, -1, "600", 1.5, True, 10**9])
def test_no_limit_of_a_token(client: Client, own: Any) -> None:
    token = signed(django_settings.JWT_SECRET, calls_per_minute=own)
    assert refusal(Person(token, client).get(f"users/{OWNER}")) == (401, "invalid_token")


def test_an_identity_provider_sets_no_limits(client: Client, settings: Settings) -> None:
    """Its users may be able to choose claims of theirs."""
    settings.JWT_PUBLIC_KEY = pem(EC_KEY)
    settings.RATE_LIMIT_PER_MINUTE = 1
    make_user(OWNER)
    person = Person(signed(EC_KEY, "ES256", calls_per_minute=1000), client)
    assert [person.get(f"users/{OWNER}").status_code for _ in range(2)] == [200, 429]


def test_another_token_has_its_own_limit(owner: Person, stranger: Person) -> None:
    for _ in range(61):
        owner.get(f"users/{OWNER}")
    assert owner.get(f"users/{OWNER}").status_code == 429
    assert stranger.get(f"users/{OWNER}").status_code == 404


def test_refused_requests_count_as_well(owner: Person) -> None:
    owner.get("faces/face_000000000000")
    answer = owner.post("detect", image=7)
    assert refusal(answer) == (400, "invalid_request")
    assert answer["RateLimit-Remaining"] == "58"


def test_a_minute_later_all_is_well_again(owner: Person, settings: Settings) -> None:
    settings.RATE_LIMIT_PER_MINUTE = 1
    make_user(OWNER)
    owner.get(f"users/{OWNER}")
    assert owner.get(f"users/{OWNER}").status_code == 429
    RateWindow.objects.update(minute_start=F("minute_start") - timedelta(seconds=61))
    assert owner.get(f"users/{OWNER}").status_code == 200


def test_the_hour_counts_too(owner: Person, settings: Settings) -> None:
    settings.RATE_LIMIT_PER_MINUTE, settings.RATE_LIMIT_PER_HOUR = 0, 2
    make_user(OWNER)
    assert [owner.get(f"users/{OWNER}").status_code for _ in range(3)] == [200, 200, 429]
    answer = owner.get(f"users/{OWNER}")
    assert answer["RateLimit-Limit"] == "2"
    assert 60 < int(answer["Retry-After"]) <= 3600
    RateWindow.objects.update(minute_start=F("minute_start") - timedelta(seconds=61))
    assert owner.get(f"users/{OWNER}").status_code == 429


def test_the_table_holds_no_token(owner: Person) -> None:
    owner.get(f"users/{OWNER}")
    assert RateWindow.objects.get().key not in owner.token


def test_the_probes_are_not_limited(client: Client) -> None:
    assert {client.get("/health/live").status_code for _ in range(61)} == {200}


@pytest.mark.django_db(transaction=True)
def test_exactly_60_of_80_at_once_pass() -> None:
    make_user(OWNER)
    token = user_token(OWNER)

    def burst(_: int) -> list[int]:
        try:
            person = Person(token, Client())
            return [person.get(f"users/{OWNER}").status_code for _ in range(20)]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        statuses = list(chain.from_iterable(threads.map(burst, range(4))))
    assert sorted(statuses) == [200] * 60 + [429] * 20


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_61st_request_of_four_processes_is_refused() -> None:
    """The window begins with the first request: all of them have to come within its minute."""
    make_user(OWNER)
    for minutes in (5, 6, 7):  # a token of its own each time
        token = tokens.issue(id_of(OWNER), USER_SCOPES, minutes=minutes)
        requests = Hammering(4, 20, token, "get", f"users/{OWNER}")
        answers, seconds = hammer(requests, RATE_LIMIT_PER_MINUTE="60", RATE_LIMIT_PER_HOUR="1000")
        if seconds < 60:
            break
    assert sorted(answer.status for answer in answers) == [200] * 60 + [429] * 20
    # Every number was given once: the 60th request was the last that passed.
    left = sorted(int(answer.remaining or -1) for answer in answers if answer.status == 200)
    assert left == [*range(60)]
    assert RateWindow.objects.order_by("-minute_start")[0].minute_count == 60


def test_another_spelling_of_the_signature_is_the_same_token(
    client: Client, settings: Settings
) -> None:
    """Of an ECDSA signature (r, s), (r, n - s) is valid as well, and base64 has unused bits."""
    settings.JWT_PUBLIC_KEY = pem(EC_KEY)
    head, claims, signature = signed(EC_KEY, "ES256").split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    mirrored = raw[:32] + (P256_ORDER - int.from_bytes(raw[32:])).to_bytes(32)
    spellings = [signature, base64.urlsafe_b64encode(mirrored).decode().rstrip("=")]
    spellings += [f"{spelling}==" for spelling in spellings]
    make_user(OWNER)
    answers = [
        Person(f"{head}.{claims}.{spelling}", client).get(f"users/{OWNER}")
        for spelling in spellings
    ]
    taken = [answer for answer in answers if answer.status_code == 200]
    assert len(taken) >= 2
    assert [answer["RateLimit-Remaining"] for answer in taken] == [
        str(59 - index) for index in range(len(taken))
    ]


def test_a_clock_that_was_set_back_locks_nobody_out(owner: Person, settings: Settings) -> None:
    """The windows of before start tomorrow. They would otherwise be full until then."""
    settings.RATE_LIMIT_PER_MINUTE, settings.RATE_LIMIT_PER_HOUR = 1, 2
    make_user(OWNER)
    assert owner.get(f"users/{OWNER}").status_code == 200
    assert owner.get(f"users/{OWNER}").status_code == 429
    ahead = timedelta(days=1)
    RateWindow.objects.update(
        minute_start=F("minute_start") + ahead, hour_start=F("hour_start") + ahead
    )
    assert owner.get(f"users/{OWNER}").status_code == 200
    assert owner.get(f"users/{OWNER}").status_code == 429
