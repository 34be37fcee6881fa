"""A database from before there were collections: all of its tables are in the schema public."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from recognition.collections.current import DEFAULT, SHARED, entered, nowhere
from recognition.collections.models import Collection
from recognition.models import AuditEvent, Face, Template
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    befriend,
    data_of,
    make_face,
    make_user,
    vector,
)
from tests.support.servers.schemas import make_collection

pytestmark = pytest.mark.django_db
OURS = "collection_1"


def run(statement: str) -> list[tuple[str, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def names(schema: str) -> set[str]:
    """The tables and functions of a schema, but those of extensions."""
    found = run(
        f"SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('{schema}')"
        " AND relkind = 'r' UNION ALL"
        f" SELECT proname FROM pg_proc WHERE pronamespace = to_regnamespace('{schema}')"
        " AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')"
    )
    return {name for (name,) in found}


def take_collections_back() -> None:
    """What is left is as version 0.2.0 left it: only the migrations of collections are new."""
    run("SET CONSTRAINTS ALL IMMEDIATE")
    for kind, each in run(
        "SELECT 'TABLE', oid::regclass::text FROM pg_class"
        f" WHERE relnamespace = '{OURS}'::regnamespace AND relkind = 'r' UNION ALL"
        " SELECT 'FUNCTION', oid::regprocedure::text FROM pg_proc"
        f" WHERE pronamespace = '{OURS}'::regnamespace"
    ):
        run(f"ALTER {kind} {each} SET SCHEMA {SHARED}")
    run(f"DROP SCHEMA {OURS}")
    for name in sorted(name for name in names(SHARED) if name.startswith("collections_")):
        run(f"DROP TABLE {name} CASCADE")
    run("DELETE FROM django_migrations WHERE app = 'collections'")
    about = "SELECT id FROM django_content_type WHERE app_label = 'collections'"
    permissions = f"SELECT id FROM auth_permission WHERE content_type_id IN ({about})"
    run(f"DELETE FROM auth_group_permissions WHERE permission_id IN ({permissions})")
    run(f"DELETE FROM auth_permission WHERE content_type_id IN ({about})")
    run("DELETE FROM django_content_type WHERE app_label = 'collections'")


def test_it_works(service: Person, fake: FakePipeline) -> None:
    people = [make_user(user_id, "public") for user_id in (OWNER, FRIEND)]
    for number, user in enumerate(people):
        make_face(user, vector(number + 1))
    befriend(*people)
    AuditEvent.objects.create(actor="service:app", action="user.create", user_id=OWNER)
    before, shared = names(OURS), names(SHARED)
    faces = {*Face.objects.values_list("face_id", flat=True)}
    take_collections_back()
    assert not names(OURS) and before <= names(SHARED)
    call_command("migrate", verbosity=0)
    assert (names(OURS), names(SHARED)) == (before, shared)
    assert [row.name for row in Collection.objects.all()] == [DEFAULT.name]
    assert {*Face.objects.values_list("face_id", flat=True)} == faces
    assert Template.objects.count() == 2 and AuditEvent.objects.filter(user_id=OWNER).exists()
    for number, user_id in enumerate((OWNER, FRIEND)):
        fake.show(vector(number + 1))
        (face,) = data_of(service.post("identify", image=PICTURE_BASE64))["faces"]
        assert [each["user_id"] for each in face["candidates"]] == [str(user_id)]
    with nowhere():
        assert "recognition_face" not in connection.introspection.table_names()


def test_it_has_collections_afterwards(service: Person) -> None:
    """With tables and triggers as `default` has them, and a second `migrate` has nothing to do."""
    make_user(OWNER)
    before = names(OURS)
    take_collections_back()
    call_command("migrate", verbosity=0)
    applied = MigrationRecorder(connection).applied_migrations().keys()
    shop = make_collection("shop")
    assert names(f"collection_{shop.number}") == before
    with entered(shop):
        assert not Face.objects.exists()
        make_face(make_user(OWNER), vector(3))
    call_command("migrate", verbosity=0)
    assert MigrationRecorder(connection).applied_migrations().keys() == applied
    assert not Face.objects.exists()
