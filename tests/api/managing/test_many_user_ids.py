"""10,000 users with ids of all kinds: each comes back as it was sent, and the privacy rule holds.

The rule is applied once more here, in Python, to the ids that were sent.
"""

import json
import random
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from django.db import connection
from django.test import Client

from recognition.inference.arrays import Floats
from recognition.models import User
from recognition.models.user_ids import UserId, parsed
from tests.support.builders import (
    PICTURE_BASE64,
    FakePipeline,
    Person,
    data_of,
    make_templates,
    service_token,
    user_token,
    vector,
)

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
USERS, VIEWERS, LOOKED_AT = 10_000, 60, 300
# Each person's face resembles one of these, so that a search finds some of them, and all of these
# are in one answer.
KINDS_OF_FACES = 60
GROUPS = ["public", "friends", "club"]
ODD = ["me", "Me", "face_", "user:", "a/faces/", "%2F", "ａ", "а"]
DICE = random.Random(18)
SCRIPTS = [(0x21, 0x7E), (0xA1, 0x24F), (0x391, 0x3FF), (0x410, 0x44F), (0x5D0, 0x5EA)]
SCRIPTS += [(0x0E01, 0x0E3A), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x1F300, 0x1F5FF)]


def digits() -> str:
    return str(DICE.randrange(10 ** DICE.randint(1, 21)))


def drawn_uuid() -> str:
    """A UUID of any version or none, as some apps make them of a hash."""
    return str(uuid.UUID(int=DICE.getrandbits(128)))


def text() -> str:
    """A text of one or several alphabets, with marks, blanks and slashes, up to the longest."""
    signs = []
    for _ in range(DICE.choice([1, 2, 5, 20, 128])):
        first, last = DICE.choice(SCRIPTS)
        signs.append(DICE.choice([chr(DICE.randint(first, last)), *"/ .%?#&+;\\"]))
    return unicodedata.normalize("NFC", "".join(signs))[:128]


KINDS: list[Callable[[], str]] = [
    digits,
    drawn_uuid,
    text,
    lambda: f"auth0|{DICE.getrandbits(96):024x}",
    lambda: f"{DICE.getrandbits(128):032x}",
    lambda: "".join(DICE.choices("ABCDEFGabcdefg0123456789", k=28)),
    lambda: f"Person.{digits()}+{DICE.choice('AaBb')}@Example.com",
    lambda: f"https://login.example/{digits()}/faces?x={digits()}#{digits()}",
    lambda: f"{DICE.choice(ODD)}{digits()}",
    lambda: str(UserId(digits())),  # the key of another one
]


def ids() -> Iterator[str]:
    seen: set[str] = set()
    while len(seen) < USERS:
        each = DICE.choice(KINDS)()
        if parsed(each) and each not in seen:
            seen.add(each)
            yield each


