"""The privacy rule once more, in Python over lists: every plan must give the same answers."""

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from management import moderation
from recognition.gallery import plans, search
from recognition.gallery.scope import Gallery, Scope
from recognition.gallery.statements import searching
from recognition.inference.arrays import Floats
from recognition.models import Face, Friendship, Group, Membership, User
from tests.support.builders import build_index, fake_engine, make_templates, near, vector

pytestmark = pytest.mark.django_db
VERSION, OTHER_VERSION = "dlib_v1", "other_v1"
# 2,000 random cases: that many galleries, and as many questions to each; every plan answers all.
GALLERIES, QUESTIONS = 500, 4
PEOPLE = 3  # that a face may resemble


@dataclass(frozen=True)
class FaceOf:
    user: int
    person: int
    version: str
    searchable: bool
    taggable: str
    suspended: bool


@dataclass(frozen=True)
class World:
    privacy: list[str]
    suspended: list[bool]
    faces: list[FaceOf]
    friends: set[tuple[int, int]]
    members: set[tuple[str, int]] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)  # merged into others

    def are_friends(self, a: int, b: int) -> bool:
        return (a, b) in self.friends or (b, a) in self.friends

    def embedding(self, number: int) -> Floats:
        """No two faces have the same cosine to anybody."""
        return near(vector(self.faces[number].person), 0.8 + 0.004 * number, toward=20 + number)


# Names a function of management.moderation, and what it is about: a face, a user, another user.
Change = tuple[str, int, int]


def changed(world: World, change: Change) -> World:
    """The world after moderators did something, or the same if it cannot be done."""
    what, one, other = change
    if what in ("suspend_user", "unsuspend_user"):
        suspended = [*world.suspended]
        suspended[one] = what == "suspend_user"
        return replace(world, suspended=suspended)
    if what == "merge_users":
        return world if one == other else merged(world, one, other)
    fields = {"user": other} if what == "move_face" else {"suspended": what == "suspend_face"}
    faces = [replace(f, **fields) if n == one else f for n, f in enumerate(world.faces)]
    return replace(world, faces=faces)


def merged(world: World, one: int, into: int) -> World:
    def new(user: int) -> int:
        return into if user == one else user

    strict = ["public", "friends", "private"]
    privacy, suspended = [*world.privacy], [*world.suspended]
    privacy[into] = max(privacy[one], privacy[into], key=strict.index)
    suspended[into] = suspended[one] or suspended[into]
    friends = {(min(new(a), new(b)), max(new(a), new(b))) for a, b in world.friends}
    return World(
        privacy=privacy,
        suspended=suspended,
        faces=[replace(face, user=new(face.user)) for face in world.faces],
        friends={(a, b) for a, b in friends if a != b},
        members={(group, new(user)) for group, user in world.members},
        gone={*world.gone, one},
    )


def moderate(change: Change) -> None:
    what, one, other = change
    about: dict[str, Any] = {"user_id": user_id(one)}
    if what == "merge_users":
        about["into"] = user_id(other)
    if what.endswith("face"):
        about = {"face_id": f"face_{one:012x}"}
    if what == "move_face":
        about["user_id"] = user_id(other)
    getattr(moderation, what)(actor="service:moderation", **about)


def may_be_done(world: World, change: Change) -> bool:
    what, one, other = change
    if what.endswith("face"):
        there = one < len(world.faces)
        return there and not (
            what == "move_face" and (other in world.gone or world.faces[one].user == other)
        )
    return one not in world.gone and not (
        what == "merge_users" and (other in world.gone or one == other)
    )


@dataclass(frozen=True)
class Question:
    viewer: int | None  # also one that does not exist
    groups: frozenset[str]
    everyone: bool
    tagging: bool
    person: int
    least: float
    limit: int
    by_user: bool
    face_group: str | None = None


def may_see(world: World, question: Question, face: FaceOf) -> bool:
    """The privacy rule of the specification, one sentence after the other."""
    owner, viewer, groups = face.user, question.viewer, question.groups
    if not face.searchable or face.suspended or world.suspended[owner]:
        return False
    if face.version != VERSION:
        return False
    is_friend = viewer is not None and world.are_friends(owner, viewer)
    privacy = world.privacy[owner]
    shared = {group for group, user in world.members if user == owner} & {
        group for group, user in world.members if user == viewer
    }
    allowed = (
        question.everyone
        or owner == viewer
        or ("public" in groups and privacy == "public")
        or ("friends" in groups and is_friend and privacy in ("public", "friends"))
        or (bool(shared & groups) and privacy != "private")
    )
    if question.tagging:
        close = question.everyone or owner == viewer or is_friend
        allowed &= face.taggable == "everyone" or (face.taggable == "friends_only" and close)
    return allowed


def is_asked_for(question: Question, number: int) -> bool:
    return question.face_group in (None, group_of(number))


def answer(world: World, question: Question) -> tuple[int, list[tuple[int, float]]]:
    """How many faces are searched, and the users with their cosines."""
    seen = [n for n, face in enumerate(world.faces) if may_see(world, question, face)]
    searched = len(seen)  # in all groups of faces
    seen = [n for n in seen if is_asked_for(question, n)]
    cosines: dict[int, float] = {}
    for user in {world.faces[n].user for n in seen}:
        vectors = [world.embedding(n) for n in seen if world.faces[n].user == user]
        probe = vector(question.person)
        alike = [float(one @ probe) for one in vectors]
        cosines[user] = float(np.mean(alike)) if question.by_user else max(alike)
    best = sorted(cosines.items(), key=lambda item: -item[1])
    return searched, [item for item in best if item[1] >= question.least][: question.limit]


