"""GET /health/live, /health/ready and its alias /health."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import Event

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from pytest_django import Settings

from facesvc import __version__
from facesvc.http import health
from recognition.collections.current import entered
from recognition.models import SketchCentre
from recognition.packs import engine
from tests.support.patience import PATIENCE
from tests.support.servers.schemas import make_collection


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passed checks are not repeated for a while."""
    for check in health._CHECKS.values():
        monkeypatch.setattr(check, "_passed_at", None)


@pytest.fixture
def other_models(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has loaded nothing yet and whose models are not prepared."""
    settings.MODELS_DIR = tmp_path
    for name in ("_load", "_pipeline"):
        monkeypatch.setattr(engine, name, cache(getattr(engine, name).__wrapped__))


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_it_works(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "version": __version__,
        "checks": {"database": "ok", "migrations": "ok", "search": "ok", "inference": "ok"},
    }


def test_alive_without_a_database(client: Client) -> None:
    """pytest-django refuses any access to the database here."""
    assert client.get("/health/live").json() == {"status": "alive"}


@pytest.mark.django_db
def test_not_ready_before_the_migrations(client: Client) -> None:
    MigrationRecorder.Migration.objects.filter(app="recognition").delete()
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["checks"] == {
        "database": "ok",
        "migrations": "failed",
        "search": "ok",
        "inference": "ok",
    }


@pytest.mark.django_db
def test_not_ready_before_the_migrations_of_a_collection(client: Client) -> None:
    """Its requests would fail, and `migrate` is still to reach it."""
    shop = make_collection("shop")
    assert client.get("/health/ready").status_code == 200
    health._CHECKS["migrations"]._passed_at = None
    with entered(shop):
        recorder = MigrationRecorder(connection)
        last = max(recorder.applied_migrations())
        recorder.record_unapplied(*last)
    assert client.get("/health/ready").json()["checks"]["migrations"] == "failed"
    with entered(shop):
        recorder.record_applied(*last)
    assert client.get("/health/ready").status_code == 200


@pytest.mark.django_db
def test_what_a_collection_alone_lacks_stops_nobody_else(client: Client) -> None:
    with entered(make_collection("shop")):
        SketchCentre.objects.all().delete()
    assert client.get("/health/ready").status_code == 200


@pytest.mark.django_db
def test_not_ready_without_what_a_search_needs(client: Client) -> None:
    """Without it there is no enrolment. The HNSW index is no such thing: see test_indexes.py."""
    SketchCentre.objects.all().delete()
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["checks"]["search"] == "failed"


@pytest.mark.django_db
def test_not_ready_without_models(client: Client, other_models: None) -> None:
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["checks"]["inference"] == "failed"


@pytest.mark.django_db
def test_without_an_answer_of_the_database_the_rest_is_unknown(client: Client) -> None:
    """A failed inference would send people to look at the model."""

    def away(*statement: object) -> None:
        raise OperationalError("the server closed the connection")

    with connection.execute_wrapper(away):
        response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["checks"] == {
        "database": "failed",
        "migrations": "unknown",
        "search": "unknown",
        "inference": "unknown",
    }
    assert client.get("/health/ready").status_code == 200


@pytest.mark.django_db
def test_an_inference_is_not_repeated_at_once(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may ask, and it costs a tenth of a second."""
    client.get("/health/ready")
    monkeypatch.setattr(engine, "current", lambda: pytest.fail("it was repeated"))
    assert client.get("/health/ready").status_code == 200


def test_a_check_that_hangs_holds_no_other_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_OTHERS_WAIT", 0.01)
    asked, go_on = Event(), Event()

    def hang() -> bool:
        asked.set()
        return go_on.wait(PATIENCE)

    check = health._Remembered(hang, 0)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(check)
        assert asked.wait(PATIENCE)
        assert [check() for _ in range(3)] == ["unknown"] * 3
        go_on.set()
        assert first.result(PATIENCE) == "ok"
    assert check() == "ok"
