"""`metadata.consent`: stored with a face, kept, and required where a setting says so."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone
from pytest_django import Settings

from batch.jobs import work
from batch.models import Item
from recognition.models import Face, User
from tests.support.builders import (
    OWNER,
    PICTURE,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    data_of,
    refusal,
    vector,
)

pytestmark = pytest.mark.django_db
CONSENT = {"given_at": "2024-01-20T10:30:00+07:00", "text_version": "2024-01"}


@pytest.fixture(autouse=True)
def shown(fake: FakePipeline) -> None:
    fake.show(vector(1))


def register(person: Person, **metadata: Any) -> Any:
    return person.post("register", user_id=OWNER, image=PICTURE_BASE64, metadata=metadata)


def test_it_works(owner: Person, settings: Settings) -> None:
    settings.FACESVC_REQUIRE_CONSENT = True
    face_id = data_of(register(owner, consent=CONSENT, source="web"), 201)["face_id"]
    assert data_of(owner.get(f"faces/{face_id}"))["metadata"]["consent"] == CONSENT


def test_without_it(owner: Person, settings: Settings) -> None:
    data_of(register(owner), 201)
    settings.FACESVC_REQUIRE_CONSENT = True
    assert refusal(register(owner, source="web")) == (422, "consent_required")
    assert Face.objects.count() == 1


def test_of_a_picture_of_a_job(service: Person, settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    settings.FACESVC_REQUIRE_CONSENT = True
    image = {"image": PICTURE_BASE64, "user_id": str(OWNER)}
    without, given = {**image, "image_id": "a"}, {**image, "image_id": "b"}
    given["metadata"] = {"consent": CONSENT}
    data_of(service.post("batch-register", images=[without, given]), 202)
    work.work()
    first, second = Item.objects.order_by("pk")
    assert first.result["code"] == "consent_required"
    assert second.state == "success" and Face.objects.get().metadata["consent"] == CONSENT


@pytest.mark.parametrize(
    "consent",
    [
        *(None, True, "yes", [], {}),
        {"given_at": CONSENT["given_at"]},
        {**CONSENT, "by": "phone"},
        {**CONSENT, "given_at": "2024-01-20T10:30:00"},
        {**CONSENT, "given_at": "2024-02-30T10:30:00Z"},
        {**CONSENT, "given_at": "yesterday"},
        {**CONSENT, "given_at": 1705721400},
        {**CONSENT, "given_at": (timezone.now() + timedelta(days=1)).isoformat()},
        {**CONSENT, "text_version": ""},
        {**CONSENT, "text_version": " "},
        {**CONSENT, "text_version": 3},
        {**CONSENT, "text_version": "x" * 101},
    ],
)
def test_what_is_no_consent(owner: Person, consent: Any) -> None:
    assert refusal(register(owner, consent=consent)) == (400, "invalid_request")
    assert not User.objects.exists()


def test_it_stays_when_the_metadata_change(owner: Person) -> None:
    face_id = data_of(register(owner, consent=CONSENT, source="web"), 201)["face_id"]
    changed = data_of(owner.put(f"faces/{face_id}", metadata={"note": "x"}))
    assert changed["metadata"] == {"note": "x", "consent": CONSENT}
    newer = {**CONSENT, "text_version": "2025-07"}
    changed = data_of(owner.put(f"faces/{face_id}", metadata={"consent": newer}))
    assert changed["metadata"] == {"consent": newer}


def test_of_a_folder(tmp_path: Path, settings: Settings) -> None:
    settings.FACESVC_REQUIRE_CONSENT = True
    (tmp_path / "Ann").mkdir()
    (tmp_path / "Ann" / "1.png").write_bytes(PICTURE)
    call_command("enrol_folder", str(tmp_path))
    assert not User.objects.exists()
    options = {f"consent_{name}": value for name, value in CONSENT.items()}
    call_command("enrol_folder", str(tmp_path), **options)
    assert Face.objects.get().metadata["consent"] == CONSENT
    with pytest.raises(CommandError, match="text_version"):
        call_command("enrol_folder", str(tmp_path), consent_given_at="2024-01-20T10:30:00Z")
