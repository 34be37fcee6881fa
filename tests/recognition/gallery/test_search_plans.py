"""How a search is made: where each plan looks, how one is chosen, and what sketches are worth."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from recognition.gallery import indexes, plans
from recognition.gallery.plans import PLANS
from recognition.gallery.scope import Gallery, Scope
from recognition.gallery.search import Plan, Search
from recognition.gallery.statements import for_graph, searching
from recognition.inference.arrays import Floats
from recognition.models import Face, Group, Membership, Sketch, User
from recognition.packs.engine import Engine
from recognition.packs.scores import sketch_of
from recognition.prepared import Statement, fetched
from tests.support.builders import (
    FRIEND,
    OWNER,
    befriend,
    build_index,
    fake_engine,
    make_face,
    make_templates,
    make_user,
    vector,
)

pytestmark = pytest.mark.django_db
VERSION = "dlib_v1"
EVERYONE = Scope(viewer=None, everyone=True)
# Enough for the planner to take tables for what they are in a large gallery.
CROWD = 1500


def user_id(number: int) -> UUID:
    return UUID(int=number + 1)


def random_faces(count: int) -> Floats:
    faces = np.random.default_rng(1).normal(size=(count, 128)).astype(np.float32)
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    return faces


@pytest.fixture(scope="module", autouse=True)
def crowd(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Floats]:
    """People with one face each, every third public; the first has ten friends.

    They are there for all tests of this module, whose own changes are undone as always.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        yield load_crowd()
        transaction.set_rollback(True)


def load_crowd() -> Floats:
    faces = random_faces(CROWD)
    levels = ("public", "friends", "private")
    users = [User(pk=user_id(n), privacy_level=levels[n % 3]) for n in range(CROWD)]
    User.objects.bulk_create(users)
    make_templates([(user, face, "") for user, face in zip(users, faces, strict=True)])
    for number in range(100):  # enough for an index on friends to be worth it
        befriend(users[number], *users[200 + 10 * number : 210 + 10 * number])
    build_index(VERSION)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return faces


# --- plans ----------------------------------------------------------------------------------------


def statement(
    scope: Scope, plan: Plan, probe: Floats, *, by_user: bool = False
) -> tuple[str, list[Any]]:
    """The statement that ranks, as a search by this plan makes it."""
    made: list[tuple[str, list[Any]]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "<#>" in sql:
            made.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note), searching():
        gallery = Gallery.visible_to(scope, fake_engine())
        plans.nearest(gallery, probe, least=0.95, limit=10, by_user=by_user, plan=plan)
    return made[0]


def explained(sql: str, params: list[Any], *, generic: bool) -> str:
    """The plan that PostgreSQL would follow in a search's transaction."""
    if generic:
        parts = sql.split("%s")
        sql = parts[0] + "".join(f"${n}{part}" for n, part in enumerate(parts[1:], 1))
    with searching():
        if not generic:
            return json.dumps(fetched(f"EXPLAIN (FORMAT JSON) {sql}", params))
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON, GENERIC_PLAN) {sql}")
            return json.dumps(cursor.fetchall())


def nodes(plan: Any) -> Iterator[tuple[str, str]]:
    """Each scan of a plan: of which table or index, and how."""
    if isinstance(plan, list):
        for each in plan:
            yield from nodes(each)
    elif isinstance(plan, dict):
        if "Scan" in plan.get("Node Type", ""):
            yield plan["Node Type"], plan.get("Index Name") or plan.get("Relation Name", "")
        for each in plan.values():
            yield from nodes(each)


