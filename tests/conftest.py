"""The cast, the models, and what holds for every test."""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import hypothesis
import numpy as np
import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from pytest_django import DjangoDbBlocker, Settings

from recognition import daily_counts
from recognition.access import SCOPES
from recognition.collections import current
from recognition.collections.current import here
from recognition.inference.arrays import Floats
from recognition.inference.images import decode
from recognition.inference.pipeline import FacePipeline
from recognition.measuring.here import enrolled
from recognition.packs import downloads, engine, transfer
from tests.support.builders import (
    FRIEND,
    OWNER,
    STRANGER,
    FakePipeline,
    Person,
    fake_engine,
    service_token,
    user_token,
)
from tests.support.collections.threads import carrying
from tests.support.enrolled_crowd import Crowd
from tests.support.photos import SHARED
from tests.support.plain_pack import write_plain_pack

# The templates of tests are plain, whatever key the .env of the machine has, and so are those of
# the processes that they start: a test of protected ones sets a key of its own.
os.environ["FACESVC_TEMPLATE_KEYS"] = ""
django_settings.FACESVC_TEMPLATE_KEYS = ()
# No new database of a test asks the network for a better pack, not even that of a process that a
# test starts.
os.environ["FACESVC_PACK"] = django_settings.FACESVC_PACK = "dlib"
os.environ["FACESVC_MODEL_SOURCE"] = django_settings.FACESVC_MODEL_SOURCE = ""
# What a test itself asks of the database is of `default`. Requests begin in no collection.
current.enter(current.DEFAULT)
# A service does not know them.
django_settings.PACK_FOLDERS.append(Path(__file__).parent / "packs")

# A stall of a busy machine is no failure, and a release is not held up by the luck of the draw:
# `make test ARGS=--hypothesis-profile=explore` draws others each time.
_BUSY = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("steady", _BUSY, derandomize=True)
hypothesis.settings.register_profile("explore", _BUSY)
hypothesis.settings.load_profile("steady")
# In a part of lfw-a.
LFW_PEOPLE = 150


def pytest_configure(config: pytest.Config) -> None:
    """Gives each run a folder of its own for temporary files, which is removed with its end.

    Every other pytest of the same account shuts the one that pytest takes by default, and then
    PostgreSQL, which runs as another user where we are root, cannot reach its files.
    """
    if "PYTEST_DEBUG_TEMPROOT" not in os.environ:
        folder = os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.mkdtemp(prefix="facesvc-tests-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    packs = Path(tempfile.mkdtemp(prefix="facesvc-plain-"))
    config.add_cleanup(lambda: shutil.rmtree(packs, ignore_errors=True))
    write_plain_pack(packs / "dlib")
    django_settings.PACK_FOLDERS.insert(0, packs)


@pytest.fixture(autouse=True)
def threads_are_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", carrying(threading.Thread.start))


@pytest.fixture(autouse=True)
def no_rate_limit(settings: Settings) -> None:
    settings.RATE_LIMIT_PER_MINUTE = settings.RATE_LIMIT_PER_HOUR = 0


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that asks another machine for a file fails at once, with and without a network."""
    ask = transfer._open

    def asked(url: str, *others: Any) -> Any:
        host = urlsplit(url).hostname
        if host not in {"127.0.0.1", "localhost"} and not str(host).endswith(".invalid"):
            pytest.fail(f"a test asks the network for {url}")
        return ask(url, *others)

    monkeypatch.setattr(transfer, "_open", asked)
    monkeypatch.setattr(engine, "_model_versions", {})


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The counts of the day wait for `daily_counts.write`, and for no other test's."""
    monkeypatch.setattr(daily_counts, "writes_by_itself", False)
    yield
    daily_counts._counts.clear()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Tests with transactions of their own are followed by a TRUNCATE of all tables."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE recognition_auditevent DISABLE TRIGGER audit_not_truncated")


@pytest.fixture(scope="session", autouse=True)
def prepared_pack() -> None:
    """The files of the default pack; two seconds the first time."""
    downloads.pull(engine.pack("dlib"), django_settings.MODELS_DIR)


@pytest.fixture(scope="session")
def pipeline(prepared_pack: None) -> FacePipeline:
    return engine.pipeline(engine.pack("dlib"))


@pytest.fixture(scope="session")
def lfw_part(pipeline: FacePipeline) -> Floats:
    """(300, 128) embeddings of 150 people of lfw-a, two photos each, one after the other."""
    people = sorted(path for path in (SHARED / "lfw-a").iterdir() if path.is_dir())
    several = [sorted(person.iterdir())[:2] for person in people]
    photos = [photo for person in several if len(person) == 2 for photo in person]
    embeddings = []
    for photo in photos[: 2 * LFW_PEOPLE]:
        image = decode(photo.read_bytes(), max_bytes=10**7, max_pixels=10**7)
        faces = pipeline.embed(pipeline.detect(image)[:1])
        assert faces, f"no face in {photo.name}"
        embeddings.append(faces[0].embedding)
    return np.array(embeddings)


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> Crowd:
    """People to measure a pack on, whose kept pictures show what the test decides."""
    made = Crowd()
    monkeypatch.setattr(enrolled, "look", made.look)
    return made


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakePipeline:
    """A pipeline whose faces the test decides; the pack and its calibration are the real ones."""
    faked = fake_engine()

    def current() -> engine.Engine:
        row = engine.active_model()  # which enrolments lock
        if here().is_default:
            return faked
        return engine.Engine(faked.pipeline, faked.scores, row.template_key)

    monkeypatch.setattr(engine, "current", current)
    return cast(FakePipeline, faked.pipeline)


@pytest.fixture
def owner(client: Client) -> Person:
    return Person(user_token(OWNER), client)


@pytest.fixture
def friend(client: Client) -> Person:
    return Person(user_token(FRIEND), client)


@pytest.fixture
def stranger(client: Client) -> Person:
    return Person(user_token(STRANGER), client)


@pytest.fixture
def service(client: Client) -> Person:
    return Person(service_token(), client)


@pytest.fixture
def admin(client: Client) -> Person:
    return Person(service_token("moderation", SCOPES), client)
