"""POST /graph and manage.py import_graph: lines of users, friendships, groups and memberships."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.http import HttpResponse, UnreadablePostError
from django.test import Client
from pytest_django import Settings

from management.api import graph_views
from management.graph import loading
from management.graph.loading import import_graph
from management.graph.ndjson import MAX_LINE_BYTES
from recognition.errors import ServiceError
from recognition.models import AuditEvent, Friendship, Group, Membership, User
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE_BASE64,
    STRANGER,
    FakePipeline,
    Person,
    befriend,
    data_of,
    details_of,
    make_group,
    make_user,
    refusal,
    row_counts,
    service_token,
    vector,
)
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.django_db

A, B, C = str(OWNER), str(FRIEND), str(STRANGER)
NOBODY = str(UUID(int=7))
GRAPH: list[dict[str, Any]] = [
    {"membership": {"group": "hiking", "user_id": A}},
    {"friendship": [B, A]},
    {"user": {"user_id": A, "display_name": "Olivia", "privacy_level": "public"}},
    {"user": {"user_id": B, "profile_image": "https://app.example/b.jpg"}},
    {"user": {"user_id": C}},
    {"group": "hiking"},
    {"group": "chess"},
    {"friendship": [A, C]},
]
NOTHING = {
    "lines": 0,
    "users": {"created": 0, "changed": 0, "unchanged": 0},
    "groups": {"created": 0, "unchanged": 0},
    "friendships": {"created": 0, "removed": 0, "unchanged": 0},
    "memberships": {"created": 0, "removed": 0, "unchanged": 0},
}


def text_of(*lines: Any) -> bytes:
    return b"".join(
        line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines
    )


def post(person: Person, body: bytes, **options: Any) -> HttpResponse:
    options.setdefault("content_type", graph_views.MEDIA_TYPE)
    return person.send("post", "graph", body, **options)


def load(*lines: Any) -> dict[str, Any]:
    return import_graph(actor="service:app", lines=io.BytesIO(text_of(*lines)))


def pairs() -> set[tuple[str, str]]:
    return {(str(a), str(b)) for a, b in Friendship.objects.values_list("user_id", "friend_id")}


def members() -> set[tuple[str, str]]:
    rows = Membership.objects.values_list("group__name", "user_id")
    return {(name, str(user_id)) for name, user_id in rows}


def everything() -> list[Any]:
    """All rows with the transactions that wrote them."""
    tables = ("user", "group", "friendship", "membership")
    with connection.cursor() as cursor:
        rows = []
        for table in tables:
            cursor.execute(f"SELECT xmin::text, ctid::text, t.* FROM recognition_{table} t")
            rows += cursor.fetchall()
    return sorted(map(str, rows))


def test_it_works(service: Person) -> None:
    assert data_of(post(service, text_of(*GRAPH))) == {
        "lines": 8,
        "users": {"created": 3, "changed": 0, "unchanged": 0},
        "groups": {"created": 2, "unchanged": 0},
        "friendships": {"created": 2, "removed": 0, "unchanged": 0},
        "memberships": {"created": 1, "removed": 0, "unchanged": 0},
    }
    assert pairs() == {(A, B), (B, A), (A, C), (C, A)}
    assert members() == {("hiking", A)}
    users = User.objects.order_by("pk")
    assert list(users.values_list("display_name", "profile_image", "privacy_level")) == [
        ("Olivia", "", "public"),
        ("", "https://app.example/b.jpg", "friends"),
        ("", "", "friends"),
    ]


def test_an_idempotency_key_is_not_ignored(service: Person) -> None:
    """Nothing is stored under it: who sent one would trust in an answer that does not come."""
    answer = post(service, text_of({"group": "hiking"}), headers={"Idempotency-Key": "k"})
    assert refusal(answer) == (400, "invalid_request")


def test_one_row_in_the_log(service: Person) -> None:
    counts = data_of(post(service, text_of(*GRAPH)))
    event = AuditEvent.objects.get()
    assert (event.actor, event.action, event.details) == ("service:app", "graph.import", counts)


@pytest.mark.django_db(transaction=True)
def test_a_second_time_touches_nothing() -> None:
    load(*GRAPH)
    before = everything()
    assert load(*GRAPH) == {
        "lines": 8,
        "users": {"created": 0, "changed": 0, "unchanged": 3},
        "groups": {"created": 0, "unchanged": 2},
        "friendships": {"created": 0, "removed": 0, "unchanged": 2},
        "memberships": {"created": 0, "removed": 0, "unchanged": 1},
    }
    assert everything() == before


def test_what_is_left_out_of_a_user_stays() -> None:
    make_user(OWNER, "private", display_name="Olivia", profile_image="https://app.example/o.jpg")
    make_user(FRIEND, "public", display_name="Frida")
    then = User.objects.get(pk=FRIEND).updated_at
    counts = load(
        {"user": {"user_id": A, "display_name": "Liv"}},
        {"user": {"user_id": B, "display_name": "Frida"}},
    )
    assert counts["users"] == {"created": 0, "changed": 1, "unchanged": 1}
    user = User.objects.get(pk=OWNER)
    assert (user.display_name, user.privacy_level) == ("Liv", "private")
    assert user.profile_image == "https://app.example/o.jpg"
    assert user.updated_at > user.created_at
    assert User.objects.get(pk=FRIEND).updated_at == then


def test_a_field_can_be_emptied() -> None:
    make_user(OWNER, display_name="Olivia")
    assert load({"user": {"user_id": A, "display_name": ""}})["users"]["changed"] == 1
    assert User.objects.get().display_name == ""


def test_the_last_line_counts() -> None:
    user = {"user_id": A, "display_name": "Olivia"}
    counts = load(
        *({"user": {"user_id": each}} for each in (A, B, C)),
        {"user": user},
        {"user": {"user_id": A, "privacy_level": "public"}},
        {"user": {**user, "display_name": "Liv"}},
        {"friendship": [A, B]},
        {"remove": {"friendship": [B, A]}},
        {"remove": {"friendship": [A, C]}},
        {"friendship": [C, A]},
        {"friendship": [A, C]},
        {"group": "hiking"},
        {"group": "hiking"},
        {"membership": {"group": "hiking", "user_id": A}},
        {"remove": {"membership": {"group": "hiking", "user_id": A}}},
        {"membership": {"group": "hiking", "user_id": B}},
    )
    assert pairs() == {(A, C), (C, A)}
    assert members() == {("hiking", B)}
    user_now = User.objects.get(pk=OWNER)
    assert (user_now.display_name, user_now.privacy_level) == ("Liv", "public")
    assert counts["users"] == {"created": 3, "changed": 0, "unchanged": 0}
    assert counts["groups"] == {"created": 1, "unchanged": 0}
    assert counts["friendships"] == {"created": 1, "removed": 0, "unchanged": 1}
    assert counts["memberships"] == {"created": 1, "removed": 0, "unchanged": 1}


def test_removals() -> None:
    users = [make_user(user_id) for user_id in (OWNER, FRIEND, STRANGER)]
    befriend(*users)
    make_group("hiking", *users)
    counts = load(
        {"remove": {"friendship": [B.upper(), A]}},
        {"remove": {"membership": {"group": "hiking", "user_id": A}}},
        # Not there: nothing to do.
        {"remove": {"friendship": [B, C]}},
        {"remove": {"friendship": [A, NOBODY]}},
        {"remove": {"membership": {"group": "chess", "user_id": A}}},
        {"remove": {"membership": {"group": "hiking", "user_id": NOBODY}}},
    )
    assert pairs() == {(A, C), (C, A)}
    assert members() == {("hiking", B), ("hiking", C)}
    assert counts["friendships"] == {"created": 0, "removed": 1, "unchanged": 2}
    assert counts["memberships"] == {"created": 0, "removed": 1, "unchanged": 2}


def test_links_of_what_is_stored_already() -> None:
    for user_id in (OWNER, FRIEND):
        make_user(user_id)
    make_group("hiking")
    load({"friendship": [A, B]}, {"membership": {"group": "hiking", "user_id": A}})
    assert pairs() == {(A, B), (B, A)}
    assert members() == {("hiking", A)}


def test_more_links_than_one_statement_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_CHUNK", 3)
    ids = [str(UUID(int=number)) for number in range(1, 9)]
    links = [{"friendship": [a, b]} for a in ids for b in ids if a != b]
    users = [{"user": {"user_id": each}} for each in ids]
    seen: list[tuple[str, int, int]] = []
    counts = import_graph(
        actor="service:app",
        lines=io.BytesIO(text_of(*users, *links)),
        watch=lambda *step: seen.append(step),
    )
    assert counts["friendships"] == {"created": 28, "removed": 0, "unchanged": 0}
    assert pairs() == {(a, b) for a in ids for b in ids if a != b}
    assert seen[0] == ("friendships", 3, 28)
    assert seen[-1] == ("friendships", 28, 28)
    gone = load(*({"remove": link} for link in links))
    assert gone["friendships"] == {"created": 0, "removed": 28, "unchanged": 0}
    assert not pairs()


def test_empty_lines_and_windows(service: Person) -> None:
    body = b'\n  \r\n{"group": "hiking"}\r\n\n{"group": "chess"}'
    assert data_of(post(service, body))["lines"] == 2
    assert Group.objects.count() == 2


def test_texts_that_look_like_copy_s_own(service: Person) -> None:
    names = ["\\N", "a\\tb\\\\", "\\.", "tab\tand\nline", "เพื่อน 🙂", "NULL"]
    users = [
        {"user": {"user_id": str(UUID(int=number)), "display_name": name}}
        for number, name in enumerate(names, start=1)
    ]
    data_of(post(service, text_of(*users, {"group": "\\N"})))
    assert [user.display_name for user in User.objects.order_by("pk")] == names
    assert Group.objects.get().name == "\\N"


# --- refusals -------------------------------------------------------------------------------------

BAD_LINES: dict[str, tuple[Any, str]] = {
    "half a JSON": (b'{"group": \n', "malformed_json"),
    "two on a line": (b'{"group": "a"} {"group": "b"}\n', "malformed_json"),
    "not UTF-8": (b'{"group": "\xff"}\n', "malformed_json"),
    "UTF-16": ('{"group": "a"}\n'.encode("utf-16"), "malformed_json"),
    "byte order mark": (b'\xef\xbb\xbf{"group": "a"}\n', "malformed_json"),
    "NaN": (b'{"group": NaN}\n', "malformed_json"),
    "NUL": (b'{"group": "a\\u0000"}\n', "malformed_json"),
    "half a surrogate pair": (b'{"group": "\\ud800"}\n', "malformed_json"),
    "1,000 brackets": (b"[" * 1000 + b"\n", "malformed_json"),
    "nested": (b'{"user":' * 5000 + b"1" + b"}" * 5000 + b"\n", "malformed_json"),
    "too long": (b'{"group": "' + b"x" * MAX_LINE_BYTES + b'"}\n', "payload_too_large"),
    "a list": ([], "invalid_request"),
    "a number": (7, "invalid_request"),
    "null": (None, "invalid_request"),
    "nothing": ({}, "invalid_request"),
    "two things": ({"group": "a", "friendship": [A, B]}, "invalid_request"),
    "an unknown thing": ({"face": "a"}, "unknown_field"),
    "removal of a user": ({"remove": {"user": {"user_id": A}}}, "unknown_field"),
    "removal of a group": ({"remove": {"group": "a"}}, "unknown_field"),
    "removal of a removal": ({"remove": {"remove": {"group": "a"}}}, "unknown_field"),
    "removal of a text": ({"remove": "friendship"}, "invalid_request"),
    "a user as a text": ({"user": A}, "invalid_request"),
    "a user without id": ({"user": {"display_name": "x"}}, "invalid_request"),
    "a user with another id": ({"user": {"user_id": 7}}, "invalid_request"),
    "an id in braces": ({"user": {"user_id": f"{{{A}}}"}}, "invalid_request"),
    "an id with a line break": ({"user": {"user_id": A + "\n"}}, "invalid_request"),
    "an unknown field": ({"user": {"user_id": A, "suspended_at": None}}, "unknown_field"),
    "another level": ({"user": {"user_id": A, "privacy_level": "all"}}, "invalid_request"),
    "no name": ({"user": {"user_id": A, "display_name": None}}, "invalid_request"),
    "a long name": ({"user": {"user_id": A, "display_name": "x" * 201}}, "invalid_request"),
    "no address": ({"user": {"user_id": A, "profile_image": "x"}}, "invalid_request"),
    "one friend": ({"friendship": [A]}, "invalid_request"),
    "three friends": ({"friendship": [A, B, C]}, "invalid_request"),
    "friends by number": ({"friendship": [1, 2]}, "invalid_request"),
    "friends as an object": ({"friendship": {"a": A, "b": B}}, "invalid_request"),
    "a friend of one's own": ({"friendship": [A, A.upper()]}, "invalid_friendship"),
    "a reserved name": ({"group": "public"}, "invalid_group_name"),
    "a group as an object": ({"group": {"name": "a"}}, "invalid_group_name"),
    "half a membership": ({"membership": {"group": "a"}}, "invalid_request"),
    "more than a membership": (
        {"membership": {"group": "a", "user_id": A, "role": "x"}},
        "invalid_request",
    ),
    "a member of nothing": ({"membership": {"group": "nothing", "user_id": A}}, "group_not_found"),
    "an unknown member": ({"membership": {"group": "chess", "user_id": NOBODY}}, "user_not_found"),
    "an unknown friend": ({"friendship": [A, NOBODY]}, "user_not_found"),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_bad_last_line(service: Person, case: str) -> None:
    """Nothing of the lines before it stays."""
    line, code = BAD_LINES[case]
    before = row_counts()
    answer = post(service, text_of(*GRAPH, b"\n", line))
    assert refusal(answer) == (422, "invalid_graph")
    (error,) = details_of(answer)["errors"]
    assert (error["line"], error["code"]) == (len(GRAPH) + 2, code)
    assert error["message"] in answer.json()["error"]["message"]
    assert row_counts() == before


def test_the_field_is_named(service: Person) -> None:
    answer = post(service, text_of({"user": {"user_id": A, "privacy_level": "all"}}))
    assert "privacy_level" in details_of(answer)["errors"][0]["details"]["fields"]


def test_everybody_unknown_is_named_once(service: Person) -> None:
    strangers = [str(UUID(int=number)) for number in range(1, 30)]
    links = [{"friendship": [each, A]} for each in strangers]
    answer = post(service, text_of({"user": {"user_id": A}}, *links, *links))
    errors = details_of(answer)["errors"]
    assert [error["line"] for error in errors] == list(range(2, 12))
    assert strangers[0] in errors[0]["message"]


def test_an_end_user(owner: Person) -> None:
    before = row_counts()
    assert refusal(post(owner, text_of(*GRAPH))) == (403, "service_only")
    assert row_counts() == before


def test_a_missing_scope(service: Person) -> None:
    person = Person(service_token(scopes=["face:identify"]), service.client)
    assert refusal(post(person, text_of(*GRAPH))) == (403, "insufficient_scope")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "image/png"])
def test_another_content_type(service: Person, content_type: str) -> None:
    answer = post(service, text_of(*GRAPH), content_type=content_type)
    assert refusal(answer) == (415, "unsupported_media_type")


def test_no_content_type(service: Person) -> None:
    answer = post(service, text_of(*GRAPH), content_type="")
    assert refusal(answer) == (415, "unsupported_media_type")


def test_no_body(service: Person) -> None:
    assert refusal(post(service, b"")) == (400, "invalid_request")


def test_a_body_longer_than_the_limit(service: Person, settings: Settings) -> None:
    settings.MAX_GRAPH_BYTES = 100
    assert refusal(post(service, text_of(*GRAPH))) == (413, "payload_too_large")


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "99999999999999999999"])
def test_a_length_that_is_a_lie(service: Person, length: str) -> None:
    answer = post(service, text_of(*GRAPH), CONTENT_LENGTH=length)
    assert 400 <= answer.status_code < 500
    assert not User.objects.exists()


def test_a_body_of_unknown_length(service: Person) -> None:
    headers = {"Transfer-Encoding": "chunked"}
    answer = post(service, text_of(*GRAPH), headers=headers, CONTENT_LENGTH="")
    assert refusal(answer) == (411, "length_required")


@pytest.mark.parametrize("broken", [False, True])
def test_a_body_that_ends_too_early(
    service: Person, broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is gone at the end of a line: half a graph would look like a whole one."""
    left = [text_of(*GRAPH)]

    class Connection:
        def read(self, size: int) -> bytes:
            if not left and broken:
                raise UnreadablePostError("connection reset")
            return left.pop() if left else b""

    class Cut(graph_views.Body):
        def __init__(self, stream: Any, length: int) -> None:
            super().__init__(Connection(), length + 1)

    monkeypatch.setattr(graph_views, "Body", Cut)
    before = row_counts()
    assert refusal(post(service, text_of(*GRAPH))) == (400, "invalid_request")
    assert row_counts() == before


