"""GET and PUT /users/{user_id}, GET /users/{user_id}/faces."""

import base64
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection
from psycopg.errors import DeadlockDetected

from management import operations
from management.api import filters
from recognition.models import AuditEvent, User
from tests.support.builders import (
    OWNER,
    STRANGER,
    Person,
    data_of,
    details_of,
    make_face,
    make_user,
    refusal,
    row_counts,
    user_token,
    vector,
)

pytestmark = pytest.mark.django_db


def test_it_works(owner: Person) -> None:
    fields = {
        "display_name": "Olivia",
        "profile_image": "https://app.example/olivia.jpg",
        "privacy_level": "public",
    }
    made = data_of(owner.put(f"users/{OWNER}", **fields), 201)
    times = {"created_at": made["created_at"], "suspended_at": None}
    assert made == {"user_id": str(OWNER), **fields, **times}
    assert data_of(owner.get(f"users/{OWNER}")) == made
    event = AuditEvent.objects.get()
    assert (event.actor, event.action, event.user_id) == (f"user:{OWNER}", "user.create", OWNER)


def test_what_is_left_out_stays(owner: Person) -> None:
    make_user(OWNER, "private", display_name="Olivia")
    answer = data_of(owner.put(f"users/{OWNER}", display_name="Liv"))
    assert (answer["display_name"], answer["privacy_level"]) == ("Liv", "private")
    assert AuditEvent.objects.get().details == {"fields": ["display_name"]}


def test_a_new_user_is_for_friends(owner: Person) -> None:
    assert data_of(owner.put(f"users/{OWNER}"), 201)["privacy_level"] == "friends"


