"""The life of a job and its items: two workers, cancelled, erased, killed, too late."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import InternalError, OperationalError, connection, transaction
from django.utils import timezone
from django_q.models import OrmQ, Schedule, Task
from psycopg.errors import ReadOnlySqlTransaction
from pytest_django import Settings

from batch import tasks
from batch.jobs import jobs, verbs, work
from batch.jobs.jobs import NewItem
from batch.jobs.verbs import ItemResult
from batch.models import Item, Job, Kind, Picture, WebhookDelivery
from management.relations import unfriend
from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.inference.pack.declaration import PackError
from recognition.models import Face, User
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE,
    SEARCH,
    STRANGER,
    FakePipeline,
    befriend,
    make_face,
    make_user,
    vector,
)
from tests.support.patience import PATIENCE, wait_until

pytestmark = pytest.mark.django_db
concurrent = pytest.mark.django_db(transaction=True)

APP = Caller("app", None, frozenset({"face:identify", "face:register", "face:batch"}))
FACE = {"user_id": str(FRIEND), "face_group": "primary", "face_index": None, "metadata": {}}


@pytest.fixture(autouse=True)
def prepared(settings: Settings, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    monkeypatch.setattr(work, "_SLICE", 60.0)  # however busy the machine is
    monkeypatch.setattr(work, "_PAUSE", 0.01)
    fake.show(vector(1))


def identify(count: int = 3, caller: Caller = APP) -> Job:
    items = [NewItem(f"{number}", PICTURE, {}) for number in range(count)]
    return jobs.submit(caller=caller, kind=Kind.IDENTIFY, options=SEARCH, items=items)


def caller_named(subject: str) -> Caller:
    return Caller(subject, None, APP.scopes)


def register(user_id: UUID = FRIEND) -> Job:
    item = NewItem("a", PICTURE, {**FACE, "user_id": str(user_id)})
    return jobs.submit(caller=APP, kind=Kind.REGISTER, options={}, items=[item])


def now(job: Job) -> Any:
    return Job.objects.with_counts().get(pk=job.pk)


def elsewhere(task: Callable[[], Any]) -> Any:
    """Run on another connection, as another process would."""

    def run() -> Any:
        try:
            return task()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(run).result(20)


def meanwhile(fake: FakePipeline, monkeypatch: pytest.MonkeyPatch, task: Callable[[], Any]) -> None:
    """Have the task happen once, while a worker computes."""
    embed, waiting = fake.embed, [task]

    def embed_and_run(faces: Any) -> Any:
        if waiting:
            elsewhere(waiting.pop())
        return embed(faces)

    monkeypatch.setattr(fake, "embed", embed_and_run)


def no_reservation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "_RESERVED", timedelta(0))
    monkeypatch.setattr(work, "_PUT_OFF", timedelta(hours=-1))


@concurrent
def test_it_works() -> None:
    job = identify()
    tasks.work()
    job = now(job)
    assert (job.status, job.succeeded, job.failed) == ("completed", 3, 0)
    assert job.created_at < job.started_at < job.finished_at


# --- several workers ------------------------------------------------------------------------------


@concurrent
def test_four_workers_do_every_item_once(
    fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, done = identify(30), []
    embed = fake.embed
    monkeypatch.setattr(fake, "embed", lambda faces: done.append(1) or embed(faces))

    def run() -> None:
        try:
            work.work()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        for one in [threads.submit(run) for _ in range(4)]:
            one.result(60)
    assert len(done) == 30
    assert (now(job).status, now(job).succeeded) == ("completed", 30)
    assert set(Item.objects.values_list("attempts", flat=True)) == {1}


@concurrent
def test_an_item_that_another_has_is_left_alone(
    fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_reservation(monkeypatch)
    job = identify(1)
    seen: list[Item | None] = []
    meanwhile(fake, monkeypatch, lambda: seen.append(work._claim()))
    work.work()
    assert seen == [None]
    assert now(job).succeeded == 1


def test_clients_take_turns() -> None:
    """A client with many pictures keeps nobody waiting until all of them are done."""
    loud = [identify(20, caller_named("loud")) for _ in range(2)]
    quiet = identify(3, caller_named("quiet"))
    jobs_in_turn = []
    while (claimed := work._claim()) and len(jobs_in_turn) < 43:
        jobs_in_turn.append(claimed.job_id)
    assert len(jobs_in_turn) == 43
    # By chance: that the quiet client's last picture is among the last ten has odds of 1 in 10^7.
    assert max(at for at, job in enumerate(jobs_in_turn) if job == quiet.pk) < 33
    # Of one client the oldest job comes first.
    own = [job for job in jobs_in_turn if job != quiet.pk]
    assert own == [job.pk for job in loud for _ in range(20)]


def test_a_claim_locks_one_item_and_reads_few() -> None:
    for client in range(5):
        for _ in range(3):
            identify(30, caller_named(f"client-{client}"))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE batch_job; ANALYZE batch_item")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {work._CLAIM}", [timedelta(seconds=5)])
        (plan,) = cursor.fetchone()
    text = json.dumps(plan)
    (lock,) = (part for part in nodes(plan[0]["Plan"]) if part["Node Type"] == "LockRows")
    assert (lock["Actual Loops"], lock["Actual Rows"]) == (1, 1), text


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


@concurrent
def test_another_claim_looks_at_the_item_for_a_moment() -> None:
    """Its lock comes before it sees that the item is reserved: no reason to leave the item."""
    job = identify(1)
    claimed = work._claim()
    locked = Event()

    def look() -> None:
        try:
            with transaction.atomic():
                list(Item.objects.select_for_update())
                locked.set()
                time.sleep(0.3)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        looking = threads.submit(look)
        assert claimed and locked.wait(PATIENCE)
        assert work.process(claimed)
        looking.result(PATIENCE)
    assert (now(job).succeeded, Item.objects.get().attempts) == (1, 1)


def test_a_clock_that_was_set_back_keeps_no_item_waiting() -> None:
    job = identify(1)
    Item.objects.update(claimed_until=timezone.now() + timedelta(days=1))
    work.work()
    assert now(job).succeeded == 1


def test_a_claim_that_came_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reserved by one, who paused too long; taken by another."""
    no_reservation(monkeypatch)
    identify(1)
    first, second = work._claim(), work._claim()
    assert first and second and (first.pk, second.attempts) == (second.pk, 2)
    work.process(first)
    assert Item.objects.get().state == "pending"
    work.process(second)
    work.process(second)
    assert Item.objects.get().state == "success"


