"""`manage.py export_user`: all that is held about a person, and nothing of anybody else's."""

import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from pytest_django import Settings

from batch.jobs import work
from recognition.models import AuditEvent
from recognition.privacy import keeping
from tests.recognition.privacy.test_erasure import HOLD_THE_ID, HOLD_WHAT_IS_HERS
from tests.support.builders import FRIEND, OWNER, STRANGER, FakePipeline, make_user
from tests.support.everywhere import CONSENT, NAME, ZOE, Life, allow

pytestmark = pytest.mark.django_db


@pytest.fixture
def life(fake: FakePipeline, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Life:
    monkeypatch.setattr(work, "_SLICE", 60.0)
    allow(settings)
    lived = Life(fake)
    lived.live()
    return lived


def exported(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    path = folder / "zoe.zip"
    call_command("export_user", str(ZOE), asked_by=f"{NAME}, by letter", output=path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    path.unlink()
    return json.loads(files.pop("data.json")), files


def test_it_works(life: Life, tmp_path: Path) -> None:
    data, files = exported(tmp_path)
    assert {section.name for section in keeping.sections()} == set(data)
    assert not [name for name, rows in data.items() if not rows]
    assert data["user"][0]["display_name"] == NAME
    assert all(face["metadata"]["consent"] == CONSENT for face in data["faces"][:2])
    assert data["groups"][0]["group__name"] == "hiking"
    pictures = [row["file"] for row in data["kept_pictures"]]
    assert sorted(pictures) == sorted(name for name in files if name != "README.txt")
    for name in pictures:
        picture = cv2.imdecode(np.frombuffer(files[name], np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None and picture.shape == (256, 256, 3)
    assert b"Left out, and why" in files["README.txt"]
    event = AuditEvent.objects.get(action="user.export")
    assert (event.actor, event.user_id) == ("command:export_user", ZOE)
    assert event.details == {"asked_by": f"{NAME}, by letter"}


def test_every_table_that_holds_something_is_in_it() -> None:
    tables = {section.model._meta.db_table for section in keeping.sections()}
    assert tables == HOLD_THE_ID | HOLD_WHAT_IS_HERS


def test_nothing_secret_and_nothing_of_others(life: Life, tmp_path: Path) -> None:
    data, _ = exported(tmp_path)
    text = json.dumps(data)
    with connection.cursor() as cursor:
        cursor.execute("SELECT embedding::text FROM recognition_template")
        secrets = [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT face_id FROM recognition_face WHERE user_id = %s", [STRANGER])
        secrets += [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT sealed FROM batch_webhooksecret")
        secrets += [bytes(row[0]).hex() for row in cursor.fetchall()]
    assert [row["user_a_id"] or row["user_b_id"] for row in data["possible_duplicates"]]
    assert str(STRANGER) not in text
    assert not [secret for secret in secrets if secret in text]
    # Friends are named by their ids.
    assert str(FRIEND) in text


def test_a_lost_key(life: Life, tmp_path: Path, settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    data, files = exported(tmp_path)
    assert [row["file"] for row in data["kept_pictures"]] == [None] * 4
    assert set(files) == {"README.txt"}


def test_of_whom_nothing_is_held(tmp_path: Path) -> None:
    path = tmp_path / "nobody.zip"
    with pytest.raises(CommandError, match="Nothing is held"):
        call_command("export_user", str(OWNER), asked_by="somebody", output=path)
    assert not path.exists() and not AuditEvent.objects.exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    make_user(OWNER)
    path = tmp_path / "there.zip"
    path.write_text("precious")
    with pytest.raises(CommandError, match="File exists"):
        call_command("export_user", str(OWNER), asked_by="somebody", output=path)
    assert path.read_text() == "precious" and not AuditEvent.objects.exists()
