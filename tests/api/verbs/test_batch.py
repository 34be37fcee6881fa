"""POST /batch-identify and /batch-register, and the jobs that they make."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from django_q.models import OrmQ
from pytest_django import Settings

from batch.jobs import jobs, room, work
from batch.models import Item, Job, Kind, Picture
from recognition.access import SCOPES
from recognition.collections.current import entered
from recognition.models import AuditEvent, Face, User
from tests.api.test_bad_input import BODIES
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE,
    PICTURE_BASE64,
    PREFIX,
    STRANGER,
    FakePipeline,
    Person,
    befriend,
    data_of,
    details_of,
    face_of,
    make_face,
    make_user,
    near,
    refusal,
    service_token,
    user_token,
    vector,
)
from tests.support.servers.schemas import make_collection

pytestmark = pytest.mark.django_db
ASYNC = {"async": True}


@pytest.fixture(autouse=True)
def with_key(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    monkeypatch.setattr(work, "_SLICE", 60.0)  # however busy the machine is


@pytest.fixture(autouse=True)
def gallery(fake: FakePipeline) -> None:
    make_face(make_user(OWNER, "public", display_name="Ann"), vector(1))
    fake.show(vector(1))


def images(count: int, **others: Any) -> list[dict[str, Any]]:
    return [{"image_id": f"img_{n}", "image": PICTURE_BASE64, **others} for n in range(count)]


def submit(person: Person, count: int = 3, **fields: Any) -> str:
    fields.setdefault("processing_options", ASYNC)
    answer = data_of(person.post("batch-identify", images=images(count), **fields), 202)
    job_id: str = answer["job_id"]
    return job_id


def results(person: Person, job_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = data_of(person.get(f"batch-jobs/{job_id}/results"))["results"]
    return found


# --- identify -------------------------------------------------------------------------------------


def test_it_works(service: Person) -> None:
    answer = data_of(
        service.post("batch-identify", images=images(3), processing_options=ASYNC), 202
    )
    assert answer["status"] == "queued"
    assert (answer["total"], answer["succeeded"], answer["failed"]) == (3, 0, 0)
    work.work()
    job = data_of(service.get(f"batch-jobs/{answer['job_id']}"))
    assert (job["status"], job["succeeded"], job["failed"]) == ("completed", 3, 0)
    found = results(service, answer["job_id"])
    assert [item["image_id"] for item in found] == ["img_0", "img_1", "img_2"]
    assert all(item["status"] == "success" for item in found)
    assert found[0]["result"]["candidates"][0]["user_info"]["display_name"] == "Ann"


def without_times(result: dict[str, Any]) -> dict[str, Any]:
    scope = {**result["search_stats"]["scope"], "viewer": None}  # which no batch stores
    stats = {**result["search_stats"], "search_time_ms": 0, "scope": scope}
    return {**result, "search_stats": stats}


def test_a_result_is_what_identify_answers(service: Person) -> None:
    single = data_of(service.post("identify", image=PICTURE_BASE64))
    at_once = data_of(service.post("batch-identify", images=images(1)))
    job_id = submit(service, 1)
    work.work()
    assert without_times(at_once["results"][0]["result"]) == without_times(single)
    assert without_times(results(service, job_id)[0]["result"]) == without_times(single)


def test_a_result_does_not_name_the_viewer(service: Person) -> None:
    """Results stay when the viewer is erased."""
    job_id = submit(service, 1, on_behalf_of=str(FRIEND))
    work.work()
    (item,) = results(service, job_id)
    assert item["result"]["search_stats"]["scope"] == {
        "everyone": False,
        "user_groups": ["friends", "public"],
        "face_group": None,
    }


@pytest.mark.parametrize(
    "options",
    [
        {"search_scope": {"match_on": "user"}},
        {"search_scope": {"max_candidates": 1}},
        {"search_scope": {"min_confidence": 0.9999}},
        {"search_scope": {"max_false_positive_rate": 1e-9}},
        {"search_scope": {"user_groups": ["friends"]}},
        {"faces": "largest"},
        {"on_behalf_of": str(FRIEND)},
        {"metadata": {"source": "auto_tagging"}},
    ],
    ids=str,
)
def test_every_option_means_what_it_means_to_identify(
    service: Person, fake: FakePipeline, options: dict[str, Any]
) -> None:
    """Each changes what the plain request answers."""
    ann = User.objects.get(pk=OWNER)
    make_face(ann, near(vector(1), 0.9, toward=2), taggable="nobody")
    bob = make_user(FRIEND, "public")
    make_face(bob, near(vector(1), 0.98, toward=3), taggable="nobody")
    make_face(make_user(STRANGER), near(vector(4), 0.98, toward=3))
    befriend(bob, User.objects.get(pk=STRANGER))
    fake.show([vector(1), near(vector(4), 0.95)])
    plain = data_of(service.post("identify", image=PICTURE_BASE64))
    single = data_of(service.post("identify", image=PICTURE_BASE64, **options))
    assert without_times(single) != without_times(plain)
    at_once = data_of(service.post("batch-identify", images=images(1), **options))
    job_id = submit(service, 1, **options)
    work.work()
    assert without_times(at_once["results"][0]["result"]) == without_times(single)
    assert without_times(results(service, job_id)[0]["result"]) == without_times(single)


def test_at_once(service: Person) -> None:
    answer = data_of(service.post("batch-identify", images=images(3)))
    assert (answer["status"], answer["total"], answer["succeeded"]) == ("completed", 3, 3)
    assert len(answer["results"]) == 3
    assert not Job.objects.exists()


def test_at_once_out_of_time(service: Person, settings: Settings) -> None:
    settings.FACESVC_BATCH_AT_ONCE_SECONDS = -1
    answer = data_of(service.post("batch-identify", images=images(3)))
    assert (answer["status"], answer["total"], answer["skipped"]) == ("timed_out", 3, 3)
    assert answer["results"] == [{"image_id": f"img_{n}", "status": "skipped"} for n in range(3)]


def test_not_many_at_once(service: Person, fake: FakePipeline) -> None:
    """The threads of a process are there for the short requests, too."""
    embed, answers = fake.embed, []

    def and_ask_again(faces: Any) -> Any:
        if len(answers) < 2:
            answers.append(None)
            answers[answers.index(None)] = service.post("batch-identify", images=images(1))
        return embed(faces)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fake, "embed", and_ask_again)
        assert data_of(service.post("batch-identify", images=images(1)))["succeeded"] == 1
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, 503]
    assert all(answer["Retry-After"] for answer in answers if answer.status_code == 503)
    assert data_of(service.post("batch-identify", images=images(1)))["succeeded"] == 1


def test_one_corrupt_picture_among_100(service: Person) -> None:
    pictures = images(100)
    pictures[41]["image"] = base64.b64encode(PICTURE[:-30]).decode()
    answer = service.post("batch-identify", images=pictures, processing_options=ASYNC)
    job_id = data_of(answer, 202)["job_id"]
    work.work()
    job = data_of(service.get(f"batch-jobs/{job_id}"))
    assert (job["status"], job["succeeded"], job["failed"]) == ("completed", 99, 1)
    (failed,) = Item.objects.filter(state="error")
    assert (failed.image_id, failed.result["code"]) == ("img_41", "truncated_image")


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (base64.b64encode(PICTURE[:-30]).decode(), "truncated_image"),
        (base64.b64encode(b"no picture at all").decode(), "unsupported_format"),
        ("not base64!", "invalid_base64"),
        ("", "empty_image"),
        (None, "invalid_request"),
        (7, "invalid_request"),
        ([], "invalid_request"),
        (base64.b64encode(PICTURE + bytes(10 * 1024**2)).decode(), "image_too_large"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_corrupt_picture_is_its_items_error(service: Person, broken: Any, code: str) -> None:
    pictures = images(3)
    pictures[1]["image"] = broken
    at_once = data_of(service.post("batch-identify", images=pictures))
    answer = service.post("batch-identify", images=pictures, processing_options=ASYNC)
    work.work()
    found = results(service, data_of(answer, 202)["job_id"])
    for items in (at_once["results"], found):
        assert [item["status"] for item in items] == ["success", "error", "success"]
        assert items[1]["error"]["code"] == code


def test_a_missing_picture_is_its_items_error(service: Person) -> None:
    pictures = [*images(2), {"image_id": "bad"}]
    found = data_of(service.post("batch-identify", images=pictures))["results"]
    assert [item["status"] for item in found] == ["success", "success", "error"]
    assert found[2]["error"]["message"] == "This field is required."


def test_only_corrupt_pictures(service: Person) -> None:
    pictures = [{"image_id": "a", "image": "?"}]
    answer = service.post("batch-identify", images=pictures, processing_options=ASYNC)
    assert data_of(answer, 202)["status"] == "completed"


@pytest.mark.parametrize("path", ["batch-identify", "batch-register"])
def test_101_pictures(service: Person, path: str) -> None:
    answer = service.post(path, images=images(101))
    assert refusal(answer) == (413, "too_many_images")
    assert details_of(answer) == {"limit": 100, "images": 101}


@pytest.mark.parametrize("count", [101, 201])
def test_101_files(service: Person, count: int) -> None:
    files = [SimpleUploadedFile(f"{n}.png", PICTURE) for n in range(count)]
    answer = send_form(service, "batch-identify", images=files)
    assert refusal(answer) == (413, "too_many_images")


def test_a_body_that_is_too_long(service: Person, settings: Settings) -> None:
    settings.MAX_BATCH_BYTES = 1000
    answer = service.post("batch-identify", images=images(20))
    assert refusal(answer) == (413, "payload_too_large")


@pytest.mark.parametrize(
    "pictures",
    [
        [],
        None,
        "x",
        [7],
        [{"image": PICTURE_BASE64}],
        [{"image_id": 7, "image": PICTURE_BASE64}],
        [{"image_id": "x" * 201, "image": PICTURE_BASE64}],
        [{"image_id": "a", "image": PICTURE_BASE64}] * 2,
        [{"image_id": "a", "image": PICTURE_BASE64, "img": 1}],
    ],
    ids=str,
)
def test_a_list_that_is_refused(service: Person, pictures: Any) -> None:
    answer = service.post("batch-identify", images=pictures, processing_options=ASYNC)
    assert answer.status_code == 400, answer.content
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    "processing",
    [
        {"async": "yes"},
        {"async": True, "callback_url": 7},
        {"async": False, "callback_url": "https://example.com/"},
        {"asynchronous": True},
        [],
    ],
    ids=str,
)
def test_options_that_are_refused(service: Person, processing: Any) -> None:
    answer = service.post("batch-identify", images=images(1), processing_options=processing)
    assert answer.status_code == 400


def send_form(person: Person, path: str, **fields: Any) -> Any:
    headers = {"Authorization": f"Bearer {person.token}"}
    return person.client.post(PREFIX + path, fields, headers=headers)


def test_a_form(service: Person) -> None:
    files = [SimpleUploadedFile(name, PICTURE) for name in ("a.png", "b.png")]
    options = json.dumps({"async": True})
    answer = send_form(service, "batch-identify", images=files, processing_options=options)
    job_id = data_of(answer, 202)["job_id"]
    work.work()
    assert [item["image_id"] for item in results(service, job_id)] == ["a.png", "b.png"]


def test_a_form_with_items(service: Person) -> None:
    files = [SimpleUploadedFile("x", PICTURE) for _ in range(2)]
    items = [{"image_id": "one"}, {"image_id": "two"}]
    answer = data_of(send_form(service, "batch-identify", images=files, items=json.dumps(items)))
    assert [item["image_id"] for item in answer["results"]] == ["one", "two"]


@pytest.mark.parametrize(
    ("path", "fields", "field", "hint"),
    [
        ("batch-register", {}, "items", "user_id"),
        ("batch-register", {"items": '[{"user_id": " x"}, {"user_id": 7}]'}, "items", "spaces"),
        ("batch-identify", {}, "images", "items="),
    ],
    ids=["left out", "not valid", "files of one name"],
)
def test_a_form_is_told_about_its_own_fields(
    service: Person, path: str, fields: dict[str, str], field: str, hint: str
) -> None:
    files = [SimpleUploadedFile("photo.jpg", PICTURE) for _ in range(2)]
    answer = send_form(service, path, images=files, **fields)
    assert refusal(answer) == (400, "invalid_request")
    assert hint in json.dumps(details_of(answer)["fields"][field])


def test_a_form_is_told_what_it_may_have(service: Person) -> None:
    answer = send_form(service, "batch-register", images=[], item="[]")
    assert refusal(answer) == (400, "unknown_field")
    assert set(details_of(answer)["known"]) == {"images", "items", "processing_options"}


@pytest.mark.parametrize("items", ["{", "7", "[1, 2]", '[{"image_id": "a"}]', '[{"x": 1}, {}]'])
def test_a_form_with_items_that_are_refused(service: Person, items: str) -> None:
    files = [SimpleUploadedFile(name, PICTURE) for name in "ab"]
    answer = send_form(service, "batch-identify", images=files, items=items)
    assert answer.status_code == 400


# --- who may --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "scopes"),
    [
        ("batch-identify", ["face:identify"]),
        ("batch-identify", ["face:batch"]),
        ("batch-register", ["face:register"]),
        ("batch-register", ["face:batch"]),
    ],
)
def test_both_scopes_are_needed(service: Person, path: str, scopes: list[str]) -> None:
    person = Person(service_token("app", scopes), service.client)
    answer = person.post(path, images=images(1))
    assert refusal(answer) == (403, "insufficient_scope")
    (missing,) = {path.replace("batch-", "face:"), "face:batch"} - set(scopes)
    assert answer.json()["error"]["message"] == f"The token lacks the scope {missing}."


@pytest.mark.parametrize("path", ["batch-jobs/{}", "batch-jobs/{}/results"])
def test_anothers_job_is_not_there(service: Person, path: str) -> None:
    job_id = submit(service)
    other = Person(service_token("other"), service.client)
    administrator = Person(service_token("moderation", SCOPES), service.client)
    for person in (other, administrator):
        assert refusal(person.get(path.format(job_id))) == (404, "job_not_found")
        assert refusal(person.post(f"batch-jobs/{job_id}/cancel")) == (404, "job_not_found")
        assert data_of(person.get("batch-jobs"))["jobs"] == []
    assert Job.objects.get().finished_at is None


def test_a_job_that_is_not_there(service: Person) -> None:
    assert refusal(service.get(f"batch-jobs/job_{'0' * 16}")) == (404, "job_not_found")


def test_the_rights_are_those_of_the_acceptance(owner: Person, fake: FakePipeline) -> None:
    """The viewer is the token's user, also when a worker does it."""
    make_face(make_user(FRIEND, "private"), vector(2))
    scopes = ["face:identify", "face:batch"]
    friend = Person(user_token(FRIEND, scopes), owner.client)
    stranger = Person(user_token(STRANGER, scopes), owner.client)
    mine, theirs = submit(friend, 2), submit(stranger, 2)
    Face.objects.filter(user=OWNER).delete()
    fake.show(vector(2))
    work.work()
    assert results(friend, mine)[0]["result"]["total_candidates"] == 1
    assert results(stranger, theirs)[0]["result"]["total_candidates"] == 0


