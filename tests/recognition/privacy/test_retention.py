"""What `manage.py purge` drops of the keys of services."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from recognition.api.callers import making
from recognition.collections.models import AccessKey, ApiKey, Collection, ServiceKey
from recognition.privacy import retention
from tests.support.servers.schemas import make_collection

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(days=101)
LATELY = timedelta(days=99)


@pytest.fixture(autouse=True)
def with_settings(settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    settings.FACESVC_AUDIT_RETENTION_DAYS = 100


def key(kind: type[ServiceKey], collection: str = "default", **ends: timedelta) -> ServiceKey:
    made = making.make(kind, "app", ["face:verify"], collection=collection, by="command:test")[0]
    rows: Any = kind
    at = {f"{name}_at": timezone.now() - age for name, age in ends.items()}
    rows.objects.filter(pk=made.pk).update(**at)
    return made


@pytest.mark.parametrize("kind", [ApiKey, AccessKey])
def test_it_works(kind: Any) -> None:
    """A key goes when the audit log does not know of its end any more."""
    valid = key(kind)
    old = key(kind, revoked=LONG_AGO)
    key(kind, expires=LONG_AGO)
    key(kind, expires=LONG_AGO, revoked=LATELY)
    stay = [valid, key(kind, revoked=LATELY), key(kind, expires=LATELY), key(kind, expires=-LATELY)]
    kind.objects.filter(pk=valid.pk).update(rotated_from=old.pk)
    assert retention.drop_keys() == "3 keys of services that ended are dropped."
    assert {*kind.objects.values_list("pk", flat=True)} == {each.pk for each in stay}
    valid.refresh_from_db()
    assert valid.rotated_from is None


def test_those_of_a_collection_go_by_its_own_rule(capsys: pytest.CaptureFixture[str]) -> None:
    shop = make_collection("shop")
    Collection.objects.filter(pk=shop.number).update(rules={"FACESVC_AUDIT_RETENTION_DAYS": 50})
    for collection in ("default", "shop"):
        key(ApiKey, collection, revoked=LATELY)
    call_command("purge")
    assert [row.collection.name for row in ApiKey.objects.all()] == ["default"]
    assert "1 keys of services that ended are dropped." in capsys.readouterr().out
