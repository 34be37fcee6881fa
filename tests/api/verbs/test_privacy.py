"""Whom a caller may not see cannot be told from somebody who does not exist."""

from typing import Any
from uuid import UUID

import pytest
from django.http import HttpResponse

from recognition.models import Face, Membership, User
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE_BASE64,
    STRANGER,
    FakePipeline,
    Person,
    befriend,
    data_of,
    make_face,
    make_group,
    make_user,
    near,
    vector,
)

pytestmark = pytest.mark.django_db
ALL_GROUPS = ["public", "friends", "club", "secret society"]


def said(response: HttpResponse) -> tuple[int, dict[str, Any]]:
    """All that an answer tells but for what is another every time."""
    body = response.json()
    for name in ("request_id", "timestamp", "processing_time"):
        body["metadata"].pop(name)
    if body["success"] and "search_stats" in body["data"]:
        body["data"]["search_stats"].pop("search_time_ms")
    return response.status_code, body


@pytest.fixture
def others(fake: FakePipeline) -> None:
    """Whom the stranger may find: in public, as a friend, and in a group."""
    stranger = make_user(STRANGER, "private")
    people = [make_user(UUID(int=n), level) for n, level in enumerate(LEVELS, 1)]
    for number, user in enumerate(people):
        make_face(user, near(vector(1), 0.97, toward=20 + number))
    befriend(stranger, people[1])
    make_group("club", stranger, people[2])
    fake.show([vector(1), vector(2)])


LEVELS = ("public", "friends", "friends")


def hide(owner: User, reason: str) -> None:
    """Make a person whom the stranger must not see, in one of the ways there are."""
    face = make_face(owner, vector(1))
    make_face(owner, near(vector(2), 0.99))
    if reason in ("private friend", "friend's face not searchable"):
        befriend(owner, User.objects.get(pk=STRANGER))
    if reason in ("private friend", "private member"):
        User.objects.filter(pk=owner.pk).update(privacy_level="private")
    if reason == "private member":
        club = Membership.objects.filter(group__name="club").first()
        assert club
        Membership.objects.create(group=club.group, user=owner)
    if reason == "member elsewhere":
        make_group("secret society", owner)
    if reason == "friend's face not searchable":
        Face.objects.filter(user=owner).update(searchable=False)
    if reason == "suspended and public":
        User.objects.filter(pk=owner.pk).update(
            privacy_level="public", suspended_at=face.created_at
        )
    if reason == "faces suspended and public":
        User.objects.filter(pk=owner.pk).update(privacy_level="public")
        Face.objects.filter(user=owner).update(suspended_at=face.created_at)


REASONS = (
    "neither friend nor public",
    "private friend",
    "private member",
    "member elsewhere",
    "friend's face not searchable",
    "suspended and public",
    "faces suspended and public",
)


@pytest.mark.parametrize("reason", REASONS)
def test_a_search_does_not_tell(others: None, stranger: Person, reason: str) -> None:
    def answers() -> list[Any]:
        scopes: list[dict[str, Any]] = [
            {},
            {"user_groups": ALL_GROUPS},
            {"user_groups": ALL_GROUPS, "match_on": "user"},
            {"user_groups": ["secret society"], "max_false_positive_rate": 1},
            {"user_groups": ALL_GROUPS, "min_confidence": 0, "max_candidates": 100},
        ]
        purposes: list[dict[str, Any]] = [{}, {"source": "auto_tagging"}]
        return [
            said(
                stranger.post(
                    "identify", image=PICTURE_BASE64, search_scope=scope, metadata=purpose
                )
            )
            for scope in scopes
            for purpose in purposes
        ]

    before = answers()
    assert before[2][1]["data"]["total_candidates"] > 0
    hide(make_user(OWNER), reason)
    assert answers() == before


@pytest.mark.parametrize("reason", REASONS)
def test_the_other_endpoints_do_not_tell(others: None, stranger: Person, reason: str) -> None:
    nobody, face_id = UUID(int=99), "face_0123456789ab"

    def answers(user: UUID, face: str) -> list[Any]:
        image = {"image": PICTURE_BASE64}
        paths = ("", "/faces", "/friends", "/groups", f"/friends/{STRANGER}")
        return [
            said(stranger.post("verify", user_id=user, **image)),
            said(stranger.post("register", user_id=user, **image)),
            said(stranger.post("verify", user_id=STRANGER, face_id=face, **image)),
            *(said(stranger.get(f"users/{user}{path}")) for path in paths),
            said(stranger.put(f"users/{user}", display_name="x")),
            said(stranger.delete(f"users/{user}/friends/{FRIEND}")),
            said(stranger.get("groups/secret society/members")),
            said(stranger.get(f"groups/secret society/members/{user}")),
            said(stranger.delete(f"groups/secret society/members/{user}")),
            said(stranger.get(f"faces/{face}")),
            said(stranger.put(f"faces/{face}", face_group="x")),
            said(stranger.delete(f"faces/{face}")),
        ]

    owner = make_user(OWNER)
    hide(owner, reason)
    real = Face.objects.filter(user=OWNER)[0].face_id
    assert answers(OWNER, real) == answers(nobody, face_id)


def test_one_who_may_be_found_is_counted_and_named(others: None, stranger: Person) -> None:
    """So the tests above do not pass for want of anybody to find."""
    body = {"image": PICTURE_BASE64, "search_scope": {"user_groups": ALL_GROUPS}}
    before = data_of(stranger.post("identify", **body))
    hide(make_user(OWNER, "public"), "member elsewhere")
    after = data_of(stranger.post("identify", **body))
    searched = [answer["search_stats"]["faces_searched"] for answer in (before, after)]
    assert searched[1] == searched[0] + 2
    assert str(OWNER) in [candidate["user_id"] for candidate in after["candidates"]]


def test_friends_and_members_are_found(others: None, stranger: Person) -> None:
    def found(*groups: str) -> set[str]:
        scope = {"user_groups": list(groups)}
        data = data_of(stranger.post("identify", image=PICTURE_BASE64, search_scope=scope))
        return {candidate["user_id"] for candidate in data["candidates"]}

    public, friend, member = (str(UUID(int=n)) for n in (1, 2, 3))
    assert found("public") == {public}
    assert found("friends") == {friend}
    assert found("club") == {member}
    assert found("public", "friends", "club") == {public, friend, member}
    assert found("secret society") == set()


def test_a_friend_who_is_no_more_is_not_found(others: None, stranger: Person) -> None:
    friend = UUID(int=2)
    assert stranger.delete(f"users/{STRANGER}/friends/{friend}").status_code == 200
    scope = {"user_groups": ["friends"]}
    data = data_of(stranger.post("identify", image=PICTURE_BASE64, search_scope=scope))
    assert (data["candidates"], data["search_stats"]["faces_searched"]) == ([], 0)
