"""Lists the packs that this installation knows, with their state."""

import logging
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings
from django.db import DatabaseError

from recognition.inference.detection import tiles
from recognition.inference.pack import weights
from recognition.inference.pack.declaration import (
    Calibration,
    ModelPack,
    PackError,
    pack_names,
)
from recognition.models import ActiveModel
from recognition.packs import calibrations, engine, first_pack

logger = logging.getLogger(__name__)


# Width and height of the pictures for which an entry says what is found.
_PICTURES = ((640, 480), (1920, 1080), (4000, 3000), (6000, 4000))


class SmallestFace(NamedTuple):
    """In a picture of this size, nearly all faces of at least so many pixels are found."""

    width: int
    height: int
    pixels: int


@dataclass(frozen=True)
class Entry:
    pack: ModelPack
    active: bool
    prepared: bool  # its files are present
    calibration: Calibration | None
    reason: str = ""  # why a new database began with it; empty unless it is active

    @property
    def calibrated(self) -> bool:
        return self.calibration is not None and self.calibration.provisional is None

    @property
    def smallest_faces(self) -> list[SmallestFace]:
        return [SmallestFace(*size, self._smallest_face(*size)) for size in _PICTURES]

    def _smallest_face(self, width: int, height: int) -> int:
        wanted = settings.FACESVC_SMALLEST_FACE
        return tiles.plan(self.pack.detector, height, width, wanted).smallest_face


def entries() -> list[Entry]:
    """All packs by name. One whose pack.yaml is wrong is logged and left out."""
    row = _row("pack", "reason")
    active = row.pack if row else first_pack.choose().pack
    found, measurements = [], calibrations.measurements_in_use()
    for name in pack_names(settings.PACK_FOLDERS):
        try:
            pack = engine.pack(name)
        except PackError as error:
            logger.warning("%s", error)
            continue
        prepared = weights.is_prepared(pack, settings.MODELS_DIR)
        reason = row.reason if row and name == active else ""
        calibration = calibrations.measured(pack, measurements.get(name)) or pack.calibration
        found.append(Entry(pack, name == active, prepared, calibration, reason))
    return found


def active_name(*, unless: str = "") -> str:
    """The active pack. In a new database, and without one, `unless` or what it would begin with."""
    row = _row("pack")
    return row.pack if row else unless or first_pack.choose().pack


def _row(*columns: str) -> ActiveModel | None:
    try:
        return ActiveModel.objects.only(*columns).first()
    except DatabaseError:
        return None


def better() -> Entry | None:
    """The pack to change to, if a free one compares faces better than the active one.

    None if FACESVC_PACK names the active one: then somebody wants it.
    """
    if active_name() != first_pack.FALLBACK or settings.FACESVC_PACK == first_pack.FALLBACK:
        return None
    return next((each for each in entries() if each.pack.name == first_pack.PREFERRED), None)


def commands(entry: Entry, *, has_faces: bool) -> list[str]:
    """The commands that make this pack the active one, of a gallery that has faces or none."""
    name = entry.pack.name
    accept = " --accept-license" if entry.pack.terms else ""
    pull = [] if entry.prepared else [f"manage.py models pull {name}{accept}"]
    measure = [] if entry.calibrated else [f"manage.py calibrate FOLDER --pack {name}"]
    convert = [f"manage.py reembed --pack {name}"] if has_faces else []
    return [*pull, *measure, *convert, f"manage.py models activate {name}"]