def test_the_body_is_not_held_in_memory(service: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for in small pieces, as the lines are used."""
    sizes: list[int] = []
    read = graph_views.Body.readinto

    def readinto(body: graph_views.Body, buffer: Any) -> int:
        sizes.append(count := read(body, buffer))
        return count

    monkeypatch.setattr(graph_views.Body, "readinto", readinto)
    groups = [{"group": "g" * 50 + str(number)} for number in range(5000)]
    assert data_of(post(service, text_of(*groups)))["groups"]["created"] == 5000
    assert max(sizes) <= 64 * 1024
    assert sum(sizes) == len(text_of(*groups))


# --- at once --------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_imports_and_single_calls_at_once() -> None:
    ids = [str(UUID(int=number)) for number in range(1, 13)]
    users = [{"user": {"user_id": each}} for each in ids]
    links = [{"friendship": [a, b]} for a in ids for b in ids if a < b]
    load(*users)
    together = threading.Barrier(4)

    def started(action: Any) -> Any:
        try:
            together.wait(PATIENCE)
            return action()
        finally:
            connection.close()

    def one_by_one() -> set[int]:
        person = Person(service_token(), Client())
        return {person.put("users/{}/friends/{}".format(*sorted(link["friendship"]))).status_code
                for link in links[::-1]}  # fmt: skip

    def renamed(lines: list[Any]) -> Any:
        names = [{"user": {"user_id": each, "display_name": str(len(lines))}} for each in ids]
        return lambda: [load(*names, *lines) for _ in range(3)]

    actions = [renamed(links), renamed(links[::-1]), one_by_one, one_by_one]
    with ThreadPoolExecutor(4) as threads:
        *_, first, second = threads.map(started, actions)
    assert first | second <= {200, 201}
    assert pairs() == {(a, b) for a in ids for b in ids if a != b}


@pytest.mark.django_db(transaction=True)
def test_faces_are_enrolled_meanwhile(service: Person, fake: FakePipeline) -> None:
    """Of users who are only named: their rows are locked, but not against that."""
    for user_id in (OWNER, FRIEND):
        make_user(user_id)
    fake.show(vector(1))
    stored, enrolled = threading.Event(), threading.Event()

    def wait(*_: Any) -> None:
        stored.set()
        assert enrolled.wait(PATIENCE)

    def run_import() -> dict[str, Any]:
        lines = io.BytesIO(text_of({"friendship": [A, B]}, {"group": "a"}))
        try:
            return import_graph(actor="service:app", lines=lines, watch=wait)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads, connection.cursor() as cursor:
        running = threads.submit(run_import)
        assert stored.wait(PATIENCE)
        cursor.execute("SET lock_timeout = '30s'")
        answer = service.post("register", user_id=A, image=PICTURE_BASE64)
        cursor.execute("RESET lock_timeout")
        enrolled.set()
        data_of(answer, 201)
        assert running.result()["friendships"]["created"] == 1


# --- the command ----------------------------------------------------------------------------------


def run(*arguments: object) -> str:
    output = io.StringIO()
    call_command("import_graph", *map(str, arguments), stdout=output, stderr=io.StringIO())
    return output.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "graph.ndjson"
    path.write_bytes(text_of(*GRAPH))
    return path


def test_the_command_works(file: Path) -> None:
    assert run(file) == (
        "8 lines. users: 3 created, 0 changed, 0 unchanged; groups: 2 created, 0 unchanged; "
        "friendships: 2 created, 0 removed, 0 unchanged; "
        "memberships: 1 created, 0 removed, 0 unchanged.\n"
    )
    assert AuditEvent.objects.get().actor == "command:import_graph"


def test_from_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(text_of(*GRAPH)))
    monkeypatch.setattr("sys.stdin", stdin)
    assert run("-").startswith("8 lines.")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert run(tmp_path / "empty").startswith("0 lines.")
    assert load() == NOTHING


def test_a_bad_line_in_a_file(file: Path) -> None:
    file.write_bytes(text_of(*GRAPH, {"group": "public"}))
    before = row_counts()
    with pytest.raises(CommandError, match=r"Nothing is imported\.\nline 9: invalid_group_name\. "):
        run(file)
    assert row_counts() == before


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        run(tmp_path / "nothing")
    with pytest.raises(CommandError, match="directory"):
        run(tmp_path)


def test_what_the_lines_raise_goes_through() -> None:
    def lines() -> Any:
        yield text_of(GRAPH[5])
        raise ServiceError("invalid_request", "The body ended.")

    before = row_counts()
    with pytest.raises(ServiceError, match="ended"):
        import_graph(actor="service:app", lines=lines())
    assert row_counts() == before
