"""The data of the first page: what waits for an operator, and what happened in 30 days.

Nothing counts a big table: the days come from recognition.daily_counts, and what waits is counted
up to `MOST` in partial indexes that hold nothing else.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any

from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils import timezone

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
        return f"more than {MOST:,}" if self.count > MOST else f"{self.count:,}"


def needs(operator: Any) -> list[Need]:
    need = partial(_need, operator)
    underway = partial(need, is_for_you=False)
    return [
        need(
            "Possible duplicates",
            PossibleDuplicate.objects.filter(state=DuplicateState.OPEN),
            "two people whose faces are so alike that you decide whether they are one",
        ),
        need(
            "Locked",
            FailureCount.objects.filter(locked_at__isnull=False),
            "sources whose attempts for a person failed 50 times, until you unlock them",
            "?locked=yes",
        ),
        need(
            "Callbacks given up",
            WebhookDelivery.objects.filter(state=DeliveryState.DEAD),
            "failed for three days; send them again when the receiver is well",
            "?state__exact=dead",
        ),
        need(
            "Addresses disabled",
            WebhookEndpoint.objects.filter(disabled_at__isnull=False),
            "answered 410 Gone and get no callbacks until you enable them",
            "?disabled=yes",
        ),
        underway(
            "Callbacks failing",
            WebhookDelivery.objects.filter(state=DeliveryState.PENDING, tries__gt=0),
            "failed at least once and are tried again",
            "?state__exact=pending",
        ),
        underway("Jobs open", Job.objects.unfinished(), "wait or are worked on", "?ended=no"),
        underway(
            "Pictures waiting", Item.objects.pending(), "of jobs, for a worker", "?ended=no", Job
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
    "success": "the right face",
    "no_match": "another face",
    "rejected": "refused for its risk",
    "no_face_detected": "no face in the picture",
    "no_registered_faces": "no face enrolled",
}
_SEARCHES = {
    "found": "somebody found",
    "not_found": "nobody found",
    "no_face": "no face in the picture",
}


def activity(today: date | None = None) -> list[DailyPlot]:
    last = today or timezone.localdate()
    days = [last - timedelta(days=ago) for ago in reversed(range(DAYS))]
    counts: dict[str, Counter[tuple[str, date]]] = {kind: Counter() for kind in CountedKind.values}
    rows = DailyCount.objects.filter(day__gte=days[0], day__lte=last)
    for kind, label, day, count in rows.values_list("kind", "label", "day", "count"):
        counts[kind][label, day] += count
    return [
        _plot("Enrolments", days, counts[CountedKind.ENROLMENT], {"": "faces enrolled"}),
        _plot("Verifications", days, counts[CountedKind.VERIFICATION], _RESULTS),
        _plot("Searches", days, counts[CountedKind.SEARCH], _SEARCHES),
        _refusals(days, counts[CountedKind.REFUSAL]),
    ]


def _plot(
    title: str, days: list[date], counts: "Counter[tuple[str, date]]", names: dict[str, str]
) -> DailyPlot:
    """One series for each label; a label without a name is shown as it is."""
    labels = {label for label, _ in counts}
    known = [label for label in names if label in labels] or list(names)[:1]
    series = [
        Series(names.get(label, label), [counts[label, day] for day in days])
        for label in [*known, *sorted(labels - set(names))]
    ]
    return plot(title, days, series)


def _refusals(days: list[date], counts: "Counter[tuple[str, date]]") -> DailyPlot:
    """A series for each of the most frequent codes, and one for all others."""
    sums: Counter[str] = Counter()
    for (label, _), count in counts.items():
        sums[label] += count
    often = [label for label, _ in sums.most_common(_CODES)]
    shown: Counter[tuple[str, date]] = Counter()
    for (label, day), count in counts.items():
        shown[label if label in often else "other codes", day] += count
    names = {label: label for label in often} | {"other codes": "other codes"}
    return _plot("Refused requests, by code", days, shown, names if often else {"": "requests"})
