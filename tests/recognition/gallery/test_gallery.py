"""The privacy-filtered search: who is found, by which plan, at what price."""

import re
from dataclasses import replace
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from recognition.gallery import comparing, plans, statements
from recognition.gallery.plans import PLANS
from recognition.gallery.scope import Gallery, Listed, Scope, all_listings
from recognition.gallery.search import Plan
from recognition.gallery.statements import searching
from recognition.identification import identifying
from recognition.identification.identifying import IdentificationRequest
from recognition.inference.arrays import Floats
from recognition.models import AuditEvent, Face
from recognition.packs import engine
from recognition.prepared import Statement, kept
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE,
    STRANGER,
    FakePipeline,
    build_index,
    fake_engine,
    make_face,
    make_templates,
    make_user,
    near,
    vector,
)

pytestmark = pytest.mark.django_db
VERSION = "dlib_v1"
EVERYONE = Scope(viewer=None, everyone=True)


def padded(embedding: Floats) -> Floats:
    vector512 = np.zeros(512, np.float32)
    vector512[: len(embedding)] = embedding
    return vector512


def visible(scope: Scope) -> set[UUID]:
    return {user_id for (user_id,) in _visible(scope.values, scope=scope.kind)}


@pytest.mark.parametrize("tagging", [False, True])
@pytest.mark.parametrize("groups", [["friends"], ["public", "hiking"], ["public", "friends"]])
def test_a_statement_that_is_kept_names_nobody(groups: list[str], tagging: bool) -> None:
    """It serves all viewers: each value of one is a blank."""
    scope = Scope(OWNER, frozenset(groups), tagging=tagging)
    listed = Listed(VERSION, scope.kind, is_without_one=True)
    for rows in (listed.rows(), listed.rows().related_to(scope.kind)):
        statement = Statement.of(rows)
        assert not re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}|hiking", str(statement.text))
        assert {"viewer", "left out"} <= set(statement.blanks) <= {*scope.values, "left out"}
    named = frozenset("chess" if name == "hiking" else name for name in groups)
    other = Scope(STRANGER, named, tagging=tagging)
    assert (other.kind == scope.kind) and other.values != scope.values
    assert replace(other, everyone=True).kind != scope.kind != replace(other, viewer=None).kind


@pytest.mark.parametrize("tagging", [False, True])
def test_only_few_relations_are_read_to_judge_few_users(tagging: bool) -> None:
    """PostgreSQL would rather read all friends and members once; it must look up the few."""
    scope = Scope(OWNER, frozenset({"public", "friends", "hiking"}), tagging=tagging)
    few = str(Statement.of(Listed(VERSION, scope.kind, of_few=True).rows()).text)
    asked = re.findall(r"EXISTS\((SELECT .*?) LIMIT 1\)", few)
    assert len(asked) == (3 if tagging else 2)
    assert all("(%s) AND" in one and '_id" = ANY(%s)' in one for one in asked), asked
    every = str(Statement.of(Listed(VERSION, scope.kind).rows()).text)
    assert every.count("= ANY(%s)") == 1  # the names of groups


@kept
def _visible(*, scope: Scope) -> QuerySet[Any, Any]:
    return all_listings().visible_to(scope).values_list("user_id")


def nearest(
    embedding: Floats,
    *,
    scope: Scope = EVERYONE,
    least: float = -1,
    limit: int = 10,
    plan: Plan | None = None,
) -> list[tuple[UUID, float]]:
    with searching():
        gallery = Gallery.visible_to(scope, fake_engine())
        found = plans.nearest(gallery, padded(embedding), least=least, limit=limit, plan=plan)
    return [(candidate.user_id, round(candidate.cosine, 3)) for candidate in found]


@pytest.fixture
def people() -> None:
    """A public owner, a friend for friends, a private stranger, all looking much alike."""
    make_face(make_user(OWNER, "public"), near(vector(1), 0.99))
    make_face(make_user(FRIEND, "friends"), near(vector(1), 0.98))
    make_face(make_user(STRANGER, "private"), near(vector(1), 0.97))


@pytest.fixture(params=PLANS, ids=lambda plan: plan.name)
def plan(request: pytest.FixtureRequest, db: None) -> Plan:
    build_index()
    chosen: Plan = request.param
    return chosen


