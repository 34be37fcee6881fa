"""The primary shows nobody of those whom a replica proposes unless the privacy rule shows them."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import numpy as np
import pytest

from management import erasure, moderation
from recognition.gallery.finding import Found
from recognition.gallery.probe import SearchProbe
from recognition.gallery.replicas import judging
from recognition.gallery.scope import Gallery, Scope
from recognition.inference.arrays import Floats
from recognition.models import Face, Friendship, Membership, User
from tests.support.builders import (
    FRIEND,
    OWNER,
    STRANGER,
    befriend,
    fake_engine,
    make_face,
    make_group,
    make_user,
    near,
    vector,
)

pytestmark = pytest.mark.django_db
ALL = frozenset({"public", "friends", "hiking"})
VIEWER, MEMBER = UUID(int=1), UUID(int=2)
# A face of each, by a number that is in its id.
FACES = {OWNER: 1, FRIEND: 2, MEMBER: 3, STRANGER: 4}


def padded(embedding: Floats) -> Floats:
    return np.pad(embedding, (0, 512 - len(embedding)))


PROBE = SearchProbe(padded(vector(1)))
OTHER = SearchProbe(padded(vector(2)))


@pytest.fixture(autouse=True)
def people() -> None:
    """Public, a friend, of the same group, and none of these; all are like the probe."""
    viewer, owner = make_user(VIEWER, "private"), make_user(OWNER, "public")
    friend, member, stranger = make_user(FRIEND), make_user(MEMBER), make_user(STRANGER)
    befriend(viewer, friend)
    make_group("hiking", viewer, member)
    for user in (owner, friend, member, stranger):
        number = FACES[user.pk]
        make_face(user, near(vector(1), 0.99 - 0.01 * number), face_id=f"face_{number:012x}")


def shown(
    scope: Scope, *, probes: int, by_user: bool = False, left_out: UUID | None = None
) -> list[UUID]:
    """Who is shown of all of them, whom a replica has proposed for the first probe.

    One probe has another statement than several have.
    """
    active = fake_engine()
    proposed = [Found(user, "of the replica", 1.0, 1) for user in FACES]
    gallery = replace(Gallery(active, scope, len(FACES)), left_out=left_out)
    found = judging.judged(
        gallery,
        [PROBE, OTHER][:probes],
        [proposed, []][:probes],
        active.scores.cut(0.5, None, 0),
        by_user=by_user,
    )
    assert found[1:] == [[]] * (probes - 1)
    assert all(each.face_id == f"face_{FACES[each.user_id]:012x}" for each in found[0])
    return [each.user_id for each in found[0]]


ways = pytest.mark.parametrize("by_user", [False, True], ids=["face", "user"])
pictures = pytest.mark.parametrize("probes", [1, 2], ids=["one face", "several"])
WHO = Scope(VIEWER, ALL)


@ways
@pictures
def test_it_works(probes: int, by_user: bool) -> None:
    def found(scope: Scope) -> list[UUID]:
        return shown(scope, probes=probes, by_user=by_user)

    assert found(WHO) == [OWNER, FRIEND, MEMBER]
    assert found(replace(WHO, groups=frozenset({"friends"}))) == [FRIEND]
    assert found(replace(WHO, groups=frozenset({"hiking"}))) == [MEMBER]
    assert found(replace(WHO, groups=frozenset({"chess"}))) == []
    assert found(replace(WHO, is_alone=True)) == [OWNER]
    assert found(Scope(None, frozenset({"public"}))) == [OWNER]
    assert found(Scope(None, everyone=True)) == [*FACES]
    assert found(replace(WHO, face_group="passport")) == []


def of(user: UUID) -> str:
    return f"face_{FACES[user]:012x}"


def enrol_with_another_model(user: UUID) -> None:
    Face.objects.filter(user=user).delete()
    make_face(User.objects.get(pk=user), vector(1), version="other_v1", face_id=of(user))


# What hides somebody, and who that is.
HIDING: dict[str, tuple[UUID, Callable[[], object]]] = {
    "suspended user": (OWNER, lambda: moderation.suspend_user(actor="test", user_id=OWNER)),
    "suspended face": (OWNER, lambda: moderation.suspend_face(actor="test", face_id=of(OWNER))),
    "not searchable": (OWNER, lambda: Face.objects.filter(user=OWNER).update(searchable=False)),
    "friends only": (OWNER, lambda: User.objects.filter(pk=OWNER).update(privacy_level="friends")),
    "private": (FRIEND, lambda: User.objects.filter(pk=FRIEND).update(privacy_level="private")),
    "private member": (
        MEMBER,
        lambda: User.objects.filter(pk=MEMBER).update(privacy_level="private"),
    ),
    "unfriended": (FRIEND, lambda: Friendship.objects.all().delete()),
    "left the group": (MEMBER, lambda: Membership.objects.filter(user=MEMBER).delete()),
    "viewer left": (MEMBER, lambda: Membership.objects.filter(user=VIEWER).delete()),
    "face deleted": (OWNER, lambda: Face.objects.filter(user=OWNER).delete()),
    "erased": (OWNER, lambda: erasure.erase(actor="test", user_id=OWNER)),
    "merged": (
        OWNER,
        lambda: moderation.merge_users(actor="test", user_id=OWNER, into=STRANGER),
    ),
    "other model": (OWNER, lambda: enrol_with_another_model(OWNER)),
}


@ways
@pictures
@pytest.mark.parametrize("what", HIDING)
def test_who_was_hidden_since_is_not_shown(what: str, probes: int, by_user: bool) -> None:
    hidden, hide = HIDING[what]
    hide()
    expected = [user for user in (OWNER, FRIEND, MEMBER) if user != hidden]
    assert shown(WHO, probes=probes, by_user=by_user) == expected


@ways
@pictures
@pytest.mark.parametrize("taggable", ["nobody", "friends_only"])
def test_who_may_not_be_tagged_is_not_shown(taggable: str, probes: int, by_user: bool) -> None:
    Face.objects.update(taggable=taggable)
    tagged = shown(replace(WHO, tagging=True), probes=probes, by_user=by_user)
    assert tagged == ([FRIEND] if taggable == "friends_only" else [])
    assert shown(WHO, probes=probes, by_user=by_user) == [OWNER, FRIEND, MEMBER]


@ways
@pictures
def test_a_hidden_face_has_no_part_in_the_score(probes: int, by_user: bool) -> None:
    """The nearest face of somebody who has another one is suspended."""
    owner = User.objects.get(pk=OWNER)
    make_face(owner, vector(1), face_id="face_00000000000a")
    moderation.suspend_face(actor="test", face_id="face_00000000000a")
    assert shown(WHO, probes=probes, by_user=by_user)[0] == OWNER


@pictures
def test_one_user_may_be_left_out(probes: int) -> None:
    assert shown(WHO, probes=probes, left_out=OWNER) == [FRIEND, MEMBER]
