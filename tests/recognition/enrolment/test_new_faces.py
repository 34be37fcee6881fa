"""The look-alikes of a new face: searched by a worker after the enrolment, each face once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection, connections
from django.utils import timezone
from django_q.models import OrmQ
from pytest_django import Settings

from batch import tasks
from batch.jobs import work
from batch.queue import queueing
from management import erasure, moderation
from recognition.enrolment import comparing_all, lookalikes
from recognition.gallery import indexes
from recognition.inference.arrays import Floats
from recognition.inference.pack.declaration import PackError
from recognition.models import Face, NewFace, PossibleDuplicate, Template
from recognition.packs import engine
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE_BASE64,
    STRANGER,
    FakePipeline,
    Person,
    data_of,
    fake_engine,
    make_face,
    make_user,
    near,
    vector,
)
from tests.support.patience import PATIENCE, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
SEARCH = "batch.tasks.search_new_faces"
MODERATOR = "operator:moderator"


@pytest.fixture(autouse=True)
def lookalike(fake: FakePipeline) -> Face:
    """The stranger has the face of all pictures."""
    face = make_face(make_user(STRANGER), vector(1))
    fake.show(vector(1))
    return face


def register(service: Person, user_id: UUID = OWNER) -> Face:
    face_id = data_of(service.post("register", user_id=user_id, image=PICTURE_BASE64), 201)
    return Face.objects.get(face_id=face_id["face_id"])


def pairs() -> set[tuple[UUID, UUID | None]]:
    return set(PossibleDuplicate.objects.values_list("user_a", "user_b"))


def search() -> None:
    tasks.search_new_faces()


def test_it_works(service: Person, lookalike: Face) -> None:
    """The request compares the face with nobody else's."""
    statements: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        mine = register(service)
    assert not any("recognition_sketch" in sql or "gallerycount" in sql for sql in statements)
    assert NewFace.objects.get().face == mine and not PossibleDuplicate.objects.exists()
    search()
    found = PossibleDuplicate.objects.get()
    assert (found.face_a, found.face_b, found.state) == (mine, lookalike, "open")
    assert 0.95 <= found.confidence <= 1
    assert not NewFace.objects.exists()


def test_the_answer_does_not_tell(service: Person) -> None:
    """Who else matches is for moderators only."""
    answer = data_of(service.post("register", user_id=OWNER, image=PICTURE_BASE64), 201)
    assert "duplicate" not in str(answer) and str(STRANGER) not in str(answer)


def test_a_batch_leaves_its_faces_too(service: Person, settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    images = [{"image_id": "a", "image": PICTURE_BASE64, "user_id": str(OWNER)}]
    data_of(service.post("batch-register", images=images), 202)
    work.work()
    assert NewFace.objects.count() == 1
    search()
    assert pairs() == {(OWNER, STRANGER)}


def test_a_refused_enrolment_leaves_nothing(service: Person) -> None:
    make_face(make_user(OWNER), vector(1))
    assert service.post("register", user_id=OWNER, image=PICTURE_BASE64).status_code == 409
    assert not NewFace.objects.exists()


# --- what happens in between ----------------------------------------------------------------------


def test_a_face_that_is_deleted(service: Person) -> None:
    register(service).delete()
    assert not NewFace.objects.exists()
    search()
    assert not pairs()


def test_a_user_who_is_erased(service: Person) -> None:
    register(service)
    erasure.erase(actor=MODERATOR, user_id=OWNER)
    assert not NewFace.objects.exists()
    search()
    assert not pairs()


def test_a_face_that_is_moved(service: Person) -> None:
    face = register(service)
    make_user(FRIEND)
    moderation.move_face(actor=MODERATOR, face_id=face.face_id, user_id=FRIEND)
    search()
    assert pairs() == {(FRIEND, STRANGER)}


def test_a_face_that_is_moved_to_its_lookalike(service: Person) -> None:
    face = register(service)
    moderation.move_face(actor=MODERATOR, face_id=face.face_id, user_id=STRANGER)
    search()
    assert not pairs() and not NewFace.objects.exists()


def test_users_who_are_merged(service: Person) -> None:
    register(service)
    make_face(make_user(FRIEND), vector(9))
    moderation.merge_users(actor=MODERATOR, user_id=OWNER, into=FRIEND)
    search()
    assert pairs() == {(FRIEND, STRANGER)}


def test_a_search_over_the_whole_gallery_before(service: Person) -> None:
    register(service)
    call_command("find_duplicates")
    before = PossibleDuplicate.objects.get()
    search()
    assert PossibleDuplicate.objects.get().pk == before.pk


def test_a_face_that_the_active_model_does_not_have(service: Person) -> None:
    """No search finds it, and so it finds nobody; scores of two models do not compare."""
    template = register(service).templates.get()
    template.delete()
    template.pk, template.embedding_version = None, "other_v1"
    indexes.sketch("other_v1", np.zeros(512, np.float32))
    template.save(force_insert=True)
    search()
    assert not pairs() and not NewFace.objects.exists()


# --- workers --------------------------------------------------------------------------------------


def time_passes(**delay: float) -> None:
    for row in NewFace.objects.exclude(next_attempt_at=None):
        row.next_attempt_at -= timedelta(**delay)
        row.save()


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException, face: Face) -> None:
    """From here on, the search for this face ends with the error."""
    note = lookalikes._note

    def fail(active: Any, rows: Any) -> None:
        if [key for key, *_ in rows] == [face.pk]:
            raise error
        note(active, rows)

    monkeypatch.setattr(lookalikes, "_note", fail)


