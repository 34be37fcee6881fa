"""The HNSW index as a task: called for when there is something to do, beside what else waits."""

from collections.abc import Iterator
from datetime import timedelta
from threading import Event

import pytest
from django.core.management import call_command
from django.utils import timezone
from django_q.models import Schedule, Task
from pytest_django import Settings

from batch import tasks
from batch.queue import cluster, queueing
from recognition.gallery import indexes
from recognition.models import Face, NewFace
from tests.support.builders import (
    OWNER,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    data_of,
    make_face,
    make_user,
    vector,
)
from tests.support.patience import PATIENCE

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
    tasks.build_index()
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
    tasks.build_index()
    Face.objects.all().delete()
    tasks.look_at_index()
    assert queueing.waiting(BUILD) == 1
    tasks.build_index()
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


def test_what_fails_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(version: str) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(indexes, "keep", full)
    with pytest.raises(OSError, match="no space left"):
        tasks.build_index()


def test_what_else_waits_is_done_beside_it(
    service: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one worker, nobody else would do it for hours."""
    go_on, keep = Event(), indexes.keep

    def slow(version: str) -> None:
        assert go_on.wait(PATIENCE)
        keep(version)

    def do_what_waits() -> bool:
        is_going_on = work()
        if not NewFace.objects.exists():
            go_on.set()
        return is_going_on

    work = tasks._do_what_waits
    monkeypatch.setattr(indexes, "keep", slow)
    monkeypatch.setattr(tasks, "_do_what_waits", do_what_waits)
    monkeypatch.setattr(tasks, "_LOOK_AT_BUILD", 0.01)
    data_of(service.post("register", user_id=OWNER, image=PICTURE_BASE64), 201)
    tasks.build_index()
    assert not NewFace.objects.exists() and indexes.is_valid("dlib_v1")


def test_a_cluster_that_ends_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database goes on with the build by itself."""
    go_on, done, keep = Event(), Event(), indexes.keep

    def slow(version: str) -> None:
        assert go_on.wait(PATIENCE)
        keep(version)
        done.set()

    monkeypatch.setattr(indexes, "keep", slow)
    monkeypatch.setattr(tasks, "_LOOK_AT_BUILD", 0.01)
    cluster.is_stopping.set()
    try:
        tasks.build_index()
        assert not done.is_set()
    finally:
        cluster.is_stopping.clear()
        go_on.set()
    assert done.wait(PATIENCE) and indexes.is_valid("dlib_v1")