# --- killed ---------------------------------------------------------------------------------------


@concurrent
def test_a_lost_connection_frees_the_item(
    fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with kill -9: the database sees the connection end. The face that was stored goes, too."""
    no_reservation(monkeypatch)
    job = register()

    def die() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE state = 'idle in transaction' AND datname = current_database()"
            )

    meanwhile(fake, monkeypatch, die)
    assert not work.process(work._claim())
    assert not Face.objects.exists()
    work.work()
    assert (now(job).status, now(job).succeeded) == ("completed", 1)
    # The first did not count: it is not the picture's fault.
    assert (Face.objects.count(), Item.objects.get().attempts) == (1, 1)


def test_a_picture_that_kills_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    no_reservation(monkeypatch)
    job = identify(2)
    first = Item.objects.order_by("pk").first()
    assert first
    for _ in range(work._MOST_ATTEMPTS):
        assert (claimed := work._claim()) and claimed.pk == first.pk
    work.work()
    first.refresh_from_db()
    assert (first.state, first.result["code"]) == ("error", "internal_error")
    assert (now(job).status, now(job).succeeded, now(job).failed) == ("completed", 1, 1)


def test_killed_before_the_end_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    job = identify(1)
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "finish", lambda pk: None)
        work.work()
    assert now(job).status == "processing"
    tasks.sweep()
    assert now(job).status == "completed"


def test_lost_tasks_are_queued_anew() -> None:
    identify(25)
    OrmQ.objects.all().delete()
    tasks.sweep()
    assert OrmQ.objects.count() == 3
    tasks.sweep()
    assert OrmQ.objects.count() == 3


def test_what_recurs_is_scheduled_once() -> None:
    call_command("migrate", verbosity=0)
    (sweep,) = Schedule.objects.filter(func="batch.tasks.sweep")
    assert (sweep.minutes, sweep.repeats) == (1, -1)
    (purge,) = Schedule.objects.filter(func="batch.tasks.purge")
    assert (purge.schedule_type, purge.repeats) == ("D", -1)
    (carry_over,) = Schedule.objects.filter(func="batch.tasks.carry_over")
    assert (carry_over.schedule_type, carry_over.repeats) == ("H", -1)


# --- failures -------------------------------------------------------------------------------------


def test_a_bug_is_one_items_error(fake: FakePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [ZeroDivisionError("secret"), *[[]] * 2]

    def embed(faces: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(fake, "embed", embed)
    job = identify(3)
    work.work()
    assert (now(job).status, now(job).succeeded, now(job).failed) == ("completed", 2, 1)
    result = Item.objects.get(state="error").result
    assert result["code"] == "internal_error" and "secret" not in json.dumps(result)


def read_only() -> InternalError:
    """As Django raises it at the first write after a failover to a standby."""
    error = InternalError("cannot execute UPDATE in a read-only transaction")
    error.__cause__ = ReadOnlySqlTransaction()
    return error


@pytest.mark.parametrize(
    "trouble",
    [
        PackError("no model yet"),
        ImproperlyConfigured("no key"),
        OperationalError("gone"),
        read_only(),
    ],
    ids=["no model", "no key", "no database", "a read-only database"],
)
def test_what_is_not_the_pictures_fault_is_tried_again(
    fake: FakePipeline, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    """However often; meanwhile the end of the job before is not forgotten."""
    before, job = identify(1), identify(1)
    detect, calls = fake.detect, []

    def broken(image: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) in range(2, 2 * work._MOST_ATTEMPTS):
            raise trouble
        return detect(image, **options)

    monkeypatch.setattr(fake, "detect", broken)
    work.work()
    assert now(before).status == "completed"
    item = Item.objects.get(job=job)
    assert (item.state, item.attempts) == ("pending", 0) and Picture.objects.exists()
    assert OrmQ.objects.filter(lock__gt=timezone.now()).count() == 1
    no_reservation(monkeypatch)
    Item.objects.update(claimed_until=None)
    work.work()
    assert (now(job).status, now(job).succeeded) == ("completed", 1)


def test_a_worker_with_other_keys_leaves_the_picture_alone(settings: Settings) -> None:
    """One that was started before the new key was told to it; another has it."""
    job, keys = identify(1), settings.FACESVC_CROP_KEYS
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    work.work()
    assert Item.objects.get().state == "pending" and Picture.objects.exists()
    settings.FACESVC_CROP_KEYS = keys
    Item.objects.update(claimed_until=None)
    work.work()
    assert now(job).succeeded == 1


def test_what_an_ended_job_left_calls_nobody() -> None:
    """No worker can claim it: each would come, find nothing and call the next, until the sweep."""
    job = identify(25)
    Job.objects.filter(pk=job.pk).update(status="cancelled", finished_at=timezone.now())
    OrmQ.objects.all().delete()
    jobs.call_for_workers()
    assert not OrmQ.objects.exists()


@concurrent
def test_a_worker_does_not_wait_for_what_another_has() -> None:
    """It returns, and one task comes when the other may have been killed."""
    identify(1)
    OrmQ.objects.all().delete()
    assert work._claim()
    work.work()
    work.work()
    assert Item.objects.get().attempts == 1
    (task,) = OrmQ.objects.all()
    assert task.lock > timezone.now()


# --- ended while a worker has an item -------------------------------------------------------------


@pytest.mark.parametrize("who", ["sweep", "purge"])
def test_nobody_works_for_long(settings: Settings, who: str) -> None:
    """A picture does not wait for ever, also where no worker runs."""
    settings.FACESVC_BATCH_WAIT_HOURS = -1
    job = identify(1)
    tasks.sweep() if who == "sweep" else call_command("purge", stdout=StringIO())
    assert now(job).status == "timed_out"
    assert not Picture.objects.exists()


def test_a_deadline_passes(settings: Settings) -> None:
    job = identify(3)
    item = work._claim()
    assert item
    jobs.start(job.pk)
    work.process(item)
    Job.objects.update(deadline_at=timezone.now() - timedelta(seconds=1))
    work.work()
    assert (now(job).status, now(job).succeeded) == ("timed_out", 1)
    assert set(Item.objects.values_list("state", flat=True)) == {"success", "skipped"}
    assert not Picture.objects.exists()


@concurrent
@pytest.mark.parametrize("end", ["cancelled", "timed_out"])
def test_nothing_is_stored_after_the_end(
    fake: FakePipeline, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Also not the face that was enrolled."""
    job = register()

    def end_it() -> None:
        if end == "cancelled":
            jobs.cancel(caller=APP, job_id=job.job_id)
        else:
            Job.objects.update(deadline_at=timezone.now() - timedelta(seconds=1))
            tasks.sweep()

    meanwhile(fake, monkeypatch, end_it)
    work.work()
    assert (now(job).status, now(job).succeeded, now(job).failed) == (end, 0, 0)
    assert not Face.objects.exists()
    assert Item.objects.get().state == "skipped"
    assert not Picture.objects.exists()


@concurrent
def test_the_end_waits_for_who_is_storing(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a worker has seen that its job is open, the end comes after the result."""
    job = identify(1)
    exist, waited = work._exist, []

    def cancel() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '300ms'")
        try:
            with pytest.raises(OperationalError, match="lock timeout"):
                jobs.cancel(caller=APP, job_id=job.job_id)
            waited.append(True)
        finally:
            connection.close()

    def cancel_meanwhile(outcome: ItemResult) -> bool:
        elsewhere(cancel)
        return exist(outcome)

    monkeypatch.setattr(work, "_exist", cancel_meanwhile)
    work.work()
    assert waited == [True]
    assert (now(job).status, now(job).succeeded) == ("completed", 1)


@concurrent
def test_the_callback_has_the_last_word(
    fake: FakePipeline, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """The counts that it tells are those that stay."""
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1"]
    items = [NewItem(f"{number}", PICTURE, {}) for number in range(3)]
    options = {"options": SEARCH, "items": items, "callback_url": "https://127.0.0.1/"}
    job = jobs.submit(caller=APP, kind=Kind.IDENTIFY, **options)
    meanwhile(fake, monkeypatch, lambda: jobs.cancel(caller=APP, job_id=job.job_id))
    work.work()
    told = json.loads(WebhookDelivery.objects.get().body)["data"]
    assert told["status"] == now(job).status == "cancelled"
    assert told["succeeded"] == now(job).succeeded == 0


# --- erased ---------------------------------------------------------------------------------------


def test_who_is_erased_is_in_no_result(fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "public", display_name="Ann"), vector(1))
    make_face(make_user(STRANGER, "public", display_name="Bob"), vector(2))
    fake.show([vector(1), vector(2)])
    identify(2)
    work.work()
    assert all(set(item.user_ids) == {OWNER, STRANGER} for item in Item.objects.all())
    User.objects.get(pk=OWNER).delete()
    for item in Item.objects.all():
        text = json.dumps(item.result)
        assert str(OWNER) not in text and "Ann" not in text and "Bob" in text
        assert item.user_ids == [STRANGER]
        assert item.result["identification_result"] == "not_found"
        assert item.result["total_candidates"] == 0
        assert [face["total_candidates"] for face in item.result["faces"]] == [0, 1]


def test_an_enrolment_of_who_is_erased() -> None:
    job = register()
    work.work()
    User.objects.get(pk=FRIEND).delete()
    item = Item.objects.get()
    assert item.result == {"registration_status": "erased"}
    assert now(job).succeeded == 1


def test_erased_before_the_enrolment() -> None:
    make_user(FRIEND)
    register()
    User.objects.get(pk=FRIEND).delete()
    assert not Picture.objects.exists()
    work.work()
    assert Item.objects.get().result["code"] == "user_not_found"
    assert not User.objects.exists()


@concurrent
def test_erased_during_the_enrolment(fake: FakePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker does not bring the user back."""
    no_reservation(monkeypatch)
    make_user(FRIEND)
    register()
    meanwhile(fake, monkeypatch, lambda: User.objects.get(pk=FRIEND).delete())
    work.work()
    assert not User.objects.exists() and not Face.objects.exists()
    assert Item.objects.get().result["code"] == "user_not_found"


@concurrent
def test_erased_while_being_found(fake: FakePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    no_reservation(monkeypatch)
    make_face(make_user(OWNER, "public"), vector(1))
    job = identify(1)
    identified, waiting = verbs.answers.Identified.of, [lambda: User.objects.get(pk=OWNER).delete()]

    def erase_and_answer(result: Any) -> Any:
        if waiting:
            elsewhere(waiting.pop())
        return identified(result)

    monkeypatch.setattr(verbs.answers.Identified, "of", erase_and_answer)
    work.work()
    assert (now(job).status, Item.objects.get().user_ids) == ("completed", [])
    assert str(OWNER) not in json.dumps(Item.objects.get().result)


@concurrent
def test_erased_while_a_worker_is_at_their_own_job(
    fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The erasure waits for the worker, and not the worker for the erasure: no deadlock."""
    make_user(OWNER)
    caller = Caller(str(OWNER), OWNER, frozenset({"face:register", "face:batch"}))
    item = NewItem("a", PICTURE, {**FACE, "user_id": str(OWNER)})
    jobs.submit(caller=caller, kind=Kind.REGISTER, options={}, items=[item])
    embed, erasing = fake.embed, []

    def erase() -> None:
        try:
            User.objects.get(pk=OWNER).delete()
        finally:
            connection.close()

    def embed_while_erasing(faces: Any) -> Any:
        erasing.append(threads.submit(erase))
        wait_until_one_waits_for_a_lock()
        return embed(faces)

    monkeypatch.setattr(fake, "embed", embed_while_erasing)
    with ThreadPoolExecutor(1) as threads:
        work.process(work._claim())
        (erasure,) = erasing
        erasure.result(20)
    assert not User.objects.exists() and not Job.objects.exists() and not Picture.objects.exists()


def wait_until_one_waits_for_a_lock() -> None:
    waiting = (
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND datname = current_database()"
    )

    def is_there() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            return bool(cursor.fetchall())

    wait_until(lambda: elsewhere(is_there))


def test_nothing_is_kept_of_who_was_to_be_enrolled(fake: FakePipeline) -> None:
    """Neither in an error, nor in what was never begun."""
    fake.show([])
    register()
    work.work()
    assert Item.objects.get().result["code"] == "no_face"
    cancelled = register()
    jobs.cancel(caller=APP, job_id=cancelled.job_id)
    for item in Item.objects.all():
        assert item.options == {}
    make_user(FRIEND)
    waiting = register()
    User.objects.get(pk=FRIEND).delete()
    assert Item.objects.get(job=waiting).options == {}
    assert not Item.objects.exclude(user_ids=[]).exists()


def test_a_duplicate_names_no_erased_face() -> None:
    register()
    again = register()
    work.work()
    face = Face.objects.get()
    duplicate = Item.objects.get(job=again)
    assert duplicate.result["details"] == {"face_id": face.face_id}
    face.delete()
    texts = [json.dumps(item.result) for item in Item.objects.all()]
    assert not any(face.face_id in text or "landmarks" in text for text in texts)


def test_a_deleted_face_is_in_no_result(fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "public"), vector(1))
    make_face(make_user(STRANGER, "public"), vector(2))
    fake.show([vector(1), vector(2)])
    identify(1)
    work.work()
    face = Face.objects.get(user=OWNER)
    face.delete()
    item = Item.objects.get()
    assert face.face_id not in json.dumps(item.result)
    assert [each["total_candidates"] for each in item.result["faces"]] == [0, 1]


@concurrent
def test_a_face_deleted_while_being_found(
    fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_reservation(monkeypatch)
    make_face(make_user(OWNER, "public"), vector(1))
    identify(1)
    identified, waiting = verbs.answers.Identified.of, [lambda: Face.objects.get().delete()]

    def delete_and_answer(result: Any) -> Any:
        if waiting:
            elsewhere(waiting.pop())
        return identified(result)

    monkeypatch.setattr(verbs.answers.Identified, "of", delete_and_answer)
    work.work()
    assert Item.objects.get().result["total_candidates"] == 0


def test_jobs_of_who_is_erased() -> None:
    make_user(OWNER)
    identify(2, Caller(str(OWNER), OWNER, frozenset({"face:identify", "face:batch"})))
    kept = identify(1)
    User.objects.get(pk=OWNER).delete()
    assert Job.objects.get() == kept
    assert Picture.objects.count() == 1


# --- kept -----------------------------------------------------------------------------------------


def test_purge(settings: Settings) -> None:
    old, new = identify(1), identify(1)
    work.work()
    waiting = identify(1)
    past = timezone.now() - timedelta(days=settings.FACESVC_BATCH_RETENTION_DAYS, seconds=1)
    Job.objects.filter(pk=old.pk).update(finished_at=past)
    Job.objects.filter(pk=waiting.pk).update(created_at=past)
    times = {"started": past, "stopped": past}
    Task.objects.create(id="1", name="a", func="x", success=False, **times)
    Session.objects.create(session_key="a", session_data="", expire_date=past)
    output = StringIO()
    call_command("purge", stdout=output)
    assert set(Job.objects.all()) == {new, waiting}
    assert not Task.objects.exists() and not Session.objects.exists()
    assert "1 batch jobs are dropped." in output.getvalue()


def test_the_purge_of_every_day(settings: Settings) -> None:
    old = identify(1)
    work.work()
    past = timezone.now() - timedelta(days=settings.FACESVC_BATCH_RETENTION_DAYS, seconds=1)
    Job.objects.filter(pk=old.pk).update(finished_at=past)
    tasks.purge()
    assert not Job.objects.exists()


@concurrent
def test_a_friend_removed_meanwhile(fake: FakePipeline) -> None:
    """Between two pictures of a job: the second does not find them."""
    owner, friend = make_user(OWNER), make_user(FRIEND)
    make_face(friend, vector(1))
    befriend(owner, friend)
    options = {**SEARCH, "on_behalf_of": str(OWNER), "groups": ["friends"]}
    items = [NewItem(name, PICTURE, {}) for name in "ab"]
    jobs.submit(caller=APP, kind=Kind.IDENTIFY, options=options, items=items)
    assert work.process(work._claim())
    unfriend(caller=APP, user_id=OWNER, other_id=FRIEND)
    work.work()
    found = Item.objects.order_by("pk").values_list("result__total_candidates", flat=True)
    assert list(found) == [1, 0]


def test_unreadable_pictures_are_results_at_once() -> None:
    bad = NewItem("bad", ItemResult.refused(ServiceError("invalid_base64", "No.")), {})
    job = jobs.submit(caller=APP, kind=Kind.IDENTIFY, options=SEARCH, items=[bad])
    assert (job.status, job.failed) == ("completed", 1)
    assert not OrmQ.objects.exists()
