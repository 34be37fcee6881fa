"""Random worlds of the same people in three collections: each answers as if it were alone.

The rule of privacy, once more in Python over lists, says what the answers are. The ids, the faces
and the photos are the same in all three, so whatever came from another one would fit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from batch.jobs import work
from recognition.access import SCOPES
from recognition.api.callers import tokens
from recognition.collections.current import DEFAULT, Entered, entered
from recognition.models.user_ids import UserId
from recognition.packs.scores import COARSE, FINE, ShownScores
from tests.recognition.collections.isolation.asking import (
    ENGINE,
    Asked,
    Expected,
    embedding,
    expected,
    face_id,
    for_all,
    is_out,
    name_all,
    name_of,
    picture,
    question,
    three_worlds,
    verification,
)
from tests.recognition.gallery.test_search_rule import PEOPLE, World, store, user_id
from tests.support.builders import PICTURE_BASE64, FakePipeline, Person, data_of, refusal, vector
from tests.support.collections.callers import service_of

pytestmark = pytest.mark.django_db
# A batch of pictures, each of one person.
PERSONS = range(1, PEOPLE + 1)
Pairs = list[tuple[Entered, World]]

FEW, MANY = range(1), range(1, 20)  # seeds


@pytest.fixture(autouse=True)
def near_enough(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(World, "embedding", embedding)
    settings.FACESVC_FACES_PER_HOUR = 0  # or a viewer would run out of them


@contextmanager
def stored(places: list[Entered], worlds: list[World]) -> Iterator[Pairs]:
    """Each world in its collection, until the end of the block."""
    pairs = [*zip(places, worlds, strict=True)]
    with transaction.atomic():
        for place, world in pairs:
            with entered(place):
                store(world)
                name_all(place, world)
        yield pairs
        transaction.set_rollback(True)


def user_of(place: Entered, number: int) -> Person:
    with entered(place):
        scopes = [scope for scope in SCOPES if scope not in ("face:admin", "face:collections")]
        return Person(tokens.issue(UserId(str(user_id(number))), scopes, minutes=5), Client())


def caller(place: Entered, asked: Asked) -> Person:
    if asked.is_of_user:
        return user_of(place, asked.question.viewer or 0)
    return service_of(place, Client())


# --- what is found --------------------------------------------------------------------------------


def check(place: Entered, asked: Asked, answer: HttpResponse, wanted: Expected) -> None:
    if wanted.refusal:
        assert refusal(answer) == wanted.refusal
    else:
        check_found(place, asked, data_of(answer), wanted)


def check_found(place: Entered, asked: Asked, data: dict[str, Any], wanted: Expected) -> None:
    """The people, their names here, their faces, their scores, and every count."""
    assert wanted.threshold
    is_for_user = asked.question.viewer is not None and not asked.question.everyone
    shown = ShownScores(ENGINE.scores, COARSE if is_for_user else FINE)
    found = data["candidates"]
    assert [(each["user_id"], each["face_id"]) for each in found] == [
        (str(user), face) for user, face, _ in wanted.found
    ]
    for each, (user, _, worth) in zip(found, wanted.found, strict=True):
        assert each["user_info"]["display_name"] == name_of(place, user.int - 1)
        assert each["similarity_score"] == pytest.approx(
            shown.of(worth)["similarity_score"], abs=0.011 if is_for_user else 0.003
        )
    assert data["total_candidates"] == len(found)
    assert data["identification_result"] == ("found" if found else "not_found")
    stats = data["search_stats"]
    assert stats["faces_searched"] == wanted.searched
    assert stats["threshold"]["cut"] == wanted.threshold.used
    cut = stats["threshold"]["similarity_score"]
    assert cut == pytest.approx(wanted.threshold.similarity_score, abs=0.011)


def search(place: Entered, world: World, asked: Asked, fake: FakePipeline) -> int:
    fake.show(vector(asked.question.person))
    wanted = expected(world, asked, vector(asked.question.person))
    check(place, asked, caller(place, asked).post("identify", **asked.body(**picture())), wanted)
    return len(wanted.found)


def look_alikes(place: Entered, world: World, asked: Asked) -> int:
    """Returns how many were found, from three faces at most."""
    found = 0
    for number in range(min(len(world.faces), 3)):
        wanted = expected(world, asked, world.embedding(number), of_face=number)
        path = f"faces/{face_id(number)}/identify"
        check(place, asked, caller(place, asked).post(path, **asked.body()), wanted)
        found += len(wanted.found)
    return found


def batch(place: Entered, world: World, asked: Asked, fake: FakePipeline) -> None:
    images = [{"image_id": str(person), "image": PICTURE_BASE64} for person in PERSONS]
    fake.show(*map(vector, PERSONS))
    answer = caller(place, asked).post("batch-identify", **asked.body(images=images))
    for place_in_batch, person in enumerate(PERSONS):
        wanted = expected(world, asked, vector(person))
        if wanted.refusal:
            assert refusal(answer) == wanted.refusal
            return
        item = data_of(answer)["results"][place_in_batch]
        check_found(place, asked, item["result"], wanted)


def job(place: Entered, asked: Asked) -> str | None:
    """The id of a job with one picture; None if the viewer is refused."""
    images = [{"image_id": "a", "image": PICTURE_BASE64}]
    body = asked.body(images=images, processing_options={"async": True})
    answer = caller(place, asked).post("batch-identify", **body)
    return None if answer.status_code == 403 else str(data_of(answer, 202)["job_id"])


def jobs(pairs: Pairs, asked: Asked, fake: FakePipeline) -> None:
    """All collections have one, and a worker goes through all of them."""
    fake.show(vector(asked.question.person))
    ids = [job(place, asked) for place, _ in pairs]
    work.work()
    for (place, world), job_id in zip(pairs, ids, strict=True):
        wanted = expected(world, asked, vector(asked.question.person))
        assert (job_id is None) == bool(wanted.refusal)
        if job_id is not None:
            answer = caller(place, asked).get(f"batch-jobs/{job_id}/results")
            check_found(place, asked, data_of(answer)["results"][0]["result"], wanted)


def verify(place: Entered, world: World, person: int, match_on: str, fake: FakePipeline) -> int:
    """Each user, and one who is nowhere, is compared by an own token. Returns how many match."""
    fake.show(vector(person))
    successes = 0
    for number in range(len(world.privacy) + 1):
        path = picture(user_id=user_id(number), match_on=match_on)
        data = data_of(user_of(place, number).post("verify", **path))
        result, face = verification(world, number, vector(person), match_on)
        assert (data["verification_result"], data["matched_face_id"]) == (result, face)
        successes += result == "success"
    return successes


def ask_all(pairs: Pairs, asked: list[Asked], fake: FakePipeline) -> int:
    """Everything of each collection, in turns. Returns how many people were found."""
    found = 0
    for each in asked:
        for place, world in pairs:
            found += search(place, world, each, fake)
            found += look_alikes(place, world, each)
            batch(place, world, each, fake)
    jobs(pairs, asked[0], fake)
    for match_on in ("face", "user"):
        for place, world in pairs:
            found += verify(place, world, asked[0].question.person, match_on, fake)
    return found


def differ(worlds: list[World], asked: list[Asked]) -> bool:
    """Whether an answer of another collection would be noticed."""
    return any(
        len({expected(world, each, vector(each.question.person)) for world in worlds}) > 1
        for each in asked
    )


def run(places: list[Entered], fake: FakePipeline, seed: int) -> None:
    chance = Random(seed)
    worlds, asked = three_worlds(chance), [question(chance) for _ in range(3)]
    asked.append(for_all(chance))  # so that somebody is found
    with stored(places, worlds) as pairs:
        assert ask_all(pairs, asked, fake)
    assert differ(worlds, asked)


@pytest.mark.parametrize("seed", FEW)
def test_it_works(places: list[Entered], fake: FakePipeline, seed: int) -> None:
    run(places, fake, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MANY)
def test_many_worlds(places: list[Entered], fake: FakePipeline, seed: int) -> None:
    run(places, fake, seed)


# --- what is there --------------------------------------------------------------------------------


def people(place: Entered, service: Person) -> dict[str, tuple[str, str, bool]]:
    users = data_of(service.get("users"))["users"]
    return {
        each["user_id"]: (each["display_name"], each["privacy_level"], bool(each["suspended_at"]))
        for each in users
    }


def check_lists(place: Entered, world: World) -> None:
    """The users, their faces and friends, the groups and their members, by their lists."""
    service = service_of(place, Client())
    ids = [str(user_id(number)) for number in range(len(world.privacy))]
    assert people(place, service) == {
        ids[number]: (name_of(place, number), level, is_out(world, number))
        for number, level in enumerate(world.privacy)
    }
    for number, text in enumerate(ids):
        faces = data_of(service.get(f"users/{text}/faces"))["faces"]
        own = {face_id(n): face for n, face in enumerate(world.faces) if face.user == number}
        assert {each["face_id"]: bool(each["suspended_at"]) for each in faces} == {
            name: face.suspended for name, face in own.items()
        }
        friends = data_of(service.get(f"users/{text}/friends"))["friends"]
        of = {ids[other] for other in range(len(ids)) if world.are_friends(number, other)}
        assert {each["user_id"] for each in friends} == of
    names = {name for name, _ in world.members}
    assert {each["name"] for each in data_of(service.get("groups"))["groups"]} == names
    for name in names:
        members = data_of(service.get(f"groups/{name}/members"))["members"]
        inside = {ids[user] for group, user in world.members if group == name}
        assert {each["user_id"] for each in members} == inside


@pytest.mark.parametrize("seed", FEW)
def test_lists(places: list[Entered], fake: FakePipeline, seed: int) -> None:
    with stored(places, three_worlds(Random(seed))) as pairs:
        for place, world in pairs:
            check_lists(place, world)
            counts = data_of(service_of(DEFAULT, Client()).get(f"collections/{place.name}"))
            assert (counts["users"], counts["faces"]) == (len(world.privacy), len(world.faces))