@pytest.mark.parametrize("generic", [False, True], ids=["as called", "generic"])
def test_each_plan_looks_where_it_should(crowd: Floats, generic: bool) -> None:
    """Also if the statement were prepared, and the values unknown to the planner."""
    probe = wide(crowd[5])
    friends = Scope(viewer=user_id(0), groups=frozenset(["friends"]))
    scans = {}
    for plan, scope in (
        (plans.OWNERS, friends),
        (plans.PUBLIC, Scope(viewer=user_id(0))),
        (plans.SKETCHES, Scope(viewer=user_id(0))),
        (plans.SCAN, EVERYONE),
    ):
        found = explained(*statement(scope, plan, probe), generic=generic)
        scans[plan] = set(nodes(json.loads(found)))
    index = connection.introspection.get_constraints
    with connection.cursor() as cursor:
        of_template = index(cursor, "recognition_template")
    by_user = next(n for n, c in of_template.items() if c["columns"] == ["user_id"] and c["index"])
    for plan in (plans.OWNERS, plans.PUBLIC):
        assert ("Index Scan", by_user) in scans[plan], plan
        assert ("Index Only Scan", "friendship_once") in scans[plan], plan
    assert ("Seq Scan", "recognition_sketch") in scans[plans.SKETCHES]
    assert ("Seq Scan", "recognition_publicsketch") in scans[plans.PUBLIC]
    for plan in (plans.PUBLIC, plans.SKETCHES):
        assert ("Index Scan", "recognition_template_pkey") in scans[plan], plan
    assert ("Seq Scan", "recognition_template") in scans[plans.SCAN]
    for plan in (plans.OWNERS, plans.PUBLIC, plans.SKETCHES):
        assert ("Seq Scan", "recognition_template") not in scans[plan], plan
    for plan, used in scans.items():
        assert not any("hnsw" in name for _, name in used), plan


@pytest.mark.parametrize("generic", [False, True], ids=["as called", "generic"])
@pytest.mark.parametrize("plan", [plans.PUBLIC, plans.SKETCHES])
@pytest.mark.parametrize("by_user", [False, True])
def test_only_near_ones_are_looked_up(
    crowd: Floats, plan: Plan, generic: bool, by_user: bool
) -> None:
    """Not the listings of all who are public, although these have an index."""
    scope = Scope(viewer=user_id(0), groups=frozenset(["public"]))
    made = statement(scope, plan, wide(crowd[5]), by_user=by_user)
    scans = set(nodes(json.loads(explained(*made, generic=generic))))
    assert ("Index Scan", "recognition_listing_pkey") in scans
    assert not any(name == "listing_of_public" for _, name in scans)
    read = {name for kind, name in scans if kind == "Seq Scan"}
    assert read <= {"recognition_sketch", "recognition_publicsketch"}


