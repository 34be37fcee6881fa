"""A pack measured on the people enrolled: by a worker, and what may happen at that time."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from threading import Event
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from batch import tasks
from batch.models import Item, Job
from batch.queue import cluster, queueing
from recognition.inference.pack.declaration import PackError, Provisional
from recognition.inference.quality import Quality
from recognition.measuring.here import enrolled, runs
from recognition.measuring.here.runs import MeasuringError
from recognition.measuring.photos import PhotosError
from recognition.models import (
    ActiveModel,
    AuditEvent,
    FaceCrop,
    Measurement,
    MeasurementState,
    PossibleDuplicate,
    locks,
)
from recognition.models.locks import One
from recognition.packs import calibrations, catalogue, engine
from tests.support.builders import OWNER, enrol_face
from tests.support.enrolled_crowd import PEOPLE, Crowd
from tests.support.patience import PATIENCE, finish, wait_for_long_tasks
from tests.support.photos import astronaut, encode

pytestmark = pytest.mark.django_db
MIA = "operator:mia"
CROP_KEY = "bW9kZWwgY2hhbmdlcyBhcmUgdGVzdGVkIHdpdGggaXQ="


def go_on() -> bool:
    return True


def ask() -> Measurement:
    return runs.ask(engine.pack("dlib"), actor=MIA)


def measure(between: Callable[[], bool] = go_on) -> Measurement:
    """Ask for a run, and do it."""
    row = ask()
    runs.work(between)
    row.refresh_from_db()
    return row


def test_it_works(crowd: Crowd) -> None:
    crowd.enrol(PEOPLE)
    before = engine.current().scores
    row = measure()
    assert (row.state, row.faces, row.seen, row.starts) == ("measured", PEOPLE + 10, PEOPLE + 10, 1)
    found = runs.calibration_of(row)
    assert (found.identities, found.photos) == (PEOPLE, PEOPLE + 10)
    assert found.data == "the people enrolled here" and found.provisional is None
    assert engine.current().scores is before  # until somebody says so
    runs.use(row, actor=MIA)
    now = engine.current().scores
    assert now.calibration == found and now.cosine_of_fmr(1e-3) != before.cosine_of_fmr(1e-3)
    (entry,) = (each for each in catalogue.entries() if each.active)
    assert entry.calibration == found
    assert runs.return_to_pack("dlib", actor=MIA)
    assert engine.current().scores.calibration == before.calibration
    assert not runs.return_to_pack("dlib", actor=MIA)
    actions = AuditEvent.objects.order_by("pk").values_list("action", "actor")
    assert list(actions) == [(f"model.{what}", MIA) for what in ("measure", *["calibrate"] * 2)]


def test_it_names_nobody(crowd: Crowd) -> None:
    crowd.enrol(PEOPLE)
    crowd.make_alike(*crowd.users[:2])
    row = measure()
    stored = json.dumps([row.calibration, row.report])
    assert not [user for user in crowd.users if str(user.pk) in stored or user.pk.hex in stored]
    assert "face_" not in stored


def test_too_few_people_are_told_before_anything_is_looked_at(crowd: Crowd) -> None:
    crowd.enrol(enrolled.PEOPLE_NEEDED - 1)
    message = r"kept picture of their face: 245. At least 246 .* 30,135 pairs"
    with pytest.raises(PhotosError, match=message):
        ask()
    with pytest.raises(CommandError, match=message):
        call_command("calibrate", "--gallery", "--pack", "dlib")
    assert crowd.looks == 0 and not Measurement.objects.exists()


def test_nobody_with_two_faces(crowd: Crowd) -> None:
    crowd.enrol(PEOPLE, several=0)
    with pytest.raises(PhotosError, match="enrol a second photo"):
        ask()


def test_who_is_suspended_or_has_no_picture_is_not_counted(crowd: Crowd) -> None:
    crowd.enrol(PEOPLE)
    first, second, third = crowd.users[-3:]
    type(first).objects.filter(pk=first.pk).update(suspended_at="2026-01-01T00:00Z")
    second.faces.update(suspended_at="2026-01-01T00:00Z")
    FaceCrop.objects.filter(face__user=third).delete()
    counted = enrolled.census()
    assert (counted.people, counted.with_several, counted.without_picture) == (PEOPLE - 3, 10, 1)


def test_at_most_so_many_people(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of them for their two faces."""
    crowd.enrol(PEOPLE, several=PEOPLE // 2)
    monkeypatch.setattr(enrolled, "MOST_PEOPLE", 60)
    faces = enrolled.choose()
    people = {user for user in crowd.users if user.faces.filter(pk__in=faces).exists()}
    assert len(people) == 60 and len(faces) >= 90


def test_one_at_a_time(crowd: Crowd) -> None:
    crowd.enrol(PEOPLE)
    ask()
    with pytest.raises(MeasuringError, match="not finished"):
        ask()


@pytest.mark.django_db(transaction=True)
def test_another_process_measures(crowd: Crowd) -> None:
    crowd.enrol(PEOPLE)
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [locks.number(One.MEASUREMENT)])
        row = measure()
        with pytest.raises(CommandError, match="runs already"):
            call_command("calibrate", "--gallery", "--pack", "dlib")
        other.execute("SELECT pg_advisory_unlock(%s)", [locks.number(One.MEASUREMENT)])
    assert row.state == MeasurementState.WAITING and crowd.looks == 0
    runs.work(go_on)
    row.refresh_from_db()
    assert row.state == MeasurementState.MEASURED


