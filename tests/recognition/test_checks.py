"""What cannot work is an error at start."""

import itertools
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from facesvc.postgres.placing import PlacedWrapper
from recognition import checks
from recognition.gallery import indexes
from recognition.processes import connections


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VERIFICATION_THRESHOLD", 0.96),
        ("FACE_MATCH_THRESHOLD", 1.0),
        ("MIN_FACE_QUALITY", -0.1),
        ("FACESVC_HNSW_M", 1),
        ("FACESVC_HNSW_M", 101),
        ("FACESVC_HNSW_EF_CONSTRUCTION", 63),  # less than twice m
        ("FACESVC_HNSW_EF_SEARCH", 40),
        ("FACESVC_HNSW_EF_SEARCH", 1001),
        ("FACESVC_LOGIN_SESSION_SECONDS", 0),
        ("FACESVC_LIVE_SESSION_MINUTES", 0),
        ("FACESVC_LIVE_GAP_SECONDS", 0),
        ("FACESVC_LIVE_CHECK_SECONDS", -1),
        ("FACESVC_LIVE_MOTION_SECONDS", 24 * 3600 + 1),  # the face is dropped before
        ("FACESVC_REPLAY_HOURS", 24 * 30 + 1),  # purged before
        ("FACESVC_SESSION_RETENTION_DAYS", 0),
    ],
)
def test_numbers_out_of_range(settings: Settings, name: str, value: float) -> None:
    assert list(checks.ranges()) == []
    setattr(settings, name, value)
    found = list(checks.ranges())
    assert found[0].id == "facesvc.E002" and name in found[0].msg


def test_no_pack_that_a_new_database_could_begin_with(settings: Settings, tmp_path: Path) -> None:
    settings.FACESVC_PACK = "auto"
    assert list(checks.pack()) == []
    settings.PACK_FOLDERS = [tmp_path]
    (error,) = checks.pack()
    assert error.id == "facesvc.E001" and "no pack 'dlib'" in error.msg


def test_jobs_need_a_key(settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS = ["key"]
    assert list(checks.jobs()) == []
    settings.FACESVC_CROP_KEYS = []
    assert [warning.id for warning in list(checks.jobs())] == ["facesvc.W001"]


@pytest.mark.django_db
@pytest.mark.parametrize("version", [None, (0, 7, 4)])
def test_pgvector_missing_or_too_old(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...] | None
) -> None:
    assert checks.check_pgvector(None, ["default"]) == []
    monkeypatch.setattr(indexes, "pgvector_version", lambda: version)
    assert [error.id for error in checks.check_pgvector(None, ["default"])] == ["facesvc.E005"]


@pytest.mark.django_db
def test_the_version_of_pgvector_is_the_servers() -> None:
    found = indexes.pgvector_version()
    assert found and found >= (0, 8)


@pytest.mark.django_db(transaction=True)
def test_a_pooler_that_mixes_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.check_pooler(None, ["default"]) == []
    monkeypatch.setattr(PlacedWrapper, "copy", lambda self: self)  # the one that was given back
    assert [error.id for error in checks.check_pooler(None, ["default"])] == ["facesvc.E019"]


@pytest.mark.django_db(transaction=True)
def test_a_pooler_that_takes_its_connections_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        pool = [stack.enter_context(closing(connection.copy())) for _ in range(2)]
        turns = itertools.cycle(pool)
        answer = connections._answer
        monkeypatch.setattr(
            connections, "_answer", lambda of, *statement: answer(next(turns), *statement)
        )
        assert connections.are_shared()
