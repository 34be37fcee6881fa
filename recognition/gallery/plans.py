"""Five ways to search a gallery, each with its cost: a search takes the cheapest.

They differ in where PostgreSQL looks. OWNERS and SCAN compare the probe with all visible templates;
docs/decisions/0004-search-plans.md says what the others may miss, half a percent at most.
"""

import math
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Cast
from pgvector.django import BitField, HammingDistance

from recognition.gallery import indexes, statements
from recognition.gallery.scope import PUBLIC as IS_PUBLIC
from recognition.gallery.scope import Gallery, Ids, Listed, ListingQuerySet
from recognition.gallery.search import FIRST_LOOK, Plan, Search, first_of_each_user
from recognition.gallery.statements import Candidate
from recognition.inference.arrays import Floats
from recognition.models import Listing, PublicSketch, Sketch, Template
from recognition.packs.scores import sketch_of
from recognition.prepared import Blank

# Milliseconds of the database for one template, by benchmarks/search at 100,000 faces: to find it
# by its user and compare it; to compare its sketch; to look it up because its sketch is near; to
# compare it in a scan of all.
_MS_BY_USER, _MS_SKETCH, _MS_NEAR_SKETCH, _MS_SCANNED = 0.0028, 0.00009, 0.0014, 0.00048
# Milliseconds of a search by the HNSW index that may find every template.
_MS_GRAPH = 50.0
# Below this many milliseconds for all, and for those who are public, OWNERS is taken at once, and
# SCAN below so many: to estimate the other plans would take longer than they can save.
_MS_SMALL, _MS_SMALL_PUBLIC, _MS_SMALL_SCAN = 1.0, 0.1, 0.2
# Strangers in the whole gallery who may reach the cosine, for the HNSW index to find enough.
_MOST_LOOKALIKES = 1.0


class _Scan(Plan):
    """All templates in sequence."""

    def cost(self, search: Search) -> float:
        return search.gallery.stored * _MS_SCANNED

    def narrowed(self, listed: Listed) -> ListingQuerySet:
        return listed.rows()


class _BySketch(Plan):
    """A plan that compares sketches before templates."""

    def values(self, search: Search) -> dict[str, Any]:
        sketch = sketch_of(search.probe, search.gallery.sketches.centre)
        return search.values | {"sketch": sketch, "most differing": search.most_differing}


class _Sketches(_BySketch):
    """All sketches in sequence, then the templates of those that are near."""

    def cost(self, search: Search) -> float:
        return search.gallery.stored * _ms_by_sketch(search)

    def narrowed(self, listed: Listed) -> ListingQuerySet:
        return listed.rows().filter(pk__in=_near(Sketch.objects.all()))


class _Owners(Plan):
    """All templates of the users who may be found, by the index on users."""

    def is_possible(self, search: Search) -> bool:
        return search.gallery.has_owners

    def cost(self, search: Search) -> float:
        return search.gallery.searched * _MS_BY_USER

    def narrowed(self, listed: Listed) -> ListingQuerySet:
        assert listed.scope  # as is_possible says
        owners = listed.scope.related_users()
        if listed.scope.has_public:
            shown = Listing.objects.filter(searchable=True, suspended=False)
            owners.append(shown.filter(privacy_level=IS_PUBLIC).values("user"))
        if not owners:
            return listed.rows().none()
        return listed.rows().filter(template__user_id__in=_all_of(owners))


class _Public(_BySketch):
    """SKETCHES for public users, and OWNERS for the others who may be found."""

    def is_possible(self, search: Search) -> bool:
        return search.gallery.has_owners

    def cost(self, search: Search) -> float:
        gallery = search.gallery
        public = gallery.searched - gallery.related
        return public * _ms_by_sketch(search) + gallery.related * _MS_BY_USER

    def narrowed(self, listed: Listed) -> ListingQuerySet:
        assert listed.scope  # as is_possible says
        near = _near(PublicSketch.objects.all())
        if owners := listed.scope.related_users():
            # Compared here: the ranking would first look up each by its key.
            own = Template.objects.filter(user_id__in=_all_of(owners))
            own = own.annotate(distance=statements.distance(F("embedding")))
            near = near.union(statements.within(own).values("pk"))
        return listed.rows().filter(pk__in=near)


