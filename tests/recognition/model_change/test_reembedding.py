"""Another model, another key: nobody is lost, and versions never mix."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from pytest_django import Settings

from batch import tasks
from recognition import model_change
from recognition.enrolment import enrolling
from recognition.gallery import indexes
from recognition.gallery.scope import Scope
from recognition.identification import identifying
from recognition.inference.pipeline import FacePipeline
from recognition.inference.quality import Quality
from recognition.model_change import MissingTemplatesError, TemplateTarget
from recognition.models import ActiveModel, AuditEvent, Face, FaceCrop, Template, locks
from recognition.models.locks import One
from recognition.packs import engine
from recognition.privacy import kept_pictures
from tests.support.builders import (
    FRIEND,
    OWNER,
    Person,
    data_of,
    enrol_face,
    make_face,
    make_user,
    vector,
)
from tests.support.patience import finish
from tests.support.photos import astronaut, encode, six_people, tom_hanks

pytestmark = pytest.mark.django_db
CROP_KEY = "bW9kZWwgY2hhbmdlcyBhcmUgdGVzdGVkIHdpdGggaXQ="
EVERYONE = Scope(viewer=None, everyone=True)


@pytest.fixture(autouse=True)
def with_crops(settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS, settings.STORE_FACE_CROPS = [CROP_KEY], True


@pytest.fixture
def other(settings: Settings, tmp_path: Path) -> Iterator[TemplateTarget]:
    """A second pack: the default one without the mirrored crop, under another version."""
    text = engine.pack_file("dlib", settings.PACK_FOLDERS).read_text()
    for old, new in (
        ("name: dlib", "name: other"),
        ("embedding_version: dlib_v1", "embedding_version: other_v1"),
        ("model_version: dlib_v1.0.0", "model_version: other_v1.0.0"),
        ("mirror: true", "mirror: false"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "pack.yaml").write_text(text)
    settings.PACK_FOLDERS = [*settings.PACK_FOLDERS, tmp_path]
    # In a folder of its own: another process of the tests may have this pack as well.
    models, settings.MODELS_DIR = settings.MODELS_DIR, tmp_path / "models"
    for name in ("dlib", "other"):
        shutil.copytree(models / "dlib", settings.MODELS_DIR / name)
    engine._read.cache_clear()
    yield TemplateTarget("other", "")
    engine._read.cache_clear()


def enrol_two() -> list[Face]:
    pictures = {OWNER: astronaut(), FRIEND: tom_hanks()}
    return [enrol_face(user, encode(image)) for user, image in pictures.items()]


def make_all(target: TemplateTarget, workers: int = 1) -> dict[str, str]:
    batches = model_change.reembed(target, workers=workers)
    return {outcome.face_id: outcome.problem for batch in batches for outcome in batch}


def found() -> tuple[str, set[str]]:
    """The version that answers, and the faces found in the two pictures."""
    results = [
        identifying.identify(encode(i), identifying.IdentificationRequest(EVERYONE, 0.8))
        for i in (astronaut(), tom_hanks())
    ]
    (version,) = {result.by.template_version for result in results}
    return version, {c.face_id for r in results for f in r.faces for c in f.candidates}


@pytest.mark.django_db(transaction=True)
def test_it_works(other: TemplateTarget) -> None:
    faces = {face.face_id for face in enrol_two()}
    assert make_all(other) == dict.fromkeys(faces, "")
    assert found() == ("dlib_v1", faces)  # the old model goes on
    assert model_change.activate(other, actor="test") == "dlib_v1"
    assert found() == ("other_v1", faces)
    model_change.activate(TemplateTarget("dlib", ""), actor="test")
    assert found() == ("dlib_v1", faces)
    event = AuditEvent.objects.filter(action="model.activate").latest("pk")
    assert event.details == {"from": "other_v1", "to": "dlib_v1", "faces_missing": 0}


@pytest.mark.django_db(transaction=True)
def test_the_templates_of_a_former_model_are_dropped(other: TemplateTarget) -> None:
    enrol_two()
    make_all(other)
    model_change.activate(other, actor="test")
    assert model_change.retired_versions() == ["dlib_v1"]
    assert model_change.drop("dlib_v1") == 2
    assert set(Template.objects.values_list("embedding_version", flat=True)) == {"other_v1"}


@pytest.mark.django_db(transaction=True)
def test_a_worker_builds_the_index_of_the_new_model(
    other: TemplateTarget, settings: Settings
) -> None:
    """No command waits for it. The index of the old one goes after its templates."""
    settings.FACESVC_HNSW_FROM = 2
    enrol_two()
    make_all(other)
    finish(tasks.build_index)
    assert indexes.is_valid("dlib_v1")
    model_change.activate(other, actor="test")
    assert not indexes.is_valid("other_v1")
    finish(tasks.build_index)
    assert indexes.is_valid("dlib_v1") and indexes.is_valid("other_v1")
    model_change.drop("dlib_v1")
    finish(tasks.build_index)
    assert not indexes.is_valid("dlib_v1") and indexes.is_valid("other_v1")
    Face.objects.all().delete()
    finish(tasks.build_index)
    assert not indexes.is_valid("other_v1")


@pytest.mark.django_db(transaction=True)
def test_a_second_run_has_nothing_to_do(other: TemplateTarget) -> None:
    enrol_two()
    make_all(other)
    assert make_all(other) == {}


@pytest.mark.django_db(transaction=True)
def test_a_run_that_was_stopped_goes_on(other: TemplateTarget) -> None:
    first, second = enrol_two()
    model_change.convert([first.pk], other)
    assert make_all(other) == {second.face_id: ""}


@pytest.mark.django_db(transaction=True)
def test_two_workers_on_the_same_faces(other: TemplateTarget) -> None:
    pks = [face.pk for face in enrol_two()]
    model_change.convert(pks, other)
    model_change.convert(pks, other)
    assert Template.objects.filter(embedding_version="other_v1").count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_face_without_a_crop_is_named_and_keeps_the_old_model(other: TemplateTarget) -> None:
    first, second = enrol_two()
    FaceCrop.objects.filter(face=second).delete()
    assert make_all(other) == {first.face_id: "", second.face_id: "no crop was kept"}
    with pytest.raises(MissingTemplatesError, match="1 faces"):
        model_change.activate(other, actor="test")
    assert found()[0] == "dlib_v1"
    model_change.activate(other, actor="test", allow_missing=1)
    assert found() == ("other_v1", {first.face_id})


@pytest.mark.django_db(transaction=True)
def test_a_misread_crop_makes_no_template(
    other: TemplateTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an older version may have stored it."""
    first, second = enrol_two()
    monkeypatch.setattr(Quality, "is_misread", True)
    assert make_all(other) == dict.fromkeys(
        (first.face_id, second.face_id), "the face in the crop lies on its side or upside down"
    )


