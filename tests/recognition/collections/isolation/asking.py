"""Questions to a collection by its API, and what the rule of privacy says to them."""

from dataclasses import dataclass, replace
from random import Random
from typing import Any
from uuid import UUID

import numpy as np

from recognition.collections.current import Entered
from recognition.inference.arrays import Floats
from recognition.models import User
from recognition.packs.engine import Engine
from recognition.packs.scores import Threshold
from tests.recognition.gallery.replicas.test_rule import reaching
from tests.recognition.gallery.test_search_rule import (
    OTHER_VERSION,
    PEOPLE,
    VERSION,
    FaceOf,
    Question,
    World,
    is_asked_for,
    may_see,
    user_id,
)
from tests.support.builders import PICTURE_BASE64, fake_engine, near, vector

LEAST = 0.8  # FACE_MATCH_THRESHOLD
ENGINE: Engine = fake_engine()


def embedding(world: World, number: int) -> Floats:
    """Near enough to be found, and no two faces are equally near to anybody."""
    return near(vector(world.faces[number].person), 0.94 + 0.006 * number, toward=20 + number)


# --- worlds ---------------------------------------------------------------------------------------


def three_worlds(chance: Random) -> list[World]:
    """Worlds of the same people, with the same ids and faces. All else is another one in each."""
    users, numbers = chance.randint(3, 6), range(chance.randint(6, 9))
    same = [(chance.randrange(users), chance.randint(1, PEOPLE)) for _ in numbers]
    return [_world(chance, users, same) for _ in range(3)]


def _world(chance: Random, users: int, same: list[tuple[int, int]]) -> World:
    faces = [
        FaceOf(
            user,
            person,
            version=chance.choice([VERSION] * 4 + [OTHER_VERSION]),
            searchable=chance.random() < 0.8,
            taggable=chance.choice(["everyone", "everyone", "friends_only", "nobody"]),
            suspended=chance.random() < 0.15,
        )
        for user, person in same
    ]
    pairs = [(a, b) for b in range(users) for a in range(b)]
    places = [(group, user) for group in ("club", "team") for user in range(users)]
    return World(
        privacy=[chance.choice(["public", "friends", "private"]) for _ in range(users)],
        suspended=[chance.random() < 0.15 for _ in range(users)],
        faces=faces,
        friends={pair for pair in pairs if chance.random() < 0.4},
        members={place for place in places if chance.random() < 0.4},
    )


def name_all(place: Entered, world: World) -> None:
    """Give the people of the entered collection names that no other one has."""
    for number in range(len(world.privacy)):
        User.objects.filter(pk=user_id(number)).update(display_name=name_of(place, number))


def name_of(place: Entered, number: int) -> str:
    return f"{place.name} {number}"


# --- searches -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """A search. A service makes it on behalf of the viewer, or the viewer does."""

    question: Question
    rate: float
    by_service: bool

    @property
    def is_of_user(self) -> bool:
        question = self.question
        wants_more = question.everyone or question.face_group is not None
        return question.viewer is not None and not self.by_service and not wants_more

    @property
    def least(self) -> float:
        is_for_user = self.question.viewer is not None and not self.question.everyone
        return max(self.question.least, LEAST) if is_for_user else self.question.least

    def body(self, **more: Any) -> dict[str, Any]:
        question = self.question
        scope: dict[str, Any] = {
            "user_groups": sorted(question.groups),
            "max_candidates": question.limit,
            "min_confidence": question.least,
            "max_false_positive_rate": self.rate,
            "match_on": "user" if question.by_user else "face",
        }
        if question.everyone:
            scope["scope"] = "all"
        if question.face_group is not None:
            scope["face_group"] = question.face_group
        body = {"search_scope": scope, **more}
        if question.tagging:
            body["metadata"] = {"source": "auto_tagging"}
        if question.viewer is not None and not self.is_of_user:
            body["on_behalf_of"] = str(user_id(question.viewer))
        return body