def group_of(number: int) -> str:
    """The face_group of a face."""
    return ("primary", "passport")[number % 2]


def user_id(number: int) -> UUID:
    return UUID(int=number + 1)


def store(world: World) -> None:
    """Everything at first as a new user has it, and then changed: the listings must follow."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE recognition_user, recognition_group CASCADE")
    users = [User(pk=user_id(number)) for number in range(len(world.privacy))]
    User.objects.bulk_create(users)
    make_templates(
        [
            (users[face.user], world.embedding(number), face.version)
            for number, face in enumerate(world.faces)
        ]
    )
    for number, face in enumerate(world.faces):
        Face.objects.filter(face_id=f"face_{number:012x}").update(
            searchable=face.searchable,
            taggable=face.taggable,
            suspended_at=timezone.now() if face.suspended else None,
            face_group=group_of(number),
        )
    for user, privacy, suspended in zip(users, world.privacy, world.suspended, strict=True):
        User.objects.filter(pk=user.pk).update(
            privacy_level=privacy, suspended_at=timezone.now() if suspended else None
        )
    pairs = world.friends | {(b, a) for a, b in world.friends}
    Friendship.objects.bulk_create([Friendship(user=users[a], friend=users[b]) for a, b in pairs])
    groups = {name: Group.objects.create(name=name) for name in {n for n, _ in world.members}}
    Membership.objects.bulk_create(
        [Membership(group=groups[name], user=users[user]) for name, user in world.members]
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    count = draw(st.integers(1, 6))
    number = st.integers(0, count - 1)
    faces = st.builds(
        FaceOf,
        user=number,
        person=st.integers(1, PEOPLE),
        version=st.sampled_from([VERSION, VERSION, VERSION, OTHER_VERSION]),
        searchable=st.sampled_from([True, True, False]),
        taggable=st.sampled_from(["everyone", "friends_only", "nobody"]),
        suspended=st.sampled_from([False, False, False, True]),
    )
    pairs = st.tuples(number, number).filter(lambda pair: pair[0] < pair[1])
    return World(
        privacy=draw(st.lists(PRIVACY, min_size=count, max_size=count)),
        suspended=draw(
            st.lists(st.sampled_from([False, False, True]), min_size=count, max_size=count)
        ),
        faces=draw(st.lists(faces, min_size=1, max_size=9)),
        friends=draw(st.sets(pairs, max_size=6)) if count > 1 else set(),
        members=draw(st.sets(st.tuples(st.sampled_from(["club", "team"]), number), max_size=6)),
    )


CHANGE = st.sampled_from(
    ["suspend_user", "unsuspend_user", "suspend_face", "unsuspend_face", "move_face", "merge_users"]
)
PRIVACY = st.sampled_from(["public", "friends", "private"])
SCOPES = st.frozensets(st.sampled_from(["public", "friends", "club", "team", "unknown"]))
QUESTION = st.builds(
    Question,
    viewer=st.none() | st.integers(0, 6),
    groups=SCOPES,
    everyone=st.sampled_from([False, False, False, True]),
    tagging=st.booleans(),
    person=st.integers(1, PEOPLE),
    least=st.sampled_from([0.1, 0.5, 0.81, 0.9]),  # people are at right angles: 0 would be a tie
    limit=st.sampled_from([1, 2, 20]),
    by_user=st.booleans(),
    face_group=st.sampled_from([None, None, "primary", "passport", "unknown"]),
)


@pytest.mark.slow
@settings(
    max_examples=GALLERIES,
    deadline=None,
    phases=[Phase.generate],  # shrinking a failure takes many minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    world=worlds(),
    questions=st.lists(QUESTION, min_size=QUESTIONS, max_size=QUESTIONS),
    wanted=st.sampled_from([2, 100]),
    changes=st.lists(st.tuples(CHANGE, st.integers(0, 8), st.integers(0, 5)), max_size=4),
)
def test_every_plan_answers_as_the_rule_says(
    db: Any,
    monkeypatch: pytest.MonkeyPatch,
    world: World,
    questions: list[Question],
    wanted: int,
    changes: list[Change],
) -> None:
    # As in large galleries: the graph may have more than it is asked for.
    for module in (plans, search):
        monkeypatch.setattr(module, "FIRST_LOOK", wanted)
    with transaction.atomic():
        build_index()
        store(world)
        for change in changes:
            change = (change[0], change[1], change[2] % len(world.privacy))
            if not change[0].endswith("face"):
                change = (change[0], change[1] % len(world.privacy), change[2])
            if may_be_done(world, change):
                moderate(change)
                world = changed(world, change)
        for question in questions:
            ask(world, question)
        transaction.set_rollback(True)


def ask(world: World, question: Question) -> None:
    scope = Scope(
        viewer=None if question.viewer is None else user_id(question.viewer),
        groups=question.groups,
        everyone=question.everyone,
        tagging=question.tagging,
        face_group=question.face_group,
    )
    searched, expected = answer(world, question)
    with searching():
        gallery = Gallery.visible_to(scope, fake_engine())
        assert gallery.searched == searched
        assert gallery.stored == len(world.faces)
        for plan in (None, *plans.PLANS):
            found = plans.nearest(
                gallery,
                padded(vector(question.person)),
                least=question.least,
                limit=question.limit,
                by_user=question.by_user,
                plan=plan,
            )
            users = [candidate.user_id for candidate in found]
            assert users == [user_id(user) for user, _ in expected], plan
            cosines = [candidate.cosine for candidate in found]
            assert cosines == pytest.approx([cosine for _, cosine in expected], abs=2e-3)


def padded(embedding: Floats) -> Floats:
    wide = np.zeros(512, np.float32)
    wide[: len(embedding)] = embedding
    return wide
