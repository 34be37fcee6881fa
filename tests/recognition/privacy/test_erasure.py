"""DELETE /users/{id}: nothing of the person is left in any table, and the receipt stays."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import DatabaseError, connection, models, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from batch.jobs import work
from batch.models import Item, Job, Picture
from management import erasure, moderation
from recognition import daily_counts
from recognition.access import SCOPES, Caller
from recognition.enrolment import enrolling
from recognition.models import (
    AuditEvent,
    Face,
    FaceCrop,
    MergedUser,
    RateWindow,
    Template,
    User,
    locks,
)
from recognition.models.user_ids import UserId
from recognition.privacy import erasure as forgetting
from recognition.privacy import retention
from recognition.privacy.keeping import Keeps
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE_BASE64,
    STRANGER,
    FakePipeline,
    Person,
    data_of,
    make_face,
    make_user,
    refusal,
    service_token,
    user_token,
    vector,
)
from tests.support.dump import Dump, dump, is_empty, tables_with
from tests.support.everywhere import NAME, OLD_ZOE, ZOE, Life, allow
from tests.support.patience import PATIENCE, wait_until

pytestmark = pytest.mark.django_db
AUDIT = "recognition_auditevent"

# Every table is in one of these three, so that a new one has to be thought of.
HOLD_THE_ID = {
    *("batch_item", "batch_job", "batch_webhookendpoint", "batch_webhooksecret"),
    *("django_admin_log", "django_q_task", AUDIT),
    *("recognition_attempt", "recognition_face", "recognition_failurecount"),
    *("recognition_friendship", "recognition_idempotencykey", "recognition_listing"),
    *("recognition_membership", "recognition_session", "recognition_template"),
    *("recognition_recentprobe",),
    *("recognition_mergeduser", "recognition_possibleduplicate", "recognition_user"),
}
# Through their keys, or sealed: the test sees to it that hers are among the rows.
HOLD_WHAT_IS_HERS = {
    *("batch_picture", "batch_webhookattempt", "batch_webhookdelivery", "batch_unknownfaces"),
    *("recognition_facecrop", "recognition_publicsketch", "recognition_sketch"),
    *("recognition_newface",),
}
HOLD_NOBODY = {
    *("auth_user", "django_content_type", "django_migrations", "django_session"),
    *("auth_permission", "django_q_ormq", "django_q_schedule", "recognition_activemodel"),
    *("recognition_gallerycount", "recognition_group", "recognition_ratewindow"),
    *("recognition_sketchcentre", "recognition_dailycount"),
    *("auth_group", "auth_group_permissions", "recognition_duplicatesearch"),
    *("batch_unknownperson", "collections_collection"),
}
# Rights of the operators, which nobody has in the test; measurements and keys, which name nobody.
EMPTY = {"auth_user_groups", "auth_user_user_permissions", "recognition_measurement"}
EMPTY |= {"collections_accesskey", "collections_apikey", "collections_operatorof"}


@pytest.fixture
def life(fake: FakePipeline, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Life:
    monkeypatch.setattr(work, "_SLICE", 60.0)
    allow(settings)
    lived = Life(fake)
    lived.live()
    return lived


def spelled(user_id: UUID) -> list[bytes]:
    return [str(user_id).encode(), user_id.hex.encode(), user_id.bytes]


# What is hers, as text or as bytes.
HERS = {
    "a face": "SELECT face_id FROM recognition_face WHERE user_id = %s",
    "a template": "SELECT embedding::text FROM recognition_template WHERE user_id = %s",
    "a vector": "SELECT halfvec_send(embedding) FROM recognition_template WHERE user_id = %s",
    "a sketch": "SELECT bits::text FROM recognition_sketch JOIN recognition_template t"
    " ON t.id = template_id WHERE user_id = %s",
    "a public sketch": "SELECT bits::text FROM recognition_publicsketch JOIN"
    " recognition_template t ON t.id = template_id WHERE user_id = %s",
    "a crop": "SELECT sealed FROM recognition_facecrop c JOIN recognition_face f"
    " ON f.id = c.face_id WHERE user_id = %s",
    "an attempt's picture": "SELECT picture_hash FROM recognition_attempt WHERE user_id = %s",
    "her waiting picture": "SELECT sealed FROM batch_picture JOIN batch_item i ON i.id = item_id"
    " JOIN batch_job j ON j.id = i.job_id WHERE j.user_id = %s",
    "a waiting picture of her": "SELECT sealed FROM batch_picture JOIN batch_item i"
    " ON i.id = item_id WHERE user_ids = ARRAY[%s]",
    "the faces in her photos": "SELECT sealed FROM batch_unknownfaces JOIN batch_item i"
    " ON i.id = item_id JOIN batch_job j ON j.id = i.job_id"
    " WHERE j.options->>'on_behalf_of' = %s::text",
    "a secret": "SELECT sealed FROM batch_webhooksecret WHERE client = %s::text",
}


def belongings() -> dict[str, bytes]:
    """Her name in all spellings, and all that the statements find."""
    found = {
        "the name": NAME.encode(),
        "the name in JSON": json.dumps(NAME)[1:-1].encode(),
        "the family name": NAME.partition(" ")[2].encode(),
    }
    with connection.cursor() as cursor:
        for what, statement in HERS.items():
            cursor.execute(statement, [ZOE])
            rows = [row for (row,) in cursor.fetchall()]
            assert rows, f"there is not {what}"
            texts = [row.encode() if isinstance(row, str) else bytes(row) for row in rows]
            found |= {f"{what} {number}": text for number, text in enumerate(texts)}
    return found


def ways_to_a_user() -> Iterator[tuple[type[models.Model], str]]:
    """Every model with a foreign key that leads to a user, and the way there; of every such key."""
    ways: dict[type[models.Model], str] = {User: ""}
    open_ones = [User]
    while open_ones:
        target = open_ones.pop()
        for model in apps.get_models(include_auto_created=True):
            for field in model._meta.get_fields():
                if isinstance(field, models.ForeignKey) and field.related_model is target:
                    way = "__".join(filter(None, (field.name, ways[target])))
                    yield model, way
                    if model not in ways:
                        ways[model] = way
                        open_ones.append(model)


def test_it_works(life: Life) -> None:
    for model, way in ways_to_a_user():
        mine = model._base_manager.filter(**{way: ZOE})
        assert mine.exists(), f"the life leaves nothing in {model.__name__}.{way}"
    daily_counts.write()
    before, hers = dump(), belongings()
    assert_everything_is_filled(before)
    for what, needle in hers.items():
        assert tables_with(before, [needle]), f"{what} would not be found in the dump"

    receipt = data_of(life.zoe.delete(f"users/{ZOE}"))

    after = dump()
    assert tables_with(after, spelled(ZOE)) == {AUDIT}
    assert tables_with(after, spelled(OLD_ZOE)) == {AUDIT, "recognition_mergeduser"}
    left = {what: found for what, needle in hers.items() if (found := tables_with(after, [needle]))}
    assert not left
    assert receipt["user_id"] == str(ZOE)
    assert receipt["removed"] == {
        **dict.fromkeys(("face_crops", "faces", "new_faces", "templates"), 4),
        **{"attempts": 5, "failure_counts": 3, "friendships": 1, "memberships": 1},
        **{
            "sessions": 3,
            "recent_probes": 7,
            "users": 1,
            "log_entries": 8,
            "tasks": 1,
            "idempotency_keys": 9,
        },
        "unknown_faces": 1,
        **{"items": 2, "jobs": 2, "pictures": 5, "webhook_attempts": 1, "callbacks": 1},
        **{"callback_addresses": 1, "webhook_secrets": 1, "possible_duplicates": 2},
    }


def assert_everything_is_filled(dumped: Dump) -> None:
    """A new table has to be filled by the life, and named above."""
    assert tables_with(dumped, spelled(ZOE)) == HOLD_THE_ID
    assert set(dumped) == HOLD_THE_ID | HOLD_WHAT_IS_HERS | HOLD_NOBODY | EMPTY
    assert {table for table in dumped if is_empty(dumped, table)} == EMPTY


def test_a_delete_from_anywhere_erases(life: Life) -> None:
    """The log of the moderators and the audit log, too, which no foreign key reaches."""
    hers = belongings()
    User.objects.filter(pk=ZOE).delete()
    after = dump()
    assert tables_with(after, spelled(ZOE)) == {AUDIT}
    assert not {what for what, needle in hers.items() if tables_with(after, [needle])}
    assert not AuditEvent.objects.filter(user_id=ZOE).exclude(face_id="", details={}).exists()


def test_several_who_are_erased_together_leave_nothing(life: Life) -> None:
    """As one alone does; each has a receipt with the numbers of all."""
    make_face(make_user(OWNER), vector(7))
    hers = belongings()
    caller = Caller("app", None, frozenset(SCOPES))
    assert erasure.erase_together(caller=caller, user_ids=[UserId(str(ZOE)), UserId(str(OWNER))])
    after = dump()
    assert tables_with(after, spelled(ZOE)) == {AUDIT}
    assert tables_with(after, spelled(OLD_ZOE)) == {AUDIT, "recognition_mergeduser"}
    assert tables_with(after, spelled(OWNER)) == {AUDIT}
    assert not {what for what, needle in hers.items() if tables_with(after, [needle])}
    one, other = (erasure.receipt_of(each) for each in (ZOE, OWNER))
    assert one and other and one.receipt_id != other.receipt_id
    assert one.together == 2 and one.removed == other.removed
    assert (one.removed["users"], one.removed["faces"], one.removed["jobs"]) == (2, 5, 2)
    assert erasure.receipt_of(OLD_ZOE)


def test_of_several_one_is_not_there(life: Life) -> None:
    before = dump()
    caller = Caller("app", None, frozenset(SCOPES))
    nobody = [UserId(str(ZOE)), UserId(str(OWNER))]
    assert not erasure.erase_together(caller=caller, user_ids=nobody)
    assert dump() == before


@pytest.mark.parametrize("way", ["erase", "delete", "delete a query"])
def test_each_step_is_taken_once_and_all_locks_first(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entries of the list may stand in any order."""
    make_face(make_user(OWNER), vector(1))
    steps: list[str] = []

    def noting(app: str) -> Keeps:
        return Keeps(
            lock=lambda erasing: steps.append(f"{app} locks"),
            forget=lambda erasing: steps.append(f"{app} forgets"),
            forget_face=lambda face: steps.append(f"{app} forgets a face"),
        )

    monkeypatch.setattr(forgetting, "KEEPS", [noting("b"), noting("a")])
    if way == "erase":
        erasure.erase(actor="test", user_id=OWNER)
    else:
        (User.objects.get() if way == "delete" else User.objects.all()).delete()
    assert steps == ["b locks", "a locks", "b forgets", "a forgets"]
    assert not Face.objects.exists()


