"""How the benchmark calls the product: the only place that knows its search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from benchmarks.search.reference import CUTS, Cut
from benchmarks.templates import Floats, Population
from recognition.gallery import indexes, plans
from recognition.gallery.scope import Gallery, Scope
from recognition.gallery.search import Search
from recognition.gallery.statements import searching
from recognition.inference.pack.declaration import ModelPack, load_pack, pack_file
from recognition.measuring import cohorts
from recognition.models import ActiveModel
from recognition.packs import engine
from recognition.packs.engine import Engine
from recognition.packs.scores import ScoreScale, level_confidence

# Its templates are what benchmarks.templates draws; the weights are not needed.
PACK = "scrfd-arcface"

PROJECT = Path(__file__).parents[2]
# People of a cohort that is made up, as many as in that of the default pack.
_COHORT = 780
_OF_DLIB = 128  # dimensions

_BY_NAME = {plan.name: plan for plan in plans.PLANS}
PLANS = tuple(_BY_NAME)


class _NoPipeline:
    """In the place of the pipeline: the pack without its networks."""

    def __init__(self, pack: ModelPack) -> None:
        self.pack = pack


@cache
def open_engine(name: str = PACK) -> Engine:
    """A cohort of real faces makes nothing of those that are made up: theirs is made up as well."""
    folders = [PROJECT / "tests" / "packs", PROJECT / "ml_models"]
    pack = load_pack(pack_file(name, folders).parent)
    if pack.cohort:
        people = Population(**drawn_like(replace(pack, cohort=None))).strangers(2 * _COHORT)
        embeddings = people[:, : pack.recogniser.dimensions]
        cohort = cohorts.make(embeddings[:_COHORT], np.arange(_COHORT), data="made up")
        level = float(cohort.nearness(embeddings[_COHORT:]).mean())
        pack = replace(pack, cohort=replace(cohort, level=level))
    return engine_of(pack)


def drawn_like(pack: ModelPack) -> dict[str, Any]:
    """What Population has to know, to draw templates of a pack."""
    dimensions = pack.recogniser.dimensions
    mean = engine.calibration_of(pack).mean_embedding[:dimensions]
    kind = "dlib" if dimensions == _OF_DLIB else "arcface"
    return {"kind": kind, "mean": mean, "compared": pack.compared if pack.cohort else None}


def engine_of(pack: ModelPack) -> Engine:
    return Engine(_NoPipeline(pack), ScoreScale(engine.calibration_of(pack)))  # type: ignore[arg-type]


def prepare(active: Engine) -> None:
    """What the product has in an empty database before the first enrolment."""
    indexes.drop(indexes.name_of(active.template_version))  # of a gallery before
    ActiveModel.objects.get_or_create(pk=1, defaults={"pack": active.pack.name})
    indexes.sketch(active.template_version, active.sketches.centre)


def build_index(active: Engine) -> None:
    """What a worker builds once a gallery is large: here at any size, to be measured."""
    indexes.build(active.template_version)


def visible(active: Engine, scope: Scope) -> int:
    return Gallery.visible_to(scope, active).searched


def cuts(active: Engine, searched: int) -> list[Cut]:
    """What is measured: the default, without the second cut, at `standard`, and everything."""
    basic = level_confidence("basic")
    standard = active.scores.cosine_of_confidence(level_confidence("standard"))
    cosines = (
        active.scores.cut(basic, 0.01, searched).cosine,
        active.scores.cut(basic, None, searched).cosine,
        standard,
        -1.0,
    )
    return [Cut(name, cosine) for name, cosine in zip(CUTS, cosines, strict=True)]


def search(
    active: Engine, scope: Scope, cut: Cut, plan: str | None = None
) -> Callable[[Floats], list[UUID]]:
    """A search as a request does it, counting included; by the named plan if one is given."""
    forced = _BY_NAME[plan] if plan else None

    def one(probe: Floats) -> list[UUID]:
        with searching():
            gallery = Gallery.visible_to(scope, active)
            found = plans.nearest(gallery, probe, least=cut.cosine, limit=cut.limit, plan=forced)
        return [candidate.user_id for candidate in found]

    return one


def possible_plans(active: Engine, scope: Scope, cut: Cut, probe: Floats) -> list[str]:
    """The plans that can be forced on such a search: the HNSW index has to be there, for one."""
    search = Search(Gallery.visible_to(scope, active), probe, cut.cosine, cut.limit)
    return [plan.name for plan in plans.PLANS if plan.is_possible(search)]


def chosen_plan(active: Engine, scope: Scope, cut: Cut, probe: Floats) -> str:
    """The plan that such a search begins with when none is forced."""
    gallery = Gallery.visible_to(scope, active)
    return plans.cheapest(Search(gallery, probe, cut.cosine, cut.limit)).name
