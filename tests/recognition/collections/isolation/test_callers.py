"""What a caller does in one collection counts in no other one, whatever they have in common."""

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from batch.jobs import work
from batch.webhooks import callbacks
from recognition import daily_counts
from recognition.access import SCOPES
from recognition.api.callers import tokens
from recognition.api.idempotency import REPLAYED
from recognition.collections.current import DEFAULT, Entered, entered
from recognition.models import ActiveModel, DailyCount, GalleryCount, locks
from recognition.models.locks import One
from recognition.packs import engine
from recognition.processes.user_requests import UserRequests
from tests.recognition.collections.isolation.test_routes import CHANGES
from tests.recognition.collections.test_schemas import owned
from tests.support.builders import (
    OWNER,
    PICTURE_BASE64,
    PREFIX,
    STRANGER,
    FakePipeline,
    Person,
    data_of,
    id_of,
    make_face,
    make_user,
    near,
    refusal,
    vector,
)
from tests.support.collections.callers import service_of
from tests.support.everywhere import NOBODYS, Life, allow

pytestmark = pytest.mark.django_db
LISTS = ("users", "faces", f"users/{OWNER}/faces")
BODY = {"user_id": str(OWNER), "image": PICTURE_BASE64}


@pytest.fixture
def here_too(places: list[Entered]) -> list[Entered]:
    """In each collection the same user has two faces."""
    for place in places:
        with entered(place):
            user = make_user(OWNER)
            for number in (1, 2):
                face = near(vector(number), 0.97)
                make_face(user, face, face_id=f"face_{number:012x}")
    return places


@pytest.fixture
def services(here_too: list[Entered]) -> list[Person]:
    """A service of the same name in each."""
    return [service_of(place, Client()) for place in here_too]


@pytest.fixture
def owners(here_too: list[Entered]) -> list[Person]:
    return [owner_of(place) for place in here_too]


def owner_of(place: Entered) -> Person:
    with entered(place):
        return Person(tokens.issue(id_of(OWNER), [*SCOPES[:-1]], minutes=5), Client())


# --- the whole life of somebody -------------------------------------------------------------------