def test_it_works(people: None, plan: Plan) -> None:
    assert nearest(vector(1), plan=plan) == [(OWNER, 0.99), (FRIEND, 0.98), (STRANGER, 0.97)]


# --- who may be found -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        (Scope(viewer=None), {OWNER}),
        (Scope(viewer=FRIEND), {OWNER, FRIEND}),
        (Scope(viewer=STRANGER), {OWNER, STRANGER}),
        (Scope(viewer=STRANGER, groups=frozenset(["friends"])), {STRANGER}),
        (Scope(viewer=STRANGER, groups=frozenset()), {STRANGER}),
        (Scope(viewer=None, groups=frozenset(["friends", "colleagues"])), set()),
        (EVERYONE, {OWNER, FRIEND, STRANGER}),
        (Scope(viewer=None, groups=frozenset(), everyone=True), {OWNER, FRIEND, STRANGER}),
    ],
)
def test_privacy_levels(people: None, scope: Scope, found: set[UUID]) -> None:
    assert visible(scope) == found


@pytest.mark.parametrize("scope", [Scope(viewer=OWNER), Scope(viewer=None), EVERYONE])
def test_unsearchable_faces_are_found_by_nobody(people: None, scope: Scope) -> None:
    Face.objects.filter(user=OWNER).update(searchable=False)
    assert OWNER not in visible(scope)


@pytest.mark.parametrize("scope", [Scope(viewer=OWNER), Scope(viewer=None), EVERYONE])
def test_suspended_faces_are_found_by_nobody(people: None, scope: Scope) -> None:
    Face.objects.filter(user=OWNER).update(suspended_at=timezone.now())
    assert OWNER not in visible(scope)


@pytest.mark.parametrize("scope", [Scope(viewer=OWNER), Scope(viewer=None), EVERYONE])
def test_suspended_people_are_found_by_nobody(scope: Scope) -> None:
    make_face(make_user(OWNER, "public", suspended_at=timezone.now()), vector(1))
    assert visible(scope) == set()


@pytest.mark.parametrize(
    ("taggable", "viewer", "found"),
    [
        ("everyone", None, True),
        ("everyone", STRANGER, True),
        ("friends_only", None, False),
        ("friends_only", STRANGER, False),
        ("friends_only", OWNER, True),
        ("nobody", STRANGER, False),
        ("nobody", OWNER, False),
    ],
)
def test_tagging(taggable: str, viewer: UUID | None, found: bool) -> None:
    make_face(make_user(OWNER, "public"), vector(1), taggable=taggable)
    assert visible(Scope(viewer=viewer, tagging=True)) == ({OWNER} if found else set())
    assert visible(Scope(viewer=viewer)) == {OWNER}


def test_a_forbidden_match_hides_no_allowed_one(plan: Plan) -> None:
    """The filter is inside the search: private lookalikes stand before the owner."""
    stranger = make_user(STRANGER, "private")
    for _ in range(30):
        make_face(stranger, vector(1))
    make_face(make_user(OWNER, "public"), near(vector(1), 0.96))
    assert nearest(vector(1), scope=Scope(viewer=None), limit=1, plan=plan) == [(OWNER, 0.96)]


# --- ranking --------------------------------------------------------------------------------------


def test_one_row_a_user_with_the_best_face(plan: Plan) -> None:
    owner, friend = make_user(OWNER), make_user(FRIEND)
    make_face(owner, near(vector(1), 0.95))
    make_face(friend, near(vector(1), 0.97))
    make_face(owner, near(vector(1), 0.99))
    assert nearest(vector(1), plan=plan) == [(OWNER, 0.99), (FRIEND, 0.97)]


def test_the_cut_and_the_limit(people: None, plan: Plan) -> None:
    assert nearest(vector(1), least=0.975, plan=plan) == [(OWNER, 0.99), (FRIEND, 0.98)]
    assert nearest(vector(1), limit=1, plan=plan) == [(OWNER, 0.99)]
    assert nearest(vector(1), least=1.01, plan=plan) == []


def test_other_models_are_not_compared(plan: Plan) -> None:
    make_face(make_user(OWNER), vector(1), version="arcface_v1.2")
    make_face(make_user(FRIEND), near(vector(1), 0.9))
    assert nearest(vector(1), plan=plan) == [(FRIEND, 0.9)]


