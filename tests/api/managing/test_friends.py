"""GET /users/{id}/friends; GET, PUT and DELETE /users/{id}/friends/{other_id}."""

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from recognition import audit
from recognition.models import AuditEvent, Friendship, User
from tests.support.builders import (
    FRIEND,
    OWNER,
    STRANGER,
    Person,
    befriend,
    data_of,
    details_of,
    make_user,
    refusal,
    row_counts,
    service_token,
    user_token,
)
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.django_db

NOBODY = UUID(int=7)


@pytest.fixture
def users(db: None) -> list[User]:
    return [make_user(user_id) for user_id in (OWNER, FRIEND, STRANGER)]


def path(user_id: UUID, other_id: UUID) -> str:
    return f"users/{user_id}/friends/{other_id}"


def pairs() -> set[tuple[UUID, UUID]]:
    return set(Friendship.objects.values_list("user_id", "friend_id"))


def test_it_works(service: Person, owner: Person, users: list[User]) -> None:
    made = data_of(service.put(path(OWNER, FRIEND)), 201)
    assert made == {"user_id": str(FRIEND), "since": made["since"]}
    assert pairs() == {(OWNER, FRIEND), (FRIEND, OWNER)}
    assert data_of(owner.get(path(OWNER, FRIEND))) == made
    assert data_of(owner.get(f"users/{OWNER}/friends")) == {"friends": [made], "next_cursor": None}
    assert data_of(service.get(f"users/{FRIEND}/friends"))["friends"][0]["user_id"] == str(OWNER)


def test_a_second_time_changes_nothing(service: Person, users: list[User]) -> None:
    first = data_of(service.put(path(OWNER, FRIEND)), 201)
    before = row_counts()
    assert data_of(service.put(path(OWNER, FRIEND))) == first
    assert data_of(service.put(path(FRIEND, OWNER)))["user_id"] == str(OWNER)
    assert row_counts() == before


def test_both_histories_tell(service: Person, users: list[User]) -> None:
    service.put(path(OWNER, FRIEND))
    service.delete(path(FRIEND, OWNER))
    for user_id, other_id in ((OWNER, FRIEND), (FRIEND, OWNER)):
        events = AuditEvent.objects.filter(user_id=user_id).order_by("id")
        assert [event.action for event in events] == ["friendship.create", "friendship.delete"]
        assert {event.actor for event in events} == {"service:app"}
        assert events[0].details == {"friend_id": str(other_id)}


def test_parting_is_for_both(friend: Person, owner: Person, users: list[User]) -> None:
    befriend(*users)
    assert data_of(friend.delete(path(FRIEND, OWNER))) == {"user_id": str(OWNER), "deleted": True}
    assert pairs() == {(OWNER, STRANGER), (STRANGER, OWNER)}
    assert refusal(owner.get(path(OWNER, FRIEND))) == (404, "friendship_not_found")
    assert refusal(friend.delete(path(FRIEND, OWNER))) == (404, "friendship_not_found")


def test_pages_of_friends(owner: Person) -> None:
    user = make_user(OWNER)
    others = [make_user(UUID(int=number)) for number in (5, 3, 2**127, 1, 4)]
    befriend(user, *others)
    befriend(*others)
    seen: list[str] = []
    query: dict[str, Any] = {"page_size": 2}
    for _ in range(3):
        page = data_of(owner.get(f"users/{OWNER}/friends", **query))
        seen += [friend["user_id"] for friend in page["friends"]]
        query["cursor"] = page["next_cursor"]
    assert query["cursor"] is None
    assert seen == sorted(str(other.pk) for other in others)


def test_an_erased_user_is_nobody_s_friend(users: list[User]) -> None:
    befriend(*users)
    users[0].delete()
    assert not pairs()


def test_the_database_refuses_what_cannot_be(users: list[User]) -> None:
    befriend(users[0], users[1])
    for user, other in ((users[0], users[1]), (users[2], users[2])):
        with pytest.raises(DatabaseError), transaction.atomic():
            Friendship.objects.create(user=user, friend=other)


def test_one_index_answers(users: list[User]) -> None:
    befriend(*users)
    # Of three rows anything is cheap, and what was known of the table is of other tests.
    for user in users:
        befriend(user, *User.objects.bulk_create(User(pk=uuid4()) for _ in range(100)))
    ask = Friendship.objects.filter(user=OWNER)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute("ANALYZE recognition_friendship")
    for query in (ask.filter(friend=FRIEND), ask.order_by("friend_id")[:51]):
        plan = query.values("friend_id").explain()
        assert "friendship_once" in plan
        assert "Sort" not in plan


# --- refusals -------------------------------------------------------------------------------------


def test_a_user_makes_no_friends(owner: Person, users: list[User]) -> None:
    before = row_counts()
    answers = [owner.put(path(OWNER, other)) for other in (FRIEND, NOBODY, OWNER)]
    assert {refusal(answer) for answer in answers} == {(403, "service_only")}
    assert len({str(answer.json()["error"]) for answer in answers}) == 1
    assert row_counts() == before


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_others_look_like_nobody(stranger: Person, users: list[User], method: str) -> None:
    befriend(users[0], users[1])
    before = row_counts()
    # Friends, not friends, and a user who does not exist; the caller's name does not help.
    places = [(OWNER, FRIEND), (FRIEND, STRANGER), (OWNER, NOBODY), (NOBODY, OWNER)]
    answers = [stranger.send(method, path(*place)) for place in places]
    assert {refusal(answer) for answer in answers} == {(404, "user_not_found")}
    assert len({str(answer.json()["error"]) for answer in answers}) == 1
    assert row_counts() == before


