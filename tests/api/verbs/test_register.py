"""POST /register."""

import base64
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from batch import tasks
from recognition import prepared
from recognition.enrolment import enrolling
from recognition.inference.quality import ADVICE
from recognition.models import AuditEvent, Face, PossibleDuplicate, Template, User
from tests.support.builders import (
    OWNER,
    PICTURE,
    PICTURE_BASE64,
    STRANGER,
    FakePipeline,
    Person,
    data_of,
    details_of,
    face_of,
    make_face,
    make_user,
    misread,
    near,
    refusal,
    row_counts,
    service_token,
    user_token,
    vector,
)
from tests.support.patience import PATIENCE
from tests.support.photos import astronaut, encode, jpeg, resized, tom_hanks

pytestmark = pytest.mark.django_db


def test_it_works(owner: Person, fake: FakePipeline) -> None:
    fake.show(vector(1))
    answer = data_of(owner.post("register", user_id=OWNER, image=PICTURE_BASE64), 201)
    face = Face.objects.get(face_id=answer["face_id"])
    assert answer == {
        "face_id": face.face_id,
        "user_id": str(OWNER),
        "privacy_level": "friends",
        "registration_status": "success",
        "face_quality_score": 0.9,
        "embedding_version": "dlib_v1",
        "face_attributes": face.attributes,
    }
    assert face.user == User.objects.get(pk=OWNER, privacy_level="friends")
    template = Template.objects.get(face=face, user=OWNER, embedding_version="dlib_v1")
    assert template.embedding == [0, 1, *[0] * 510]
    event = AuditEvent.objects.get(action="face.register", user_id=OWNER)
    assert (event.actor, event.face_id) == (f"user:{OWNER}", face.face_id)


