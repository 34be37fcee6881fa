"""Anti-spoofing and deepfake services that are slow, broken, lying or down."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from facesvc.http import health
from recognition import checks
from recognition.models import Attempt, FailureCount, RecentProbe
from recognition.outbound import exchange
from recognition.verification import providers, service_health
from recognition.verification.service_health import ServiceHealth
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    data_of,
    face_of,
    make_face,
    make_user,
    near,
    user_token,
    vector,
)
from tests.support.patience import PATIENCE, wait_until
from tests.support.servers.certificates import Authority
from tests.support.servers.checker import MOODS, Checker, checking, dripping_tls

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def enrolled(db: None, fake: FakePipeline, settings: Settings) -> None:
    make_face(make_user(OWNER), vector(1))
    fake.show(vector(1))
    fake.varies = True
    settings.FACESVC_PROVIDER_SECONDS = PATIENCE
    settings.FACESVC_STRICT_CHECKS = ["antispoofing"]
    providers.http_provider.cache_clear()


@pytest.fixture
def impatient(enrolled: None, settings: Settings) -> None:
    settings.FACESVC_PROVIDER_SECONDS = 0.5


@pytest.fixture(autouse=True)
def inference_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake pipeline has no networks for the health check to run."""
    monkeypatch.setattr(health._CHECKS["inference"], "_passed_at", time.monotonic())


@pytest.fixture
def service_of(settings: Settings) -> Iterator[Checker]:
    with checking() as checker:
        settings.ANTISPOOFING_SERVICE_URL = checker.url
        yield checker


# Where a check is set up and gives no answer; at basic only the first.
UNANSWERED = ["liveness_missing", "check_unanswered"]


@pytest.fixture
def one_user_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """To open the breaker, which takes failures with the pictures of several."""
    monkeypatch.setattr(service_health, "USERS", 1)


def forget_attempts() -> None:
    Attempt.objects.all().delete()
    RecentProbe.objects.all().delete()


def verify(person: Person, level: str = "standard") -> tuple[str, list[str]]:
    # Failures are not what these tests are about.
    FailureCount.objects.all().delete()
    forget_attempts()
    answer = data_of(
        person.post("verify", user_id=OWNER, image=PICTURE_BASE64, verification_level=level)
    )
    return answer["verification_result"], answer["risk_assessment"]["factors"]


def test_it_works(owner: Person, service_of: Checker) -> None:
    assert verify(owner, "strict") == ("success", [])
    (asked,) = service_of.asked
    assert asked.pop("image") != PICTURE_BASE64  # ours, see test_check_pictures
    assert asked == {
        "check": "antispoofing",
        "face": {"box": {"x": 4, "y": 4, "width": 40, "height": 40}, "rotation": 0},
    }


def test_a_name_and_a_password(owner: Person, service_of: Checker, settings: Settings) -> None:
    verify(owner)
    settings.ANTISPOOFING_SERVICE_URL = service_of.url.replace("//", "//face%40svc:p%3Aw@")
    assert verify(owner, "strict") == ("success", [])
    assert service_of.credentials == [None, "Basic ZmFjZUBzdmM6cDp3"]


@pytest.mark.parametrize(
    ("level", "result"), [("basic", "success"), ("standard", "rejected"), ("strict", "rejected")]
)
def test_a_fake(owner: Person, service_of: Checker, level: str, result: str) -> None:
    service_of.moods = [0.2]
    assert verify(owner, level) == (result, ["liveness_failed"])


@pytest.mark.parametrize(
    ("level", "result"), [("basic", "success"), ("standard", "rejected"), ("strict", "rejected")]
)
def test_a_deepfake(owner: Person, settings: Settings, level: str, result: str) -> None:
    settings.FACESVC_STRICT_CHECKS = ["deepfake"]
    with checking(0.2) as checker:
        settings.DEEPFAKE_DETECTION_SERVICE_URL = checker.url
        assert verify(owner, level) == (result, ["deepfake_suspected"])
        assert checker.asked[0]["check"] == "deepfake"


def test_the_threshold_is_a_setting(owner: Person, service_of: Checker, settings: Settings) -> None:
    service_of.moods = [0.6]
    assert verify(owner)[0] == "success"
    settings.FACESVC_LIVENESS_THRESHOLD = 0.7
    assert verify(owner)[0] == "rejected"


UNUSABLE = [*MOODS, "hang", "drip", "drip body", "close", "short", "redirect", 500, 503, 404, 204]