def question(chance: Random) -> Asked:
    names = ["public", "friends", "club", "team", "unknown"]
    asked = Question(
        viewer=chance.choice([None, *range(7)]),  # also one that does not exist
        groups=frozenset(chance.sample(names, chance.randint(1, 4))),
        everyone=chance.random() < 0.2,
        tagging=chance.random() < 0.3,
        person=chance.randint(1, PEOPLE),
        least=chance.choice([0.3, 0.8, 0.9]),
        limit=chance.choice([1, 2, 20]),
        by_user=chance.random() < 0.4,
        face_group=chance.choice([None, None, None, "primary", "passport"]),
    )
    return Asked(asked, chance.choice([0.01, 1.0]), chance.random() < 0.5)


def for_all(chance: Random) -> Asked:
    """A question of an admin, who may find everybody."""
    asked = question(chance)
    wide = replace(
        asked.question, everyone=True, tagging=False, least=0.3, limit=20, face_group=None
    )
    return replace(asked, question=replace(wide, viewer=None), rate=1.0)


@dataclass(frozen=True)
class Expected:
    """What the rule says in one world: a refusal, or how many are searched and who is found."""

    refusal: tuple[int, str] | None
    searched: int = 0
    threshold: Threshold | None = None
    found: tuple[tuple[UUID, str, float], ...] = ()  # user, face, worth


def expected(world: World, asked: Asked, probe: Floats, *, of_face: int | None = None) -> Expected:
    """`of_face`: the face that others are like, in place of a picture."""
    question = asked.question
    is_suspended = question.viewer is not None and is_out(world, question.viewer)
    if is_suspended and not asked.is_of_user:
        return Expected((403, "user_suspended"))
    if of_face is not None and (refusal := _refused_face(world, question, of_face)):
        return Expected(refusal)
    seen = _alone(world, question.viewer) if is_suspended else world
    searched = sum(may_see(seen, question, face) for face in seen.faces)
    threshold = ENGINE.scores.cut(asked.least, asked.rate, searched)
    reach = reaching(seen, question, ENGINE, threshold, probe=probe)
    if of_face is not None:
        reach.pop(user_id(world.faces[of_face].user), None)
    found = [(user, _best(seen, question, user, probe), worth) for user, worth in reach.items()]
    return Expected(None, searched, threshold, tuple(found[: question.limit]))


def is_out(world: World, user: int) -> bool:
    return user < len(world.suspended) and world.suspended[user]


def _alone(world: World, viewer: int | None) -> World:
    return replace(
        world,
        friends={pair for pair in world.friends if viewer not in pair},
        members={member for member in world.members if member[1] != viewer},
    )


def _refused_face(world: World, question: Question, number: int) -> tuple[int, str] | None:
    face = world.faces[number]
    is_mine = question.viewer in (None, face.user)
    if not is_mine or face.suspended or world.suspended[face.user]:
        return 404, "face_not_found"
    return (409, "no_template") if face.version == OTHER_VERSION else None


def _best(world: World, question: Question, user: UUID, probe: Floats) -> str:
    """The face of a user that is most like the probe, of those that may be seen."""
    own = [
        number
        for number, face in enumerate(world.faces)
        if user_id(face.user) == user
        and may_see(world, question, face)
        and is_asked_for(question, number)
    ]
    return face_id(max(own, key=lambda number: float(world.embedding(number) @ probe)))


def face_id(number: int) -> str:
    return f"face_{number:012x}"


# --- verification ---------------------------------------------------------------------------------


def verification(world: World, user: int, probe: Floats, match_on: str) -> tuple[str, str | None]:
    """The result and the face that matched, for a user who is not told of a suspension."""
    own = [
        number
        for number, face in enumerate(world.faces)
        if face.user == user and face.version != OTHER_VERSION and not face.suspended
    ]
    if not own or is_out(world, user):
        return "no_registered_faces", None
    cosines = {number: float(world.embedding(number) @ probe) for number in own}
    scores = ENGINE.scores
    worth = (
        scores.worth_of_mean(float(np.mean([*cosines.values()])), len(own))
        if match_on == "user"
        else scores.worth_of_nearest(max(cosines.values()), len(own))
    )
    if scores.confidence(worth) < 0.85:
        return "no_match", None
    return "success", face_id(max(own, key=lambda number: cosines[number]))


def picture(**more: Any) -> dict[str, Any]:
    return {"image": PICTURE_BASE64, **more}