@pytest.mark.parametrize("of_one_user", [True, False])
def test_an_exact_search_compares_every_template(of_one_user: bool) -> None:
    """Though fifty others are nearer: an index that stops after forty must not serve it.

    With one user left, ordering by distance within each user is ordering by distance, so that the
    planner may take the index; it does of itself while the table has no statistics yet.
    """
    stranger, owner = make_user(STRANGER), make_user(OWNER)
    make_templates([(stranger, near(vector(1), 0.99, toward=20 + n), "") for n in range(50)])
    make_face(owner, vector(2))
    with connection.cursor() as cursor:
        for node in ("seqscan", "bitmapscan", "sort"):
            cursor.execute(f"SET LOCAL enable_{node} = off")
    if of_one_user:
        template = padded(vector(1))
        found = comparing.compare_with_user(fake_engine(), OWNER, template)
        assert found and found.by_face == pytest.approx(0, abs=1e-3)
    else:
        scope = Scope(viewer=OWNER, groups=frozenset())
        assert nearest(vector(1), scope=scope, plan=plans.OWNERS) == [(OWNER, 0)]


# --- statements -----------------------------------------------------------------------------------


def test_vectors_do_not_leave_the_database(people: None) -> None:
    statements: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        nearest(vector(1))
    assert any("<#>" in sql for sql in statements)
    for sql in statements:
        columns = sql.partition(" FROM ")[0].split(", ")
        assert not any(column.endswith('."embedding"') for column in columns), columns


def test_the_settings_of_a_search_end_with_it(people: None, plan: Plan) -> None:
    def settings_now() -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('hnsw.ef_search'), current_setting('jit'), "
                "current_setting('enable_sort')"
            )
            return list(cursor.fetchone())

    before = settings_now()
    with pytest.raises(RuntimeError), transaction.atomic():
        nearest(vector(1), plan=plan)
        raise RuntimeError
    assert settings_now() == before


@pytest.mark.parametrize("size", [1, 20])
def test_building_and_reading_a_search(
    fake: FakePipeline, django_assert_num_queries: Any, size: int
) -> None:
    for number in range(size):
        make_face(make_user(UUID(int=number), "public"), near(vector(1), 0.99))
    fake.show(vector(1))
    with django_assert_num_queries(0):
        listings = all_listings().comparable_with(VERSION).visible_to(EVERYONE)
        statements.best_of_few_users(listings)
    # The active model; a savepoint and its end, the planner's settings, the templates counted, the
    # search, the faces of those who are found; the users.
    with django_assert_num_queries(8):
        result = identifying.identify(PICTURE, IdentificationRequest(EVERYONE, 0.8))
        assert [str(candidate.user) for candidate in result.faces[0].candidates]


# --- the second cut -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("searched", "rate", "used", "fmr"),
    [
        (0, 0.01, "min_confidence", 1e-3),
        (5, 0.01, "min_confidence", 1e-3),
        (100, 0.01, "max_false_positive_rate", 1e-4),
        (100_000, 0.01, "max_false_positive_rate", 1e-7),
        (100_000, None, "min_confidence", 1e-3),
        (100, 1.0, "min_confidence", 1e-3),
        (1, 1.0, "min_confidence", 1e-3),
    ],
)
def test_the_stricter_cut_holds(
    fake: FakePipeline, searched: int, rate: float | None, used: str, fmr: float
) -> None:
    threshold = engine.current().scores.cut(0.8, rate, searched)
    assert threshold.used == used
    assert engine.current().scores.fmr(threshold.cosine) == pytest.approx(fmr, rel=1e-6)


# --- the audit log --------------------------------------------------------------------------------


def test_the_audit_log_cannot_be_changed() -> None:
    event = AuditEvent.objects.create(actor="service:app", action="face.delete")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEvent.objects.filter(pk=event.pk).update(actor="nobody")
    event.actor = "nobody"
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        event.save()
    event.refresh_from_db()
    assert event.actor == "service:app"


def test_the_audit_log_outlives_its_people() -> None:
    face = make_face(make_user(OWNER), vector(1))
    AuditEvent.objects.create(
        actor="service:app", action="face.register", user_id=OWNER, face_id=face.face_id
    )
    face.user.delete()
    event = AuditEvent.objects.get()
    assert (event.action, event.user_id, event.face_id) == ("face.register", OWNER, "")