def test_lists_of_others_look_like_those_of_nobody(stranger: Person, users: list[User]) -> None:
    befriend(users[0], users[1])
    answers = [stranger.get(f"users/{user_id}/friends") for user_id in (OWNER, NOBODY)]
    assert {refusal(answer) for answer in answers} == {(404, "user_not_found")}
    assert len({str(answer.json()["error"]) for answer in answers}) == 1


@pytest.mark.parametrize("method", ["get", "delete"])
def test_a_friend_of_nobody_is_told_nothing(
    stranger: Person, users: list[User], method: str
) -> None:
    befriend(users[0], users[1])
    answers = [stranger.send(method, path(STRANGER, other)) for other in (OWNER, NOBODY, STRANGER)]
    assert {refusal(answer) for answer in answers} == {(404, "friendship_not_found")}
    assert len({str(answer.json()["error"]) for answer in answers}) == 1


def test_unknown_users(service: Person, users: list[User]) -> None:
    before = row_counts()
    for place in ((OWNER, NOBODY), (NOBODY, OWNER)):
        assert refusal(service.put(path(*place))) == (404, "user_not_found")
    assert refusal(service.get(f"users/{NOBODY}/friends")) == (404, "user_not_found")
    assert row_counts() == before


def test_a_friend_of_one_s_own(service: Person, users: list[User]) -> None:
    assert refusal(service.put(path(OWNER, OWNER))) == (422, "invalid_friendship")
    assert not pairs()


def test_a_field(service: Person, users: list[User]) -> None:
    answer = service.put(path(OWNER, FRIEND), since="2020-01-01")
    assert refusal(answer) == (400, "unknown_field")
    assert not pairs()


@pytest.mark.parametrize("other", ["%20x", "%00", "x" * 129])
def test_a_path_that_is_no_user_id(service: Person, users: list[User], other: str) -> None:
    for method in ("get", "put", "delete"):
        answer = service.send(method, f"users/{OWNER}/friends/{other}")
        assert refusal(answer) == (400, "invalid_request")
        assert "other_id" in details_of(answer)["fields"]


def test_a_path_behind_a_friend(service: Person, users: list[User]) -> None:
    answer = service.get(f"users/{OWNER}/friends/{FRIEND}/x")
    assert refusal(answer) == (404, "not_found")


@pytest.mark.parametrize("position", ["7", "x", "%00", "0000000a00004000800000000000000a"])
def test_a_cursor_made_up(owner: Person, users: list[User], position: str) -> None:
    cursor = base64.b64encode(f"p={position}".encode()).decode()
    answer = owner.get(f"users/{OWNER}/friends", cursor=cursor)
    assert refusal(answer) == (400, "invalid_cursor")


def test_a_missing_scope(owner: Person, users: list[User]) -> None:
    verifier = Person(user_token(OWNER, ["face:verify"]), owner.client)
    for method in ("get", "put", "delete"):
        answer = verifier.send(method, path(OWNER, FRIEND))
        assert refusal(answer) == (403, "insufficient_scope")


# --- at once --------------------------------------------------------------------------------------


def at_once(method: str, places: list[tuple[UUID, UUID]]) -> list[int]:
    """The statuses of calls that start together, each with its own connection, in order."""
    together = threading.Barrier(len(places))

    def call(place: tuple[UUID, UUID]) -> int:
        try:
            person = Person(service_token(), Client())
            together.wait(PATIENCE)
            return person.send(method, path(*place)).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(places)) as threads:
        return sorted(threads.map(call, places))


@pytest.mark.django_db(transaction=True)
def test_one_pair_from_both_ends_at_once() -> None:
    for user_id in (OWNER, FRIEND):
        make_user(user_id)
    for _ in range(10):
        places = [(OWNER, FRIEND), (FRIEND, OWNER)] * 2
        assert at_once("put", places) == [200, 200, 200, 201]
        assert pairs() == {(OWNER, FRIEND), (FRIEND, OWNER)}
        assert at_once("delete", places) == [200, 404, 404, 404]
        assert not pairs()
    assert AuditEvent.objects.count() == 40


@pytest.mark.django_db(transaction=True)
def test_a_crash_in_the_middle_leaves_nothing(
    service: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise OSError("out of memory")

    users = [make_user(user_id) for user_id in (OWNER, FRIEND, STRANGER)]
    befriend(users[0], users[2])
    monkeypatch.setattr(audit, "insert", crash)
    service.client.raise_request_exception = False
    before = row_counts()
    assert refusal(service.put(path(OWNER, FRIEND))) == (500, "internal_error")
    assert refusal(service.delete(path(OWNER, STRANGER))) == (500, "internal_error")
    assert row_counts() == before