def test_who_is_private_meanwhile_is_not_found(service: Person) -> None:
    job_id = submit(service)
    User.objects.filter(pk=OWNER).update(privacy_level="private")
    work.work()
    assert results(service, job_id)[0]["result"]["total_candidates"] == 0


def test_everyone_is_for_administrators(service: Person, admin: Person) -> None:
    scope = {"scope": "all"}
    refused = service.post("batch-identify", images=images(1), search_scope=scope)
    assert refusal(refused) == (403, "insufficient_scope")
    User.objects.filter(pk=OWNER).update(privacy_level="private")
    job_id = submit(admin, 1, search_scope=scope)
    work.work()
    assert results(admin, job_id)[0]["result"]["total_candidates"] == 1
    assert AuditEvent.objects.filter(action="identify.everyone").count() == 1


def test_for_another_user(owner: Person) -> None:
    person = Person(user_token(OWNER, ["face:identify", "face:batch"]), owner.client)
    answer = person.post("batch-identify", images=images(1), on_behalf_of=str(FRIEND))
    assert refusal(answer) == (403, "not_your_user")


# --- jobs -----------------------------------------------------------------------------------------


def test_pictures_are_encrypted_and_gone_when_done(service: Person) -> None:
    submit(service, 2)
    sealed = [bytes(row.sealed) for row in Picture.objects.all()]
    assert len(sealed) == 2 and not any(PICTURE[:16] in each for each in sealed)
    work.work()
    assert not Picture.objects.exists()


