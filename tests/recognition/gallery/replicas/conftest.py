"""A real replica for all tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from facesvc.postgres.replicas import base
from recognition.gallery.replicas import asking, fitness
from recognition.gallery.replicas.pauses import Pauses
from recognition.packs import engine
from recognition.packs.engine import Engine
from tests.support.builders import OWNER, fake_engine, make_face, make_user, vector
from tests.support.servers.standby import Standby, standby


@pytest.fixture(scope="package")
def of_package(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Standby]:
    folder: Path = tmp_path_factory.mktemp("standby") / "data"
    with django_db_blocker.unblock(), standby(folder) as started:
        yield started


@pytest.fixture
def replica(of_package: Standby, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standby]:
    """No search has failed on it yet, and searches wait for it longer than usual: the machine may
    be busy."""
    monkeypatch.setattr(asking, "_pauses", Pauses())
    monkeypatch.setattr(asking, "_WAIT", 3.0)
    monkeypatch.setattr(fitness, "_WAIT", 3.0)
    monkeypatch.setattr(base, "STATEMENT_SECONDS", 30.0)
    yield of_package
    of_package.resume()


@pytest.fixture
def active(replica: Standby) -> Engine:
    """The model that serves; the replica knows it."""
    make_face(make_user(OWNER), vector(1))
    engine.active_model()
    replica.catch_up()
    return fake_engine()
