"""Lists the packs that this installation knows, with their state."""

import logging
from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError

from recognition.inference.pack import weights
from recognition.inference.pack.declaration import ModelPack, PackError, pack_names
from recognition.models import ActiveModel
from recognition.packs import engine

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    pack: ModelPack
    active: bool
    prepared: bool  # its files are present

    @property
    def calibrated(self) -> bool:
        calibration = self.pack.calibration
        return calibration is not None and calibration.provisional is None


def entries() -> list[Entry]:
    """All packs by name. One whose pack.yaml is wrong is logged and left out."""
    active = active_name()
    found = []
    for name in pack_names(settings.PACK_FOLDERS):
        try:
            pack = engine.pack(name)
        except PackError as error:
            logger.warning("%s", error)
            continue
        prepared = weights.is_prepared(pack, settings.MODELS_DIR)
        found.append(Entry(pack, active=name == active, prepared=prepared))
    return found


def active_name() -> str:
    """The active pack; without a database, the one that will be active."""
    try:
        row = ActiveModel.objects.first()
    except DatabaseError:
        row = None
    return row.pack if row else settings.FACESVC_PACK
