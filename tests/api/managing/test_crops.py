"""GET /faces/{face_id}/crop: the kept picture of a face."""

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone
from pytest_django import Settings

from recognition.inference.images import decode
from recognition.models import AuditEvent, Face
from tests.support.builders import (
    OWNER,
    FakePipeline,
    Person,
    enrol_face,
    make_face,
    make_user,
    refusal,
    row_counts,
    vector,
)
from tests.support.photos import astronaut, encode

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def a_key(settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    settings.STORE_FACE_CROPS = True


@pytest.fixture
def face(db: None, fake: FakePipeline) -> Face:
    fake.show(vector(1))
    return enrol_face(OWNER, encode(astronaut()))


def test_it_works(owner: Person, face: Face) -> None:
    answer = owner.get(f"faces/{face.face_id}/crop")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "image/jpeg"
    assert answer["Cache-Control"] == "no-store"
    picture = decode(answer.content, max_bytes=10**6, max_pixels=10**6)
    assert picture.shape == (256, 256, 3)
    event = AuditEvent.objects.get(action="face.view")
    assert (event.actor, event.user_id, event.face_id) == (f"user:{OWNER}", OWNER, face.face_id)


def test_a_real_face(owner: Person) -> None:
    """Upright, and in the middle."""
    stored = enrol_face(OWNER, encode(astronaut()))
    answer = owner.get(f"faces/{stored.face_id}/crop")
    picture = decode(answer.content, max_bytes=10**6, max_pixels=10**6)
    assert picture[64:192, 64:192].std() > 20


@pytest.mark.parametrize("accept", ["image/jpeg", "image/*", "*/*", "application/json"])
def test_a_client_may_accept_pictures_alone(owner: Person, face: Face, accept: str) -> None:
    """A refusal is JSON all the same."""
    headers = {"Accept": accept}
    there = owner.send("get", f"faces/{face.face_id}/crop", headers=headers)
    assert (there.status_code, there["Content-Type"]) == (200, "image/jpeg")
    missing = owner.send("get", "faces/face_000000000000/crop", headers=headers)
    assert refusal(missing) == (404, "face_not_found")
    assert missing["Content-Type"] == "application/json"


def test_a_service_sees_anybodys_even_of_suspended_faces(service: Person, face: Face) -> None:
    Face.objects.update(suspended_at=timezone.now())
    assert service.get(f"faces/{face.face_id}/crop").status_code == 200
    assert AuditEvent.objects.get(action="face.view").actor == "service:app"


# --- refusals -------------------------------------------------------------------------------------


def test_somebody_elses_looks_like_none(stranger: Person, face: Face) -> None:
    before = row_counts()
    theirs = stranger.get(f"faces/{face.face_id}/crop")
    none = stranger.get("faces/face_000000000000/crop")
    assert refusal(theirs) == refusal(none) == (404, "face_not_found")
    assert theirs.json()["error"] == none.json()["error"]
    assert row_counts() == before


def test_its_user_does_not_see_a_suspended_face(owner: Person, face: Face) -> None:
    Face.objects.update(suspended_at=timezone.now())
    assert refusal(owner.get(f"faces/{face.face_id}/crop")) == (404, "face_not_found")


def test_nor_does_a_suspended_user(owner: Person, face: Face) -> None:
    face.user.suspended_at = timezone.now()
    face.user.save()
    assert refusal(owner.get(f"faces/{face.face_id}/crop")) == (404, "face_not_found")


def test_none_is_kept(owner: Person) -> None:
    face = make_face(make_user(OWNER), vector(1))
    assert refusal(owner.get(f"faces/{face.face_id}/crop")) == (404, "crop_not_found")
    assert not AuditEvent.objects.filter(action="face.view").exists()


@pytest.mark.parametrize("keys", [[], [Fernet.generate_key().decode()]])
def test_no_key_opens_it(owner: Person, face: Face, settings: Settings, keys: list[str]) -> None:
    settings.FACESVC_CROP_KEYS = keys
    answer = owner.get(f"faces/{face.face_id}/crop")
    assert refusal(answer) == (503, "encryption_not_set_up")
    assert not AuditEvent.objects.filter(action="face.view").exists()
