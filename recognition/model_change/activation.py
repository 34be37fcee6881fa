"""Decides which version of the templates is active, and deletes former versions.

Everything that changes this runs alone, under `exclusive`. The verbs notice a change by
recognition.packs.serving.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from recognition import audit
from recognition.gallery import indexes
from recognition.model_change import reembedding
from recognition.model_change.reembedding import TemplateTarget
from recognition.models import ActiveModel, AuditEvent, Face, RecentProbe, Template, locks
from recognition.models.locks import One
from recognition.packs import engine

# The most faces enrolled since `reembed` that `activate` converts itself.
_REMAINDER = 20 * reembedding.BATCH


class MissingTemplatesError(Exception):
    def __init__(self, count: int) -> None:
        super().__init__(f"{count} faces have no template of this model")
        self.count = count


class ModelChangeInProgressError(Exception):
    """Another process is changing the model or its key."""


@contextmanager
def exclusive() -> Iterator[None]:
    """Keeps other changes of the model, its key or its templates away.

    Raises ModelChangeInProgressError while another process makes one.
    """
    with locks.only_process(One.MODEL_CHANGE) as is_the_only_one:
        if not is_the_only_one:
            raise ModelChangeInProgressError(
                "another process is changing the model, its key or its templates"
            )
        yield


def active_target() -> TemplateTarget:
    row = engine.active_model()
    return TemplateTarget(row.pack, row.template_key)


def lost_by(target: TemplateTarget) -> QuerySet[Face]:
    """The faces that searches find now and would not find with the target."""
    now = active_target().version
    return reembedding.missing(target.version).filter(templates__embedding_version=now)


def activate(target: TemplateTarget, *, actor: str, allow_missing: int = 0) -> str:
    """Activate the target; returns the version that was active before. Only under `exclusive`.

    Converts faces that were enrolled since `reembed`. A concurrent enrolment is either stored
    before, and converted, or notices the change and starts again. Raises MissingTemplatesError when
    more than `allow_missing` faces would be lost, and PackError.
    """
    # A pack that cannot be loaded must not become active.
    loaded = engine.load(target.pack, target.template_key)
    indexes.sketch(target.version, loaded.sketches.centre)
    indexes.ensure(target.version)
    engine.active_model()
    _convert_remainder(target, at_most=_REMAINDER)
    with transaction.atomic():
        row = ActiveModel.objects.select_for_update().get()
        _convert_remainder(target, at_most=reembedding.BATCH)
        lost = lost_by(target).count()
        if lost > allow_missing:
            raise MissingTemplatesError(lost)
        before = TemplateTarget(row.pack, row.template_key).version
        row.pack, row.template_key = target.pack, target.template_key
        row.save()
        details: dict[str, Any] = {"from": before, "to": target.version, "faces_missing": lost}
        audit.note(actor, "model.activate", **details)
    return before


def _convert_remainder(target: TemplateTarget, *, at_most: int) -> None:
    """Convert the faces that are still missing, unless they are too many to be a remainder."""
    pks = list(lost_by(target).order_by("pk").values_list("pk", flat=True)[: at_most + 1])
    if len(pks) <= at_most:
        for at in range(0, len(pks), reembedding.BATCH):
            reembedding.convert(pks[at : at + reembedding.BATCH], target)


def retired_versions() -> list[str]:
    """The stored template versions that were active once and are not now.

    Versions that `reembed` is making for a future model are not among them.
    """
    events = AuditEvent.objects.filter(action="model.activate")
    served = set(events.values_list("details__from", flat=True))
    stored = Template.objects.order_by().values_list("embedding_version", flat=True).distinct()
    return sorted((served & set(stored)) - {active_target().version})


def drop(version: str) -> int:
    """Delete a version's templates and index for good; returns how many templates.

    Only under `exclusive`. Raises ValueError for the active version.
    """
    if version == active_target().version:
        raise ValueError(f"{version} serves")
    count, _ = Template.objects.filter(embedding_version=version).delete()
    RecentProbe.objects.filter(embedding_version=version).delete()
    indexes.drop(version)
    return count
