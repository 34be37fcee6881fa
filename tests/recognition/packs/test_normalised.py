"""The default pack as it ships, with its cohort: enrolled, searched, protected and changed over."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from batch import tasks
from recognition import audit, model_change, upgrading
from recognition.apps import _prepare_search
from recognition.errors import ServiceError
from recognition.gallery import comparing, plans, statements
from recognition.gallery.scope import Gallery, Scope
from recognition.gallery.search import Search
from recognition.identification import identifying
from recognition.inference.arrays import Floats
from recognition.inference.pipeline import FacePipeline
from recognition.model_change import TemplateTarget
from recognition.models import ActiveModel, AuditEvent, Face, Measurement, Template, User
from recognition.packs import engine, protection
from recognition.packs.engine import Engine
from recognition.verification import pair_comparison, template_cache
from tests.support.builders import (
    FRIEND,
    OWNER,
    build_index,
    enrol_face,
    make_face,
    make_user,
    vector,
)
from tests.support.photos import astronaut, encode, tom_hanks
from tests.support.plain_pack import write_plain_pack

pytestmark = pytest.mark.django_db(transaction=True)
SHIPPED = Path(__file__).parents[3] / "ml_models"
KEYS = (
    "YSBrZXkgdG8gcHJvdGVjdCB0aGUgdGVtcGxhdGVzISE=",
    "QW5vdGhlciBrZXkgZm9yIHRoZSBuZXh0IHJvdGF0ZSE=",
)
EVERYONE = Scope(viewer=None, everyone=True)


@pytest.fixture
def plain(settings: Settings) -> Iterator[None]:
    yield
    engine._read.cache_clear()


@pytest.fixture
def shipped(settings: Settings, plain: None) -> Engine:
    """The engine of the pack as it ships."""
    ship(settings)
    return engine.current()


def ship(settings: Settings) -> None:
    settings.PACK_FOLDERS = [SHIPPED]
    engine._read.cache_clear()
    _prepare_search("default")


def enrol_two() -> dict[str, str]:
    """The face ids of two people, by their users."""
    pictures = {OWNER: astronaut(), FRIEND: tom_hanks()}
    return {enrol_face(user, encode(p)).face_id: str(user) for user, p in pictures.items()}


def found() -> dict[str, str]:
    """Who is found in the same two pictures."""
    results = [
        identifying.identify(encode(picture), identifying.IdentificationRequest(EVERYONE, 0.8))
        for picture in (astronaut(), tom_hanks())
    ]
    candidates = [c for result in results for face in result.faces for c in face.candidates]
    return {candidate.face_id: str(candidate.user_id) for candidate in candidates}


def test_it_works(shipped: Engine) -> None:
    assert shipped.pack.cohort is not None
    assert shipped.template_version == f"dlib_v1~{shipped.pack.cohort.mark}"
    assert shipped.self_test()
    faces = enrol_two()
    assert found() == faces
    assert set(Template.objects.values_list("embedding_version", flat=True)) == {
        shipped.template_version
    }


def test_the_same_picture_has_the_full_score(shipped: Engine) -> None:
    result = pair_comparison.compare(
        image_a=encode(astronaut()), image_b=encode(astronaut()), level="strict", main_only=True
    )
    assert result.is_match
    assert shipped.scores.similarity(result.cosine) > 0.9
    other = pair_comparison.compare(
        image_a=encode(astronaut()), image_b=encode(tom_hanks()), level="basic", main_only=True
    )
    assert not other.is_match


def test_a_picture_is_enrolled_once(shipped: Engine) -> None:
    (face_id, _), _ = enrol_two().items()
    with pytest.raises(ServiceError) as refused:
        enrol_face(OWNER, encode(np.ascontiguousarray(astronaut()[:-8, :-8])))
    assert (refused.value.code, refused.value.details) == ("duplicate_face", {"face_id": face_id})


def test_memory_and_database_say_the_same(shipped: Engine) -> None:
    enrol_two()
    user = User.objects.get(pk=OWNER)
    probe = templates_of(shipped)[1]
    stored = comparing.compare_with_user(shipped, user.pk, probe)
    cached = template_cache.compare(shipped, user.pk, probe)
    assert stored and cached and stored.face_id == cached.face_id
    assert cached.by_face == pytest.approx(stored.by_face, abs=1e-3)
    assert cached.photo_distance == pytest.approx(stored.photo_distance, abs=1e-2)


def templates_of(by: Engine) -> list[Floats]:
    rows = Template.objects.filter(embedding_version=by.template_version).order_by("face_id")
    return [np.array(row.embedding, np.float32) for row in rows]


def test_every_plan_finds_the_same(shipped: Engine) -> None:
    enrol_two()
    probe = templates_of(shipped)[0]
    gallery = Gallery.visible_to(EVERYONE, shipped)
    with transaction.atomic():
        build_index(shipped.template_version)
        for plan in plans.PLANS:
            (candidate,) = plans.nearest(
                gallery, probe, least=shipped.scores.cosine_of_confidence(0.8), limit=5, plan=plan
            )
            assert candidate.user_id == OWNER, plan.name
        transaction.set_rollback(True)


# --- changes --------------------------------------------------------------------------------------


def test_an_upgrade_converts_plain_templates_without_pictures(
    settings: Settings, plain: None
) -> None:
    faces = enrol_two()
    before = engine.active_version()
    assert before == "dlib_v1"
    ship(settings)
    assert found() == faces
    assert upgrading.carry_over(actor="test") == 0  # nothing is left to do
    assert model_change.retired_versions() == ["dlib_v1"]
    made = templates_of(engine.current())
    Face.objects.all().delete()
    enrol_two()
    for converted, fresh in zip(made, templates_of(engine.current()), strict=True):
        assert converted == pytest.approx(fresh, abs=2e-3)


def test_many_are_converted_in_batches(
    settings: Settings,
    plain: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """From two former cohorts, and of a user with several faces. A face is converted once."""
    monkeypatch.setattr(upgrading, "_BATCH", 2)
    monkeypatch.setattr(upgrading, "_BETWEEN_LINES", -1)
    embeddings = np.random.default_rng(1).normal(size=(5, 128)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    owner, friend = make_user(OWNER), make_user(FRIEND)
    former = ["dlib_v1", "dlib_v1~00000000"]
    for number, embedding in enumerate(embeddings):
        make_face([owner, friend][number % 2], embedding, version=former[number % 3 == 1])
    twice = Template.objects.filter(embedding_version=former[0]).earliest("pk")
    twice.pk, twice.embedding_version = None, former[1]
    twice.save()
    with caplog.at_level("INFO", logger="recognition.upgrading"):
        ship(settings)
    active = engine.current()
    made = Template.objects.filter(embedding_version=active.template_version).order_by("face_id")
    right = engine.templates(active.pack, "", embeddings)
    for row, template in zip(made, right, strict=True):
        assert np.array(row.embedding, np.float32) == pytest.approx(template, abs=1e-3)
        assert (row.user_id, row.model_version) == (row.face.user_id, active.pack.model_version)
    assert "4 of 5 faces have templates of" in caplog.text
    carrying = upgrading._Carrying.of(model_change.active_target())
    carrying.convert([row.face_id for row in made])  # as another process that began before
    assert made.count() == 5
    assert model_change.retired_versions() == former


def test_a_former_process_enrols_after_the_upgrade(settings: Settings, plain: None) -> None:
    """Until it is replaced. A worker of the new version converts what it stored."""
    ship(settings)
    face = make_face(make_user(OWNER), vector(1), version="dlib_v1")
    tasks.carry_over()
    made = set(face.templates.values_list("embedding_version", flat=True))
    assert made == {"dlib_v1", engine.active_version()}
    assert AuditEvent.objects.get(action="model.activate").actor == "system"


def test_what_was_measured_with_the_former_version_counts_no_longer(
    settings: Settings, plain: None
) -> None:
    row = Measurement.objects.create(
        pack="dlib",
        embedding_version="dlib_v1",
        state="measured",
        ended_at=timezone.now(),
        calibration={},
        report={},
        in_use=True,
    )
    engine.active_model()
    ActiveModel.objects.update(measurement=row)
    ship(settings)
    row.refresh_from_db()
    assert not row.in_use and ActiveModel.objects.get().measurement is None
    assert AuditEvent.objects.get(action="model.calibrate").actor == "command:migrate"


def test_an_upgrade_before_the_files_of_the_pack_are_here(
    settings: Settings, plain: None, tmp_path: Path
) -> None:
    """As on a new machine with an old database: `make run` fetches the files after `migrate`."""
    faces, models = enrol_two(), settings.MODELS_DIR
    settings.MODELS_DIR = tmp_path
    engine._pipeline.cache_clear()
    engine._load.cache_clear()
    ship(settings)
    settings.MODELS_DIR = models
    assert found() == faces


def test_an_upgrade_that_is_killed_before_its_end(
    settings: Settings, plain: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one goes on, so that the old templates are retired in the end."""
    enrol_two()

    def killed(*args: object, **details: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(audit, "note", killed)
        ship(settings)
    assert model_change.retired_versions() == []
    assert upgrading.carry_over(actor="test") == 2
    assert model_change.retired_versions() == ["dlib_v1"]


def test_a_face_like_nobody_is_found_by_its_own_picture(shipped: Engine) -> None:
    """Its template is long: the product with itself is above 2."""
    face = Face.objects.get(face_id=next(iter(enrol_two())))
    probe = np.zeros(512, np.float32)
    probe[0], probe[shipped.pack.compared_dimensions - 1] = 1, 1.5
    row = Template.objects.get(face=face)
    row.delete()
    row.pk, row.embedding = None, probe.tolist()
    row.save()
    search = Search(Gallery.visible_to(EVERYONE, shipped), probe, least=2.5, limit=5)
    found = plans.SCAN.best(search, statements.best_of_few_users, 5)
    assert [candidate.face_id for candidate in found] == [face.face_id]


def test_the_keys_rotate_with_a_cohort(settings: Settings, shipped: Engine) -> None:
    faces = enrol_two()
    settings.FACESVC_TEMPLATE_KEYS = KEYS
    for keys in (KEYS[:1], KEYS[::-1]):
        settings.FACESVC_TEMPLATE_KEYS = keys
        call_command("rotate_keys")
        version = engine.active_version()
        assert version == f"{shipped.template_version}+{protection.newest_key()}"
        assert found() == faces
    call_command("rotate_keys", "--unprotect")
    assert engine.active_version() == shipped.template_version
    assert found() == faces


def test_back_to_a_plain_pack(settings: Settings, shipped: Engine, tmp_path: Path) -> None:
    """It has the same embeddings under another name, so no picture is needed."""
    faces = enrol_two()
    write_plain_pack(tmp_path / "dlib")
    (tmp_path / "dlib").rename(tmp_path / "plain")
    text = (tmp_path / "plain" / "pack.yaml").read_text().replace("name: dlib", "name: plain", 1)
    (tmp_path / "plain" / "pack.yaml").write_text(text)
    settings.PACK_FOLDERS = [SHIPPED, tmp_path]
    models = settings.MODELS_DIR
    (models / "plain").symlink_to(models / "dlib")
    try:
        target = TemplateTarget("plain", "")
        for batch in model_change.reembed(target, workers=1):
            assert not any(outcome.problem for outcome in batch)
        model_change.activate(target, actor="test")
        assert engine.active_version() == "dlib_v1"
        assert found() == faces
    finally:
        (models / "plain").unlink()


def test_two_versions_never_meet(settings: Settings, plain: None, pipeline: FacePipeline) -> None:
    enrol_two()
    settings.PACK_FOLDERS = [SHIPPED]
    engine._read.cache_clear()
    assert found() == {}
    assert engine.active_version() != "dlib_v1"