def test_no_key_no_job(service: Person, settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS = []
    answer = service.post("batch-identify", images=images(1), processing_options=ASYNC)
    assert refusal(answer) == (503, "encryption_not_set_up")
    assert "Retry-After" not in answer  # it will not be otherwise in a moment
    assert not Job.objects.exists()


def test_tasks_carry_no_pictures(service: Person) -> None:
    submit(service, 25)
    tasks = [row.task for row in OrmQ.objects.all()]
    assert len(tasks) == 3
    assert {(task["func"], task["args"]) for task in tasks} == {("batch.tasks.work", ())}


def test_tasks_do_not_pile_up(service: Person) -> None:
    for _ in range(12):
        submit(service, 10)
    assert OrmQ.objects.count() == 8


def test_a_full_queue(service: Person, settings: Settings) -> None:
    settings.FACESVC_BATCH_QUEUE_LIMIT = 5
    submit(service, 3)
    answer = service.post("batch-identify", images=images(3), processing_options=ASYNC)
    assert refusal(answer) == (503, "unavailable")
    assert answer["Retry-After"] == "5"


def test_a_queue_full_of_bytes(service: Person, settings: Settings) -> None:
    """Of one client, of all together, and given back when the job has ended."""
    other = Person(service_token("another"), service.client)
    size = len(PICTURE) / 1024**2
    settings.FACESVC_BATCH_CLIENT_MB, settings.FACESVC_BATCH_QUEUE_MB = 4.5 * size, 7.5 * size

    def refused(person: Person, count: int) -> bool:
        answer = person.post("batch-identify", images=images(count), processing_options=ASYNC)
        if answer.status_code == 202:
            return False
        assert refusal(answer) == (503, "unavailable") and answer["Retry-After"]
        return True

    job_id = submit(service, 3)
    assert Job.objects.get(job_id=job_id).picture_bytes == 3 * len(PICTURE)
    assert refused(service, 2)
    assert not refused(other, 4)
    assert refused(service, 1)
    service.post(f"batch-jobs/{job_id}/cancel")
    assert not refused(service, 1)


@pytest.mark.parametrize("limit", ["FACESVC_BATCH_QUEUE_LIMIT", "FACESVC_BATCH_QUEUE_MB"])
def test_a_queue_that_another_collection_fills(
    service: Person, settings: Settings, limit: str
) -> None:
    """A refusal would show that somebody there has many waiting."""
    with entered(make_collection("shop")):
        Job.objects.create(
            kind=Kind.IDENTIFY, subject="app", scopes=[], options={}, total=1000,
            picture_bytes=50 * 1024**2, deadline_at=timezone.now() + timedelta(hours=1),
        )  # fmt: skip
    setattr(settings, limit, 50)
    submit(service, 1)


def test_a_disk_that_is_nearly_full(
    service: Person, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = room.free_bytes()
    assert free and free > 0  # the database of the tests is on this machine
    monkeypatch.setattr(room, "free_bytes", lambda: 500 * 1024**2)
    settings.FACESVC_FREE_DISK_MB = 499
    assert service.post("batch-identify", images=images(1), processing_options=ASYNC)
    settings.FACESVC_FREE_DISK_MB = 500
    answer = service.post("batch-identify", images=images(1), processing_options=ASYNC)
    assert refusal(answer) == (503, "unavailable")
    assert Job.objects.count() == 1


def test_the_list_is_paged(service: Person) -> None:
    made = [submit(service, 1) for _ in range(3)]
    first = data_of(service.get("batch-jobs", page_size=2))
    assert [job["job_id"] for job in first["jobs"]] == made[:0:-1]
    second = data_of(service.get("batch-jobs", page_size=2, cursor=first["next_cursor"]))
    assert [job["job_id"] for job in second["jobs"]] == made[:1]
    assert second["next_cursor"] is None


def test_the_list_of_one_status(service: Person) -> None:
    done, waiting = submit(service, 1), ""
    work.work()
    waiting = submit(service, 1)
    for status, job_ids in (("queued", [waiting]), ("completed", [done]), ("cancelled", [])):
        found = data_of(service.get("batch-jobs", status=status))["jobs"]
        assert [job["job_id"] for job in found] == job_ids
    assert refusal(service.get("batch-jobs", status="done")) == (400, "invalid_request")


def test_queries_that_are_not_known(service: Person) -> None:
    job_id = submit(service, 1)
    for path in ("batch-jobs", f"batch-jobs/{job_id}/results"):
        assert refusal(service.get(path, state="queued")) == (400, "unknown_field")
    answer = service.post("batch-identify?async=true", images=images(1))
    assert refusal(answer) == (400, "unknown_field")


def test_results_are_paged(service: Person) -> None:
    job_id = submit(service, 5)
    work.work()
    found, cursor = [], {}
    while cursor is not None:
        page = data_of(service.get(f"batch-jobs/{job_id}/results", page_size=2, **cursor))
        found += [item["image_id"] for item in page["results"]]
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None
    assert found == [f"img_{n}" for n in range(5)]


def one_of(job_id: str) -> None:
    """Work on one item of the job."""
    item = work._claim()
    assert item is not None and item.job.job_id == job_id
    jobs.start(item.job_id)
    work.process(item)


def test_cancelled_with_what_it_has(service: Person) -> None:
    job_id = submit(service, 3)
    one_of(job_id)
    job = data_of(service.post(f"batch-jobs/{job_id}/cancel"))
    assert (job["status"], job["succeeded"], job["failed"]) == ("cancelled", 1, 0)
    assert job["skipped"] == 2
    assert not Picture.objects.exists()
    work.work()
    found = results(service, job_id)
    assert [item["status"] for item in found] == ["success", "skipped", "skipped"]
    assert found[2] == {"image_id": "img_2", "status": "skipped"}
    again = data_of(service.post(f"batch-jobs/{job_id}/cancel"))
    assert again == job


def test_jobs_are_noted(service: Person) -> None:
    job_id = submit(service, 3)
    for _ in range(2):
        service.post(f"batch-jobs/{job_id}/cancel")
    events = AuditEvent.objects.order_by("pk")
    assert [event.action for event in events] == ["job.submit", "job.cancel"]
    assert events[0].details == {"job_id": job_id, "kind": "identify", "total": 3}


def test_cancelled_when_all_is_done(service: Person) -> None:
    job_id = submit(service, 1)
    work.work()
    assert data_of(service.post(f"batch-jobs/{job_id}/cancel"))["status"] == "completed"


def test_timed_out_with_what_it_has(service: Person) -> None:
    job_id = submit(service, 3)
    one_of(job_id)
    job = data_of(service.get(f"batch-jobs/{job_id}"))
    assert (job["status"], job["skipped"]) == ("processing", 0)
    assert len(results(service, job_id)) == 1
    Job.objects.update(deadline_at=timezone.now() - timedelta(seconds=1))
    job = data_of(service.get(f"batch-jobs/{job_id}"))
    assert (job["status"], job["succeeded"], job["failed"]) == ("timed_out", 1, 0)
    assert job["skipped"] == 2
    assert not Picture.objects.exists()


def test_timed_out_while_working(service: Person, settings: Settings) -> None:
    settings.ASYNC_PROCESSING_TIMEOUT = -1
    job_id = submit(service, 3)
    work.work()
    job = data_of(service.get(f"batch-jobs/{job_id}"))
    assert (job["status"], job["succeeded"]) == ("timed_out", 0)


def test_the_time_runs_from_the_first_picture_on(service: Person, settings: Settings) -> None:
    job_id = submit(service, 1)
    Job.objects.update(created_at=timezone.now() - timedelta(hours=9))
    work.work()
    assert data_of(service.get(f"batch-jobs/{job_id}"))["status"] == "completed"


# --- register -------------------------------------------------------------------------------------


def register(person: Person, *pictures: dict[str, Any]) -> str:
    answer = data_of(person.post("batch-register", images=list(pictures)), 202)
    assert answer["job_type"] == "register"
    job_id: str = answer["job_id"]
    return job_id


def face(name: str, user_id: Any = FRIEND, **others: Any) -> dict[str, Any]:
    return {"image_id": name, "image": PICTURE_BASE64, "user_id": str(user_id), **others}


def test_faces_are_enrolled(service: Person, fake: FakePipeline) -> None:
    fake.show(vector(5), vector(6), vector(7))
    others = {"face_group": "alternate", "metadata": {"album": "x"}}
    job_id = register(service, face("a"), face("b", STRANGER, **others), face("c"))
    work.work()
    found = results(service, job_id)
    assert [item["status"] for item in found] == ["success"] * 3
    assert found[1]["result"]["user_id"] == str(STRANGER)
    stored = Face.objects.get(user=STRANGER)
    assert found[1]["result"]["face_id"] == stored.face_id
    assert (stored.face_group, stored.metadata) == ("alternate", {"album": "x"})
    assert Face.objects.filter(user=FRIEND).count() == 2
    assert set(
        AuditEvent.objects.filter(action="face.register").values_list("actor", flat=True)
    ) == {"service:app"}


def test_a_duplicate_is_an_items_error(service: Person) -> None:
    job_id = register(service, face("a"), face("b"))
    work.work()
    first, second = results(service, job_id)
    assert second["error"]["code"] == "duplicate_face"
    assert second["error"]["details"] == {"face_id": first["result"]["face_id"]}


def test_a_form_of_faces(service: Person, fake: FakePipeline) -> None:
    fake.show(vector(5), vector(6))
    files = [SimpleUploadedFile(name, PICTURE) for name in ("a.png", "b.png")]
    items = json.dumps([{"user_id": str(FRIEND)}, {"user_id": str(STRANGER), "face_index": 0}])
    data_of(send_form(service, "batch-register", images=files, items=items), 202)
    work.work()
    assert Face.objects.filter(user__in=[FRIEND, STRANGER]).count() == 2


def test_end_users_enrol_themselves_only(owner: Person) -> None:
    person = Person(user_token(FRIEND, ["face:register", "face:batch"]), owner.client)
    answer = person.post("batch-register", images=[face("a"), face("b", STRANGER)])
    assert refusal(answer) == (403, "not_your_user")
    assert not Job.objects.exists()


def test_end_users_cannot_skip_the_quality(owner: Person, fake: FakePipeline) -> None:
    fake.show(face_of(vector(5), quality=0.1))
    person = Person(user_token(FRIEND, ["face:register", "face:batch"]), owner.client)
    job_id = register(person, face("a", metadata={"quality_check": False}))
    work.work()
    assert results(person, job_id)[0]["error"]["code"] == "low_quality"


def test_bulk_enrolment_is_a_job(service: Person) -> None:
    options = {"async": False}
    answer = service.post("batch-register", images=[face("a")], processing_options=options)
    assert refusal(answer) == (400, "invalid_request")


# --- whatever comes in ----------------------------------------------------------------------------


@pytest.mark.parametrize("case", BODIES)
@pytest.mark.parametrize("path", ["batch-identify", "batch-register"])
def test_a_body_that_is_no_request(service: Person, path: str, case: str) -> None:
    body, code = BODIES[case]
    answer = service.send("post", path, body, content_type="application/json")
    assert answer.status_code == 400, answer.content
    assert code in (None, answer.json()["error"]["code"])


@pytest.mark.parametrize(
    "fields",
    [
        {"images": '[{"image_id": "a", "image": "AAAA"}]'},
        {"images": {"0": 1}},
        {"images": [None]},
        {"images": [[]]},
        {"images": images(1), "processing_options": None},
        {"images": images(1), "search_scope": None},
        {"images": images(1), "search_scope": {"max_candidates": 0}},
        {"images": images(1), "faces": "some"},
        {"images": images(1), "image": PICTURE_BASE64},
        {"images": images(1, user_id=" x")},
        {"images": images(1), "items": "[]"},
        {"images": images(1), "on_behalf_of": 7},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["batch-identify", "batch-register"])
def test_fields_that_are_refused(service: Person, path: str, fields: dict[str, Any]) -> None:
    answer = service.post(path, **fields)
    assert answer.status_code == 400, answer.content
    assert not Job.objects.exists()


def test_a_picture_as_the_body_is_no_batch(service: Person) -> None:
    answer = service.send("post", "batch-identify", PICTURE, content_type="image/png")
    assert refusal(answer)[0] == 400


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=x", "text/plain"]
)
def test_a_broken_form(service: Person, content_type: str) -> None:
    answer = service.send("post", "batch-identify", b"--x\r\ngarbage", content_type=content_type)
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("name", ["a\x00.png", "../../etc/passwd", "\u202ea.png", "", "a" * 5000])
def test_names_of_uploads(service: Person, name: str) -> None:
    head = f'--x\r\nContent-Disposition: form-data; name="images"; filename="{name}"\r\n\r\n'
    body = head.encode() + PICTURE + b"\r\n--x--\r\n"
    answer = service.send(
        "post", "batch-identify", body, content_type="multipart/form-data; boundary=x"
    )
    assert answer.status_code in {200, 400}
    assert b"etc/passwd" not in answer.content


@pytest.mark.parametrize("job_id", ["job_x", "job_" + "0" * 17, "1", "job_" + "0" * 15 + "G"])
def test_ids_that_are_none(service: Person, job_id: str) -> None:
    assert refusal(service.get(f"batch-jobs/{job_id}")) == (404, "not_found")


def test_a_cursor_that_is_none(service: Person) -> None:
    job_id = submit(service)
    for path in ("batch-jobs", f"batch-jobs/{job_id}/results"):
        assert refusal(service.get(path, cursor="x")) == (400, "invalid_cursor")
