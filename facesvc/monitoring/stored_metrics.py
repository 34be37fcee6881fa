"""Metrics of the whole service, read from the database: the gallery, jobs, callbacks."""

import time
from collections.abc import Iterator
from threading import Lock
from typing import Any

from django.conf import settings
from django.db import Error, connection
from django.db.models import Count, Min, Q, QuerySet, Sum, TextChoices
from django.utils import timezone
from django_q.models import OrmQ
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.samples import Sample

from batch.models import DeliveryState, Item, Job, Status, WebhookAttempt, WebhookDelivery
from facesvc.postgres.cluster import DatabaseError
from recognition.collections.current import DEFAULT, CollectionGoneError, Entered, entered
from recognition.collections.visiting import all_collections
from recognition.gallery import indexes
from recognition.gallery.indexes import IndexState
from recognition.gallery.replicas import states
from recognition.inference.pack.declaration import PackError
from recognition.models import ActiveModel, FailureCount, GalleryCount, NewFace, User
from recognition.packs import engine, versions

# Counting a million users takes a tenth of a second.
_REMEMBERED_SECONDS = 15.0
# Where there are many collections, what is counted is remembered for so many times as long as it
# took: the database has other things to do.
_MOST_WORK = 20
Values = dict[tuple[str, ...], float]
# The greatest value of all collections counts for these. All others are added up.
_GREATEST = {
    "facesvc_active_model_info",
    "facesvc_hnsw_index",
    "facesvc_batch_oldest_pending_seconds",
}

_lock = Lock()
_remembered: tuple[float, list[Metric]] = (0.0, [])  # until when


def collect() -> list[Metric]:
    """Metrics that are at most some seconds old; without a database, only that it is away."""
    global _remembered
    with _lock:
        until, metrics = _remembered
        began = time.monotonic()
        if metrics and began < until:
            return metrics
        try:
            metrics = _of_collections()
            with entered(DEFAULT):
                metrics += [*_queue(), *_replicas(), *_database()]
        except (Error, DatabaseError):
            return [_database_up(0)]
        spent = time.monotonic() - began
        _remembered = began + max(_REMEMBERED_SECONDS, _MOST_WORK * spent), metrics
        return metrics


def _of_collections() -> list[Metric]:
    """The gauges of all collections: one value for all, or one for each if the settings say so."""
    families: dict[str, Metric] = {}
    values: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for collection in all_collections():
        try:
            with entered(collection):
                found = [*_gallery(), *_model(), *_jobs(), *_callbacks()]
        except CollectionGoneError:
            continue
        own = _label(collection)
        for family in found:
            families.setdefault(family.name, family)
            sums = values.setdefault(family.name, {})
            for sample in family.samples:
                key = (*own, *sample.labels.items())
                before = sums.get(key, 0.0)
                greatest = family.name in _GREATEST
                sums[key] = max(before, sample.value) if greatest else before + sample.value
    return [_with(family, values[name]) for name, family in families.items()]


def _label(collection: Entered) -> tuple[tuple[str, str], ...]:
    return (("collection", collection.name),) if settings.FACESVC_METRICS_BY_COLLECTION else ()


def _with(family: Metric, values: dict[tuple[tuple[str, str], ...], float]) -> Metric:
    family.samples = [Sample(family.name, dict(key), value) for key, value in values.items()]
    return family


def _queue() -> Iterator[Metric]:
    yield _gauge("facesvc_tasks_queued", "Tasks of the workers.", OrmQ.objects.count())


def _database() -> Iterator[Metric]:
    yield _database_up(1)
    text = "Whether the database takes writes: a standby does not."
    yield _gauge("facesvc_database_writable", text, _takes_writes())


def _takes_writes() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only')")
        return bool(cursor.fetchone() == ("off",))


