"""The HNSW index as a task: called for when there is something to do; no worker waits for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from django_q.models import Failure, Schedule, Task
from pytest_django import Settings

from batch import tasks
from batch.queue import queueing
from recognition.gallery import indexes
from recognition.models import Face
from tests.support.builders import OWNER, FakePipeline, make_face, make_user, vector
from tests.support.patience import PATIENCE, finish, wait_for_long_tasks

pytestmark = pytest.mark.django_db(transaction=True)
BUILD = "batch.tasks.build_index"


@pytest.fixture(autouse=True)
def large(fake: FakePipeline, settings: Settings) -> Iterator[None]:
    settings.FACESVC_HNSW_FROM = 1
    make_face(make_user(OWNER), vector(1))
    fake.show(vector(2))
    yield
    indexes.drop(indexes.name_of("dlib_v1"))


def fail(**ago: float) -> None:
    stopped = timezone.now() - timedelta(**ago)
    number = Task.objects.count()
    Task.objects.create(
        id=f"{number:032x}", func=BUILD, success=False, started=stopped, stopped=stopped
    )


def test_it_works() -> None:
    for _ in range(2):
        tasks.look_at_index()
        assert queueing.waiting(BUILD) == 1
    finish(tasks.build_index)
    assert indexes.is_valid("dlib_v1")


def test_it_is_looked_at_every_hour() -> None:
    call_command("migrate", verbosity=0)
    (look,) = Schedule.objects.filter(func="batch.tasks.look_at_index")
    assert (look.schedule_type, look.repeats) == ("H", -1)


def test_there_is_nothing_to_do(settings: Settings) -> None:
    settings.FACESVC_HNSW_FROM = 2
    tasks.look_at_index()
    assert not queueing.waiting(BUILD)


def test_one_that_is_no_longer_needed_is_dropped() -> None:
    finish(tasks.build_index)
    Face.objects.all().delete()
    tasks.look_at_index()
    assert queueing.waiting(BUILD) == 1
    finish(tasks.build_index)
    assert not indexes.is_valid("dlib_v1")


def test_a_build_that_fails_is_tried_three_times_a_day() -> None:
    """As on a full disk, which it would fill every hour."""
    fail(hours=25), fail(hours=3), fail(hours=2)
    tasks.look_at_index()
    assert queueing.waiting(BUILD) == 1
    fail(hours=1)
    queueing.OrmQ.objects.all().delete()
    tasks.look_at_index()
    assert not queueing.waiting(BUILD)


def test_what_fails_is_logged_and_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(version: str) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(indexes, "keep", full)
    finish(tasks.build_index)
    assert queueing.failures(BUILD, within=timedelta(minutes=1)) == 1
    assert Failure.objects.get().result == "no space left"
    assert "no space left" in caplog.text


def test_a_failure_with_its_connection_is_kept_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the database restarts during a build: otherwise it is begun every hour."""

    def cut_off(version: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(indexes, "keep", cut_off)
    finish(tasks.build_index)
    assert queueing.failures(BUILD, within=timedelta(minutes=1)) == 1


@contextmanager
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A block in which each build waits for its end; the versions that were built."""
    go_on, keep, built = Event(), indexes.keep, []

    def wait(version: str) -> None:
        built.append(version)
        assert go_on.wait(PATIENCE)
        keep(version)

    monkeypatch.setattr(indexes, "keep", wait)
    try:
        yield built
    finally:
        go_on.set()
        wait_for_long_tasks()


def test_the_worker_takes_the_next_task_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one worker, nobody else would do the sweep of every minute for hours."""
    with slow(monkeypatch) as built:
        for _ in range(3):
            tasks.build_index()
        tasks.sweep()
        assert not indexes.is_valid("dlib_v1")
    assert indexes.is_valid("dlib_v1") and built == ["dlib_v1"]


def test_a_worker_that_ends_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database goes on with the build by itself."""
    with slow(monkeypatch):
        tasks.build_index()
        (thread,) = (each for each in threading.enumerate() if each.name == BUILD)
        assert thread.daemon
