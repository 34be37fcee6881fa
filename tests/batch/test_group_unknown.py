"""Faces of nobody are put together at the end of a job, and their templates go with it."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from pytest_django import Settings

from batch import tasks
from batch.jobs import grouping, jobs, unknown_faces, work
from batch.jobs.jobs import NewItem
from batch.models import Item, Job, Kind, UnknownFaces, UnknownPerson, WebhookDelivery
from recognition.access import Caller
from recognition.identification import unknown_people
from recognition.models import AuditEvent, User
from recognition.privacy import sealing
from tests.support.builders import (
    OWNER,
    PICTURE,
    SEARCH,
    FakePipeline,
    face_of,
    make_face,
    make_user,
    misread,
    near,
    vector,
)

pytestmark = pytest.mark.django_db
concurrent = pytest.mark.django_db(transaction=True)

APP = Caller("app", None, frozenset({"face:identify", "face:batch"}))
ANN, BEN, CLEO = vector(1), vector(2), vector(3)
# Ann is enrolled. Ben is in three pictures, Cleo in one, and both are nobody.
ALBUM = [
    [ANN, near(BEN, 0.97, toward=30)],
    [face_of(BEN, quality=0.95)],
    [],
    [near(BEN, 0.97, toward=31), CLEO],
]


@pytest.fixture(autouse=True)
def prepared(settings: Settings, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    monkeypatch.setattr(work, "_SLICE", 60.0)  # however busy the machine is
    monkeypatch.setattr(work, "_PAUSE", 0.01)
    make_face(make_user(OWNER, "public"), ANN)
    fake.show(*ALBUM)


def submit(pictures: int = len(ALBUM), callback_url: str = "", **options: Any) -> Job:
    return jobs.submit(
        caller=APP,
        kind=Kind.IDENTIFY,
        options={**SEARCH, "group_unknown": True, **options},
        items=[NewItem(f"{number}", PICTURE, {}) for number in range(pictures)],
        callback_url=callback_url,
    )


def now(job: Job) -> Job:
    return Job.objects.with_counts().get(pk=job.pk)


def ids_in(job: Job) -> list[list[str | None]]:
    """The unknown id of each face of each picture, without what begins all of them."""
    items = Item.objects.filter(job=job).order_by("pk")
    begin = job.job_id.replace("job", "unknown") + "_"
    return [
        [face["unknown_id"].removeprefix(begin) if "unknown_id" in face else None for face in faces]
        for faces in (item.result["faces"] if item.result else [] for item in items)
    ]


def people_of(job: Job) -> list[tuple[str, int, str, int]]:
    people = UnknownPerson.objects.filter(job=job).order_by("pk").select_related("best_item")
    return [
        (each.unknown_id[-1], each.pictures, each.best_item.image_id, each.best_face_index)
        for each in people
    ]


IDS = [[None, "1"], ["1"], [], ["1", "2"]]
PEOPLE = [("1", 3, "1", 0), ("2", 1, "3", 1)]


def assert_grouped(job: Job) -> None:
    assert (now(job).status, now(job).unknown_people) == ("completed", 2)
    assert (ids_in(job), people_of(job)) == (IDS, PEOPLE)
    assert not UnknownFaces.objects.exists()


def test_it_works() -> None:
    job = submit()
    work.work()
    assert_grouped(job)


def test_nothing_is_kept_unless_it_is_asked_for() -> None:
    job = submit(group_unknown=False)
    claimed = work._claim()
    assert claimed
    claimed.job = job
    work.process(claimed)
    assert not UnknownFaces.objects.exists()
    work.work()
    assert (now(job).status, now(job).unknown_people) == ("completed", None)
    assert ids_in(job) == [[None] * len(faces) for faces in ALBUM]


def test_a_job_from_before_an_upgrade() -> None:
    job = submit()
    Job.objects.update(options=SEARCH)
    work.work()
    assert (now(job).status, now(job).unknown_people) == ("completed", None)


def test_the_audit_log_says_that_it_was_asked_for() -> None:
    submit()
    submit(group_unknown=False)
    asked, other = AuditEvent.objects.filter(action="job.submit").order_by("pk")
    assert asked.details["group_unknown"] and "group_unknown" not in other.details


def test_everybody_is_somebody(fake: FakePipeline) -> None:
    fake.show([ANN])
    job = submit(2)
    work.work()
    assert (now(job).status, now(job).unknown_people) == ("completed", 0)


def test_who_is_given_to_another_face_is_not_unknown(fake: FakePipeline) -> None:
    """Ann is at a mirror: one of the faces has no candidate, but it is not that of a stranger."""
    fake.show([ANN, near(ANN, 0.97, toward=30)])
    job = submit(1, unique_people=True)
    work.work()
    faces = Item.objects.get(job=job).result["faces"]
    assert [len(face["candidates"]) for face in faces] == [1, 0]
    assert (now(job).status, now(job).unknown_people, ids_in(job)) == ("completed", 0, [[None] * 2])


def test_a_job_without_a_picture_that_can_be_read() -> None:
    unreadable = jobs.ItemResult.failed("invalid_image", "No picture.")
    job = jobs.submit(
        caller=APP,
        kind=Kind.IDENTIFY,
        options={**SEARCH, "group_unknown": True},
        items=[NewItem("a", unreadable, {})],
    )
    assert (now(job).status, now(job).unknown_people) == ("completed", 0)


def test_a_misread_face_is_not_grouped(fake: FakePipeline) -> None:
    fake.show([BEN], [misread(BEN)])
    job = submit(2)
    work.work()
    assert ids_in(job) == [["1"], [None]]


def test_the_templates_are_sealed_until_they_go() -> None:
    submit(2)
    item = Item.objects.earliest("pk")
    item.job = Job.objects.get()
    work.process(item)
    (row,) = UnknownFaces.objects.all()
    (face,) = unknown_faces.opened([row])
    assert (face.item, face.face_index) == (item.pk, 1)
    assert face.template.astype("<f2").tobytes() not in bytes(row.sealed)
    assert "unknown_id" not in json.dumps(Item.objects.get(pk=item.pk).result)


def test_a_new_key_seals_them_again(settings: Settings) -> None:
    job = submit()
    for item in Item.objects.order_by("pk"):
        item.job = job
        work.process(item)
    old, new = settings.FACESVC_CROP_KEYS, [Fernet.generate_key().decode()]
    settings.FACESVC_CROP_KEYS = [*new, *old]
    assert all(sealing.rotate(UnknownFaces))
    settings.FACESVC_CROP_KEYS = new
    tasks.sweep()
    assert_grouped(job)


# --- in which order, and by which worker ----------------------------------------------------------


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
def test_the_order_of_the_work_changes_nothing(fake: FakePipeline, order: Sequence[int]) -> None:
    job = submit()
    items = list(Item.objects.order_by("pk"))
    for number in order:
        fake.show(ALBUM[number])
        items[number].job = job
        work.process(items[number])
    tasks.sweep()
    assert_grouped(job)


@concurrent
def test_two_workers_group_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one leaves it to the first, and does not end the job under its hands."""
    job = submit()
    grouped, seen = unknown_people.grouped, []

    def meanwhile(*args: Any) -> Any:
        seen.append(elsewhere(lambda: grouping.end(job.pk)))
        assert not Job.objects.get(pk=job.pk).finished_at
        return grouped(*args)

    monkeypatch.setattr(unknown_people, "grouped", meanwhile)
    work.work()
    assert len(seen) == 1
    assert_grouped(job)