def test_others_keep_what_is_theirs(life: Life) -> None:
    data_of(life.app.delete(f"users/{ZOE}"))
    assert {str(user.pk) for user in User.objects.all()} == {str(FRIEND), str(STRANGER)}
    assert Face.objects.get().user_id == STRANGER
    assert FaceCrop.objects.count() == Template.objects.count() == 1
    results = [item.result for item in Item.objects.done().order_by("pk")]
    assert [result.get("registration_status") for result in results[:1]] == ["erased"]
    assert {result.get("code") for result in results[1:4]} == {"user_not_found"}
    # The jobs of the service go on: of what waits for her nothing is done any more.
    work.work()
    assert {job.status for job in Job.objects.all()} == {"completed"}
    assert not Picture.objects.exists() and not User.objects.filter(pk=ZOE).exists()


def test_the_log_keeps_who_and_what(life: Life) -> None:
    actions = list(AuditEvent.objects.values_list("pk", "at", "actor", "action", "user_id"))
    data_of(life.admin.delete(f"users/{ZOE}"))
    kept = AuditEvent.objects.exclude(action="user.erase").order_by("pk")
    assert list(kept.values_list("pk", "at", "actor", "action", "user_id")) == sorted(actions)
    assert all((event.details, event.face_id) == ({}, "") for event in kept.filter(user_id=ZOE))
    assert not kept.get(action="user.merge").other_user_id
    assert kept.get(action="friendship.create", user_id=FRIEND).details == {"friend_id": str(ZOE)}
    erased = AuditEvent.objects.filter(action="user.erase").values_list("actor", "user_id")
    assert set(erased) == {("service:moderation", ZOE), ("service:moderation", OLD_ZOE)}


