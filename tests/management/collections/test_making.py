import threading

import pytest
from pytest_django import Settings

from management import collections
from recognition.collections import schemas
from recognition.collections.current import entered
from recognition.collections.models import Collection
from recognition.errors import ServiceError
from recognition.models import ActiveModel, AuditEvent, SketchCentre, User
from recognition.packs import engine, protection
from tests.support.builders import OWNER, make_user
from tests.support.collections.callers import has_schema

pytestmark = pytest.mark.django_db


def refused(name: str) -> str:
    with pytest.raises(ServiceError) as refusal:
        collections.make(name, actor="system")
    return refusal.value.code


def test_it_works() -> None:
    make_user(OWNER)
    made = collections.make("shop", actor="service:crm", made_by="crm")
    described = collections.describe(made)
    assert (described.state, described.made_by, described.users) == ("active", "crm", 0)
    with entered(made.entered):
        row = ActiveModel.objects.get()
        assert row.pack == "dlib" and row.template_key == protection.newest_key()
        assert SketchCentre.objects.filter(pk=engine.active_version()).exists()
        assert not AuditEvent.objects.exists()
        make_user(OWNER)
    assert collections.describe(made).users == User.objects.count() == 1
    event = AuditEvent.objects.get(action="collection.make")
    assert (event.actor, event.details["collection"]) == ("service:crm", "shop")
    assert {row.name for row in collections.listed()} == {"default", "shop"}


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "a" * 256, "a\n", "../a"])
def test_bad_names(name: str) -> None:
    assert refused(name) == "invalid_request"


def test_no_template_key(settings: Settings) -> None:
    settings.FACESVC_TEMPLATE_KEYS = ()
    assert refused("shop") == "template_key_needed"


def test_a_name_twice() -> None:
    collections.make("shop", actor="system")
    assert refused("shop") == refused("default") == "collection_exists"
    collections.make("Shop", actor="system")


def test_a_name_that_somebody_takes_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is brought holds no lock, and its name can be seen when all of it is there."""
    collections.make("shop", actor="system")
    monkeypatch.setattr(collections, "_require_room", lambda name: None)
    assert refused("shop") == "collection_exists"


def test_too_many(settings: Settings) -> None:
    settings.FACESVC_MOST_COLLECTIONS = 2
    collections.make("shop", actor="system")
    assert refused("bank") == "too_many_collections"


def test_a_process_that_dies_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = []

    def die(pack: str, key: str) -> None:
        numbers.append(Collection.objects.latest("pk").pk)
        assert has_schema(numbers[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(collections, "_begin", die)
    with pytest.raises(KeyboardInterrupt):
        collections.make("shop", actor="system")
    assert not has_schema(numbers[0])
    assert [row.name for row in Collection.objects.all()] == ["default"]


@pytest.mark.django_db(transaction=True)
def test_of_two_makers_one_wins() -> None:
    outcomes: list[str] = []
    both = threading.Barrier(2)

    def make() -> None:
        both.wait()
        try:
            collections.make("shop", actor="system")
            outcomes.append("made")
        except ServiceError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=make) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["collection_exists", "made"]
    finally:
        for row in Collection.objects.exclude(pk=1):
            schemas.drop(row.entered)