def test_a_login_needs_an_answer(owner: Person, service_of: Checker) -> None:
    """Of a check that is set up: a picture that nobody looked at does not log in at standard."""
    service_of.moods = [404]
    results = []
    for level in ("basic", "standard"):
        fields = {"user_id": OWNER, "purpose": "login", "verification_level": level}
        session = data_of(owner.post("sessions", **fields), 201)["session_id"]
        picture = {"image": PICTURE_BASE64, "metadata": {"session_id": session}}
        answer = data_of(owner.post("verify", user_id=OWNER, **picture))
        results.append((answer["verification_result"], answer["risk_assessment"]["risk_level"]))
        forget_attempts()
    assert results == [("success", "low"), ("rejected", "high")]
    said = answer["risk_assessment"]["explanation"]
    assert said == "No usable answer came from: antispoofing. A login needs one; try again."
    assert not FailureCount.objects.exists()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("mood", UNUSABLE)
def test_no_usable_answer(owner: Person, service_of: Checker, mood: object) -> None:
    """Strict fails closed; below it is a reason to look twice. Nobody waits longer than that."""
    service_of.moods = [mood]
    for level, result in (("basic", "success"), ("standard", "success"), ("strict", "rejected")):
        factors = UNANSWERED[:1] if level == "basic" else UNANSWERED
        assert verify(owner, level) == (result, factors)
    assert not service_of.waited_for
    assert not FailureCount.objects.exists()  # a fault on our side is no failure of theirs


