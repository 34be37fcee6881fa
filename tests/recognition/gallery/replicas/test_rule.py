"""Searches on a replica that does not know what happened on the primary."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from management import erasure, moderation
from recognition.gallery.probe import SearchProbe
from recognition.gallery.replicas import asking
from recognition.gallery.scope import Scope
from recognition.identification.searching import PictureSearch
from recognition.inference.arrays import Floats
from recognition.models import Face, Friendship, Membership, User
from recognition.packs import engine
from recognition.packs.engine import Engine
from recognition.packs.scores import Threshold
from tests.recognition.gallery.test_search_rule import (
    PEOPLE,
    Question,
    World,
    is_asked_for,
    may_see,
    merged,
    padded,
    store,
    user_id,
    worlds,
)
from tests.support.builders import fake_engine, near, vector
from tests.support.servers.standby import Standby, searches

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True, databases=["default", "search"]),
]
GALLERIES, OF_A_GALLERY = 60, 8


QUESTIONS = st.builds(
    Question,
    viewer=st.none() | st.integers(0, 5),
    groups=st.sampled_from(
        [{"public"}, {"friends"}, {"public", "friends"}, {"club", "team"}, {"public", "club"}]
    ).map(frozenset),
    everyone=st.sampled_from([False, False, True]),
    tagging=st.booleans(),
    # Which one face a picture has; 0 is a picture of all of them, for which there is another
    # statement.
    person=st.integers(0, PEOPLE),
    least=st.just(0.0),
    limit=st.sampled_from([1, 20]),
    by_user=st.booleans(),
)
PERSONS = range(1, PEOPLE + 1)
# What somebody may do that hides others, and whom or what it is about.
Change = tuple[str, int, int]
CHANGES = st.tuples(
    st.sampled_from(
        [
            *("suspend_user", "suspend_face", "turn_private", "unfriend", "leave_group"),
            *("forbid_tagging", "delete_face", "merge_users", "erase_user"),
        ]
    ),
    st.integers(0, 8),
    st.integers(0, 5),
)


def changed(world: World, change: Change) -> World:
    """The world afterwards, which the database follows; the same if it cannot be done."""
    what, number, other = change
    if what in ("suspend_face", "forbid_tagging", "delete_face"):
        return face_changed(world, what, number % len(world.faces)) if world.faces else world
    user, other = number % len(world.privacy), other % len(world.privacy)
    if user in world.gone or other in world.gone:
        return world
    if what == "merge_users":
        if user == other:
            return world
        moderation.merge_users(actor="test", user_id=user_id(user), into=user_id(other))
        return merged(world, user, other)
    return user_changed(world, what, user, other)


def face_changed(world: World, what: str, number: int) -> World:
    face = world.faces[number]
    row = Face.objects.filter(face_id=f"face_{number:012x}")
    if face.user in world.gone or not row.exists():
        return world
    faces = [*world.faces]
    if what == "suspend_face":
        moderation.suspend_face(actor="test", face_id=f"face_{number:012x}")
        faces[number] = replace(face, suspended=True)
    elif what == "forbid_tagging":
        row.update(taggable="nobody")
        faces[number] = replace(face, taggable="nobody")
    else:
        row.delete()
        faces[number] = replace(face, version="gone")
    return replace(world, faces=faces)


def user_changed(world: World, what: str, user: int, other: int) -> World:
    rows = User.objects.filter(pk=user_id(user))
    match what:
        case "suspend_user":
            moderation.suspend_user(actor="test", user_id=user_id(user))
            return replace(world, suspended=put(world.suspended, user, True))
        case "turn_private":
            rows.update(privacy_level="private")
            return replace(world, privacy=put(world.privacy, user, "private"))
        case "unfriend":
            both = [user_id(user), user_id(other)]
            Friendship.objects.filter(user__in=both, friend__in=both).delete()
            pair = (min(user, other), max(user, other))
            return replace(world, friends=world.friends - {pair})
        case "leave_group":
            Membership.objects.filter(user=user_id(user)).delete()
            return replace(world, members={one for one in world.members if one[1] != user})
    erasure.erase(actor="test", user_id=user_id(user))
    faces = [replace(f, version="gone") if f.user == user else f for f in world.faces]
    return World(
        world.privacy,
        world.suspended,
        faces,
        {pair for pair in world.friends if user not in pair},
        {one for one in world.members if one[1] != user},
        {*world.gone, user},
    )


def put(values: list[Any], at: int, value: Any) -> list[Any]:
    return [value if number == at else each for number, each in enumerate(values)]


def reaching(
    world: World,
    question: Question,
    active: Engine,
    threshold: Threshold,
    probe: Floats | None = None,
) -> dict[UUID, float]:
    """What each user who reaches the threshold is worth, best first. The probe is that of the
    question if none is given."""
    shown = vector(question.person) if probe is None else probe
    seen = [
        n
        for n, face in enumerate(world.faces)
        if may_see(world, question, face) and is_asked_for(question, n)
    ]
    scores, found = active.scores, {}
    for user in {world.faces[n].user for n in seen}:
        own = [n for n in seen if world.faces[n].user == user]
        alike = [float(world.embedding(n) @ shown) for n in own]
        worth = (
            scores.worth_of_mean(sum(alike) / len(own), len(own))
            if question.by_user
            else scores.worth_of_nearest(max(alike), len(own))
        )
        if worth >= scores.needed(threshold, len(own)):
            found[user_id(user)] = worth
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def test_nobody_who_is_hidden_on_the_primary_is_found(
    replica: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    def embedding(world: World, number: int) -> Floats:
        """Near enough to be found."""
        person = vector(world.faces[number].person)
        return near(person, 0.94 + 0.006 * number, toward=20 + number)

    monkeypatch.setattr(World, "embedding", embedding)
    monkeypatch.setattr(django_settings, "FACESVC_REPLICA_MAX_LAG", 3600)
    engine.active_model()  # that of the fake
    active = fake_engine()
    shown: list[int] = []
    hidden: list[int] = []

    @settings(
        max_examples=GALLERIES,
        deadline=None,
        phases=[Phase.generate],  # shrinking a failure takes many minutes
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(
        world=worlds(),
        changes=st.lists(CHANGES, min_size=1, max_size=4),
        questions=st.lists(QUESTIONS, min_size=OF_A_GALLERY, max_size=OF_A_GALLERY),
        cuts=st.tuples(st.sampled_from([0.1, 0.5]), st.sampled_from([None, 1.0, 0.1])),
    )
    def search(
        world: World,
        changes: list[Change],
        questions: list[Question],
        cuts: tuple[float, float | None],
    ) -> None:
        replica.resume()
        store(world)
        replica.catch_up()
        replica.pause()
        after = world
        for change in changes:
            after = changed(after, change)
        for question in questions:
            found, dropped = ask(world, after, question, active, cuts)
            shown.append(found)
            hidden.append(dropped)

    search()
    # It was about somebody. How many they are is chance.
    assert any(shown) and any(hidden)


def ask(
    before: World,
    after: World,
    question: Question,
    active: Engine,
    cuts: tuple[float, float | None],
) -> tuple[int, int]:
    """Asks, and returns how many were shown, and how many the replica would have shown besides."""
    viewer = None if question.viewer is None else user_id(question.viewer)
    scope = Scope(
        viewer,
        question.groups,
        question.everyone,
        question.tagging,
        face_group=question.face_group,
    )
    persons = [question.person] if question.person else PERSONS
    probes = [SearchProbe(padded(vector(person))) for person in persons]
    search = PictureSearch(active, probes, scope, *cuts, question.limit, question.by_user)
    on_primary, on_replica = searches()
    answered = search.answered(asking.moment())
    assert searches() == (on_primary, on_replica + 1)

    assert answered.searched == sum(may_see(after, question, face) for face in after.faces)
    shown = hidden = 0
    for person, found in zip(persons, answered.found, strict=True):
        of_person = replace(question, person=person)
        proposed = reaching(before, of_person, active, answered.threshold)
        reach = reaching(after, of_person, active, answered.threshold)
        expected = [(user, worth) for user, worth in reach.items() if user in proposed]
        shown += len(found)
        hidden += len(proposed) - len(expected)
        expected = expected[: question.limit]
        assert [each.user_id for each in found] == [user for user, _ in expected]
        worths = [worth for _, worth in expected]
        assert [each.cosine for each in found] == pytest.approx(worths, abs=2e-3)
    return shown, hidden