@pytest.mark.parametrize("generic", [False, True], ids=["as called", "generic"])
@pytest.mark.parametrize("tagging", [False, True])
def test_those_in_a_relation_are_counted_from_an_index(
    crowd: Floats, generic: bool, tagging: bool
) -> None:
    made: list[tuple[str, list[Any]]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "COUNT(" in sql:
            made.append((sql, params))
        return execute(sql, params, many, context)

    scope = Scope(user_id(0), frozenset(["friends"]), tagging=tagging)
    with connection.execute_wrapper(note), searching():
        Gallery.visible_to(scope, fake_engine())
    ((sql, params),) = made
    scans = set(nodes(json.loads(explained(sql, params, generic=generic))))
    assert ("Index Scan", "listing_of_user") in scans
    assert not any(name == "recognition_listing" for _, name in scans)


@pytest.mark.parametrize("generic", [False, True], ids=["as called", "generic"])
def test_the_graph_is_searched_through_its_index(crowd: Floats, generic: bool) -> None:
    sql, params = statement(EVERYONE, plans.GRAPH, wide(crowd[5]))
    with searching(), for_graph():
        scans = set(nodes(json.loads(explained(sql, params, generic=generic))))
    assert ("Index Scan", indexes.name_of(VERSION)) in scans


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_only_searches_stay_prepared(crowd: Floats, plan: Plan) -> None:
    """Also when a savepoint is rolled back. Of others, with faces in them, not even the text is."""

    def prepared() -> set[str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT statement FROM pg_prepared_statements")
            return {statement for (statement,) in cursor.fetchall()}

    with searching():
        gallery = Gallery.visible_to(Scope(viewer=user_id(0)), fake_engine())
        plans.nearest(gallery, wide(crowd[5]), least=0.95, limit=7, plan=plan)
    before = prepared()
    assert any("<#>" in statement for statement in before)
    with transaction.atomic():
        User.objects.update(display_name="somebody")
        kept = connection.connection._prepared  # by psycopg
        assert "somebody" not in f"{kept._counts} {kept._names}"
        transaction.set_rollback(True)
    assert prepared() == before


@pytest.mark.parametrize(
    ("searched", "related", "stored", "least", "plan"),
    [
        (30, 0, 1_000_000, 0.95, plans.OWNERS),
        (100, 0, 1_000_000, 0.99, plans.PUBLIC),
        (300, 300, 1_000_000, 0.92, plans.OWNERS),
        (3000, 3000, 1_000_000, 0.92, plans.OWNERS),
        (3000, 100, 1_000_000, 0.99, plans.PUBLIC),
        (30_000, 300, 100_000, 0.99, plans.PUBLIC),
        (30_000, 29_000, 100_000, 0.99, plans.SKETCHES),
        (100_000, 0, 100_000, 0.99, plans.SKETCHES),
        (100_000, 0, 100_000, 0.5, plans.SCAN),
        (5_000_000, 0, 5_000_000, 0.999, plans.GRAPH),
        (5_000_000, 0, 5_000_000, 0.85, plans.SCAN),
    ],
)
def test_the_plan_follows_the_counts(
    searched: int, related: int, stored: int, least: float, plan: Plan
) -> None:
    gallery = Gallery(fake_engine(), Scope(OWNER), searched, related, counted=stored)
    probe = ordinary_probe(gallery.engine)
    assert plans.cheapest(Search(gallery, probe, least, limit=10)) is plan


def test_without_the_index_the_graph_is_nobodys_plan(crowd: Floats) -> None:
    """The next best is taken, by force as well: PostgreSQL would sort all by their distances."""
    by = fake_engine()
    gallery = Gallery(by, EVERYONE, 5_000_000, counted=5_000_000)
    search = Search(gallery, ordinary_probe(by), 0.999, limit=10)
    assert plans.cheapest(search) is plans.GRAPH
    name = indexes.name_of(VERSION)
    with connection.cursor() as cursor:
        broken = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass"
        cursor.execute(broken, [name])  # as it is while it is built
        assert plans.cheapest(search) is plans.SKETCHES
        cursor.execute(f"DROP INDEX {name}")
        assert plans.cheapest(search) is plans.SKETCHES
    forced, _ = statement(EVERYONE, plans.GRAPH, wide(crowd[5]))
    assert "recognition_sketch" in forced


def test_the_index_is_built_before_any_search_would_take_it() -> None:
    by = fake_engine()
    size = settings.FACESVC_HNSW_FROM
    gallery = Gallery(by, EVERYONE, size, counted=size)
    search = Search(gallery, ordinary_probe(by), 0.9999, limit=10)
    assert plans.GRAPH.cost(search) > plans.SKETCHES.cost(search)


def test_a_small_gallery_of_everybody_is_scanned_at_once(
    django_assert_num_queries: Any,
) -> None:
    gallery = Gallery(fake_engine(), EVERYONE, 300, counted=300)
    with django_assert_num_queries(0):
        assert plans.cheapest(Search(gallery, wide(vector(1)), 0.9, limit=10)) is plans.SCAN


def ordinary_probe(by: Engine) -> Floats:
    """As far from the centre of all as templates are."""
    centre = by.sketches.centre
    own = wide(vector(1)) - centre[1] / (centre @ centre) * centre
    probe: Floats = centre + own / np.linalg.norm(own) * np.sqrt(1 - centre @ centre)
    return probe


def test_a_graph_full_of_forbidden_lookalikes_is_not_believed(crowd: Floats) -> None:
    """More than the graph looks at, all nearer than the one who may be found."""
    stranger = make_user(FRIEND, "private")
    probe = crowd[5]
    lookalikes = [(stranger, turned(probe, 0.999, n), "") for n in range(450)]
    make_templates(lookalikes)
    make_face(make_user(OWNER, "public"), turned(probe, 0.96, 451))
    with searching():
        gallery = Gallery.visible_to(Scope(viewer=None), fake_engine())
        found = plans.nearest(gallery, wide(probe), least=0.9, limit=10, plan=plans.GRAPH)
    assert [candidate.user_id for candidate in found] == [OWNER]


@pytest.mark.parametrize("plan", [plans.OWNERS, plans.PUBLIC, plans.SKETCHES, plans.SCAN])
def test_somebody_with_very_many_faces_stands_in_nobodys_way(plan: Plan) -> None:
    probe = random_faces(CROWD + 1)[-1]
    owner, friend = make_user(OWNER, "public"), make_user(FRIEND, "public")
    make_templates([(owner, turned(probe, 0.9, n), "") for n in range(120)])
    make_face(friend, turned(probe, 0.5, 121))
    with searching():
        gallery = Gallery.visible_to(Scope(viewer=None), fake_engine())
        found = plans.nearest(gallery, wide(probe), least=0.4, limit=2, plan=plan)
    assert [candidate.user_id for candidate in found] == [OWNER, FRIEND]


def turned(base: Floats, cosine: float, number: int) -> Floats:
    """A unit vector with that cosine to a base, another one for every number."""
    other = np.random.default_rng(number).normal(size=base.shape)
    other -= (other @ base) * base
    other /= np.linalg.norm(other)
    return (cosine * base + np.sqrt(1 - cosine**2) * other).astype(np.float32)


# --- sketches -------------------------------------------------------------------------------------


def test_a_probe_is_sketched_as_the_database_does(crowd: Floats) -> None:
    by = fake_engine()
    stored = dict(Sketch.objects.values_list("template__user_id", "bits"))
    with searching():
        gallery = Gallery.visible_to(EVERYONE, by)
        for number in range(100):
            sketch = sketch_of(wide(crowd[number]), gallery.sketches.centre)
            differing = sum(
                a != b for a, b in zip(sketch, stored[UUID(int=number + 1)], strict=True)
            )
            # Half precision rounds a number that lies on the centre to either side.
            assert differing <= 1


def test_a_bound_is_kept_by_nearly_all_and_met_by_few(crowd: Floats) -> None:
    geometry = fake_engine().sketches
    centred = crowd - geometry.centre[:128]
    bits = centred > 0
    for cosine in (0.9, 0.8, 0.6):
        kept = []
        for number in range(300):
            mate = turned(crowd[number], cosine, number)
            bound = geometry.bound(wide(crowd[number]), cosine)
            kept.append(np.sum((mate - geometry.centre[:128] > 0) != bits[number]) <= bound)
        assert np.mean(kept) > 0.95
        met = np.sum(bits[1:] != bits[0], axis=1) <= geometry.bound(wide(crowd[0]), cosine)
        assert met.mean() < 0.3


# --- what a change of privacy costs ---------------------------------------------------------------


def test_a_change_of_privacy_moves_no_vector(crowd: Floats) -> None:
    def sizes() -> list[int]:
        with connection.cursor() as cursor:
            names = ("recognition_template", indexes.name_of(VERSION), "recognition_sketch")
            cursor.execute(
                "SELECT pg_relation_size(n::regclass) FROM unnest(%s::text[]) n", [list(names)]
            )
            return [size for (size,) in cursor.fetchall()]

    def places() -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT ctid::text, xmin::text FROM recognition_template ORDER BY id")
            return cursor.fetchall()

    before = sizes(), places()
    User.objects.update(privacy_level="friends", suspended_at=timezone.now())
    Face.objects.update(searchable=False, taggable="nobody", face_group="other")
    assert (sizes(), places()) == before


def wide(embedding: Floats) -> Floats:
    vector512 = np.zeros(512, np.float32)
    vector512[: len(embedding)] = embedding
    return vector512


def test_a_group_does_not_show_in_the_work_that_it_makes() -> None:
    """The same pages are read whether or not there is a group in which the viewer is not."""
    viewer = make_user(OWNER)
    for name in ("own", "also own"):
        Membership.objects.create(group=Group.objects.create(name=name), user=viewer)
    others = [User(privacy_level="friends") for _ in range(300)]
    User.objects.bulk_create(others)
    for number in range(300):
        group = Group.objects.create(name=f"group {number}")
        Membership.objects.bulk_create(Membership(group=group, user=user) for user in others[:20])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE recognition_group; ANALYZE recognition_membership")

    def work(name: str) -> list[tuple[str, int]]:
        scope = Scope(viewer=OWNER, groups=frozenset({name}))
        (relation,) = scope.relations()
        statement = Statement.of(relation.users())
        values = [scope.values[name] for name in statement.blanks]
        text = f"EXPLAIN (FORMAT JSON, ANALYZE, BUFFERS) {statement.text}"
        plan = fetched(text, values)[0][0][0]["Plan"]
        return [(part["Node Type"], part["Shared Hit Blocks"]) for part in nodes_of(plan)]

    work("warm up")
    assert work("group 7") == work("no such group")
    assert work("own") != work("no such group")  # which is the viewer's to know


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes_of(part)
