"""Statements that are made once and stay prepared."""

from typing import Any

import pytest
from django.db import NotSupportedError, connection, connections, transaction
from django.db.models import F, QuerySet
from django.db.transaction import TransactionManagementError

from recognition.models import Session, User
from recognition.models.locks import lock_user
from recognition.prepared import Blank, Statement, answered, fetched, insert, is_any, kept, update
from recognition.processes.connections import is_passing
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE_BASE64,
    STRANGER,
    FakePipeline,
    Person,
    make_face,
    make_user,
    vector,
)
from tests.support.dump import noted
from tests.support.servers import schemas

pytestmark = pytest.mark.django_db


@kept
def levels(*, level: str) -> QuerySet[Any, Any]:
    chosen = User.objects.filter(is_any("id", Blank("ids")), privacy_level=level)
    return chosen.order_by("pk").values_list("pk", "privacy_level")


@kept
def users() -> QuerySet[Any]:
    return User.objects.filter(pk=Blank("id")).annotate(also=F("privacy_level"))


@kept
def sessions() -> QuerySet[Any]:
    return Session.objects.all()


def test_it_works() -> None:
    make_user(OWNER, "public"), make_user(FRIEND, "public"), make_user(STRANGER, "private")
    everybody = {"ids": [OWNER, FRIEND, STRANGER]}
    with noted() as first:
        assert levels(everybody, level="public") == [(OWNER, "public"), (FRIEND, "public")]
    with noted() as second:
        assert levels({"ids": [FRIEND]}, level="public") == [(FRIEND, "public")]
        assert levels({"ids": []}, level="public") == []
    assert second == first * 2
    assert levels(everybody, level="private") == [(STRANGER, "private")]


def test_objects_are_as_the_orm_makes_them() -> None:
    made = make_user(OWNER, "public")
    (found,) = users({"id": OWNER})
    assert found == made and found.also == "public"
    assert not found._state.adding
    fields = {"purpose": "login", "level": "basic", "expires_at": made.created_at}
    session = Session(user=made, window=[{"vote": "%s"}], **fields)
    insert(session)
    assert Session.objects.get() == session
    assert [each.window for each in sessions()] == [[{"vote": "%s"}]]
    session.window, session.state = [], "lost"
    update(session, ("window",))
    stored = Session.objects.get()
    assert (stored.window, stored.state) == ([], "verifying")


@kept
def nobody() -> QuerySet[Any]:
    return User.objects.none()


def test_several_questions_are_one_statement() -> None:
    make_user(OWNER, "public")
    with noted() as asked:
        answers = answered(
            {
                "a public user": levels.has_rows({"ids": [STRANGER, OWNER]}, level="public"),
                "a private user": levels.has_rows({"ids": [OWNER]}, level="private"),
                "the owner": users.has_rows({"id": OWNER}),
                "the friend": users.has_rows({"id": FRIEND}),
                "nobody": nobody.has_rows(),
            }
        )
    assert [name for name, answer in answers.items() if answer] == ["a public user", "the owner"]
    assert len(answers) == 5 and len(asked) == 1


def test_constants_are_in_the_statement() -> None:
    """The planner knows them; and no text of theirs is read as a blank."""
    odd = "100 %s of 'them'"
    statement = Statement.of(User.objects.filter(display_name=odd, pk=Blank("id")))
    assert statement.text and "100 %%s of ''them''" in statement.text
    assert statement.blanks == ["id"]
    make_user(OWNER, display_name=odd)
    assert [user.pk for user in statement.rows({"id": OWNER})] == [OWNER]


def test_a_query_that_never_has_a_row_asks_nothing() -> None:
    with noted() as asked:
        assert Statement.of(User.objects.none()).rows({}) == []
    assert not asked


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_has_ended_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As with Django's own statements: once for each request."""
    ((process,),) = fetched("SELECT pg_backend_pid()")
    with schemas.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [process])
    database = connections["default"]
    monkeypatch.setattr(database, "health_check_enabled", True)
    monkeypatch.setattr(database, "health_check_done", False)
    monkeypatch.setattr(database, "_usable_until", 0)
    assert fetched("SELECT 1") == [(1,)]


@pytest.mark.django_db(transaction=True)
def test_locks_need_a_transaction_every_time() -> None:
    make_user(OWNER)
    with transaction.atomic():
        assert lock_user(OWNER)
    with pytest.raises(TransactionManagementError):
        lock_user(OWNER)


@pytest.mark.django_db(transaction=True)
def test_a_migration_under_a_running_service_costs_one_answer() -> None:
    """What is prepared stays wrong after it: PostgreSQL refuses to change the type of a result."""
    asked = "SELECT x FROM changing"
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE changing (x varchar(3))")
    try:
        fetched("INSERT INTO changing VALUES ('a')")
        assert fetched(asked) == [("a",)]
        with schemas.connect(**connection.get_connection_params()) as migration:
            migration.execute("ALTER TABLE changing ALTER x TYPE varchar(9)")
        with pytest.raises(NotSupportedError) as raised:
            fetched(asked)
        assert is_passing(raised.value)
        assert fetched(asked) == [("a",)]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE changing")


@pytest.mark.django_db(transaction=True)
def test_a_refusal_keeps_the_connection(service: Person, fake: FakePipeline) -> None:
    """What was prepared goes with the transaction that is rolled back, and is prepared again."""
    make_face(make_user(OWNER), vector(1))
    fake.show(vector(1))
    backends = []
    for path, status in (("identify", 200), ("register", 409), ("identify", 200)):
        body = {"user_id": OWNER} if path == "register" else {}
        answer = service.post(path, image=PICTURE_BASE64, **body)
        assert answer.status_code == status
        backends.append((connection.connection.info.backend_pid, bool(prepared())))
    (pid, _) = backends[0]
    assert backends == [(pid, True), (pid, False), (pid, True)]


def prepared() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_prepared_statements")
        return cursor.fetchall()