class KilledError(Exception):
    pass


def be_killed() -> bool:
    raise KilledError


@pytest.mark.django_db(transaction=True)
def test_a_worker_is_killed(crowd: Crowd) -> None:
    crowd.enrol(PEOPLE)
    row = ask()
    with pytest.raises(KilledError):
        runs.work(be_killed)
    row.refresh_from_db()
    assert row.state == MeasurementState.RUNNING and row.calibration is None
    tasks.sweep()
    assert queueing.waiting("batch.tasks.measure") == 1
    finish(tasks.measure)
    row.refresh_from_db()
    assert row.state == MeasurementState.MEASURED and row.starts == 2
    tasks.sweep()
    assert queueing.waiting("batch.tasks.measure") == 1  # no more are queued


def test_workers_are_killed_again_and_again(crowd: Crowd) -> None:
    crowd.enrol(PEOPLE)
    row = ask()
    for _ in range(runs.MOST_STARTS):
        with pytest.raises(KilledError):
            runs.work(be_killed)
    runs.work(go_on)
    row.refresh_from_db()
    assert row.state == MeasurementState.FAILED and "enough memory" in row.problem


def test_the_cluster_ends(crowd: Crowd) -> None:
    crowd.enrol(PEOPLE)
    row = measure(lambda: False)
    assert (row.state, row.starts, row.calibration) == (MeasurementState.WAITING, 0, None)
    runs.work(go_on)
    row.refresh_from_db()
    assert row.state == MeasurementState.MEASURED


