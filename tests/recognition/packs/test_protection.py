"""Templates under a secret rotation: the same answers, and of no use without the key."""

import base64
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from recognition import checks
from recognition.gallery.comparing import compare_with_user
from recognition.gallery.scope import Scope
from recognition.identification import identifying
from recognition.identification.identifying import IdentificationRequest
from recognition.inference.pack.declaration import PackError
from recognition.models import Template
from recognition.packs import engine, protection, scores
from recognition.verification import matching
from tests.support.builders import (
    OWNER,
    FakePipeline,
    enrol_face,
    face_of,
    make_face,
    make_user,
    near,
    vector,
)
from tests.support.photos import astronaut, encode

OLD, NEW = (base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2))


def vectors(seed: int, count: int = 20) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((count, 512)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def id_of(settings: Settings, key: str) -> str:
    settings.FACESVC_TEMPLATE_KEYS = (key,)
    return protection.newest_key()


def test_it_works(settings: Settings) -> None:
    key, plain = id_of(settings, OLD), vectors(0)
    stored = protection.protect(plain, key)
    assert np.allclose(stored @ stored.T, plain @ plain.T, atol=1e-5)
    assert np.allclose(protection.reveal(stored, key), plain, atol=1e-5)


def test_stored_vectors_tell_nothing_without_the_key(settings: Settings) -> None:
    plain = vectors(1, 200)
    cosines = np.sum(protection.protect(plain, id_of(settings, OLD)) * plain, axis=1)
    assert abs(cosines.mean()) < 0.02
    assert np.abs(cosines).max() < 0.25  # as far from each other as two random vectors


@pytest.mark.django_db
@pytest.mark.parametrize(("keys", "named"), [((), 50), ((OLD,), 0)])
def test_who_is_named_by_a_stolen_table(
    fake: FakePipeline, settings: Settings, keys: tuple[str, ...], named: int
) -> None:
    """With another photo of each of 50 people, and the network, which is public."""
    settings.FACESVC_TEMPLATE_KEYS = keys
    active = replace(engine.current(), template_key=protection.newest_key())
    people = [UUID(int=number + 1) for number in range(50)]
    for number, person in enumerate(people):
        face = face_of(vector(number))
        make_face(make_user(person), active.template(face), version=active.template_version)
    stolen = Template.objects.values_list("user_id", "embedding")
    owners, table = zip(*((user, np.array(each, np.float32)) for user, each in stolen), strict=True)
    found = 0
    for number, person in enumerate(people):
        photo = np.pad(near(vector(number), 0.97), (0, 512 - 128))
        cosines = np.array(table) @ photo
        best = int(cosines.argmax())
        is_match = cosines[best] >= active.scores.cosine_of_confidence(scores.BASIC)
        found += bool(is_match) and owners[best] == person
    assert found == named


def test_make_writes_the_keys(tmp_path: Path) -> None:
    """Into a new .env; one that is there stays as it is."""
    made = tmp_path / ".venv" / "bin"
    made.mkdir(parents=True)
    (made / "python").symlink_to(sys.executable)
    (tmp_path / ".venv" / "made.stamp").touch()
    make = ["make", "--file", str(Path(__file__).parents[3] / "Makefile"), ".env"]
    written = tmp_path / ".env"
    for before in (None, "SECRET_KEY=mine"):
        if before:
            written.write_text(before)
        subprocess.run(make, cwd=tmp_path, check=True, capture_output=True, timeout=120)
        lines = dict(line.split("=", 1) for line in written.read_text().splitlines())
        if before:
            assert lines == {"SECRET_KEY": "mine"}
        else:
            assert set(lines) == {"SECRET_KEY", "FACESVC_CROP_KEYS", "FACESVC_TEMPLATE_KEYS"}
            keys = [
                base64.urlsafe_b64decode(lines[f"FACESVC_{k}_KEYS"]) for k in ("CROP", "TEMPLATE")
            ]
            assert [len(key) for key in keys] == [32, 32] and keys[0] != keys[1]


def test_two_keys_have_nothing_to_do_with_each_other(settings: Settings) -> None:
    plain = vectors(2, 200)
    settings.FACESVC_TEMPLATE_KEYS = (OLD, NEW)
    first, second = (protection.protect(plain, key) for key in protection.key_ids())
    assert np.abs(np.sum(first * second, axis=1)).max() < 0.25


@given(st.integers(0, 2**32 - 1))
def test_lengths_stay(seed: int) -> None:
    from django.conf import settings

    settings.FACESVC_TEMPLATE_KEYS = (OLD,)
    stored = protection.protect(vectors(seed, 2), protection.newest_key())
    assert np.allclose(np.linalg.norm(stored, axis=1), 1, atol=1e-5)
    settings.FACESVC_TEMPLATE_KEYS = ()


def test_the_rotation_of_a_key_never_changes(settings: Settings) -> None:
    """Stored templates depend on it, so these are the values for ever."""
    rotated = protection.protect(np.eye(512, dtype=np.float32)[:1], id_of(settings, OLD))
    assert rotated[0, :4] == pytest.approx(GOLDEN, abs=1e-5)


def test_a_process_keeps_the_rotations_of_all_collections(settings: Settings) -> None:
    """A search would make its own once more, for as much as it costs itself."""
    for kept in (protection._rotation, engine._load):
        assert kept.cache_parameters()["maxsize"] >= settings.FACESVC_MOST_COLLECTIONS
    assert protection._rotation(id_of(settings, OLD), b"").nbytes == 2**20


GOLDEN = [0.031910, 0.044992, -0.074142, 0.081997]


@pytest.mark.parametrize("key", ["", "abc", "not base64 !", base64.b64encode(b"short").decode()])
def test_a_key_that_is_none(settings: Settings, key: str) -> None:
    settings.FACESVC_TEMPLATE_KEYS = (key,)
    assert [error.id for error in list(checks.keys())] == ["facesvc.E004"]


def test_a_key_that_is_gone(settings: Settings) -> None:
    key = id_of(settings, OLD)
    settings.FACESVC_TEMPLATE_KEYS = (NEW,)
    protection._rotation.cache_clear()
    with pytest.raises(PackError, match=key):
        protection.protect(vectors(3), key)


def verified() -> tuple[bool, float]:
    probe = matching.look(encode(astronaut()), OWNER, is_checked=False)
    assert probe.template is not None
    nearest = compare_with_user(probe.by, OWNER, probe.template)
    assert nearest
    is_match = matching.compared(probe, nearest, "standard").result == "success"
    return is_match, nearest.by_face


def searched() -> list[tuple[str, float]]:
    everybody = Scope(viewer=None, everyone=True)
    request = IdentificationRequest(everybody, 0, max_false_positive_rate=None)
    result = identifying.identify(encode(astronaut()), request)
    return [(c.face_id, c.cosine) for c in result.faces[0].candidates]


@pytest.mark.django_db(transaction=True)
def test_results_stay_when_a_key_comes_changes_and_goes(settings: Settings) -> None:
    enrol_face(OWNER, encode(astronaut()))
    before, plain = (verified(), searched()), stored_vector()
    for keys in ((OLD,), (NEW, OLD), (NEW,)):
        settings.FACESVC_TEMPLATE_KEYS = keys
        call_command("rotate_keys")
        assert engine.active_model().template_key == protection.newest_key()
        assert_same(before, (verified(), searched()))
        assert abs(float(stored_vector() @ plain)) < 0.25
    settings.FACESVC_TEMPLATE_KEYS = ()
    with pytest.raises(CommandError, match="FACESVC_TEMPLATE_KEYS is empty"):
        call_command("rotate_keys")  # a forgotten variable must not strip the protection
    settings.FACESVC_TEMPLATE_KEYS = (NEW,)
    call_command("rotate_keys", "--unprotect")
    assert engine.active_model().template_key == protection.NO_KEY
    assert_same(before, (verified(), searched()))
    assert float(stored_vector() @ plain) == pytest.approx(1, abs=1e-3)
    assert Template.objects.count() == 1


def assert_same(before: Any, now: Any) -> None:
    (match_before, cosine_before), candidates_before = before
    (match, cosine), candidates = now
    assert match == match_before
    assert cosine == pytest.approx(cosine_before, abs=1e-3)
    assert [name for name, _ in candidates] == [name for name, _ in candidates_before]


def stored_vector() -> np.ndarray:
    (vector,) = Template.objects.values_list("embedding", flat=True)
    return np.array(vector, np.float32)