def test_a_change_that_a_deadlock_broke_off_is_made_again(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An erasure of the same user at the same time may do that."""
    make_user(OWNER)
    locked, tries = operations.locked_user, []

    def broken_off_once(user_id: UUID) -> User:
        tries.append(user_id)
        if len(tries) == 1:
            raise OperationalError from DeadlockDetected()
        return locked(user_id)

    monkeypatch.setattr(operations, "locked_user", broken_off_once)
    assert data_of(owner.put(f"users/{OWNER}", display_name="Liv"))["display_name"] == "Liv"
    assert len(tries) == 2


def test_a_service_manages_anybody(service: Person) -> None:
    data_of(service.put(f"users/{OWNER}", display_name="Olivia"), 201)
    assert data_of(service.get(f"users/{OWNER}"))["display_name"] == "Olivia"


def test_an_id_in_capitals(owner: Person) -> None:
    make_user(OWNER)
    assert data_of(owner.get(f"users/{str(OWNER).upper()}"))["user_id"] == str(OWNER)


def test_a_name_in_any_script(owner: Person) -> None:
    name = "สมชาย 🙂 Ωmega"
    assert data_of(owner.put(f"users/{OWNER}", display_name=name), 201)["display_name"] == name


def test_faces_newest_first(owner: Person) -> None:
    user = make_user(OWNER)
    old, new = make_face(user, vector(1)), make_face(user, vector(2))
    make_face(make_user(STRANGER), vector(3))
    answer = data_of(owner.get(f"users/{OWNER}/faces"))
    assert [face["face_id"] for face in answer["faces"]] == [new.face_id, old.face_id]
    assert answer["next_cursor"] is None


def test_pages_of_faces(owner: Person) -> None:
    user = make_user(OWNER)
    ids = [make_face(user, vector(number)).face_id for number in range(5)]
    seen: list[str] = []
    query: dict[str, Any] = {"page_size": 2}
    for _ in range(3):
        page = data_of(owner.get(f"users/{OWNER}/faces", **query))
        seen += [face["face_id"] for face in page["faces"]]
        query["cursor"] = page["next_cursor"]
    assert query["cursor"] is None
    assert seen == ids[::-1]


def test_no_vector_is_ever_shown(owner: Person) -> None:
    make_face(make_user(OWNER), vector(1))
    text = owner.get(f"users/{OWNER}/faces").content.decode()
    assert '"embedding"' not in text
    assert "0.0, 0.0" not in text


def test_the_number_of_queries_does_not_grow(owner: Person, django_assert_num_queries: Any) -> None:
    user = make_user(OWNER)
    for number in range(10):
        make_face(user, vector(number))
    with django_assert_num_queries(4):
        data_of(owner.get(f"users/{OWNER}/faces"))


def test_all_users_in_pages(service: Person) -> None:
    ids = sorted(make_user(UUID(int=number * 7 % 11)).pk for number in range(1, 6))
    seen: list[str] = []
    query: dict[str, Any] = {"page_size": 2}
    for _ in range(3):
        page = data_of(service.get("users", **query))
        seen += [user["user_id"] for user in page["users"]]
        make_user(UUID(int=100 + len(seen)))  # behind all; others keep their place
        query["cursor"] = page["next_cursor"]
    assert [UUID(user_id) for user_id in seen][:5] == ids
    assert data_of(service.get("users"))["users"][0] == data_of(service.get(f"users/{ids[0]}"))


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("oli", ["Olivia Ångström", "OLIVER"]),
        ("ÅNG", ["Olivia Ångström"]),
        ("ชาย", ["สมชาย"]),
        ("100%", ["100% Ann_B"]),
        ("n_b", ["100% Ann_B"]),
        ("%", ["100% Ann_B"]),
        ("nobody", []),
        ("", ["Olivia Ångström", "OLIVER", "สมชาย", "100% Ann_B", ""]),
    ],
)
def test_users_by_a_part_of_their_name(service: Person, part: str, found: list[str]) -> None:
    names = ["Olivia Ångström", "OLIVER", "สมชาย", "100% Ann_B", ""]
    for number, name in enumerate(names):
        make_user(UUID(int=number), display_name=name)
    users = data_of(service.get("users", q=part))["users"]
    assert [user["display_name"] for user in users] == found


def test_a_name_is_found_with_an_index(db: None) -> None:
    people = [User(pk=UUID(int=number), display_name=f"Ann {number}") for number in range(3000)]
    User.objects.bulk_create([*people, User(pk=OWNER, display_name="Olivia")])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE recognition_user")
        # As a vacuum does: other tests have left names that are not in their place in the index.
        cursor.execute("SELECT gin_clean_pending_list('user_by_part_of_name')")
        cursor.execute("SET LOCAL enable_seqscan = off")  # 3,000 rows are soon read
    found = filters.users({"q": "livi"}).order_by("id")[:51]
    assert "user_by_part_of_name" in found.explain()
    assert [user.pk for user in found] == [OWNER]


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["users/{}", "users/{}/faces"])
def test_somebody_else_looks_like_nobody(stranger: Person, path: str) -> None:
    make_user(OWNER)
    theirs = stranger.get(path.format(OWNER))
    nobody = stranger.get(path.format(UUID(int=7)))
    assert refusal(theirs) == refusal(nobody) == (404, "user_not_found")
    assert theirs.json()["error"] == nobody.json()["error"]


def test_somebody_else_is_not_changed(stranger: Person) -> None:
    make_user(OWNER, display_name="Olivia")
    before = row_counts()
    answer = stranger.put(f"users/{OWNER}", display_name="Mallory")
    assert refusal(answer) == (403, "not_your_user")
    assert User.objects.get().display_name == "Olivia"
    assert row_counts() == before


def test_end_users_look_up_no_names(owner: Person) -> None:
    make_user(OWNER, display_name="Olivia")
    assert refusal(owner.get("users", q="Oli")) == (403, "service_only")


@pytest.mark.parametrize("part", ["a\0b", "x" * 201])
def test_a_name_that_cannot_be(service: Person, part: str) -> None:
    assert refusal(service.get("users", q=part)) == (400, "invalid_request")


def test_an_unknown_user(service: Person) -> None:
    assert refusal(service.get(f"users/{OWNER}")) == (404, "user_not_found")
    assert refusal(service.get(f"users/{OWNER}/faces")) == (404, "user_not_found")


@pytest.mark.parametrize("path", ["users/%20me", "users/a%00", "users/a%C2%A0b/faces"])
def test_a_path_that_is_no_user_id(service: Person, path: str) -> None:
    answer = service.get(path)
    assert refusal(answer) == (400, "invalid_request")
    assert "user_id" in details_of(answer)["fields"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("privacy_level", "secret"),
        ("privacy_level", None),
        ("display_name", "n" * 201),
        ("display_name", None),
        ("display_name", ["a"]),
        ("display_name", 7),
        ("display_name", True),
        ("profile_image", "javascript:alert(1)"),
        ("profile_image", "not a url"),
        ("profile_image", "https://app.example/" + "x" * 2000),
    ],
)
def test_a_value_that_cannot_be(owner: Person, field: str, value: object) -> None:
    answer = owner.put(f"users/{OWNER}", **{field: value})
    assert refusal(answer) == (400, "invalid_request")
    assert not User.objects.exists()


def test_an_unknown_field(owner: Person) -> None:
    assert refusal(owner.put(f"users/{OWNER}", suspended_at=None)) == (400, "unknown_field")


@pytest.mark.parametrize(
    "inside", ["p=a", "p=1.5", "p=\x00", "p=" + "9" * 30, "p=NaN", "o=-1", "r=1&p=2000-01-01", "é"]
)
def test_a_cursor_made_up(owner: Person, inside: str) -> None:
    """Base64 of a query string, which anybody can see."""
    make_face(make_user(OWNER), vector(1))
    cursor = base64.b64encode(inside.encode()).decode()
    answer = owner.get(f"users/{OWNER}/faces", cursor=cursor)
    assert refusal(answer) == (400, "invalid_cursor")


@pytest.mark.parametrize("cursor", ["x", "ééé", "abcde"])
def test_a_cursor_that_is_no_base64(owner: Person, cursor: str) -> None:
    make_face(make_user(OWNER), vector(1))
    answer = owner.get(f"users/{OWNER}/faces", cursor=cursor)
    assert refusal(answer) == (400, "invalid_cursor")


@pytest.mark.parametrize("size", ["0", "-1", "x", "1e9", "99999999999999999999"])
def test_a_page_size_that_is_none(owner: Person, size: str) -> None:
    make_face(make_user(OWNER), vector(1))
    answer = owner.get(f"users/{OWNER}/faces", page_size=size)
    assert refusal(answer) == (400, "invalid_request")


def test_a_cursor_tells_nothing_and_is_for_its_list(owner: Person) -> None:
    """A position is a number that counts the faces of everybody."""
    user = make_user(OWNER)
    for number in (1, 2):
        make_face(user, vector(number))
    path = f"users/{OWNER}/faces"
    cursors = {data_of(owner.get(path, page_size=1))["next_cursor"] for _ in range(2)}
    assert len(cursors) == 2  # sealed anew each time
    for cursor in cursors:
        assert len(data_of(owner.get(path, cursor=cursor))["faces"]) == 1
        other = owner.get(f"users/{OWNER}/friends", cursor=cursor)
        assert refusal(other) == (400, "invalid_cursor")


@pytest.mark.parametrize("inside", ["p=7", "p=x", "p=%00", "p=", "p=1&r=1"])
def test_a_cursor_of_users_made_up(service: Person, inside: str) -> None:
    make_user(OWNER)
    cursor = base64.b64encode(inside.encode()).decode()
    assert refusal(service.get("users", cursor=cursor)) == (400, "invalid_cursor")


def test_the_list_of_all_users_is_for_services(owner: Person) -> None:
    make_user(OWNER)
    assert refusal(owner.get("users")) == (403, "service_only")


def test_a_missing_scope(owner: Person) -> None:
    verifier = Person(user_token(OWNER, ["face:verify"]), owner.client)
    assert refusal(verifier.get(f"users/{OWNER}")) == (403, "insufficient_scope")
