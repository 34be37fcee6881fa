"""What a restored database does again of the list of erasures; test_backup has the whole story."""

import pytest
from django.db import connection
from django.utils import timezone

from facesvc import erasures
from facesvc.erasures import Erasures
from recognition.collections.current import Entered, entered
from recognition.collections.models import Collection
from recognition.models import AuditEvent
from tests.support.builders import OWNER, make_face, make_user, vector
from tests.support.servers.schemas import make_collection

pytestmark = pytest.mark.django_db


def is_there(collection: Entered) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_regnamespace(%s) IS NOT NULL", [f"collection_{collection.number}"]
        )
        has_schema = bool(cursor.fetchone()[0])
    assert Collection.objects.filter(pk=collection.number).exists() == has_schema
    return has_schema


@pytest.fixture
def shop() -> Entered:
    made = make_collection("shop")
    with entered(made):
        make_face(make_user(OWNER), vector(1))
    return made


def test_it_works(shop: Entered) -> None:
    """As whoever erases a collection: with an event of the audit log."""
    other = make_collection("other")
    erasures.erase_collections(Erasures(collections={1, shop.number, 5_000}))
    assert not is_there(shop) and is_there(other)
    event = AuditEvent.objects.get(action="collection.erase")
    assert event.actor == "command:restore"
    assert event.details == {"collection": "shop", "users": 1, "faces": 1}
    assert make_collection("shop").number > 5_000


def test_an_erasure_that_had_begun_before_the_backup(shop: Entered) -> None:
    """Its event is in the backup, and its name may be that of another one."""
    Collection.objects.filter(pk=shop.number).update(erasing_at=timezone.now())
    other = make_collection("shop")
    erasures.erase_collections(Erasures(collections={shop.number}))
    assert not is_there(shop) and is_there(other)
    assert not AuditEvent.objects.filter(action="collection.erase").exists()
