"""GET /groups; groups, their members, and the groups of a user."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from recognition.models import AuditEvent, Group, Membership, User
from tests.support.builders import (
    FRIEND,
    OWNER,
    STRANGER,
    Person,
    data_of,
    make_group,
    make_user,
    refusal,
    row_counts,
    service_token,
    user_token,
)
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.django_db

NOBODY = UUID(int=7)
MEMBER = f"groups/hiking/members/{OWNER}"
GOOD_NAMES = ["hiking", "Wandern & Zelten", "เพื่อน", "x" * 64, "50% of us?", "a#b;c", "été"]
BAD_NAMES = {
    "reserved": "public",
    "reserved, too": "friends",
    "reserved in capitals": "Public",
    "too long": "x" * 65,
    "blank": " ",
    "blank in front": " hiking",
    "blank behind": "hiking ",
    "line break": "a\nb",
    "NUL": "a\x00b",
    "writes backwards": "a\u202eb",
    "decomposed": "e\u0301te",
    "this folder": ".",
}


@pytest.fixture
def users(db: None) -> list[User]:
    return [make_user(user_id) for user_id in (OWNER, FRIEND, STRANGER)]


def errors_of(answers: list[Any]) -> set[str]:
    return {str(answer.json()["error"]) for answer in answers}


def test_it_works(service: Person, owner: Person, users: list[User]) -> None:
    made = data_of(service.put("groups/hiking"), 201)
    assert made == {"name": "hiking", "created_at": made["created_at"]}
    member = data_of(service.put(MEMBER), 201)
    assert member == {"user_id": str(OWNER), "since": member["since"]}
    assert data_of(service.get("groups/hiking")) == made
    assert data_of(service.get("groups")) == {"groups": [made], "next_cursor": None}
    members = {"members": [member], "next_cursor": None}
    assert data_of(service.get("groups/hiking/members")) == members
    assert data_of(service.get(MEMBER)) == member
    groups = [{"name": "hiking", "since": member["since"]}]
    assert data_of(owner.get(f"users/{OWNER}/groups")) == {"groups": groups, "next_cursor": None}
    events = AuditEvent.objects.order_by("id").values_list("action", "user_id", "details")
    assert list(events) == [
        ("group.create", None, {"group": "hiking"}),
        ("membership.create", OWNER, {"group": "hiking"}),
    ]


def test_a_second_time_changes_nothing(service: Person, users: list[User]) -> None:
    first = [data_of(service.put(path), 201) for path in ("groups/hiking", MEMBER)]
    before = row_counts()
    assert [data_of(service.put(path)) for path in ("groups/hiking", MEMBER)] == first
    assert row_counts() == before


def test_a_group_goes_with_its_memberships(service: Person, users: list[User]) -> None:
    make_group("hiking", *users)
    make_group("chess", users[0])
    assert data_of(service.delete("groups/hiking")) == {"name": "hiking", "deleted": True}
    assert [str(group) for group in Group.objects.all()] == ["chess"]
    assert Membership.objects.count() == 1
    event = AuditEvent.objects.get()
    assert (event.action, event.details) == ("group.delete", {"group": "hiking", "members": 3})
    assert refusal(service.delete("groups/hiking")) == (404, "group_not_found")


def test_a_member_sees_the_group_and_themselves(owner: Person, users: list[User]) -> None:
    make_group("hiking", *users)
    assert data_of(owner.get("groups/hiking"))["name"] == "hiking"
    members = data_of(owner.get("groups/hiking/members"))["members"]
    assert [member["user_id"] for member in members] == [str(OWNER)]
    assert data_of(owner.get(MEMBER))["user_id"] == str(OWNER)


def test_a_member_may_leave(owner: Person, users: list[User]) -> None:
    make_group("hiking", *users)
    assert data_of(owner.delete(MEMBER)) == {"user_id": str(OWNER), "deleted": True}
    assert Membership.objects.count() == 2
    event = AuditEvent.objects.get()
    assert (event.actor, event.action) == (f"user:{OWNER}", "membership.delete")
    assert (event.user_id, event.details) == (OWNER, {"group": "hiking"})
    assert refusal(owner.get("groups/hiking")) == (404, "group_not_found")


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_name_in_a_path(service: Person, name: str) -> None:
    path = f"groups/{quote(name, safe='')}"
    assert data_of(service.put(path), 201)["name"] == name
    assert data_of(service.get(path))["name"] == name
    assert data_of(service.get(f"{path}/members"))["members"] == []
    assert data_of(service.delete(path))["name"] == name


def test_pages(service: Person, users: list[User]) -> None:
    make_group("empty")
    make_group("hiking", *users)
    make_group("chess", users[0])

    def all_of(path: str, key: str, name: str) -> list[str]:
        seen: list[str] = []
        query: dict[str, Any] = {"page_size": 1}
        while query.get("cursor", "") is not None:
            page = data_of(service.get(path, **query))
            seen += [each[name] for each in page[key]]
            query["cursor"] = page["next_cursor"]
        return seen

    assert all_of("groups", "groups", "name") == ["chess", "hiking", "empty"]
    assert all_of(f"users/{OWNER}/groups", "groups", "name") == ["chess", "hiking"]
    ids = [str(user_id) for user_id in (OWNER, FRIEND, STRANGER)]
    assert all_of("groups/hiking/members", "members", "user_id") == ids


def test_an_erased_user_is_no_member(users: list[User]) -> None:
    make_group("hiking", *users)
    users[0].delete()
    assert Membership.objects.count() == 2


@pytest.mark.parametrize("name", ["", "public", "friends"])
def test_the_database_refuses_a_name(name: str) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        Group.objects.create(name=name)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_a_name_that_cannot_be(service: Person, users: list[User], name: str) -> None:
    before = row_counts()
    path = f"groups/{quote(name, safe='')}"
    assert refusal(service.put(path)) == (422, "invalid_group_name")
    for method, more in (("get", ""), ("delete", ""), ("get", "/members")):
        assert refusal(service.send(method, path + more)) == (404, "group_not_found")
    assert refusal(service.put(f"{path}/members/{OWNER}")) == (404, "group_not_found")
    assert row_counts() == before


def test_a_slash_in_a_name(service: Person) -> None:
    assert refusal(service.put("groups/a%2Fb")) == (422, "invalid_group_name")


@pytest.mark.parametrize(
    ("method", "path"), [("put", "groups/hiking"), ("delete", "groups/hiking"), ("put", MEMBER)]
)
def test_a_member_is_no_service(owner: Person, users: list[User], method: str, path: str) -> None:
    make_group("hiking", users[0])
    before = row_counts()
    assert refusal(owner.send(method, path)) == (403, "service_only")
    assert row_counts() == before


@pytest.mark.parametrize("more", ["", "/members", f"/members/{OWNER}", f"/members/{STRANGER}"])
@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_a_group_of_others_looks_like_none(
    stranger: Person, users: list[User], method: str, more: str
) -> None:
    make_group("hiking", users[0])
    before = row_counts()
    answers = [
        stranger.send(method, f"groups/{name}{more}") for name in ("hiking", "nothing", "public")
    ]
    expected = (405, "method_not_allowed")
    if more != "/members" or method == "get":
        expected = (404, "group_not_found")
    assert {refusal(answer) for answer in answers} == {expected}
    assert len(errors_of(answers)) == 1
    assert row_counts() == before


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_another_member_looks_like_none(owner: Person, users: list[User], method: str) -> None:
    make_group("hiking", users[0], users[1])
    before = row_counts()
    others = (FRIEND, STRANGER, NOBODY)
    answers = [owner.send(method, f"groups/hiking/members/{other}") for other in others]
    assert {refusal(answer) for answer in answers} == {(404, "membership_not_found")}
    assert len(errors_of(answers)) == 1
    assert row_counts() == before


def test_groups_of_others_look_like_those_of_nobody(stranger: Person, users: list[User]) -> None:
    make_group("hiking", users[0])
    answers = [stranger.get(f"users/{user_id}/groups") for user_id in (OWNER, NOBODY)]
    assert {refusal(answer) for answer in answers} == {(404, "user_not_found")}
    assert len(errors_of(answers)) == 1


def test_what_is_not_there(service: Person, users: list[User]) -> None:
    make_group("hiking")
    before = row_counts()
    assert refusal(service.get(MEMBER)) == (404, "membership_not_found")
    assert refusal(service.delete(MEMBER)) == (404, "membership_not_found")
    assert refusal(service.put(f"groups/hiking/members/{NOBODY}")) == (404, "user_not_found")
    assert refusal(service.put(f"groups/chess/members/{OWNER}")) == (404, "group_not_found")
    assert refusal(service.get(f"users/{NOBODY}/groups")) == (404, "user_not_found")
    assert row_counts() == before


def test_the_list_of_all_groups_is_for_services(owner: Person, users: list[User]) -> None:
    make_group("hiking", users[0])
    assert refusal(owner.get("groups")) == (403, "service_only")


@pytest.mark.parametrize("path", ["groups/hiking", MEMBER])
def test_a_field(service: Person, users: list[User], path: str) -> None:
    make_group("hiking")
    assert refusal(service.put(path, members=[str(OWNER)])) == (400, "unknown_field")
    assert not Membership.objects.exists()


@pytest.mark.parametrize("path", ["groups", "groups/hiking", "groups/hiking/members", MEMBER])
def test_a_missing_scope(owner: Person, path: str) -> None:
    verifier = Person(user_token(OWNER, ["face:verify"]), owner.client)
    assert refusal(verifier.get(path)) == (403, "insufficient_scope")


# --- at once --------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_joining_while_the_group_goes() -> None:
    make_user(OWNER)
    for _ in range(10):
        Group.objects.get_or_create(name="hiking")
        together = threading.Barrier(3)

        def call(method_and_path: tuple[str, str]) -> int:
            try:
                person = Person(service_token(), Client())
                together.wait(PATIENCE)  # noqa: B023  called before the next round
                return person.send(*method_and_path).status_code
            finally:
                connection.close()

        calls = [("put", MEMBER), ("delete", "groups/hiking"), ("put", MEMBER)]
        with ThreadPoolExecutor(3) as threads:
            first, deleted, second = threads.map(call, calls)
        assert deleted == 200
        assert {first, second} <= {200, 201, 404}
        assert not Membership.objects.exists()