@pytest.mark.parametrize("level", ["standard", "strict"])
def test_nobody_listens(owner: Person, settings: Settings, level: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings.ANTISPOOFING_SERVICE_URL = f"http://127.0.0.1:{free.getsockname()[1]}"
        result = "rejected" if level == "strict" else "success"
        assert verify(owner, level) == (result, UNANSWERED)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("mood", ["drip", "drip body"])
def test_who_drips_is_hung_up_on(owner: Person, service_of: Checker, mood: str) -> None:
    service_of.moods = [mood]
    verify(owner)
    wait_until(lambda: service_of.left == 1)


@pytest.mark.usefixtures("impatient")
def test_a_handshake_that_drips_holds_no_thread(
    owner: Person, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers, "_AT_ONCE", 1)
    with dripping_tls() as service:
        settings.ANTISPOOFING_SERVICE_URL = service.url
        for number in (1, 2):
            assert verify(owner) == ("success", UNANSWERED)
            wait_until(lambda number=number: service.left == number)  # type: ignore[misc]
        assert Attempt.objects.get().antispoofing["reason"] == "timeout"


def looked_up(monkeypatch: pytest.MonkeyPatch, name: str, answer: Callable[[], Any]) -> None:
    """A name server that knows one name more."""
    others = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        return answer() if host == name else others(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.usefixtures("one_user_is_enough")
def test_a_silent_name_server_holds_one_thread(
    owner: Person, settings: Settings, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    asked, over = [], threading.Event()
    looked_up(monkeypatch, "silent.example", lambda: (asked.append(1), over.wait(PATIENCE), [])[2])
    settings.ANTISPOOFING_SERVICE_URL = "http://silent.example/check"
    settings.FACESVC_PROVIDER_SECONDS = 0.05
    try:
        for _ in range(service_health.FAILURES):
            assert verify(owner, "strict") == ("rejected", UNANSWERED)
        assert asked == [1]
        wait_until(lambda: state_of(client) == "failing")
    finally:
        over.set()


def test_the_next_address_of_a_name(
    owner: Person, service_of: Checker, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ips = ["127.0.0.2", "127.0.0.1"]  # nobody listens on the first
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, service_of.port)) for ip in ips]
    looked_up(monkeypatch, "two.example", lambda: found)
    settings.ANTISPOOFING_SERVICE_URL = service_of.url.replace("127.0.0.1", "two.example")
    assert verify(owner, "strict") == ("success", [])


def test_https(
    owner: Person, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours, theirs = Authority(tmp_path), Authority(tmp_path, "theirs")
    monkeypatch.setenv("SSL_CERT_FILE", str(ours.path))
    exchange._tls.cache_clear()
    try:
        for authority, result in ((ours, "success"), (theirs, "rejected")):
            with checking(tls=authority.server("localhost")) as service:
                settings.ANTISPOOFING_SERVICE_URL = service.url
                assert verify(owner, "strict")[0] == result
    finally:
        exchange._tls.cache_clear()


@pytest.mark.usefixtures("impatient")
def test_two_slow_services(owner: Person, service_of: Checker, settings: Settings) -> None:
    service_of.moods = ["hang"]
    with checking("hang") as other:
        settings.DEEPFAKE_DETECTION_SERVICE_URL = other.url
        factors = ["liveness_missing", "deepfake_missing", "check_unanswered"]
        assert verify(owner) == ("success", factors)
        assert not service_of.waited_for and not other.waited_for


def test_two_services_are_asked_at_the_same_time(
    owner: Person, service_of: Checker, settings: Settings
) -> None:
    together = threading.Barrier(2)

    def score() -> float:
        together.wait(PATIENCE)  # breaks unless both are asked
        return 0.9

    service_of.moods = [score]
    with checking(score) as other:
        settings.DEEPFAKE_DETECTION_SERVICE_URL = other.url
        assert verify(owner) == ("success", [])


def test_a_no_match_stays_one(owner: Person, service_of: Checker, fake: FakePipeline) -> None:
    fake.show(vector(2))
    service_of.moods = ["close"]
    assert verify(owner) == ("no_match", UNANSWERED)


def test_a_refusal_tells_nothing_of_the_face(
    owner: Person, service_of: Checker, fake: FakePipeline
) -> None:
    service_of.moods = [0.1]
    answers = []
    for shown in (vector(1), near(vector(1), 0.95), vector(2)):
        fake.show(shown)
        answers.append(data_of(owner.post("verify", user_id=OWNER, image=PICTURE_BASE64)))
        forget_attempts()
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["confidence_score"] == 0


# --- retry and breaker ----------------------------------------------------------------------------


@pytest.mark.parametrize("mood", ["close", 500, 503])
def test_one_retry(owner: Person, service_of: Checker, mood: object) -> None:
    service_of.moods = [mood, 0.9]
    assert verify(owner, "strict") == ("success", [])
    assert len(service_of.asked) == 2


@pytest.mark.parametrize("mood", [404, "not JSON", "redirect"])
def test_no_retry_where_it_would_not_help(owner: Person, service_of: Checker, mood: object) -> None:
    service_of.moods = [mood, 0.9]
    assert verify(owner, "strict")[0] == "rejected"
    assert len(service_of.asked) == 1


def test_never_a_third_try(owner: Person, service_of: Checker) -> None:
    service_of.moods = [500]
    verify(owner)
    assert len(service_of.asked) == 2


@pytest.mark.usefixtures("one_user_is_enough")
def test_the_breaker_opens_and_closes_again(
    owner: Person, service_of: Checker, client: Client
) -> None:
    service_of.moods = [404]
    for _ in range(service_health.FAILURES):
        verify(owner)
    asked = len(service_of.asked)
    assert verify(owner, "strict") == ("rejected", UNANSWERED)
    assert Attempt.objects.get().antispoofing["reason"] == "breaker_open"
    assert len(service_of.asked) == asked  # it was left alone
    assert client.get("/health/ready").json()["providers"] == {"antispoofing": "failing"}
    service_of.moods = [0.9]
    providers.http_provider("antispoofing", service_of.url).health._tried_again_at = 0
    assert verify(owner, "strict") == ("success", [])
    assert verify(owner, "strict") == ("success", [])
    assert client.get("/health/ready").json()["providers"] == {"antispoofing": "ok"}


def test_one_user_does_not_open_the_breaker(owner: Person, service_of: Checker) -> None:
    """Whose pictures the service cannot stand: a fake of somebody else's would go unchecked."""
    service_of.moods = [404]
    for _ in range(3 * service_health.FAILURES):
        verify(owner)
    friend = make_user(FRIEND)
    make_face(friend, vector(1))
    service_of.moods = [0.1]
    asker = Person(user_token(FRIEND), owner.client)
    answer = data_of(asker.post("verify", user_id=FRIEND, image=PICTURE_BASE64))
    assert answer["verification_result"] == "rejected"
    assert answer["risk_assessment"]["factors"] == ["liveness_failed"]


def test_three_users_do() -> None:
    one = ServiceHealth(lambda: None)
    opened = [one.failed(user) for user in ("ann", "bob", "ann", "bob", "ann", "carl", "ann")]
    assert opened == [False] * 5 + [True] * 2
    assert not one.allows() and one.state() == "failing"


def test_after_the_pause_only_one_tries() -> None:
    one = ServiceHealth(lambda: None)
    for number in range(service_health.FAILURES):
        one.failed(f"user {number}")
    assert one.state() == "failing" and not one.allows()
    one._tried_again_at = time.monotonic()
    assert [one.allows() for _ in range(3)] == [True, False, False]
    one.failed("ann")
    assert not one.allows()
    one._tried_again_at = time.monotonic()
    assert one.allows()
    one.succeeded()
    assert [one.allows() for _ in range(3)] == [True, True, True]


# --- health ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("mood", "state"), [(0.1, "ok"), (404, "failing"), ("hang", "failing")])
def test_a_process_that_never_asked_finds_out(
    client: Client, service_of: Checker, mood: object, state: str
) -> None:
    """Readiness asks by itself, and does not wait; the next one knows."""
    service_of.moods = [mood]
    assert state_of(client) == "unknown"
    wait_until(lambda: state_of(client) != "unknown")
    assert state_of(client) == state
    (request,) = service_of.asked
    assert (request["check"], request["probe"]) == ("antispoofing", True)
    assert providers.http_provider("antispoofing", service_of.url).health.allows()


def state_of(client: Client) -> str:
    state: str = client.get("/health/ready").json()["providers"]["antispoofing"]
    return state


@pytest.mark.usefixtures("one_user_is_enough")
def test_a_service_that_is_back_is_found_by_readiness(
    owner: Person, service_of: Checker, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    """After the pause it is probed, and until it answered it is failing."""
    monkeypatch.setattr(service_health, "OPEN_SECONDS", 0.5)
    monkeypatch.setattr(service_health, "PROBE_SECONDS", 0.5)
    service_of.moods = [404]
    for _ in range(service_health.FAILURES):
        verify(owner)
    time.sleep(0.6)
    assert state_of(client) == "failing"
    wait_until(lambda: len(service_of.asked) == service_health.FAILURES + 1)
    assert state_of(client) == "failing"
    service_of.moods = [0.9]
    wait_until(lambda: state_of(client) == "ok")


@pytest.mark.usefixtures("one_user_is_enough")
def test_the_log_says_when_a_service_fails(
    owner: Person, service_of: Checker, caplog: pytest.LogCaptureFixture
) -> None:
    service_of.moods = [404] * service_health.FAILURES + [0.9]  # type: ignore[list-item]
    caplog.set_level(logging.INFO, "recognition.verification.providers")
    for _ in range(service_health.FAILURES):
        verify(owner)
    providers.http_provider("antispoofing", service_of.url).health._tried_again_at = 0
    verify(owner)
    own = [
        record for record in caplog.records if record.name == "recognition.verification.providers"
    ]
    assert [record.getMessage() for record in own] == [
        "The antispoofing service fails (status_404), and is left alone.",
        "The antispoofing service answers again.",
    ]


@pytest.mark.usefixtures("one_user_is_enough")
def test_readiness_by_setting(owner: Person, settings: Settings, client: Client) -> None:
    with checking(404) as checker:
        settings.ANTISPOOFING_SERVICE_URL = checker.url
        for _ in range(service_health.FAILURES):
            verify(owner)
        assert client.get("/health/ready").status_code == 200
        settings.FACESVC_READY_NEEDS_PROVIDERS = True
        answer = client.get("/health/ready")
        assert (answer.status_code, answer.json()["checks"]["providers"]) == (503, "failed")
    with checking() as checker:
        settings.ANTISPOOFING_SERVICE_URL = checker.url
        assert client.get("/health/ready").status_code == 503  # nobody knows yet
        wait_until(lambda: client.get("/health/ready").status_code == 200)


# --- the pack's own, and none ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("score", "level", "result"),
    [
        (0.9, "strict", ("success", [])),
        (0.1, "strict", ("rejected", ["liveness_failed"])),
        (0.1, "standard", ("rejected", ["liveness_failed"])),
        (0.1, "basic", ("success", ["liveness_failed"])),
        (float("nan"), "strict", ("rejected", UNANSWERED)),
        (None, "strict", ("rejected", ["liveness_missing"])),
        (None, "standard", ("success", [])),  # nobody set it up, so nobody counts on it
    ],
)
def test_the_packs_own_anti_spoofing(
    owner: Person, fake: FakePipeline, score: float, level: str, result: tuple[str, list[str]]
) -> None:
    fake.show(replace(face_of(vector(1)), liveness=score))
    assert verify(owner, level) == result


def test_strict_may_be_the_threshold_alone(owner: Person, settings: Settings) -> None:
    settings.FACESVC_STRICT_CHECKS = []
    assert verify(owner, "strict") == ("success", [])


@pytest.mark.parametrize("name", ["DEEPFAKE_DETECTION_SERVICE_URL", "JWT_JWKS_URL"])
@pytest.mark.parametrize(
    "url",
    [
        *("ftp://a.example", "a.example", "http://", "http://a:b", "http://a.example:99999"),
        *("http://a..example", "http://a.example/prüfung", "http://a.example/a b"),
    ],
)
def test_an_address_that_is_none(settings: Settings, name: str, url: str) -> None:
    setattr(settings, name, url)
    assert [error.id for error in list(checks.providers())] == ["facesvc.E006"]


def test_a_check_that_is_none(settings: Settings) -> None:
    settings.FACESVC_STRICT_CHECKS = ["liveness"]
    assert [error.id for error in list(checks.providers())] == ["facesvc.E007"]
