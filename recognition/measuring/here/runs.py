"""Runs of a measurement on the people enrolled: asked for, done by a worker, looked at, used.

There is one at a time. A worker that is killed leaves nothing behind but the row, and the next one
begins again. What a run found is used by nobody until somebody says so.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from recognition import audit
from recognition.inference.pack.declaration import Calibration, ModelPack, PackError
from recognition.inference.pack.schema import build
from recognition.measuring.here import enrolled
from recognition.measuring.here.enrolled import EnrolledFaces, Seen
from recognition.measuring.photos import PhotosError
from recognition.measuring.reports import plain
from recognition.models import ActiveModel, Measurement, MeasurementState, locks
from recognition.models.locks import One
from recognition.packs import calibrations, engine

# A run that stopped so often before its end (killed, out of memory, an exception) is given up.
MOST_STARTS = 3
# No fault of the code's: said to the operator. Others are logged, and the run begins again.
_REASONS = (PhotosError, PackError, ImproperlyConfigured)


class MeasuringError(Exception):
    """It cannot be done now; the message says why."""


def unfinished() -> "QuerySet[Measurement]":
    return Measurement.objects.filter(ended_at=None)


def ask(pack: ModelPack, *, actor: str) -> Measurement:
    """Have a worker measure a pack, once `batch.tasks.measure` is queued.

    Raises MeasuringError if a run is not finished, and PhotosError if too few people are enrolled.
    """
    if lacks := enrolled.census().lacks:
        raise PhotosError(lacks)
    with transaction.atomic():
        locks.wait_for(One.REQUEST_TO_MEASURE)
        if unfinished().exists():
            raise MeasuringError("A measurement is not finished yet.")
        return begin(pack, actor=actor)


def begin(pack: ModelPack, *, actor: str) -> Measurement:
    """A new run of a pack, in a transaction."""
    # What nobody uses makes room for the new one.
    Measurement.objects.filter(pack=pack.name, in_use=False).exclude(ended_at=None).delete()
    audit.note(actor, "model.measure", pack=pack.name)
    version = pack.template_version
    return Measurement.objects.create(pack=pack.name, embedding_version=version, asked_by=actor)


def cancel(row: Measurement, *, actor: str) -> bool:
    """Whether there was something to cancel. A worker notices before its next faces."""
    with transaction.atomic():
        if cancelled := _end(row, MeasurementState.CANCELLED):
            audit.note(actor, "model.cancel_measurement", pack=row.pack)
    return cancelled


def _end(row: Measurement, state: MeasurementState, **found: object) -> bool:
    """Whether it was open until now."""
    ended = unfinished().filter(pk=row.pk)
    return bool(ended.update(state=state, ended_at=timezone.now(), **found))


# --- In a worker ----------------------------------------------------------------------------------


@contextmanager
def only_one() -> Iterator[bool]:
    """Whether no other process measures; none does until the end of the block."""
    with locks.only_process(One.MEASUREMENT) as is_the_only_one:
        yield is_the_only_one


def work(between: Callable[[], bool]) -> None:
    """Do the run that waits, or that a killed worker left, unless another process does it.

    `between` is called after every few faces. When it returns False, the run is left for later.
    """
    with only_one() as is_the_only_one:
        row = unfinished().first() if is_the_only_one else None
        if row is None:
            return
        if row.starts >= MOST_STARTS:
            problem = (
                f"The measurement stopped {MOST_STARTS} times before its end. The worker's log has "
                "an error, or the worker was killed: is there enough memory?"
            )
            _end(row, MeasurementState.FAILED, problem=problem)
            return
        try:
            _measure(row, between)
        except _REASONS as error:
            _end(row, MeasurementState.FAILED, problem=str(error))


def _measure(row: Measurement, between: Callable[[], bool]) -> None:
    pack, faces = engine.pack(row.pack), enrolled.choose()
    mine = unfinished().filter(pk=row.pk)
    mine.update(
        state=MeasurementState.RUNNING,
        embedding_version=pack.template_version,
        starts=F("starts") + 1,
        began_at=timezone.now(),
        faces=len(faces),
        seen=0,
    )
    seen: list[Seen] = []
    for some in enrolled.look(faces, row.pack):
        seen += some
        if not mine.update(seen=len(seen)):
            return  # it was cancelled
        if not between():
            mine.update(state=MeasurementState.WAITING, starts=F("starts") - 1)
            return
    found = enrolled.still_there(seen, pack)
    store(row, pack, found, enrolled.calibrate(found, pack))


@transaction.atomic
def record(pack: ModelPack, found: EnrolledFaces, measured: Calibration, *, actor: str) -> int:
    """Store what was measured without a worker, and use it.

    Returns how many pairs of faces it noted as possible duplicates.
    """
    row = begin(pack, actor=actor)
    noted = store(row, pack, found, measured)
    use(row, actor=actor)
    return noted


def store(row: Measurement, pack: ModelPack, found: EnrolledFaces, measured: Calibration) -> int:
    """Store what a run found, unless it was cancelled. Nothing uses it yet."""
    report = enrolled.report(found, pack, measured)
    with transaction.atomic():
        noted = report["noted"] = enrolled.note_duplicates(found, measured)
        values = {"calibration": plain(asdict(measured)), "report": plain(report)}
        if not _end(row, MeasurementState.MEASURED, **values):
            transaction.set_rollback(True)
    return noted


# --- What was found -------------------------------------------------------------------------------


def calibration_of(row: Measurement) -> Calibration:
    found: Calibration = build(Calibration, row.calibration, "calibration")
    return found


@transaction.atomic
def use(row: Measurement, *, actor: str) -> None:
    """Let scores mean what this run found, in all processes with their next request.

    Raises MeasuringError.
    """
    active = _locked_active()
    current = Measurement.objects.select_for_update().filter(pk=row.pk).first()
    if current is None or current.state != MeasurementState.MEASURED:
        raise MeasuringError("It has not measured anything.")
    if calibrations.measured(engine.pack(current.pack), current.pk) is None:
        raise MeasuringError("The pack is another one since then. Measure it again.")
    _release(current.pack)
    Measurement.objects.filter(pk=current.pk).update(in_use=True)
    if active.pack == current.pack:
        # `save` would say that the model serves since now.
        ActiveModel.objects.update(measurement=current)
    audit.note(actor, "model.calibrate", pack=current.pack, source="the measurement")


@transaction.atomic
def return_to_pack(pack: str, *, actor: str) -> bool:
    """Let scores mean what pack.yaml says again. Returns whether a measurement was in use."""
    active = _locked_active()
    if not _release(pack):
        return False
    if active.pack == pack:
        ActiveModel.objects.update(measurement=None)
    audit.note(actor, "model.calibrate", pack=pack, source="the file of the pack")
    return True


def _locked_active() -> ActiveModel:
    engine.active_model()  # makes it in a new database
    return ActiveModel.objects.select_for_update().get()


def _release(pack: str) -> bool:
    return bool(Measurement.objects.filter(pack=pack, in_use=True).update(in_use=False))