@pytest.mark.django_db(transaction=True)
def test_a_crop_under_a_lost_key(other: TemplateTarget, settings: Settings) -> None:
    faces = enrol_two()
    settings.FACESVC_CROP_KEYS = ["YW5vdGhlciBrZXksIG9mIHRoaXJ0eS10d28gYnl0ZXM="]
    problems = make_all(other)
    assert set(problems) == {face.face_id for face in faces}
    assert all("no key" in problem for problem in problems.values())
    assert found()[1] == set(problems)  # searching needs no crops


def test_a_bystander_is_never_taken_for_the_kept_face(pipeline: FacePipeline) -> None:
    """The crop of one of six people side by side, with the right face painted over."""
    faces = pipeline.detect(six_people())
    for face in faces:
        crop = pipeline.surroundings(six_people(), face).copy()
        crop[48:208, 48:208] = 127
        assert kept_pictures._kept_face(pipeline.detect(crop, rotate=False), crop) is None


def test_only_one_changes_the_model_at_a_time() -> None:
    with (
        model_change.exclusive(),
        psycopg.connect(**connection.get_connection_params()) as other_process,
    ):
        taken = other_process.execute(
            "SELECT pg_try_advisory_lock(%s)", [locks.number(One.MODEL_CHANGE)]
        )
        assert taken.fetchone() == (False,)
    with model_change.exclusive():
        pass


def test_what_reembed_is_making_is_not_purged(other: TemplateTarget) -> None:
    make_face(make_user(OWNER), vector(0), version="other_v1")
    assert model_change.retired_versions() == []
    with pytest.raises(ValueError, match="dlib_v1 serves"):
        model_change.drop("dlib_v1")


