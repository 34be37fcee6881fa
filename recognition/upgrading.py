"""What an upgrade of the service has to change in the templates that it finds."""

from typing import Any

from django.db import transaction

from recognition import audit, model_change
from recognition.measuring.here import runs
from recognition.models import GalleryCount
from recognition.packs import calibrations, engine, versions


def carry_over(*, actor: str) -> int:
    """Convert the templates that the active pack made with another cohort, or with none.

    So nobody is lost when an upgrade brings a pack another cohort. Returns how many faces it was.
    Raises PackError, ModelChangeInProgressError.
    """
    target = model_change.active_target()
    pack = engine.pack(target.pack)
    stored = set(GalleryCount.objects.order_by().values_list("embedding_version", flat=True))
    former = [
        version
        for version in stored - {target.version}
        if versions.is_same_embedding(version, pack)
        and versions.key_of(version) == target.template_key
    ]
    lost = model_change.missing(target.version).filter(templates__embedding_version__in=former)
    pks = list(lost.order_by("pk").values_list("pk", flat=True).distinct())
    if not pks:
        return 0
    size = model_change.BATCH
    *batches, last = (pks[at : at + size] for at in range(0, len(pks), size))
    with model_change.exclusive():
        for batch in batches:
            model_change.carry_over(batch, target)
        # Together: a process that is killed between them would leave old templates that nobody
        # knows to be retired.
        with transaction.atomic():
            model_change.carry_over(last, target)
            for version in former:
                details: dict[str, Any] = {"from": version, "to": target.version}
                audit.note(actor, "model.activate", **details, faces_missing=0)
    return len(pks)


def release_measurement(*, actor: str) -> None:
    """Let scores mean what pack.yaml says, if what is in use was measured with another version.

    It counts no longer in any case; no page should say that it does.
    """
    row = engine.active_model()
    is_old = calibrations.measured(engine.pack(row.pack), row.measurement_id) is None
    if row.measurement_id and is_old:
        runs.return_to_pack(row.pack, actor=actor)