# --- who may, and the receipt ---------------------------------------------------------------------


def test_the_same_receipt_again(owner: Person, service: Person) -> None:
    make_user(OWNER)
    first = data_of(owner.delete(f"users/{OWNER}"))
    assert data_of(service.delete(f"users/{str(OWNER).upper()}")) == first
    assert data_of(owner.delete(f"users/{OWNER}")) == first
    event = AuditEvent.objects.get(action="user.erase")
    assert event.details == {"receipt_id": first["receipt_id"], "removed": {"users": 1}}
    assert event.at.isoformat().replace("+00:00", "Z") == first["erased_at"]
    make_user(OWNER)
    assert data_of(owner.delete(f"users/{OWNER}"))["receipt_id"] != first["receipt_id"]


def test_an_erasure_that_comes_second_begins_again(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds no row to lock, and somebody who creates the user would not have to wait."""
    make_user(OWNER)
    lock, held = locks.lock_entirely, [dict[UUID, User]()]

    def without_row_at_first(*user_ids: UUID) -> dict[UUID, User]:
        return held.pop() if held else lock(*user_ids)

    monkeypatch.setattr(locks, "lock_entirely", without_row_at_first)
    assert data_of(owner.delete(f"users/{OWNER}"))["removed"] == {"users": 1}
    assert not held


def test_nobody_else_may(stranger: Person, client: Client) -> None:
    make_user(OWNER)
    there = stranger.delete(f"users/{OWNER}")
    not_there = stranger.delete(f"users/{FRIEND}")
    assert refusal(there) == refusal(not_there) == (404, "user_not_found")
    assert there.json()["error"] == not_there.json()["error"]
    lacking = Person(user_token(OWNER, ["face:register", "face:verify"]), client)
    assert refusal(lacking.delete(f"users/{OWNER}")) == (403, "insufficient_scope")
    assert User.objects.exists() and not AuditEvent.objects.exists()


def test_of_whom_nothing_was_held(service: Person) -> None:
    assert refusal(service.delete(f"users/{OWNER}")) == (404, "user_not_found")
    assert not User.objects.exists() and not AuditEvent.objects.exists()


def test_jobs_of_who_never_was_a_user(client: Client, settings: Settings, fake: Any) -> None:
    allow(settings)
    owner = Person(user_token(OWNER, ["face:identify", "face:batch", "face:manage"]), client)
    images = [{"image_id": "a", "image": PICTURE_BASE64}]
    options = {"async": True}
    data_of(owner.post("batch-identify", images=images, processing_options=options), 202)
    receipt = data_of(owner.delete(f"users/{OWNER}"))
    assert receipt["removed"] == {"items": 1, "jobs": 1, "pictures": 1}
    assert not Job.objects.exists() and not User.objects.exists()


def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    make_user(OWNER), make_user(FRIEND)
    printed = StringIO()
    monkeypatch.setattr("sys.stdin", StringIO(f"{FRIEND}\n\n{STRANGER}\n"))
    call_command("erase_user", str(OWNER), "-", stdout=printed)
    first, second, third = printed.getvalue().splitlines()
    assert "erased on" in first and "1 users" in second
    assert third == f"{STRANGER}: nothing is held."
    assert {event.actor for event in AuditEvent.objects.all()} == {"command:erase_user"}
    merged = StringIO()
    MergedUser.objects.create(pk=OWNER)
    call_command("erase_user", str(OWNER), stdout=merged)
    assert "merged into another" in merged.getvalue()
    MergedUser.objects.all().delete()
    make_user(OWNER)
    with pytest.raises(Exception, match="no user id; nobody is erased"):
        call_command("erase_user", str(OWNER), "somebody ")
    assert User.objects.exists()


# --- the log is append-only -----------------------------------------------------------------------

UPDATE, DELETE = "UPDATE recognition_auditevent SET", "DELETE FROM recognition_auditevent"
FORBIDDEN = {
    "change": f"{UPDATE} actor = 'nobody'",
    "change of what is gone": f"{UPDATE} action = 'x' WHERE user_id = '{FRIEND}'",
    "emptying": f"{UPDATE} details = '{{}}', face_id = '' WHERE user_id = '{OWNER}'",
    "emptying a receipt": f"{UPDATE} details = '{{}}' WHERE action = 'user.erase'",
    "emptying of nobody": f"{UPDATE} details = '{{}}' WHERE user_id IS NULL",
    "deletion": DELETE,
    "a false purge": "SELECT set_config('facesvc.audit_purged_before', '2999-01-01', true);"
    f" {DELETE} WHERE action = 'b'",
    "truncation": "TRUNCATE recognition_auditevent",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_log_is_append_only(what: str) -> None:
    make_user(OWNER), make_user(FRIEND)
    for user_id in (None, OWNER, FRIEND):
        AuditEvent.objects.create(actor="a", action="b", user_id=user_id, details={"c": 1})
    erasure.erase(actor="test", user_id=FRIEND)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE recognition_auditevent ENABLE TRIGGER audit_not_truncated")
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute(FORBIDDEN[what])


def test_purge_drops_what_is_old(settings: Settings) -> None:
    settings.FACESVC_AUDIT_RETENTION_DAYS = 100
    for days in (0, 99, 101):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO recognition_auditevent (at, actor, action, face_id, details)"
                " VALUES (now() - %s * interval '1 day', 'a', 'b', '', '{}')",
                [days],
            )
    hour = timedelta(hours=1)
    for age in (0, 2):
        at = timezone.now() - age * hour
        counts = {"minute_count": 1, "hour_count": 1}
        RateWindow.objects.create(key=str(age), minute_start=at, hour_start=at, **counts)
    assert retention.drop_audit_events() == "1 events of the audit log are dropped."
    assert retention.drop_rate_windows() == "1 windows of the rate limit are dropped."
    assert AuditEvent.objects.count() == 2
    assert RateWindow.objects.get().key == "0"
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEvent.objects.all().delete()


# --- while other things happen --------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_registration_does_not_bring_them_back(
    owner: Person, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user(OWNER)
    fake.show(vector(1))
    locked = enrolling.locked

    def erase_first(user_id: UUID, **options: Any) -> User:
        elsewhere(lambda: erasure.erase(actor="test", user_id=user_id))
        return locked(user_id, **options)

    monkeypatch.setattr(enrolling, "locked", erase_first)
    answer = owner.post("register", user_id=OWNER, image=PICTURE_BASE64)
    assert refusal(answer) == (404, "user_not_found")
    assert not User.objects.exists() and not Face.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_job_that_is_just_being_stored(
    client: Client, settings: Settings, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The erasure waits for it, and then finds it."""
    allow(settings)
    make_user(OWNER)
    scopes = ["face:identify", "face:batch"]
    owner = Person(user_token(OWNER, scopes), client)
    erasing: list[Any] = []
    seal = work.sealing.seal

    def erase_and_seal(data: bytes) -> bytes:
        run = lambda: erasure.erase(actor="test", user_id=OWNER)  # noqa: E731
        erasing.append(threads.submit(closing_connection, run))
        wait_for_a_lock()
        return seal(data)

    monkeypatch.setattr(work.sealing, "seal", erase_and_seal)
    images = [{"image_id": "a", "image": PICTURE_BASE64}]
    with ThreadPoolExecutor(1) as threads:
        fields = {"images": images, "processing_options": {"async": True}}
        data_of(owner.post("batch-identify", **fields), 202)
        assert erasing[0].result(PATIENCE).removed["jobs"] == 1
    assert not Job.objects.exists() and not Picture.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_comes_while_the_erasure_waits(fake: FakePipeline) -> None:
    """A face is enrolled and another user is merged: the erasure finds both."""
    make_user(OWNER), make_user(FRIEND)
    AuditEvent.objects.create(actor="a", action="b", user_id=FRIEND, details={"of": NAME})
    with ThreadPoolExecutor(1) as threads, transaction.atomic():
        User.objects.select_for_update().get(pk=OWNER)
        run = lambda: erasure.erase(actor="test", user_id=OWNER)  # noqa: E731
        erasing = threads.submit(closing_connection, run)
        wait_for_a_lock()
        make_face(User(pk=OWNER), vector(1))
        moderation.merge_users(actor="test", user_id=FRIEND, into=OWNER)
    assert erasing.result(PATIENCE).removed == {"faces": 1, "templates": 1, "users": 1}
    assert not AuditEvent.objects.filter(action="b").exclude(details={}).exists()
    erased = AuditEvent.objects.filter(action="user.erase")
    assert {event.user_id for event in erased} == {OWNER, FRIEND}


def closing_connection(task: Any) -> Any:
    try:
        return task()
    finally:
        connection.close()


def elsewhere(task: Any) -> Any:
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(closing_connection, task).result(PATIENCE)


def wait_for_a_lock() -> None:
    statement = "SELECT 1 FROM pg_locks WHERE NOT granted"

    def is_waiting() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return bool(cursor.fetchall())

    wait_until(lambda: elsewhere(is_waiting))


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_while_workers_sessions_and_searches_run(settings: Settings, fake: FakePipeline) -> None:
    """Again and again: everybody else gets an answer, and nothing of the person is left."""
    allow(settings)
    fake.show(vector(1))
    make_face(make_user(STRANGER, "public"), vector(2))
    make_user(FRIEND)
    for _ in range(8):
        erase_in_the_middle()
        left = tables_with(dump(), spelled(OWNER))
        assert left <= {AUDIT}, left


def erase_in_the_middle() -> None:
    app = Person(service_token(), Client())
    app.put(f"users/{OWNER}", privacy_level="public", display_name=NAME)
    data_of(app.post("register", user_id=OWNER, image=PICTURE_BASE64), 201)
    gone = Event()
    with ThreadPoolExecutor(len(MEANWHILE) + 1) as threads:
        others = [
            threads.submit(closing_connection, lambda do=do: _until(gone, do)) for do in MEANWHILE
        ]
        time.sleep(0.15)
        receipt = threads.submit(closing_connection, lambda: data_of(app.delete(f"users/{OWNER}")))
        try:
            assert receipt.result(PATIENCE)["removed"]["users"] == 1
        finally:
            gone.set()
        for other in others:
            statuses = other.result(PATIENCE)
            assert statuses <= {200, 201, 202, 404, 409, 429, 503}, statuses
    work.work()


def _until(gone: Event, do: Any) -> set[int]:
    person, statuses = Person(service_token(), Client()), set()
    while not gone.is_set():
        status = do(person)
        if status == 404:
            break  # the next would be an app's that begins anew
        statuses.add(status)
    return statuses


def _verify(person: Person) -> int:
    return person.post("verify", user_id=OWNER, image=PICTURE_BASE64).status_code


def _open_session(person: Person) -> int:
    return person.post("sessions", user_id=OWNER, purpose="other").status_code


def _identify_as_a_job(person: Person) -> int:
    images = [{"image_id": "a", "image": PICTURE_BASE64}]
    fields = {"images": images, "processing_options": {"async": True}}
    return person.post("batch-identify", **fields).status_code


def _work(person: Person) -> int:
    work.work()
    time.sleep(0.01)
    return 200


def _befriend(person: Person) -> int:
    path = f"users/{OWNER}/friends/{FRIEND}"
    person.delete(path)
    return person.put(path).status_code


def _search_with_a_key(person: Person) -> int:
    fields = {"images": [{"image_id": "a", "image": PICTURE_BASE64}]}
    headers = {"Idempotency-Key": str(time.monotonic_ns())}
    return person.send("post", "batch-identify", fields, headers=headers).status_code


def _change_a_face(person: Person) -> int:
    faces = person.get(f"users/{OWNER}/faces")
    if faces.status_code == 404:
        return 404
    for face in faces.json()["data"]["faces"]:
        return person.put(f"faces/{face['face_id']}", face_group="other").status_code
    return 200


MEANWHILE = [
    *(_verify, _open_session, _identify_as_a_job, _work),
    *(_befriend, _search_with_a_key, _change_a_face),
]
