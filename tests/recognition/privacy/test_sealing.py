"""Encryption at rest: what it opens, and what it refuses."""

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from recognition.models import FaceCrop
from recognition.privacy import sealing
from recognition.privacy.sealing import UnreadableError
from tests.support.builders import OWNER, make_face, make_user, vector

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
SECRET = b"a face" * 1000


@pytest.fixture(autouse=True)
def with_old_key(settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS = [OLD]


@pytest.mark.parametrize("data", [b"", b"x", SECRET])
def test_it_works(data: bytes) -> None:
    sealed = sealing.seal(data)
    assert sealing.unseal(sealed) == data
    assert sealed != sealing.seal(data)


def test_nothing_of_it_can_be_read() -> None:
    assert SECRET[:6] not in sealing.seal(SECRET)


def test_any_of_the_keys_opens(settings: Settings) -> None:
    sealed = sealing.seal(SECRET)
    settings.FACESVC_CROP_KEYS = [NEW, OLD]
    assert sealing.unseal(sealed) == SECRET
    settings.FACESVC_CROP_KEYS = [NEW]
    with pytest.raises(UnreadableError):
        sealing.unseal(sealed)
    settings.FACESVC_CROP_KEYS = []
    with pytest.raises(ImproperlyConfigured):
        sealing.unseal(sealed)


@pytest.mark.parametrize("at", [0, 1, 32, 33, -1], ids=["kind", "salt", "salt", "content", "tag"])
def test_one_bit_changed(at: int) -> None:
    sealed = bytearray(sealing.seal(SECRET))
    sealed[at] ^= 1
    with pytest.raises(UnreadableError):
        sealing.unseal(bytes(sealed))


@pytest.mark.parametrize("length", [0, 1, 20, 33, 48])
def test_cut_off(length: int) -> None:
    with pytest.raises(UnreadableError):
        sealing.unseal(sealing.seal(SECRET)[:length])


@pytest.mark.django_db
def test_what_is_deleted_meanwhile_is_left_out(settings: Settings) -> None:
    owner = make_user(OWNER)
    crops = [
        FaceCrop.objects.create(face=make_face(owner, vector(n)), sealed=sealing.seal(SECRET))
        for n in range(3)
    ]
    rotating = sealing.rotate(FaceCrop)
    assert next(rotating)
    crops[1].delete()
    assert list(rotating) == [True]
    assert FaceCrop.objects.count() == 2


@pytest.mark.django_db
def test_the_newest_key_takes_over(settings: Settings) -> None:
    face = make_face(make_user(OWNER), vector(1))
    crop = FaceCrop.objects.create(face=face, sealed=sealing.seal(SECRET))
    settings.FACESVC_CROP_KEYS = [NEW, OLD]
    assert list(sealing.rotate(FaceCrop)) == [True]
    crop.refresh_from_db()
    settings.FACESVC_CROP_KEYS = [NEW]
    assert sealing.unseal(bytes(crop.sealed)) == SECRET
