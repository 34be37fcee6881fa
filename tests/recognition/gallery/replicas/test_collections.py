"""A search on a replica finds the people of its collection, and no others with the same ids."""

from collections.abc import Iterator
from random import Random

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from management import collections
from recognition.collections import schemas
from recognition.collections.current import DEFAULT, Entered, entered
from recognition.packs import engine
from tests.recognition.collections.isolation.asking import (
    embedding,
    for_all,
    name_all,
    question,
    three_worlds,
)
from tests.recognition.collections.isolation.test_answers import batch, search
from tests.recognition.gallery.test_search_rule import World, store
from tests.support.builders import FakePipeline
from tests.support.servers.standby import Standby, searches

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True, databases=["default", "search"]),
]


@pytest.fixture
def places(replica: Standby, settings: Settings) -> Iterator[list[Entered]]:
    engine.active_model()  # that of the fake, which has no key
    settings.FACESVC_TEMPLATE_KEYS = (Fernet.generate_key().decode(),)
    settings.FACESVC_FACES_PER_HOUR = 0
    made = [collections.make(name, actor="system").entered for name in ("shop", "bank")]
    yield [DEFAULT, *made]
    for place in made:
        schemas.drop(place)


@pytest.mark.parametrize("seed", range(4))
def test_it_works(
    replica: Standby,
    places: list[Entered],
    fake: FakePipeline,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    monkeypatch.setattr(World, "embedding", embedding)
    chance = Random(seed)
    pairs = [*zip(places, three_worlds(chance), strict=True)]
    asked = [for_all(chance), *(question(chance) for _ in range(5))]
    for place, world in pairs:
        with entered(place):
            store(world)
            name_all(place, world)
    replica.catch_up()
    on_primary, on_replica = searches()
    found = 0
    for each in asked:
        for place, world in pairs:
            found += search(place, world, each, fake)
            batch(place, world, each, fake)
    assert found and searches()[0] == on_primary and searches()[1] > on_replica + len(pairs)
