"""The privacy-filtered search: who is found, by which plan, at what price."""

from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from recognition import engine, gallery, matching
from recognition.gallery import Scope
from recognition.inference.arrays import Floats
from recognition.models import AuditEvent, Face, Template
from tests.builders import (
    FRIEND,
    OWNER,
    PICTURE,
    STRANGER,
    FakePipeline,
    make_face,
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
    return set(Template.objects.visible_to(scope).values_list("user_id", flat=True))


def nearest(
    embedding: Floats, *, scope: Scope = EVERYONE, least: float = -1, limit: int = 10
) -> list[tuple[UUID, float]]:
    templates = Template.objects.comparable_with(VERSION).visible_to(scope)
    found = templates.nearest(
        padded(embedding), least=least, limit=limit, visible=templates.count()
    )
    return [(candidate.user_id, round(candidate.cosine, 3)) for candidate in found]


@pytest.fixture
def people() -> None:
    """A public owner, a friend for friends, a private stranger, all looking much alike."""
    make_face(make_user(OWNER, "public"), near(vector(1), 0.99))
    make_face(make_user(FRIEND, "friends"), near(vector(1), 0.98))
    make_face(make_user(STRANGER, "private"), near(vector(1), 0.97))


@pytest.fixture
def clean_index() -> None:
    """The graph otherwise still holds what tests before this one have rolled back."""
    with connection.cursor() as cursor:
        cursor.execute("REINDEX TABLE recognition_template")


@pytest.fixture(params=["exact", "index"])
def plan(request: pytest.FixtureRequest, clean_index: None, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "index":
        monkeypatch.setattr(gallery, "EXACT_LIMIT", 0)
    return str(request.param)


def test_it_works(people: None, plan: str) -> None:
    assert nearest(vector(1)) == [(OWNER, 0.99), (FRIEND, 0.98), (STRANGER, 0.97)]


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


def test_a_forbidden_match_hides_no_allowed_one(plan: str) -> None:
    """The filter is inside the search: private lookalikes stand before the owner."""
    stranger = make_user(STRANGER, "private")
    for _ in range(30):
        make_face(stranger, vector(1))
    make_face(make_user(OWNER, "public"), near(vector(1), 0.96))
    assert nearest(vector(1), scope=Scope(viewer=None), limit=1) == [(OWNER, 0.96)]


# --- ranking --------------------------------------------------------------------------------------


def test_one_row_a_user_with_the_best_face(plan: str) -> None:
    owner, friend = make_user(OWNER), make_user(FRIEND)
    make_face(owner, near(vector(1), 0.95))
    make_face(friend, near(vector(1), 0.97))
    make_face(owner, near(vector(1), 0.99))
    assert nearest(vector(1)) == [(OWNER, 0.99), (FRIEND, 0.97)]


def test_the_cut_and_the_limit(people: None, plan: str) -> None:
    assert nearest(vector(1), least=0.975) == [(OWNER, 0.99), (FRIEND, 0.98)]
    assert nearest(vector(1), limit=1) == [(OWNER, 0.99)]
    assert nearest(vector(1), least=1.01) == []


def test_other_models_are_not_compared(plan: str) -> None:
    make_face(make_user(OWNER), vector(1), version="arcface_v1.2")
    make_face(make_user(FRIEND), near(vector(1), 0.9))
    assert nearest(vector(1)) == [(FRIEND, 0.9)]


def crowd(size: int) -> Floats:
    """Random people, every third public, each with one face."""
    random = np.random.default_rng(1)
    faces = random.normal(size=(size, 128)).astype(np.float32)
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    levels = ("public", "friends", "private")
    for number, face in enumerate(faces):
        make_face(make_user(UUID(int=number), levels[number % 3]), face)
    return faces


def test_both_plans_answer_alike(clean_index: None, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = crowd(150)
    for scope in (EVERYONE, Scope(viewer=None), Scope(viewer=UUID(int=4))):
        for probe in faces[:20]:
            exact = nearest(probe, scope=scope, least=-0.05, limit=7)
            with monkeypatch.context() as patched:
                patched.setattr(gallery, "EXACT_LIMIT", 0)
                assert nearest(probe, scope=scope, least=-0.05, limit=7) == exact
            assert exact


def test_a_search_is_that_of_brute_force() -> None:
    faces = crowd(100)
    public = [number for number in range(100) if number % 3 == 0]
    cosines = faces[public] @ faces[50]
    best = [UUID(int=public[place]) for place in np.argsort(-cosines)[:10]]
    assert [user for user, _ in nearest(faces[50], scope=Scope(viewer=None))] == best


@pytest.mark.parametrize("search", ["of one user", "by that user, of nobody else"])
def test_an_exact_search_compares_every_template(search: str) -> None:
    """Though fifty others are nearer: an index that stops after forty must not serve it.

    With one user left, ordering by distance within each user is ordering by distance, so that the
    planner may take the index; it does of itself while the table has no statistics yet.
    """
    stranger = make_user(STRANGER)
    for number in range(50):
        make_face(stranger, near(vector(1), 0.99, toward=20 + number))
    make_face(make_user(OWNER), vector(2))
    templates = Template.objects.comparable_with(VERSION)
    if search == "of one user":
        templates = templates.of_user(OWNER)
    else:
        templates = templates.visible_to(Scope(viewer=OWNER, groups=frozenset()))
    with connection.cursor() as cursor:
        for plan in ("seqscan", "bitmapscan", "sort"):
            cursor.execute(f"SET LOCAL enable_{plan} = off")
    found = templates.nearest(padded(vector(1)), least=-1, limit=1, visible=1)
    assert [candidate.user_id for candidate in found] == [OWNER]


# --- plans ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("of_index", [False, True])
def test_the_plan_follows_the_number_of_visible_templates(
    people: None, monkeypatch: pytest.MonkeyPatch, of_index: bool
) -> None:
    """The ranking statement is run again under EXPLAIN, as it was."""
    if of_index:
        monkeypatch.setattr(gallery, "EXACT_LIMIT", 0)
    statements = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "<#>" in sql:
            statements.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        nearest(vector(1))
    ((sql, params),) = statements
    with connection.cursor() as cursor:
        # A table of three rows is otherwise read and sorted whatever the statement.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        cursor.execute(f"EXPLAIN {sql}", params)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert ("template_hnsw_" in plan) == of_index


def test_vectors_do_not_leave_the_database(people: None) -> None:
    statements: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        nearest(vector(1))
    assert len(statements) == 2
    for sql in statements:
        columns = sql.partition(" FROM ")[0].split(", ")
        assert not any(column.endswith('."embedding"') for column in columns), columns


def test_the_settings_of_a_search_end_with_it(
    people: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "EXACT_LIMIT", 0)

    def ef_search() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW hnsw.ef_search")
            return str(cursor.fetchone()[0])

    before = ef_search()
    with pytest.raises(RuntimeError), transaction.atomic():
        nearest(vector(1))
        raise RuntimeError
    assert ef_search() == before


@pytest.mark.parametrize("size", [1, 20])
def test_building_and_reading_a_search(
    fake: FakePipeline, django_assert_num_queries: Any, size: int
) -> None:
    for number in range(size):
        make_face(make_user(UUID(int=number), "public"), near(vector(1), 0.99))
    fake.show(vector(1))
    with django_assert_num_queries(0):
        templates = Template.objects.comparable_with(VERSION).visible_to(EVERYONE)
        templates.by_distance(padded(vector(1)))
    with django_assert_num_queries(4):
        result = matching.identify(
            scope=EVERYONE,
            image=PICTURE,
            options=matching.SearchOptions(0.8, max_candidates=5),
        )
        assert [str(result.users[c.user_id]) for c in result.faces[0].candidates]


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
    options = matching.SearchOptions(min_confidence=0.8, max_false_positive_rate=rate)
    threshold = matching.cut(engine.current(), options, searched)
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
    assert AuditEvent.objects.get().face_id == face.face_id