class _Graph(Plan):
    """The HNSW index, until it has given enough templates that may be found."""

    def is_possible(self, search: Search) -> bool:
        # The index ranks single templates and no means, and gives up where a face_group is rare.
        # Without it PostgreSQL would sort all.
        scope = search.gallery.scope
        if search.by_user or (scope and scope.face_group is not None):
            return False
        return indexes.is_valid(search.gallery.engine.template_version)

    def cost(self, search: Search) -> float:
        gallery = search.gallery
        # The index finds people who resemble nobody else, and loses some of many lookalikes.
        if gallery.stored * search.share_of_strangers > _MOST_LOOKALIKES or not gallery.searched:
            return math.inf
        seen = settings.FACESVC_HNSW_EF_SEARCH * gallery.searched / gallery.stored
        return _MS_GRAPH * max(1, FIRST_LOOK / seen)

    def narrowed(self, listed: Listed) -> ListingQuerySet:
        # In the statement the version is a constant, by which PostgreSQL knows the index.
        return listed.rows().filter(template__embedding_version=listed.version)

    def find(self, search: Search) -> list[Candidate]:
        """Takes another plan if the index may have more templates than it was asked for."""
        with statements.for_graph():
            nearest = self.best(search, statements.by_index, FIRST_LOOK)
        best = first_of_each_user(found for found in nearest if found.cosine >= search.least)
        is_all = len(nearest) >= search.gallery.searched
        is_past = len(nearest) == FIRST_LOOK and nearest[-1].cosine < search.least
        if is_all or is_past or len(best) >= search.limit:
            return best[: search.limit]
        return cheapest(search, [plan for plan in PLANS if plan is not self]).find(search)


OWNERS, PUBLIC = _Owners("owners"), _Public("public")
SKETCHES, SCAN, GRAPH = _Sketches("sketches"), _Scan("scan"), _Graph("graph")
# The first of those with the same cost is taken.
PLANS: tuple[Plan, ...] = (SKETCHES, SCAN, OWNERS, PUBLIC, GRAPH)


def nearest(
    gallery: Gallery,
    probe: Floats,
    *,
    least: float,
    limit: int,
    by_user: bool = False,
    plan: Plan | None = None,
) -> list[Candidate]:
    """The users with a cosine of `least` or more to the probe (512,), best first.

    Each user counts with the best of the visible faces or, `by_user`, with their mean. A `plan`
    that is possible is taken at any cost: for tests and benchmarks.
    """
    search = Search(gallery, probe, least, limit, by_user)
    chosen = plan if plan and plan.is_possible(search) else cheapest(search)
    return chosen.find(search)


def nearest_faces(gallery: Gallery, probe: Floats, *, least: float, limit: int) -> list[Candidate]:
    """The visible faces with a cosine of `least` or more to the probe (512,), best first. A user
    may have several of them.
    """
    search = Search(gallery, probe, least, limit)
    plan = cheapest(search, [each for each in PLANS if each is not GRAPH])
    return plan.best(search, statements.best_of_all, limit)


def cheapest(search: Search, plans: Sequence[Plan] = PLANS) -> Plan:
    """The possible plan with the least cost."""
    gallery = search.gallery
    public = gallery.searched - gallery.related
    is_small = gallery.searched * _MS_BY_USER < _MS_SMALL
    if is_small and public * _MS_BY_USER < _MS_SMALL_PUBLIC and gallery.has_owners:
        return OWNERS
    if not gallery.has_owners and gallery.stored * _MS_SCANNED < _MS_SMALL_SCAN:
        return SCAN
    by_cost = sorted(plans, key=lambda plan: plan.cost(search))
    # Only where it is the cheapest, GRAPH asks the database for its index.
    return next(plan for plan in by_cost if plan.is_possible(search))


def _ms_by_sketch(search: Search) -> float:
    """Milliseconds for a template that is found by its sketch, on the average of all sketches."""
    share = search.gallery.sketches.share_within(search.most_differing)
    return _MS_SKETCH + share * _MS_NEAR_SKETCH


def _near(sketches: QuerySet[Any, Any]) -> Ids:
    """The ids of the templates whose sketch is near enough to the probe's."""
    own = Cast(Blank("sketch"), BitField(length=512))
    differing = sketches.annotate(differing=HammingDistance("bits", own))
    # Two bounds for the planner, see statements.within.
    near: Ids = differing.filter(Q(differing__range=(0, Blank("most differing"))))
    return near.values("pk")


def _all_of(users: Sequence[Ids]) -> Ids:
    return users[0].union(*users[1:])
