"""The data of the first page: what waits for an operator, and what happened in 30 days.

Nothing counts a big table: the days come from recognition.daily_counts, and what waits is counted
up to `MOST` in partial indexes that hold nothing else.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any

from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from batch.models import DeliveryState, Item, Job, WebhookDelivery, WebhookEndpoint
from facesvc.operators.plots import DailyPlot, Series, plot
from recognition.models import CountedKind, DailyCount, FailureCount
from recognition.models.duplicates import DuplicateState, PossibleDuplicate

DAYS = 30
MOST = 1000
_CODES = 8  # of refusals, the most frequent ones


@dataclass(frozen=True)
class Need:
    """Something that waits: how much of it, what that means, and the list of it.

    `is_for_you`: an operator has to do something about it; what is not comes to its end by itself.
    """

    name: str
    count: int
    words: str
    address: str = ""  # empty where the operator may not open it
    is_for_you: bool = True

    @property
    def shown(self) -> str:
        if self.count > MOST:
            return _("more than {count:,}").format(count=MOST)
        return f"{self.count:,}"


def needs(operator: Any) -> list[Need]:
    need = partial(_need, operator)
    underway = partial(need, is_for_you=False)
    return [
        need(
            _("Possible duplicates"),
            PossibleDuplicate.objects.filter(state=DuplicateState.OPEN),
            _("two people whose faces are so alike that you decide whether they are one"),
        ),
        need(
            _("Locked"),
            FailureCount.objects.filter(locked_at__isnull=False),
            _("sources whose attempts for a person failed 50 times, until you unlock them"),
            "?locked=yes",
        ),
        need(
            _("Callbacks given up"),
            WebhookDelivery.objects.filter(state=DeliveryState.DEAD),
            _("failed for three days; send them again when the receiver is well"),
            "?state__exact=dead",
        ),
        need(
            _("Addresses disabled"),
            WebhookEndpoint.objects.filter(disabled_at__isnull=False),
            _("answered 410 Gone and get no callbacks until you enable them"),
            "?disabled=yes",
        ),
        underway(
            _("Callbacks failing"),
            WebhookDelivery.objects.filter(state=DeliveryState.PENDING, tries__gt=0),
            _("failed at least once and are tried again"),
            "?state__exact=pending",
        ),
        underway(_("Jobs open"), Job.objects.unfinished(), _("wait or are worked on"), "?ended=no"),
        underway(
            _("Pictures waiting"),
            Item.objects.pending(),
            _("of jobs, for a worker"),
            "?ended=no",
            Job,
        ),
    ]


def _need(
    operator: Any,
    name: str,
    rows: "QuerySet[Any]",
    words: str,
    query: str = "",
    shown_as: type[Model] | None = None,
    *,
    is_for_you: bool = True,
) -> Need:
    """Counts the rows, which an index finds. `shown_as` is the model of the list, if another."""
    page = (shown_as or rows.model)._meta
    may_open = operator.has_perm(f"{page.app_label}.view_{page.model_name}")
    address = reverse(f"admin:{page.app_label}_{page.model_name}_changelist") + query
    count = len(rows.order_by().values_list("pk", flat=True)[: MOST + 1])
    return Need(name, count, words, address if may_open else "", is_for_you)


# --- what happened --------------------------------------------------------------------------------

_RESULTS = {
    "success": _lazy("the right face"),
    "no_match": _lazy("another face"),
    "rejected": _lazy("refused for its risk"),
    "no_face_detected": _lazy("no face in the picture"),
    "no_registered_faces": _lazy("no face enrolled"),
}
_SEARCHES = {
    "found": _lazy("somebody found"),
    "not_found": _lazy("nobody found"),
    "no_face": _lazy("no face in the picture"),
}


def activity(today: date | None = None) -> list[DailyPlot]:
    last = today or timezone.localdate()
    days = [last - timedelta(days=ago) for ago in reversed(range(DAYS))]
    counts: dict[str, Counter[tuple[str, date]]] = {kind: Counter() for kind in CountedKind.values}
    rows = DailyCount.objects.filter(day__gte=days[0], day__lte=last)
    for kind, label, day, count in rows.values_list("kind", "label", "day", "count"):
        counts[kind][label, day] += count
    return [
        _plot(_("Enrolments"), days, counts[CountedKind.ENROLMENT], {"": _("faces enrolled")}),
        _plot(_("Verifications"), days, counts[CountedKind.VERIFICATION], _RESULTS),
        _plot(_("Searches"), days, counts[CountedKind.SEARCH], _SEARCHES),
        _refusals(days, counts[CountedKind.REFUSAL]),
    ]


def _plot(
    title: str, days: list[date], counts: "Counter[tuple[str, date]]", names: Mapping[str, Any]
) -> DailyPlot:
    """One series for each label; a label without a name is shown as it is."""
    labels = {label for label, __ in counts}
    known = [label for label in names if label in labels] or list(names)[:1]
    series = [
        Series(str(names.get(label, label)), [counts[label, day] for day in days])
        for label in [*known, *sorted(labels - set(names))]
    ]
    return plot(title, days, series)


def _refusals(days: list[date], counts: "Counter[tuple[str, date]]") -> DailyPlot:
    """A series for each of the most frequent codes, and one for all others."""
    sums: Counter[str] = Counter()
    for (label, __), count in counts.items():
        sums[label] += count
    often = [label for label, __ in sums.most_common(_CODES)]
    shown: Counter[tuple[str, date]] = Counter()
    for (label, day), count in counts.items():
        shown[label if label in often else "other codes", day] += count
    names = {label: label for label in often} | {"other codes": _("other codes")}
    title, none = _("Refused requests, by code"), {"": _("requests")}
    return _plot(title, days, shown, names if often else none)
