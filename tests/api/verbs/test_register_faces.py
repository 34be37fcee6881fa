"""POST /register-faces: several faces of one picture."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from recognition.enrolment import enrolling
from recognition.models import (
    AuditEvent,
    Face,
    FaceCrop,
    IdempotencyKey,
    MergedUser,
    Template,
    User,
)
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE,
    PICTURE_BASE64,
    PREFIX,
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
    vector,
)
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.django_db
CONSENT = {"given_at": "2026-01-20T10:30:00Z", "text_version": "2026-01"}


def of(*users: Any) -> list[dict[str, Any]]:
    """Each face in turn is that of a user."""
    return [{"face_index": i, "user_id": str(user)} for i, user in enumerate(users)]


def send(person: Person, faces: Any, **more: Any) -> HttpResponse:
    fields = {"image": PICTURE_BASE64, "faces": faces}
    return person.send("post", "register-faces", fields, **more)


def refused(person: Person, faces: Any) -> HttpResponse:
    """A registration that must leave nothing."""
    before = row_counts()
    answer = send(person, faces)
    assert row_counts() == before
    return answer


def refusals(answer: HttpResponse) -> list[tuple[int, str, str]]:
    assert refusal(answer) == (422, "faces_refused")
    return [
        (each["face_index"], each["user_id"], each["code"]) for each in details_of(answer)["faces"]
    ]


def show_two(fake: FakePipeline) -> None:
    fake.show([face_of(vector(1)), face_of(vector(2), x=20)])


def test_it_works(service: Person, fake: FakePipeline) -> None:
    """In the order of the request, which need not be that of the picture."""
    show_two(fake)
    faces = [
        {"face_index": 1, "user_id": str(FRIEND), "face_group": "party"},
        {"face_index": 0, "user_id": str(OWNER), "metadata": {"consent": CONSENT}},
    ]
    second, first = data_of(send(service, faces), 201)["faces"]
    assert [second["face_index"], first["face_index"]] == [1, 0]
    for answer, user_id, number in ((second, FRIEND, 2), (first, OWNER, 1)):
        face = Face.objects.get(face_id=answer["face_id"])
        assert answer == {
            "face_id": face.face_id,
            "user_id": str(user_id),
            "privacy_level": "friends",
            "registration_status": "success",
            "face_quality_score": 0.9,
            "embedding_version": "dlib_v1",
            "face_attributes": face.attributes,
            "face_index": answer["face_index"],
        }
        assert face.user_id == user_id
        assert Template.objects.get(face=face).embedding[number] == 1
        event = AuditEvent.objects.get(action="face.register", user_id=user_id)
        assert (event.actor, event.face_id) == ("service:app", face.face_id)
    assert Face.objects.get(user=FRIEND).face_group == "party"
    assert Face.objects.get(user=OWNER).metadata == {"consent": CONSENT}


def test_users_who_are_known(service: Person, fake: FakePipeline) -> None:
    make_user(OWNER, "public")
    show_two(fake)
    first, second = data_of(send(service, of(OWNER, FRIEND)), 201)["faces"]
    assert (first["privacy_level"], second["privacy_level"]) == ("public", "friends")


def test_end_users_enrol_themselves(owner: Person, fake: FakePipeline) -> None:
    show_two(fake)
    faces = [{"face_index": 1, "user_id": str(OWNER)}]
    data_of(send(owner, faces), 201)
    assert Template.objects.get().embedding[2] == 1


def test_a_form(service: Person, fake: FakePipeline) -> None:
    show_two(fake)
    upload = SimpleUploadedFile("photo.png", PICTURE, "image/png")
    form = {"image": upload, "faces": json.dumps(of(OWNER, FRIEND))}
    headers = {"Authorization": f"Bearer {service.token}"}
    answer = service.client.post(f"{PREFIX}register-faces", form, headers=headers)
    assert len(data_of(answer, 201)["faces"]) == 2


def test_crops_are_kept(service: Person, fake: FakePipeline, settings: Settings) -> None:
    settings.STORE_FACE_CROPS = True
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    show_two(fake)
    data_of(send(service, of(OWNER, FRIEND)), 201)
    assert FaceCrop.objects.count() == 2


def test_a_repetition_gets_the_first_answer(service: Person, fake: FakePipeline) -> None:
    show_two(fake)
    key = {"Idempotency-Key": "party-1"}
    first, again = (send(service, of(OWNER, FRIEND), headers=key) for _ in range(2))
    assert data_of(again, 201) == data_of(first, 201)
    assert again["Idempotent-Replayed"] == "true"
    assert Face.objects.count() == 2
    assert set(IdempotencyKey.objects.get().user_ids) == {OWNER, FRIEND}


# --- refusals -------------------------------------------------------------------------------------


def test_each_refusal_is_named_at_once(service: Person, fake: FakePipeline) -> None:
    """One bad face is enough: no other face is stored."""
    known = make_face(make_user(FRIEND), vector(2))
    suspended = make_user(STRANGER, suspended_at=timezone.now())
    good, bad, gone, merged = (f"0000000d-0000-4000-8000-00000000000{n}" for n in range(4))
    MergedUser.objects.create(pk=merged, into=known.user)
    fake.show(
        [
            face_of(vector(1)),
            face_of(near(vector(2), 0.995)),
            face_of(vector(3), quality=0.3),
            face_of(vector(4)),
            face_of(vector(5)),
        ]
    )
    faces = of(good, FRIEND, bad, suspended.pk, merged)
    faces.append({"face_index": 5, "user_id": gone})
    answer = refused(service, faces)
    assert refusals(answer) == [
        (1, str(FRIEND), "duplicate_face"),
        (2, bad, "low_quality"),
        (3, str(STRANGER), "user_suspended"),
        (4, merged, "user_merged"),
        (5, gone, "invalid_face_index"),
    ]
    duplicate, low, *_ = details_of(answer)["faces"]
    assert duplicate["details"] == {"face_id": known.face_id}
    assert low["details"]["face_quality_score"] == 0.3
    assert low["message"].startswith("The face cannot be recognised")
    assert not User.objects.filter(pk=good).exists()


def test_one_face_is_refused_as_several_are(owner: Person, fake: FakePipeline) -> None:
    fake.show(misread(vector(1)))
    assert refusals(refused(owner, of(OWNER))) == [(0, str(OWNER), "low_quality")]


def test_each_face_needs_its_consent(
    service: Person, fake: FakePipeline, settings: Settings
) -> None:
    settings.FACESVC_REQUIRE_CONSENT = True
    show_two(fake)
    faces = of(OWNER, FRIEND)
    faces[0]["metadata"] = {"consent": CONSENT}
    assert refusals(refused(service, faces)) == [(1, str(FRIEND), "consent_required")]


def test_only_services_skip_the_quality_gate(
    service: Person, owner: Person, fake: FakePipeline
) -> None:
    fake.show(face_of(vector(1), quality=0.3))
    faces = [{**of(OWNER)[0], "metadata": {"quality_check": False}}]
    assert refusals(refused(owner, faces)) == [(0, str(OWNER), "low_quality")]
    data_of(send(service, faces), 201)


def test_no_face(service: Person, fake: FakePipeline) -> None:
    fake.show([])
    assert refusal(refused(service, of(OWNER, FRIEND))) == (422, "no_face")


def test_end_users_enrol_nobody_else(owner: Person, fake: FakePipeline) -> None:
    show_two(fake)
    assert refusal(refused(owner, of(OWNER, FRIEND))) == (403, "not_your_user")


def test_to_its_user_a_suspended_one_is_unknown(owner: Person, fake: FakePipeline) -> None:
    make_user(OWNER, suspended_at=timezone.now())
    fake.show(vector(1))
    assert refusals(refused(owner, of(OWNER))) == [(0, str(OWNER), "user_not_found")]


@pytest.mark.parametrize(
    "faces",
    [
        None,
        [],
        {},
        "x",
        [7],
        [{"user_id": str(OWNER)}],
        [{"face_index": 0}],
        [{"face_index": "0", "user_id": str(OWNER)}],
        [{"face_index": 0, "user_id": str(OWNER)}, {"face_index": 0, "user_id": str(FRIEND)}],
        [
            {"face_index": 0, "user_id": str(OWNER)},
            {"face_index": 1, "user_id": str(OWNER).upper()},
        ],
        [{"face_index": i, "user_id": f"0000000d-0000-4000-8000-{i:012}"} for i in range(101)],
    ],
)
def test_bad_faces(service: Person, fake: FakePipeline, faces: Any) -> None:
    show_two(fake)
    answer = refused(service, faces)
    assert refusal(answer) == (400, "invalid_request")
    assert list(details_of(answer)["fields"]) == ["faces"]


def test_an_unknown_field_of_a_face(service: Person, fake: FakePipeline) -> None:
    fake.show(vector(1))
    answer = refused(service, [{"face_index": 0, "user_id": str(OWNER), "name": "Ann"}])
    assert refusal(answer) == (400, "unknown_field")


# --- at once --------------------------------------------------------------------------------------


def test_users_are_locked_in_the_order_of_all_locks(
    service: Person, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or two requests about the same people could wait for each other."""
    locked, order = enrolling.locked, []

    def noted(user_id: UUID, **options: Any) -> User:
        order.append(user_id)
        return locked(user_id, **options)

    monkeypatch.setattr(enrolling, "locked", noted)
    fake.show([vector(1), vector(2), vector(3)])
    data_of(send(service, of(STRANGER, OWNER, FRIEND)), 201)
    assert order == [OWNER, FRIEND, STRANGER]


@pytest.mark.django_db(transaction=True)
def test_the_same_photo_twice_at_once(fake: FakePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    show_two(fake)
    together, look_at = threading.Barrier(2), fake.detect

    def detect(image: Any, **options: Any) -> Any:
        together.wait(PATIENCE)
        return look_at(image, **options)

    monkeypatch.setattr(fake, "detect", detect)

    def register(faces: list[dict[str, Any]]) -> int:
        try:
            return send(Person(service_token(), Client()), faces).status_code
        finally:
            connection.close()

    faces = of(OWNER, FRIEND)
    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(register, [faces, faces[::-1]])) == [201, 422]
    assert (Face.objects.count(), User.objects.count()) == (2, 2)