class World:
    """Who there is, by the ids that were sent."""

    def __init__(self) -> None:
        self.ids = [*ids()]
        levels = ["public", "friends", "private"]
        self.privacy = {each: DICE.choice(levels) for each in self.ids}
        self.looks_like = {each: DICE.randrange(KINDS_OF_FACES) for each in self.ids}
        self.friends = {tuple(sorted(DICE.sample(self.ids, 2))) for _ in range(USERS)}
        self.members = set(DICE.sample(self.ids, USERS // 10))

    def lines(self) -> bytes:
        lines: list[Any] = [{"group": "club"}]
        for each in self.ids:
            lines.append({"user": {"user_id": each, "privacy_level": self.privacy[each]}})
        lines += [{"friendship": pair} for pair in sorted(self.friends)]
        lines += [{"membership": {"group": "club", "user_id": m}} for m in sorted(self.members)]
        return "\n".join(map(json.dumps, lines)).encode()

    def friends_of(self, user_id: str) -> set[str]:
        return {b for a, b in self.friends if a == user_id} | {
            a for a, b in self.friends if b == user_id
        }

    def may_find(self, viewer: str, groups: set[str]) -> set[str]:
        """The rule of docs/api.md."""
        friends = self.friends_of(viewer) if "friends" in groups else set()
        members = self.members if "club" in groups and viewer in self.members else set()
        found = {each for each in friends | members if self.privacy[each] != "private"}
        if "public" in groups:
            found |= {each for each in self.ids if self.privacy[each] == "public"}
        return found | {viewer}


def embedding(world: World, number: int, user_id: str) -> Floats:
    away = 0.2 * (number + 1) / USERS
    unit = np.zeros_like(vector(0))
    unit[world.looks_like[user_id]] = np.sqrt(1 - away**2)
    unit[KINDS_OF_FACES + number % 60] = away
    return unit


@pytest.fixture
def world(service: Person) -> World:
    made = World()
    answer = service.send("post", "graph", made.lines(), content_type="application/x-ndjson")
    assert data_of(answer)["users"]["created"] == USERS
    users = {user.app_id: user for user in User.objects.all()}
    assert users.keys() == {*made.ids}
    rows = [(users[each], embedding(made, n, each), "") for n, each in enumerate(made.ids)]
    make_templates(rows)
    with connection.cursor() as cursor:
        # as autovacuum does within a minute; else the plans may be those of an empty database
        cursor.execute("ANALYZE")
    return made


def listed(person: Person, path: str, name: str) -> list[str]:
    """The ids on all pages."""
    found: list[str] = []
    query: dict[str, Any] = {"page_size": 200}
    while True:
        page = data_of(person.get(path, **query))
        found += [each["user_id"] for each in page[name]]
        if not page["next_cursor"]:
            return found
        query["cursor"] = page["next_cursor"]


def test_it_works(world: World, service: Person, client: Client, fake: FakePipeline) -> None:
    for name, path, expected in (
        ("users", "users", world.ids),
        ("faces", "faces", world.ids),
        ("members", "groups/club/members", world.members),
    ):
        found = listed(service, path, name)
        assert len(found) == len({*found}) and {*found} == {*expected}
    for each in DICE.sample(world.ids, LOOKED_AT):
        own, at = Person(user_token(UserId(each)), client), f"users/{quote(each, safe='')}"
        for caller in (service, own):
            assert data_of(caller.get(at))["user_id"] == each
            assert {*listed(caller, f"{at}/friends", "friends")} == world.friends_of(each)
            assert listed(caller, f"{at}/faces", "faces") == [each]
            opened = data_of(caller.post("sessions", user_id=each), 201)
            assert opened["user_id"] == each
        assert data_of(own.put(at, display_name="x"))["user_id"] == each
    admin = Person(service_token("moderation", ["face:admin"]), client)
    for event in data_of(admin.get("audit", action="user.change", page_size=200))["events"]:
        assert event["user_id"] in world.privacy
        assert event["actor"] == f"user:{event['user_id']}"


def test_who_is_found_is_who_may_be(
    world: World, service: Person, client: Client, fake: FakePipeline
) -> None:
    scope = {"max_candidates": 100, "min_confidence": 0, "max_false_positive_rate": 1}
    found_in_all = 0
    for number, viewer in enumerate(DICE.sample(world.ids, VIEWERS)):
        probe, groups = DICE.randrange(KINDS_OF_FACES), DICE.sample(GROUPS, DICE.randint(1, 3))
        fake.show(vector(probe))
        fields: dict[str, Any] = {"search_scope": {**scope, "user_groups": groups}}
        caller = Person(user_token(UserId(viewer)), client)
        if number % 2:
            caller, fields["on_behalf_of"] = service, viewer
        answer = data_of(caller.post("identify", image=PICTURE_BASE64, **fields))
        assert answer["search_stats"]["scope"]["viewer"] == viewer
        allowed = world.may_find(viewer, {*groups})
        assert answer["search_stats"]["faces_searched"] == len(allowed)
        found = [each["user_id"] for each in answer["candidates"]]
        assert len(found) == len({*found}) < scope["max_candidates"]
        assert {*found} == {each for each in allowed if world.looks_like[each] == probe}
        found_in_all += len(found)
    assert found_in_all > VIEWERS
