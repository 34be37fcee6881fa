"""`strict` with the pack `permissive`, whose own network asks whether a face is a real one."""

import base64
from typing import Any

import cv2
import numpy as np
import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from benchmarks.attacks import as_camera, as_print, as_screen
from recognition.gallery import indexes
from recognition.inference.arrays import Image
from recognition.models import ActiveModel
from recognition.packs import downloads, engine
from tests.support.builders import OWNER, Person, data_of, enrol_face
from tests.support.photos import SHARED, jpeg, needs_shared
from tests.support.real_packs import MODELS, needs_models, permissive_pack

pytestmark = [pytest.mark.django_db, needs_models, needs_shared]


@pytest.fixture(autouse=True)
def permissive(settings: Settings) -> None:
    """Serves with the pack; Obama is enrolled. No other check is asked for."""
    downloads.pull(permissive_pack(), django_settings.MODELS_DIR, str(MODELS / "permissive"))
    loaded = engine.load("permissive", "")
    indexes.sketch(loaded.template_version, loaded.sketches.centre)
    ActiveModel.objects.update_or_create(pk=1, defaults={"pack": "permissive"})
    settings.FACESVC_STRICT_CHECKS = ("antispoofing",)
    enrol_face(OWNER, jpeg(photo("obama")))


def photo(name: str) -> Image:
    image = cv2.imread(str(SHARED / "photos" / f"{name}.jpg"))
    assert image is not None
    return image.astype(np.uint8)


def verify(person: Person, image: Image, level: str = "strict") -> dict[str, Any]:
    text = base64.b64encode(jpeg(image)).decode()
    return data_of(person.post("verify", user_id=OWNER, image=text, verification_level=level))


def test_it_works(service: Person) -> None:
    assert verify(service, photo("obama2"))["verification_result"] == "success"


def test_another_man(service: Person) -> None:
    assert verify(service, photo("biden"))["verification_result"] == "no_match"


@pytest.mark.parametrize("attack", [as_screen, as_print])
def test_the_same_photo_held_up(service: Person, attack: Any) -> None:
    """It is the man, and no living one: at `basic` he would be accepted.

    Of such attacks about half are recognised, these two among them; see docs/liveness.md.
    """
    held = attack(square(photo("obama2")), np.random.default_rng(0), close=False)
    answer = verify(service, held)
    assert answer["verification_result"] == "rejected"
    assert "liveness_failed" in answer["risk_assessment"]["factors"]
    assert verify(service, held, "basic")["verification_result"] == "success"


def test_the_same_photo_through_the_same_camera(service: Person) -> None:
    seen = as_camera(square(photo("obama2")), np.random.default_rng(1))
    assert verify(service, seen)["verification_result"] == "success"


def login(person: Person, image: Image) -> tuple[str, str]:
    """The result of an attempt in a strict login, and the state of the login after it."""
    asked = {"user_id": OWNER, "purpose": "login", "verification_level": "strict"}
    opened = data_of(person.post("sessions", **asked), 201)["session_id"]
    fields = {"user_id": OWNER, "image": base64.b64encode(jpeg(image)).decode()}
    answer = data_of(person.post("verify", **fields, metadata={"session_id": opened}))
    return answer["verification_result"], data_of(person.get(f"sessions/{opened}"))["state"]


def test_a_login(service: Person) -> None:
    assert login(service, photo("obama2")) == ("success", "verified")


def test_a_login_with_a_screen(service: Person) -> None:
    """The login stays open for the man himself."""
    held = as_screen(square(photo("obama2")), np.random.default_rng(0), close=False)
    assert login(service, held) == ("rejected", "verifying")


def test_what_detect_says(service: Person) -> None:
    """All angles, and nothing invented for what the pack has no file for."""
    image = base64.b64encode(jpeg(photo("obama2"))).decode()
    (face,) = data_of(service.post("detect", image=image))["faces"]
    assert all(abs(face["pose"][angle]) < 30 for angle in ("yaw", "pitch", "roll"))
    assert face["eyes_open_score"] > 0.5 and face["liveness_score"] > 0.5
    attributes = face["face_attributes"]
    assert attributes["estimated_age"] is attributes["estimated_gender"] is None


def square(image: Image) -> Image:
    """What is around the face, as wide as high."""
    side = min(image.shape[:2])
    left = (image.shape[1] - side) // 2
    return image[:side, left : left + side]