@pytest.fixture
def lived(settings: Settings, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function that has Zoë live in a collection, and returns all that was answered to her."""
    allow(settings)
    monkeypatch.setattr(work, "_SLICE", 60.0)  # however busy the machine is
    send, answers, scores = Person.send, list[Any](), list[float]()

    def noted(person: Person, *request: Any, **options: Any) -> HttpResponse:
        answer = send(person, *request, **options)
        counted = {name: each for name, each in answer.headers.items() if name in _COUNTED}
        text = CHANGES.sub("-", answer.content.decode())
        answers.append((answer.status_code, _SCORE.sub("-", text), counted))
        scores.extend(map(float, _SCORE.findall(text)))
        return answer

    monkeypatch.setattr(Person, "send", noted)

    def live(place: Entered) -> tuple[list[Any], list[float]]:
        answers.clear()
        scores.clear()
        with entered(place):
            life = Life(fake)
            life.be_enrolled()
            life.meet_people()
            life.be_verified()
            life.be_in_batches()
            fake.show(NOBODYS)
            work.work()  # or the worker of her next life would do it
            callbacks.deliver_due()
        return [*answers], [*scores]

    yield live


_SCORE = re.compile(r'(?<=_score":)[\d.]+')
_COUNTED = {"RateLimit-Limit", "RateLimit-Remaining", REPLAYED, "Retry-After"}


def rows_of(place: Entered) -> dict[str, int]:
    """How many rows each table has; those of counts are put together now and then, by chance."""
    with entered(place):
        return {kind.__name__: kind.objects.count() for kind in owned() if kind != GalleryCount}


def test_it_works(places: list[Entered], lived: Any) -> None:
    """The same life in each, with the same ids, keys, devices, pictures and services: whoever lived
    before her elsewhere, she is answered the same. So no failure, key, picture or limit counts."""
    answers, scores = lived(places[0])
    assert any(status == 201 for status, *_ in answers) and scores
    before = rows_of(places[0])
    for place in places[1:]:
        others, their_scores = lived(place)
        assert others == answers
        # The key of a collection turns its templates, which are stored with 11 bits.
        assert their_scores == pytest.approx(scores, abs=0.005)
    assert rows_of(places[0]) == before
    # The audit log of `default` has the making of the others.
    expected = before | {"AuditEvent": before["AuditEvent"] - 2}
    assert rows_of(places[1]) == rows_of(places[2]) == expected


# --- each kind of count ---------------------------------------------------------------------------


def test_rate_limits(services: list[Person], settings: Settings) -> None:
    settings.RATE_LIMIT_PER_MINUTE = 2
    first, *others = services
    assert [first.get("users").status_code for _ in range(3)] == [200, 200, 429]
    for other in others:
        assert other.get("users")["RateLimit-Remaining"] == "1"


def test_faces_of_a_viewer(owners: list[Person], settings: Settings, fake: FakePipeline) -> None:
    settings.FACESVC_FACES_PER_HOUR = 1
    fake.show(vector(1))
    for person in owners:
        answers = [person.post("identify", image=PICTURE_BASE64) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]


def test_idempotency_keys(services: list[Person], fake: FakePipeline) -> None:
    """The same key and body, and the same key with another body."""
    headers = {"Idempotency-Key": "k"}
    for number, service in enumerate(services):
        fake.show(vector(3 + number))
        body = BODY | ({"face_group": "other"} if number == 2 else {})
        first = service.send("post", "register", body, headers=headers)
        again = service.send("post", "register", body, headers=headers)
        assert first.status_code == again.status_code == 201
        assert REPLAYED not in first and again[REPLAYED] == "true"
        assert len(data_of(service.get(f"users/{OWNER}/faces"))["faces"]) == 3


def test_lockout(owners: list[Person], fake: FakePipeline) -> None:
    first, *others = owners
    fake.show(vector(9))
    told = [first.post("verify", **BODY).status_code for _ in range(6)]
    assert told == [200] * 5 + [429]
    fake.show(vector(1))
    for other in others:
        data = data_of(other.post("verify", **BODY))
        assert data["verification_result"] == "success"
        factors = {"repeated_failures", "replayed_picture", "many_users_tried", "new_device"}
        assert not factors.intersection(data["risk_assessment"]["factors"])


def test_a_device_is_known_where_it_was_seen(owners: list[Person], fake: FakePipeline) -> None:
    fake.show(vector(1))
    factors = []
    for person, device in zip(owners, ("phone", "laptop", "laptop"), strict=True):
        for each in ("phone", device):
            data = data_of(person.post("verify", **BODY, metadata={"device_id": each}))
        factors.append("new_device" in data["risk_assessment"]["factors"])
    assert factors == [False, True, True]


def test_requests_in_progress(places: list[Entered]) -> None:
    """A user who has all places in one has them in no other one."""
    requests = UserRequests()
    for place in places:
        with entered(place):
            taken = [requests.begin(str(OWNER)), requests.begin(str(OWNER))]
            assert len({*taken}) == 2


@pytest.mark.parametrize("what", One)
def test_locks(places: list[Entered], what: One) -> None:
    """The same thing has another lock in each."""
    numbers = set()
    for place in places:
        with entered(place):
            numbers.add(locks.number(what, OWNER, "k"))
    assert len(numbers) == len(places)


def test_counts_of_the_day(here_too: list[Entered], fake: FakePipeline) -> None:
    fake.show(vector(1))
    for number, place in enumerate(here_too):
        for _ in range(number):
            data_of(service_of(place, Client()).post("identify", image=PICTURE_BASE64))
    daily_counts.write()
    counts = []
    for place in here_too:
        with entered(place):
            searches = DailyCount.objects.filter(kind="search")
            counts.append(sum(searches.values_list("count", flat=True)))
    assert counts == [0, 1, 2]


def test_the_model_is_that_of_the_collection(
    places: list[Entered], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers name it, also those that needed none, and those of one that has not served yet."""
    monkeypatch.setattr(engine, "_load", lambda _, of, *rest: SimpleNamespace(pack=of))
    versions = ["mobilefacenet_v1.0", "arcface_mbf_v1.0", "dlib_v1.0.0"]
    for place, pack in zip(places, ("yunet-mobilefacenet", "scrfd-arcface"), strict=False):
        with entered(place):
            ActiveModel.objects.update(pack=pack)
            engine.current()
    for place, version in zip(places, versions, strict=True):
        answer = service_of(place, Client()).get("users").json()
        assert answer["metadata"]["model_version"] == version
    unknown = Client().get(f"{PREFIX}users").json()
    assert unknown["metadata"]["model_version"] == versions[0]


# --- pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LISTS)
def test_a_cursor_is_of_one_collection(
    services: list[Person], path: str, fake: FakePipeline
) -> None:
    """Its position counts the rows there."""
    with entered(DEFAULT):
        make_user(STRANGER)  # so that a page of one user is not the last
    cursor = data_of(services[0].get(path, page_size=1))["next_cursor"]
    assert cursor and services[0].get(path, cursor=cursor).status_code == 200
    for other in services[1:]:
        assert refusal(other.get(path, cursor=cursor)) == (400, "invalid_cursor")