def test_a_worker_that_is_killed(
    service: Person, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a face is one transaction, which ends with the connection. The next worker begins with
    another face: this one may have killed it."""
    face = register(service)
    fake.show(near(vector(1), 0.99))
    register(service, FRIEND)
    with monkeypatch.context() as patch:
        failing(patch, SystemExit("killed"), face)
        with pytest.raises(SystemExit):
            search()
        assert NewFace.objects.count() == 2
        search()
    assert (FRIEND, STRANGER) in pairs() and (OWNER, STRANGER) not in pairs()
    assert NewFace.objects.get().face == face
    time_passes(minutes=5)
    search()
    assert (OWNER, STRANGER) in pairs() and not NewFace.objects.exists()


def test_a_search_that_always_fails_holds_nobody_up(
    service: Person,
    fake: FakePipeline,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is tried later and later, and never forgotten."""
    face = register(service)
    failing(monkeypatch, RuntimeError("always"), face)
    fake.show(near(vector(1), 0.99))
    register(service, FRIEND)
    search()
    assert (FRIEND, STRANGER) in pairs() and NewFace.objects.get().face == face
    assert "always" in caplog.text and str(OWNER) not in caplog.text
    for number, minutes in enumerate([5, 10, 20], 2):
        time_passes(minutes=minutes - 1)
        assert not lookalikes.have_new()
        search()
        assert NewFace.objects.get().attempts == number - 1
        time_passes(minutes=1)
        search()
        assert NewFace.objects.get().attempts == number
    NewFace.objects.update(attempts=30_000)
    time_passes(days=1)
    search()
    waits = NewFace.objects.get().next_attempt_at - timezone.now()
    assert timedelta(hours=23) < waits <= timedelta(days=1)


def test_a_change_of_the_model_during_the_search(
    service: Person, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no attempt that failed: the same worker searches once more."""
    register(service)
    former = SimpleNamespace(pack=fake.pack, template_key="former")
    engines = [fake_engine(), former, fake_engine()]
    monkeypatch.setattr(engine, "current", lambda: engines.pop(0) if engines[1:] else engines[0])
    search()
    assert pairs() == {(OWNER, STRANGER)} and len(engines) == 1


def test_two_workers_take_different_faces(
    service: Person, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(service)
    fake.show(near(vector(1), 0.99))
    register(service, FRIEND)
    matches, searched, go_on = comparing_all.find, [], Event()

    def slow(others: Any, template: Floats) -> Any:
        searched.append(template)
        if len(searched) == 1:
            assert go_on.wait(PATIENCE)
        return matches(others, template)

    def elsewhere() -> None:
        try:
            search()
        finally:
            connection.close()

    monkeypatch.setattr(comparing_all, "find", slow)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(elsewhere)
        try:
            wait_until(lambda: searched)
            search()  # the other face, and does not wait
            assert len(searched) == 2
        finally:
            go_on.set()
        first.result(PATIENCE)
    assert len(searched) == 2 and not NewFace.objects.exists()
    assert pairs() == {(OWNER, STRANGER), (FRIEND, STRANGER), (OWNER, FRIEND)}


@pytest.mark.parametrize("what", ["recognition_user", "recognition_face"])
def test_who_is_being_erased_is_left_for_later(
    service: Person, fake: FakePipeline, what: str
) -> None:
    """No worker waits, and the others' faces come first."""
    face = register(service)
    fake.show(near(vector(1), 0.99))
    register(service, FRIEND)
    key = {"recognition_user": OWNER, "recognition_face": face.pk}[what]
    other = connections.create_connection("default")
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute(f"SELECT FROM {what} WHERE id = %s FOR UPDATE", [key])
        search()
        assert NewFace.objects.get().face == face
        assert (FRIEND, STRANGER) in pairs() and (OWNER, STRANGER) not in pairs()
        other.rollback()  # a server notices a connection that is closed only after a while
    finally:
        other.close()
    search()
    assert (OWNER, STRANGER) in pairs() and not NewFace.objects.exists()


def test_a_machine_without_the_pack(
    service: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another machine may have it: the face waits, and no task fails every minute."""
    register(service)
    with monkeypatch.context() as patch:
        patch.setattr(lookalikes.engine, "current", without_pack)
        search()
    assert "the pack is not here" in caplog.text and NewFace.objects.count() == 1
    search()
    assert pairs() == {(OWNER, STRANGER)}


def without_pack() -> None:
    raise PackError("the pack is not here")


def test_nothing_is_loaded_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookalikes.engine, "current", without_pack)
    assert not lookalikes.search_next()


def test_the_sweep_calls_a_worker_once(service: Person) -> None:
    tasks.sweep()
    assert not queueing.waiting(SEARCH)
    register(service)
    for _ in range(2):
        tasks.sweep()
        assert queueing.waiting(SEARCH) == 1


def test_the_time_of_a_task_is_that_of_all_collections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has one face searched, and then the time is over."""
    clock, searched = iter(range(10**6)), []
    monkeypatch.setattr(tasks, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(tasks, "in_each", lambda work: [work() for _ in range(100)])
    monkeypatch.setattr(lookalikes, "search_next", lambda: searched.append(1) or True)
    search()
    assert 100 <= len(searched) < 110


def test_a_task_gives_way_and_calls_the_next(
    service: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user_id in (OWNER, FRIEND):
        register(service, user_id)
    monkeypatch.setattr(tasks, "_SLICE", -1)
    search()
    assert NewFace.objects.count() == 1 and queueing.waiting(SEARCH) == 1
    search()
    assert not NewFace.objects.exists()
    assert OrmQ.objects.count() == 1  # no third one
    assert Template.objects.count() == 3
