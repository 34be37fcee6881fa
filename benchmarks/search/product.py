"""How the benchmark calls the product: the only place that knows its search."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from benchmarks.search.reference import Cut
from benchmarks.templates import Floats
from recognition import engine, indexes, matching
from recognition.gallery import Scope
from recognition.inference.packs import ModelPack
from recognition.models import ActiveModel, Template
from recognition.scores import ScoreScale

# Its templates are what benchmarks.templates draws; the weights are not needed.
PACK = "scrfd-arcface"

# Plans that can be forced, to compare them: how many templates the product believes to be visible.
_PLANS = {"exact": 0, "hnsw": 10**9}
PLANS = tuple(_PLANS)


class _NoPipeline:
    """In the place of the pipeline: the pack without its networks."""

    def __init__(self, pack: ModelPack) -> None:
        self.pack = pack


def open_engine() -> engine.Engine:
    pack = engine.pack(PACK)
    return engine.Engine(_NoPipeline(pack), ScoreScale(engine.calibration_of(pack)))  # type: ignore[arg-type]


def prepare(active: engine.Engine) -> None:
    """What the product has in a database before the first enrolment."""
    ActiveModel.objects.get_or_create(pk=1, defaults={"pack": PACK})


def build_index(active: engine.Engine) -> None:
    """What the product builds once the templates of a model are there."""
    indexes.ensure(active.template_version)


def visible(active: engine.Engine, scope: Scope) -> int:
    return Template.objects.comparable_with(active.template_version).visible_to(scope).count()


def cuts(active: engine.Engine, searched: int) -> list[Cut]:
    """What is measured: the default, without the second cut, at `standard`, and everything."""
    basic = matching.level_confidence("basic")
    default = matching.SearchOptions(min_confidence=basic)
    open_set_off = matching.SearchOptions(min_confidence=basic, max_false_positive_rate=None)
    return [
        Cut("default", matching.cut(active, default, searched).cosine),
        Cut("no FPR cut", matching.cut(active, open_set_off, searched).cosine),
        Cut(
            "standard",
            active.scores.cosine_of_confidence(matching.level_confidence("standard")),
        ),
        Cut("nearest 10", -1.0),
    ]


def search(
    active: engine.Engine, scope: Scope, cut: Cut, plan: str | None = None
) -> Callable[[Floats], list[UUID]]:
    """A search as a request does it, counting included; by the named plan if one is given."""

    def one(probe: Floats) -> list[UUID]:
        templates = Template.objects.comparable_with(active.template_version).visible_to(scope)
        searched = templates.count() if plan is None else _PLANS[plan]
        found = templates.nearest(probe, least=cut.cosine, limit=cut.limit, visible=searched)
        return [candidate.user_id for candidate in found]

    return one