def _database_up(value: int) -> Metric:
    return _gauge("facesvc_database_up", "Whether the database answers.", value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _by(name: str, text: str, labels: list[str], values: Values) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _gallery() -> Iterator[Metric]:
    counts = GalleryCount.objects.values_list("embedding_version", "shown")
    templates: Values = {
        (version, str(shown).lower()): count
        for version, shown, count in counts.annotate(Sum("templates")).order_by()
    }
    text = "Templates, and whether anybody can find them."
    yield _by("facesvc_gallery_templates", text, ["embedding_version", "searchable"], templates)
    text = "New faces that a worker has not compared with other users' yet."
    yield _gauge("facesvc_new_faces_waiting", text, NewFace.objects.count())
    text = "Of these, the ones whose comparison was begun three times or more."
    yield _gauge("facesvc_new_faces_failing", text, NewFace.objects.failing().count())
    yield _gauge("facesvc_gallery_users", "Users.", User.objects.count())
    locked = FailureCount.objects.exclude(locked_at=None).values("user_id").distinct().count()
    yield _gauge("facesvc_locked_users", "Users whom a moderator has to unlock.", locked)


def _model() -> Iterator[Metric]:
    active: Values = {}
    index: Values = {}
    if row := ActiveModel.objects.first():
        try:
            pack = engine.pack(row.pack)
            version = pack.model_version
            found = indexes.look(versions.version_of(pack, row.template_key))
            index = {(state.value,): float(state == found.state) for state in IndexState}
        except PackError:
            version = "unknown"  # its folder is not on this machine
        active[row.pack, version] = 1
    text = "The active model pack; always 1."
    yield _by("facesvc_active_model_info", text, ["pack", "model_version"], active)
    text = "The HNSW index of the active model: 1 for each state that one is in."
    yield _by("facesvc_hnsw_index", text, ["state"], index)


def _replicas() -> Iterator[Metric]:
    """A database that is a standby itself is no primary that replicas can be compared with."""
    try:
        found = states.states() if _takes_writes() else []
    except PackError:
        found = []  # its folder is not on this machine
    lags: Values = {(each.name,): each.lag for each in found if each.lag is not None}
    text = "Seconds that a replica is behind the primary; missing while it does not answer."
    yield _by("facesvc_replica_lag_seconds", text, ["replica"], lags)
    usable: Values = {(each.name,): float(not each.problem) for each in found}
    text = "Whether searches may run on a replica."
    yield _by("facesvc_replica_usable", text, ["replica"], usable)


def _jobs() -> Iterator[Metric]:
    jobs = _by_choice(Job.objects.all(), "status", Status)
    yield _by("facesvc_batch_jobs", "Jobs that are kept, by status.", ["status"], jobs)
    waiting = Item.objects.pending().aggregate(count=Count("pk"), oldest=Min("job__created_at"))
    text = "Pictures of jobs that wait for a worker."
    yield _gauge("facesvc_batch_items_pending", text, waiting["count"])
    age = (timezone.now() - waiting["oldest"]).total_seconds() if waiting["oldest"] else 0
    text = "Age in seconds of the oldest job with pictures that wait."
    yield _gauge("facesvc_batch_oldest_pending_seconds", text, age)


def _callbacks() -> Iterator[Metric]:
    deliveries = _by_choice(WebhookDelivery.objects.all(), "state", DeliveryState)
    text = "Callbacks that are kept, by state."
    yield _by("facesvc_webhook_deliveries", text, ["state"], deliveries)
    is_success = Q(status__gte=200, status__lt=300)
    tries = WebhookAttempt.objects.aggregate(
        success=Count("pk", filter=is_success),
        refused=Count("pk", filter=Q(status__isnull=False) & ~is_success),
        failed=Count("pk", filter=Q(status=None)),
    )
    text = "Tries that are kept: success, refused with another status, failed without an answer."
    values: Values = {(name,): count for name, count in tries.items()}
    yield _by("facesvc_webhook_attempts", text, ["outcome"], values)


def _by_choice(rows: "QuerySet[Any]", field: str, choices: type[TextChoices]) -> Values:
    """The number of rows for each choice; 0 where there is none."""
    found = dict(rows.order_by().values_list(field).annotate(Count("pk")))
    return {(choice.value,): found.get(choice.value, 0) for choice in choices}