def test_an_enrolment_during_the_change_begins_anew(
    other: TemplateTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.active_model()
    answered: list[str] = []
    look = enrolling._look

    def change_afterwards(*args: Any, **options: Any) -> Any:
        seen = look(*args, **options)
        if not answered:
            indexes.sketch(other.version, np.zeros(512, np.float32))
            ActiveModel.objects.update(pack="other")
        answered.append(seen[0].pack.name)
        return seen

    monkeypatch.setattr(enrolling, "_look", change_afterwards)
    face = enrol_face(OWNER, encode(astronaut()))
    assert answered == ["dlib", "other"]
    (template,) = face.templates.all()
    assert template.embedding_version == face.embedding_version == "other_v1"


def test_versions_are_never_compared(other: TemplateTarget) -> None:
    make_face(make_user(OWNER, "public"), vector(0), version="other_v1")
    result = identifying.identify(
        encode(astronaut()), identifying.IdentificationRequest(EVERYONE, 0.8)
    )
    assert result.faces_searched == 0


@pytest.mark.django_db(transaction=True)
def test_the_commands(other: TemplateTarget, capsys: pytest.CaptureFixture[str]) -> None:
    faces = enrol_two()
    FaceCrop.objects.filter(face=faces[1]).delete()
    call_command("reembed", "--pack", "other", "--workers", "1")
    assert f"{faces[1].face_id}: no crop was kept" in capsys.readouterr().out
    with pytest.raises(CommandError, match="1 faces"):
        call_command("models", "activate", "other")
    call_command("models", "activate", "other", "--allow-missing", "1")
    assert found()[0] == "other_v1"
    call_command("purge")
    assert "2 templates of dlib_v1 are dropped" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no pack 'none'"):
        call_command("reembed", "--pack", "none")


@pytest.mark.django_db
def test_a_pack_without_a_calibration_is_refused_before_the_first_face(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (engine.pack_file("dlib", settings.PACK_FOLDERS)).read_text()
    (tmp_path / "bare").mkdir()
    bare = text.partition("calibration:")[0].replace("name: dlib", "name: bare")
    (tmp_path / "bare" / "pack.yaml").write_text(bare)
    settings.PACK_FOLDERS = [*settings.PACK_FOLDERS, tmp_path]
    monkeypatch.setattr(model_change, "reembed", lambda *_, **__: pytest.fail("it has begun"))
    with pytest.raises(CommandError, match="calibrate FOLDER --pack bare"):
        call_command("reembed", "--pack", "bare")


# --- what a face says after the change ------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_face_says_what_it_is_compared_by(service: Person, other: TemplateTarget) -> None:
    first, second = enrol_two()
    FaceCrop.objects.filter(face=second).delete()
    assert versions(service, first) == ("dlib_v1", "dlib_v1.0.0")
    make_all(other)
    assert versions(service, first) == ("dlib_v1", "dlib_v1.0.0")  # not yet
    model_change.activate(other, actor="test", allow_missing=1)
    assert versions(service, first) == ("other_v1", "other_v1.0.0")
    assert versions(service, second) == (None, None)
    listed = data_of(service.get(f"users/{first.user_id}/faces"))["faces"]
    assert [face["embedding_version"] for face in listed] == ["other_v1"]


def versions(service: Person, face: Face) -> tuple[str | None, str | None]:
    answer = data_of(service.get(f"faces/{face.face_id}"))
    return answer["embedding_version"], answer["model_version"]


def test_attributes_that_the_new_model_has_are_filled_in(
    service: Person, other: TemplateTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the model of the enrolment told stays."""
    unknown, known = enrol_two()
    Face.objects.filter(pk=known.pk).update(
        attributes={**known.attributes, "estimated_age": 61, "estimated_gender": "male"}
    )

    def describe(self: FacePipeline, image: Any, faces: Any, **options: bool) -> list[Any]:
        return [replace(face, age=40, gender="female") for face in faces]

    monkeypatch.setattr(FacePipeline, "describe", describe)
    make_all(other)
    for face, age, gender in ((unknown, 40, "female"), (known, 61, "male")):
        attributes = data_of(service.get(f"faces/{face.face_id}"))["face_attributes"]
        assert (attributes["estimated_age"], attributes["estimated_gender"]) == (age, gender)
        assert attributes["face_landmarks"] == face.attributes["face_landmarks"]