@pytest.mark.django_db(transaction=True)
def test_the_worker_takes_other_tasks(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that ends waits for the faces that are looked at, and leaves the rest."""
    crowd.enrol(PEOPLE)
    row = ask()
    asked, answer = Event(), Event()

    def is_set() -> bool:
        asked.set()
        return answer.wait(PATIENCE)

    monkeypatch.setattr(cluster, "is_stopping", SimpleNamespace(is_set=is_set))
    try:
        tasks.measure()
        assert asked.wait(PATIENCE)
        tasks.measure()  # the one of a minute later
        (thread,) = (each for each in threading.enumerate() if "measure" in each.name)
        assert not thread.daemon
    finally:
        answer.set()
        wait_for_long_tasks()
    row.refresh_from_db()
    assert (row.state, row.starts) == (MeasurementState.WAITING, 0)


def test_pictures_of_jobs_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    stopping = SimpleNamespace(is_set=lambda: False, wait=waits.append)
    monkeypatch.setattr(cluster, "is_stopping", stopping)
    assert tasks._may_measure() and not waits
    job = Job.objects.create(
        **{"kind": "identify", "scopes": [], "options": {}, "total": 1},
        deadline_at=timezone.now() + timedelta(hours=1),
    )
    Item.objects.create(job=job, image_id="a")
    assert tasks._may_measure() and len(waits) == 1
    stopping.is_set = lambda: True
    assert not tasks._may_measure()


def test_it_is_cancelled(crowd: Crowd) -> None:
    crowd.enrol(PEOPLE)
    row = measure(lambda: runs.cancel(unfinished(), actor=MIA))
    assert row.state == MeasurementState.CANCELLED and crowd.looks == 2
    assert not runs.cancel(row, actor=MIA)
    assert AuditEvent.objects.filter(action="model.cancel_measurement").count() == 1
    with pytest.raises(MeasuringError):
        runs.use(row, actor=MIA)


def unfinished() -> Measurement:
    return runs.unfinished().get()


def test_somebody_is_erased_meanwhile(crowd: Crowd) -> None:
    """A face that was looked at already counts no longer, either."""
    crowd.enrol(PEOPLE)
    erased = [crowd.users[0], crowd.users[-1]]

    def erase() -> bool:
        while erased:
            erased.pop().delete()
        return True

    row = measure(erase)
    assert runs.calibration_of(row).identities == PEOPLE - 2


def test_too_many_are_erased_meanwhile(crowd: Crowd) -> None:
    crowd.enrol(PEOPLE)

    def erase() -> bool:
        for user in crowd.users[-5:]:
            type(user).objects.filter(pk=user.pk).delete()
        return True

    row = measure(erase)
    assert row.state == MeasurementState.FAILED and "245 people" in row.problem


def test_the_pack_is_gone(crowd: Crowd) -> None:
    crowd.enrol(PEOPLE)
    row = ask()
    Measurement.objects.update(pack="elsewhere")
    runs.work(go_on)
    row.refresh_from_db()
    assert row.state == MeasurementState.FAILED and "elsewhere" in row.problem


def test_open_duplicates_count_as_two_people(crowd: Crowd) -> None:
    """If they are two, leaving them out would make the rates seem too low."""
    crowd.enrol(PEOPLE)
    alike = crowd.users[20:22]
    crowd.make_alike(*alike)
    first = measure()
    assert first.report["noted"] == 1 and first.report["open_duplicates"] == 0
    pair = PossibleDuplicate.objects.get()
    assert {pair.user_a_id, pair.user_b_id} == {user.pk for user in alike}
    second = measure()
    assert second.report["open_duplicates"] == 1
    assert second.calibration["table"] == first.calibration["table"]
    assert second.calibration["identities"] == PEOPLE


def test_a_later_run_replaces_what_nobody_uses(crowd: Crowd) -> None:
    crowd.enrol(PEOPLE)
    used = measure()
    runs.use(used, actor=MIA)
    unused, last = measure(), measure()
    assert set(Measurement.objects.all()) == {used, last} and unused != last
    runs.use(last, actor=MIA)
    assert ActiveModel.objects.get().measurement == last
    assert Measurement.objects.get(in_use=True) == last


def test_networks_that_changed_are_not_meant(crowd: Crowd) -> None:
    crowd.enrol(PEOPLE)
    row = measure()
    pack = engine.pack("dlib")
    assert calibrations.measured(pack, row.pk)
    for other in ({"model_version": "dlib_v2"}, {"embedding_version": "dlib_v2"}, {"name": "x"}):
        assert calibrations.measured(replace(pack, **other), row.pk) is None


def test_what_was_measured_with_another_version_is_not_used(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd.enrol(PEOPLE)
    row = measure()
    other = replace(engine.pack("dlib"), model_version="dlib_v2")
    monkeypatch.setattr(engine, "pack", lambda name: other)
    with pytest.raises(MeasuringError, match="Measure it again"):
        runs.use(row, actor=MIA)
    assert not Measurement.objects.filter(in_use=True).exists()


def test_a_provisional_calibration_is_replaced(crowd: Crowd) -> None:
    """The same holds for one that is missing."""
    crowd.enrol(PEOPLE)
    row, pack = measure(), engine.pack("dlib")
    assert pack.calibration
    guess = replace(pack.calibration, provisional=Provisional("guessed", (0.5, 2.0)))
    provisional = replace(pack, calibration=guess)
    assert engine.calibration_of(provisional).provisional
    assert engine.calibration_of(provisional, row.pk).provisional is None
    bare = replace(pack, calibration=None)
    with pytest.raises(PackError):
        engine.calibration_of(bare)
    assert engine.calibration_of(bare, row.pk).identities == PEOPLE


# --- the command ----------------------------------------------------------------------------------


def test_the_command(crowd: Crowd, capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    crowd.enrol(PEOPLE)
    call_command("calibrate", "--gallery", "--pack", "dlib", "--dry-run")
    assert not Measurement.objects.exists()
    call_command("calibrate", "--gallery", "--pack", "dlib", "--report", str(tmp_path))
    output = capsys.readouterr().out
    assert "30,135 pairs" in output and "mean this from now on" in output
    assert (tmp_path / "det.svg").is_file()
    assert "face_" not in (tmp_path / "report.json").read_text()
    row = Measurement.objects.get()
    assert row.in_use and engine.current().scores.calibration == runs.calibration_of(row)


@pytest.mark.parametrize("arguments", [[], ["--gallery", "somewhere"]])
def test_a_folder_or_the_people_enrolled(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match="Name a folder"):
        call_command("calibrate", *arguments)


# --- pictures -------------------------------------------------------------------------------------


def test_kept_pictures(settings: Settings) -> None:
    """By the real networks; a key that is lost is said."""
    settings.FACESVC_CROP_KEYS, settings.STORE_FACE_CROPS = [CROP_KEY], True
    face = enrol_face(OWNER, encode(astronaut()))
    ((seen,),) = enrolled.look([face.pk], "dlib")
    assert seen.face == face.pk and seen.embedding is not None
    template = face.templates.get().embedding[:128]
    assert seen.embedding @ template > 0.97
    FaceCrop.objects.update(sealed=b"\x81" + bytes(80))
    ((seen,),) = enrolled.look([face.pk], "dlib")
    assert seen.embedding is None and "no key" in seen.problem
    FaceCrop.objects.all().delete()
    assert list(enrolled.look([face.pk], "dlib")) == [[]]


def test_a_misread_picture_is_nobodys(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are alike, and no verb compares one: it must not count as a false match."""
    settings.FACESVC_CROP_KEYS, settings.STORE_FACE_CROPS = [CROP_KEY], True
    face = enrol_face(OWNER, encode(astronaut()))
    monkeypatch.setattr(Quality, "is_misread", True)
    ((seen,),) = enrolled.look([face.pk], "dlib")
    assert seen.embedding is None and "on its side" in seen.problem