def test_an_id_that_is_taken(
    owner: Person, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a process may have its ids begin alike."""
    taken = make_face(make_user(STRANGER), vector(2)).face_id
    ids = iter([taken, taken, "face_0123456789ab"])
    monkeypatch.setattr(enrolling, "new_face_id", lambda: next(ids))
    fake.show(vector(1))
    answer = data_of(owner.post("register", user_id=OWNER, image=PICTURE_BASE64), 201)
    assert answer["face_id"] == "face_0123456789ab"


def test_a_real_photo(owner: Person) -> None:
    photo = base64.b64encode(encode(astronaut())).decode()
    answer = data_of(owner.post("register", user_id=OWNER, image=photo), 201)
    assert answer["face_quality_score"] > 0.8
    attributes = answer["face_attributes"]
    assert attributes["estimated_age"] is attributes["estimated_gender"] is None
    assert attributes["face_landmarks"]["nose_base"] == pytest.approx([224.2, 134.6], abs=1.5)


def test_the_same_real_photo_in_another_encoding_is_a_duplicate(owner: Person) -> None:
    def register(photo: bytes) -> HttpResponse:
        return owner.post("register", user_id=OWNER, image=base64.b64encode(photo).decode())

    photo = resized(tom_hanks(), 3)
    face_id = data_of(register(encode(photo)), 201)["face_id"]
    again = register(jpeg(photo))
    assert refusal(again) == (409, "duplicate_face")
    assert details_of(again) == {"face_id": face_id}


def send_json(person: Person, image: bytes) -> HttpResponse:
    return person.post("register", user_id=OWNER, image=base64.b64encode(image).decode())


def send_wrapped_json(person: Person, image: bytes) -> HttpResponse:
    """As `base64` and e-mail programs print it."""
    return person.post("register", user_id=OWNER, image=base64.encodebytes(image).decode())


def send_data_uri(person: Person, image: bytes) -> HttpResponse:
    text = "data:image/png;base64," + base64.b64encode(image).decode()
    return person.post("register", user_id=OWNER, image=text)


def send_form(person: Person, image: bytes) -> HttpResponse:
    upload = SimpleUploadedFile("photo.png", image, "image/png")
    fields = {"user_id": str(OWNER), "image": upload, "metadata": '{"source": "form"}'}
    return person.client.post(
        "/api/v1/face-recognition/register",
        fields,
        headers={"Authorization": f"Bearer {person.token}"},
    )


def send_raw(person: Person, image: bytes) -> HttpResponse:
    return person.send("post", f"register?user_id={OWNER}", image, content_type="image/png")


@pytest.mark.parametrize("send", [send_json, send_wrapped_json, send_data_uri, send_form, send_raw])
def test_every_form_of_a_picture(
    owner: Person, fake: FakePipeline, send: Callable[[Person, bytes], HttpResponse]
) -> None:
    fake.show(vector(1))
    data_of(send(owner, PICTURE), 201)
    assert Template.objects.count() == 1


def test_face_group_and_metadata_are_kept(owner: Person, fake: FakePipeline) -> None:
    fake.show(vector(1))
    fields = {"face_group": "alternate", "metadata": {"source": "app", "nested": {"a": [1, None]}}}
    owner.post("register", user_id=OWNER, image=PICTURE_BASE64, **fields)
    face = Face.objects.get()
    assert face.face_group == "alternate"
    assert face.metadata == fields["metadata"]


def test_another_photo_of_the_same_person_is_welcome(owner: Person, fake: FakePipeline) -> None:
    make_face(make_user(OWNER), vector(1))
    fake.show(near(vector(1), 0.975))
    assert owner.post("register", user_id=OWNER, image=PICTURE_BASE64).status_code == 201


def test_a_service_registers_for_anybody(service: Person, fake: FakePipeline) -> None:
    fake.show(vector(1))
    data_of(service.post("register", user_id=OWNER, image=PICTURE_BASE64), 201)
    assert AuditEvent.objects.get().actor == "service:app"


def test_a_face_is_chosen_by_its_index(owner: Person, fake: FakePipeline) -> None:
    fake.show([face_of(vector(1)), face_of(vector(2))])
    owner.post("register", user_id=OWNER, image=PICTURE_BASE64, face_index=1)
    assert Template.objects.get().embedding[2] == 1


def test_small_faces_behind_the_one_do_no_harm(owner: Person, fake: FakePipeline) -> None:
    fake.small = [face_of(vector(2))]
    fake.show([face_of(vector(1))])
    data_of(owner.post("register", user_id=OWNER, image=PICTURE_BASE64), 201)
    template = Template.objects.get()
    assert template.embedding[1] == 1


def test_a_small_face_alone(owner: Person, fake: FakePipeline) -> None:
    fake.small = [face_of(vector(2))]
    data_of(owner.post("register", user_id=OWNER, image=PICTURE_BASE64), 201)
    template = Template.objects.get()
    assert template.embedding[2] == 1


def test_a_face_index_counts_small_faces_as_detect_does(owner: Person, fake: FakePipeline) -> None:
    fake.small = [face_of(vector(2))]
    fake.show([face_of(vector(1))])
    assert data_of(owner.post("detect", image=PICTURE_BASE64))["total_faces"] == 2
    data_of(owner.post("register", user_id=OWNER, image=PICTURE_BASE64, face_index=1), 201)
    template = Template.objects.get()
    assert template.embedding[2] == 1


def test_a_merely_similar_face_of_another_user_is_not_noted(
    owner: Person, fake: FakePipeline
) -> None:
    make_face(make_user(STRANGER), vector(1))
    fake.show(near(vector(1), 0.95))  # below the strict operating point
    data_of(owner.post("register", user_id=OWNER, image=PICTURE_BASE64), 201)
    tasks.search_new_faces()
    assert not PossibleDuplicate.objects.exists()


def test_a_service_may_skip_the_quality_gate(service: Person, fake: FakePipeline) -> None:
    fake.show(face_of(vector(1), quality=0.3))
    metadata = {"quality_check": False}
    answer = service.post("register", user_id=OWNER, image=PICTURE_BASE64, metadata=metadata)
    assert data_of(answer, 201)["face_quality_score"] == 0.3


# --- refusals -------------------------------------------------------------------------------------


def refused(person: Person, **fields: Any) -> HttpResponse:
    """A registration that must leave nothing."""
    before = row_counts()
    answer = person.post("register", **{"user_id": OWNER, "image": PICTURE_BASE64, **fields})
    assert row_counts() == before
    return answer


def test_no_face(owner: Person, fake: FakePipeline) -> None:
    fake.show([])
    answer = refused(owner)
    assert refusal(answer) == (422, "no_face")
    assert "nothing over the face" in answer.json()["error"]["message"]


def test_multiple_faces(owner: Person, fake: FakePipeline) -> None:
    fake.show([face_of(vector(1)), face_of(vector(2), x=20)])
    answer = refused(owner)
    assert refusal(answer) == (422, "multiple_faces")
    first, second = details_of(answer)["faces"]
    assert (first["face_index"], second["face_index"]) == (0, 1)
    assert first["box"] == {"x": 4, "y": 4, "width": 40, "height": 40}
    assert second["box"] == {"x": 20, "y": 4, "width": 40, "height": 40}


def test_a_face_index_that_is_not_there(owner: Person, fake: FakePipeline) -> None:
    fake.show([face_of(vector(1)), face_of(vector(2))])
    assert refusal(refused(owner, face_index=2)) == (422, "invalid_face_index")


def test_low_quality(owner: Person, fake: FakePipeline) -> None:
    fake.show(face_of(vector(1), quality=0.3))
    answer = refused(owner)
    assert refusal(answer) == (422, "low_quality")
    details = details_of(answer)
    assert details["face_quality_score"] == 0.3
    assert details["components"]["sharpness"] == 0.3
    assert "blurred" in details["reasons"]


def test_an_end_user_may_not_skip_the_quality_gate(owner: Person, fake: FakePipeline) -> None:
    fake.show(face_of(vector(1), quality=0.3))
    assert refusal(refused(owner, metadata={"quality_check": False})) == (422, "low_quality")


def test_the_refusal_says_what_to_do(owner: Person, fake: FakePipeline) -> None:
    face = face_of(vector(1))
    fake.show(replace(face, quality=face.quality.having({"mouth": 0.1})))
    answer = refused(owner)
    assert answer.json()["error"]["message"].endswith(ADVICE["mouth_covered"])
    assert details_of(answer)["advice"] == [ADVICE["mouth_covered"]]
    assert details_of(answer)["needed"] == 0.6


def test_nobody_may_enrol_a_misread_face(
    service: Person, fake: FakePipeline, settings: Settings
) -> None:
    """Its template would match the next misread stranger, whatever the gate."""
    settings.MIN_FACE_QUALITY = 0.0
    fake.show(misread(vector(1)))
    answer = refused(service, metadata={"quality_check": False})
    assert refusal(answer) == (422, "low_quality")
    assert details_of(answer)["reasons"] == ["not_level"]


def test_the_quality_gate_is_a_setting(
    owner: Person, fake: FakePipeline, settings: Settings
) -> None:
    settings.MIN_FACE_QUALITY = 0.95
    fake.show(face_of(vector(1), quality=0.9))
    assert refusal(refused(owner)) == (422, "low_quality")


def test_duplicate_face(owner: Person, fake: FakePipeline) -> None:
    face = make_face(make_user(OWNER), vector(1))
    fake.show(near(vector(1), 0.995))
    answer = refused(owner)
    assert refusal(answer) == (409, "duplicate_face")
    assert details_of(answer) == {"face_id": face.face_id}


def test_somebody_elses_user_id(stranger: Person, fake: FakePipeline) -> None:
    fake.show(vector(1))
    assert refusal(refused(stranger)) == (403, "not_your_user")


def test_a_missing_scope(owner: Person, fake: FakePipeline) -> None:
    fake.show(vector(1))
    verifier = Person(user_token(OWNER, ["face:verify"]), owner.client)
    assert refusal(refused(verifier)) == (403, "insufficient_scope")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_id", None),
        ("user_id", 7),
        ("user_id", True),
        ("user_id", "not a user id "),
        ("user_id", ["a"]),
        ("image", None),
        ("image", 7),
        ("image", ["a"]),
        ("image", {"a": 1}),
        ("face_group", ""),
        ("face_group", "g" * 65),
        ("face_group", {"a": 1}),
        ("face_group", 7),
        ("face_group", True),
        ("face_index", "1"),
        ("face_index", True),
        ("face_index", -1),
        ("face_index", 10**30),
        ("face_index", 1.5),
        ("face_index", "one"),
        ("metadata", []),
        ("metadata", "[1]"),
        ("metadata", {"quality_check": "no"}),
        ("metadata", {"source": 7}),
        ("metadata", {"source": None}),
        ("metadata", {"context": ["a"]}),
        ("metadata", {"note": "x" * 9000}),
    ],
)
def test_a_field_of_the_wrong_type(
    service: Person, fake: FakePipeline, field: str, value: object
) -> None:
    fake.show(vector(1))
    answer = refused(service, **{field: value})
    assert refusal(answer) == (400, "invalid_request")
    assert list(details_of(answer)["fields"]) == [field]


def test_a_whole_number_may_be_written_as_a_fraction(service: Person, fake: FakePipeline) -> None:
    """JSON Schema and languages without whole numbers know no difference."""
    fake.show(vector(1))
    body = f'{{"user_id": "{OWNER}", "image": "{PICTURE_BASE64}", "face_index": 0.0}}'
    assert service.send("post", "register", body.encode()).status_code == 201


def test_an_unknown_field(owner: Person, fake: FakePipeline) -> None:
    fake.show(vector(1))
    answer = refused(owner, face_grup="primary")
    assert refusal(answer) == (400, "unknown_field")
    assert "face_grup" in answer.json()["error"]["message"]


# --- at once, and interrupted ---------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_same_picture_twice_at_once(
    fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.show(vector(1))
    together = threading.Barrier(2)
    look_at = fake.detect

    def detect(image: Any, **options: Any) -> Any:
        together.wait(PATIENCE)
        return look_at(image, **options)

    monkeypatch.setattr(fake, "detect", detect)

    def register(_: int) -> int:
        try:
            person = Person(service_token(), Client())
            return person.post("register", user_id=OWNER, image=PICTURE_BASE64).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(register, range(2))) == [201, 409]
    assert (Face.objects.count(), Template.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("broken", [Template, AuditEvent])
def test_a_crash_in_the_middle_leaves_nothing(
    owner: Person, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch, broken: type
) -> None:
    insertion = prepared._insertion

    def crash(kind: type) -> Any:
        if kind is broken:
            raise OSError("out of memory")
        return insertion(kind)

    fake.show(vector(1))
    monkeypatch.setattr(prepared, "_insertion", crash)
    before = row_counts()
    owner.client.raise_request_exception = False
    answer = owner.post("register", user_id=OWNER, image=PICTURE_BASE64)
    assert refusal(answer) == (500, "internal_error")
    assert "memory" not in answer.content.decode()
    assert row_counts() == before
