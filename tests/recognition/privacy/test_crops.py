"""Kept pictures of faces: sealed, rotated to new keys, useless without."""

import cv2
import numpy as np
import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import Settings

from recognition import checks
from recognition.inference.pipeline import FacePipeline
from recognition.models import FaceCrop
from recognition.privacy import sealing
from tests.support.builders import OWNER, enrol_face
from tests.support.photos import astronaut, encode

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture(autouse=True)
def with_key(settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS, settings.STORE_FACE_CROPS = [OLD], True


def test_it_works() -> None:
    sealed = sealing.seal_picture(astronaut()[:256, :256])
    opened = sealing.unseal_picture(sealed)
    difference = np.abs(opened.astype(int) - astronaut()[:256, :256])
    assert difference.mean() < 2


def test_sealed_bytes_are_no_picture() -> None:
    sealed = sealing.seal_picture(astronaut())
    assert cv2.imdecode(np.frombuffer(sealed, np.uint8), cv2.IMREAD_COLOR) is None
    assert b"\xff\xd8\xff" not in sealed[:64]
    assert sealing.seal_picture(astronaut()) != sealed


def test_a_changed_byte_is_noticed() -> None:
    sealed = bytearray(sealing.seal_picture(astronaut()))
    sealed[len(sealed) // 2] ^= 1
    with pytest.raises(sealing.UnreadableError):
        sealing.unseal_picture(bytes(sealed))


def test_no_key(settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS = []
    with pytest.raises(ImproperlyConfigured):
        sealing.seal_picture(astronaut())
    assert [error.id for error in list(checks.keys())] == ["facesvc.E003"]


def test_a_key_that_is_none(settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS = ["secret"]
    assert [error.id for error in list(checks.keys())] == ["facesvc.E004"]


def test_the_face_is_found_again_in_its_crop(pipeline: FacePipeline) -> None:
    (face,) = pipeline.embed(pipeline.detect(astronaut()))
    (again,) = pipeline.embed(pipeline.detect(pipeline.surroundings(astronaut(), face)))
    assert float(face.embedding @ again.embedding) > 0.98


@pytest.mark.django_db
def test_off_means_off(settings: Settings) -> None:
    settings.STORE_FACE_CROPS = False
    enrol_face(OWNER, encode(astronaut()))
    assert not FaceCrop.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_new_keys(settings: Settings) -> None:
    face = enrol_face(OWNER, encode(astronaut()))
    settings.FACESVC_CROP_KEYS = [NEW, OLD]
    call_command("rotate_keys")
    settings.FACESVC_CROP_KEYS = [NEW]
    sealed = FaceCrop.objects.get(face=face).sealed
    assert sealing.unseal_picture(bytes(sealed)).shape == (256, 256, 3)
    settings.FACESVC_CROP_KEYS = [OLD]
    with pytest.raises(CommandError, match="1 crops cannot be opened"):
        call_command("rotate_keys")


@pytest.mark.django_db
def test_the_crop_goes_with_the_face() -> None:
    face = enrol_face(OWNER, encode(astronaut()))
    assert FaceCrop.objects.count() == 1
    face.delete()
    assert not FaceCrop.objects.exists()