def elsewhere(task: Any) -> Any:
    """Run on another connection, as another process would."""

    def run() -> Any:
        try:
            return task()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(run).result(20)


@concurrent
@pytest.mark.parametrize("when", ["while it computes", "before the end is stored"])
def test_a_killed_worker(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with kill -9: the database sees the connection end. The sweep does it again, once."""
    job, grouped = submit(), unknown_people.grouped

    def die(*args: Any) -> Any:
        elsewhere(kill_all)
        return grouped(*args) if len(args) == 3 else None

    with monkeypatch.context() as patch:
        if when == "while it computes":
            patch.setattr(unknown_people, "grouped", die)
        else:
            patch.setattr(jobs, "finish", die)
        with pytest.raises((OperationalError, InterfaceError)):
            work.work()
    connection.close()
    assert now(job).status == "processing" and not UnknownPerson.objects.exists()
    assert ids_in(job) == [[None] * len(faces) for faces in ALBUM]
    assert UnknownFaces.objects.count() == 3
    tasks.sweep()
    assert_grouped(job)


def kill_all() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )


def test_a_worker_with_other_keys_leaves_it_alone(settings: Settings) -> None:
    job, keys = submit(), settings.FACESVC_CROP_KEYS
    for item in Item.objects.order_by("pk"):
        item.job = job
        work.process(item)
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    tasks.sweep()
    assert not now(job).finished_at and UnknownFaces.objects.count() == 3
    settings.FACESVC_CROP_KEYS = keys
    tasks.sweep()
    assert_grouped(job)


# --- ended, erased, changed -----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cancelled", "timed_out", "purge"])
@pytest.mark.parametrize("done", [2, 4])
def test_the_templates_do_not_outlast_the_job(how: str, done: int) -> None:
    """A job that ends otherwise has no unknown people, even if all of its pictures were done."""
    job = submit()
    for item in Item.objects.order_by("pk")[:done]:
        item.job = job
        work.process(item)
    assert UnknownFaces.objects.exists()
    if how == "cancelled":
        jobs.cancel(caller=APP, job_id=job.job_id)
    else:
        Job.objects.update(deadline_at=timezone.now() - timedelta(seconds=1))
        jobs.of(APP, job.job_id) if how == "timed_out" else call_command("purge", stdout=StringIO())
    assert not UnknownFaces.objects.exists()
    assert now(job).status == ("cancelled" if how == "cancelled" else "timed_out")
    assert now(job).unknown_people is None and not UnknownPerson.objects.exists()


def test_a_job_that_cannot_be_grouped_keeps_no_other_from_its_end() -> None:
    """What it kept is unreadable for a reason that nobody has thought of."""
    bad, good = submit(), submit()
    for item in Item.objects.order_by("pk").select_related("job"):
        work.process(item)
    UnknownFaces.objects.filter(item__job=bad).update(sealed=sealing.seal(b"no faces"))
    work.sweep()
    work.sweep()
    assert now(bad).finished_at is None and now(good).status == "completed"
    Job.objects.update(deadline_at=timezone.now() - timedelta(seconds=1))
    work.sweep()
    assert now(bad).status == "timed_out" and not UnknownFaces.objects.exists()


def test_nobody_computes_groups_for_a_job_that_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    job = submit()
    for item in Item.objects.order_by("pk").select_related("job"):
        work.process(item)
    Job.objects.update(deadline_at=timezone.now() - timedelta(seconds=1))
    monkeypatch.setattr(unknown_people, "grouped", lambda *_: pytest.fail("it was computed"))
    grouping.end(job.pk)
    assert now(job).status == "timed_out" and not UnknownFaces.objects.exists()


@concurrent
def test_cancelled_while_it_is_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    job = submit()
    grouped = unknown_people.grouped

    def cancel_meanwhile(*args: Any) -> Any:
        elsewhere(lambda: jobs.cancel(caller=APP, job_id=job.job_id))
        return grouped(*args)

    monkeypatch.setattr(unknown_people, "grouped", cancel_meanwhile)
    work.work()
    assert (now(job).status, now(job).unknown_people) == ("cancelled", None)
    assert not UnknownPerson.objects.exists() and not UnknownFaces.objects.exists()


@concurrent
def test_the_viewer_is_erased_while_it_is_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The photos were the viewer's: nothing more is made of them."""
    job = submit(on_behalf_of=str(OWNER))
    grouped = unknown_people.grouped

    def erase_meanwhile(*args: Any) -> Any:
        elsewhere(lambda: User.objects.get(pk=OWNER).delete())
        return grouped(*args)

    monkeypatch.setattr(unknown_people, "grouped", erase_meanwhile)
    work.work()
    assert (now(job).status, now(job).unknown_people) == ("completed", None)
    assert not UnknownPerson.objects.exists() and not UnknownFaces.objects.exists()


def test_who_is_erased_later_leaves_the_groups_alone() -> None:
    job = submit()
    work.work()
    User.objects.get(pk=OWNER).delete()
    assert_grouped(job)


def test_faces_of_another_model_are_not_compared() -> None:
    job = submit()
    for item in Item.objects.order_by("pk"):
        item.job = job
        work.process(item)
    first = UnknownFaces.objects.earliest("pk")
    UnknownFaces.objects.filter(pk=first.pk).update(embedding_version="former_v1")
    tasks.sweep()
    assert (now(job).status, now(job).unknown_people) == ("completed", 2)
    assert ids_in(job) == [[None, None], ["1"], [], ["1", "2"]]
    assert not UnknownFaces.objects.exists()


def test_among_too_many_faces_the_best_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown_people, "MOST_FACES", 1)
    job = submit()
    work.work()
    assert ids_in(job) == [[None, None], ["1"], [], [None, None]]
    assert people_of(job) == [("1", 1, "1", 0)]


def test_the_callback_has_their_number(settings: Settings) -> None:
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1"]
    submit(callback_url="https://127.0.0.1/")
    submit(1, callback_url="https://127.0.0.1/", group_unknown=False)
    work.work()
    told = [json.loads(row.body)["data"] for row in WebhookDelivery.objects.order_by("job")]
    assert [each["unknown_people"] for each in told] == [2, None]


def test_old_jobs_take_them_along() -> None:
    submit()
    work.work()
    Job.objects.update(finished_at=timezone.now() - timedelta(days=30))
    call_command("purge", stdout=StringIO())
    assert not UnknownPerson.objects.exists()
