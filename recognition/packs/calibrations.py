"""What the scores of a pack mean: as measured on the people enrolled, or as its pack.yaml says.

See docs/decisions/0012.
"""

from django.db import DatabaseError

from recognition.inference.pack.declaration import Calibration, ModelPack, PackError
from recognition.inference.pack.schema import build
from recognition.models import Measurement


def in_use(of: ModelPack) -> Calibration | None:
    """The calibration of a pack, if it has any; without a database, that of pack.yaml."""
    return measured(of, measurements_in_use().get(of.name)) or of.calibration


def measurements_in_use() -> dict[str, int]:
    """The keys of the measurements that replace the calibration of pack.yaml, by packs."""
    try:
        return dict(Measurement.objects.filter(in_use=True).values_list("pack", "pk"))
    except DatabaseError:
        return {}


def measurement_in_use(pack: str) -> int | None:
    """That of one pack."""
    rows = Measurement.objects.filter(pack=pack, in_use=True)
    return rows.values_list("pk", flat=True).first()


def measured(of: ModelPack, measurement: int | None) -> Calibration | None:
    """What a measurement found; None if the networks of the pack are others since then."""
    row = Measurement.objects.filter(pk=measurement).first() if measurement else None
    if row is None or (row.pack, row.embedding_version) != (of.name, of.template_version):
        return None
    found: Calibration = build(Calibration, row.calibration, "calibration")
    return found if found.model_version == of.model_version else None


def calibration_of(of: ModelPack, measurement: int | None = None) -> Calibration:
    """As a measurement found, or as pack.yaml says. Raises PackError."""
    calibration = measured(of, measurement) or of.calibration
    if calibration is None:
        raise PackError(not_calibrated(of))
    return calibration


def not_calibrated(of: ModelPack) -> str:
    advice = f"run `manage.py calibrate FOLDER --pack {of.name}`"
    return f"the pack {of.name!r} is not calibrated: {advice}"
