"""Callbacks: queued with the end of a job, tried until the receiver has them, each try stored."""

import json
import logging
import random
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone

from batch.models import DeliveryState, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from batch.queue import queueing
from batch.webhooks import addresses, signing
from batch.webhooks.addresses import RefusedError
from recognition import audit
from recognition.collections.current import CollectionGoneError, entered
from recognition.collections.visiting import at_work
from recognition.errors import ServiceError
from recognition.models import locks
from recognition.models.locks import One
from recognition.outbound import exchange
from recognition.outbound.exchange import ExchangeError
from recognition.privacy import sealing

logger = logging.getLogger(__name__)

# Seconds from each failed try to the next, 76 hours together.
_MINUTE, _HOUR = 60, 3600
DELAYS: tuple[int, ...] = (
    *(30, 5 * _MINUTE, 30 * _MINUTE),
    *(2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
)
# Each delay grows by a random share up to this, so that callbacks do not return all at once.
JITTER = 0.2
_TASK = "batch.tasks.deliver"
# Concurrent tries of a task, and to one address in all tasks: a slow one must not take them all.
THREADS = 4
_PER_ENDPOINT = 2
# Seconds after which a task begins no further try, and gives way to others.
_SLICE = 5.0
# What a receiver has to accept a callback and to answer it.
TOTAL_SECONDS = 15.0
# After this time a try counts as lost, with the process that made it.
_LOST_AFTER = timedelta(seconds=3 * TOTAL_SECONDS)
_GONE = 410


def require_enabled(client: str, url: str) -> None:
    """Raises invalid_callback_url if the address answered 410."""
    if WebhookEndpoint.objects.filter(client=client, url=url, disabled_at__isnull=False).exists():
        message = "The address answered 410 Gone before; an operator has to enable it again."
        raise ServiceError("invalid_callback_url", message)


def queue(job: Any) -> None:
    """Queue the callback of a job with its counts, in the transaction that ends the job."""
    # Locked: a 410 that another callback gets at this moment comes before or after.
    endpoints = WebhookEndpoint.objects.select_for_update(no_key=True)
    endpoint, _ = endpoints.get_or_create(client=job.subject, url=job.callback_url)
    delivery = WebhookDelivery(job=job, endpoint=endpoint, body=_body(job))
    if endpoint.disabled_at:
        delivery.state = DeliveryState.STOPPED
    else:
        delivery.next_attempt_at = timezone.now()
    delivery.save()
    call_if_due()


def _body(job: Any) -> str:
    path = reverse("batch-job-results", kwargs={"job_id": job.job_id})
    shown = ("job_id", "status", "total", "succeeded", "failed", "skipped", "unknown_people")
    data = {name: getattr(job, name) for name in shown}
    body = {
        "type": f"batch.{job.status}",
        "timestamp": job.finished_at.isoformat().replace("+00:00", "Z"),
        "data": {**data, "results_url": settings.FACESVC_PUBLIC_URL + path},
    }
    return json.dumps(body)


def call_if_due() -> None:
    """Queue a task if a callback is due, unless one is queued."""
    if not queueing.waiting(_TASK) and _due().exists():
        queueing.call(_TASK)


def _due() -> QuerySet[WebhookDelivery]:
    """Callbacks to try now, except to busy addresses: the end of a try there queues the next."""
    now = timezone.now()
    busy = WebhookDelivery.objects.filter(endpoint=OuterRef("endpoint"), busy_until__gt=now)
    count = busy.order_by().values("endpoint").annotate(count=Count("pk")).values("count")
    due = WebhookDelivery.objects.filter(state=DeliveryState.PENDING, next_attempt_at__lte=now)
    return due.alias(busy=Coalesce(Subquery(count), 0)).filter(busy__lt=_PER_ENDPOINT)


def deliver_due() -> int:
    """Try what is due until the slice is over, collections in turns; returns how many tries."""
    end, tries, before = time.monotonic() + _SLICE, 0, -1
    while tries > before:
        before = tries
        for collection in at_work():
            with suppress(CollectionGoneError), entered(collection):
                if time.monotonic() < end and (claimed := _claim()):
                    _try(*claimed)
                    tries += 1
    return tries


@transaction.atomic
def _claim() -> tuple[WebhookDelivery, WebhookAttempt] | None:
    """Take a callback that is due, and store what follows if this process is killed."""
    # One claim at a time, or several could each be the second try at one address.
    locks.wait_for(One.CLAIM_OF_CALLBACK)
    due = _due().select_for_update(skip_locked=True, of=("self",))
    delivery = due.select_related("endpoint").order_by("next_attempt_at").first()
    if delivery is None:
        return None
    now = timezone.now()
    if delivery.tries < len(DELAYS):
        seconds = DELAYS[delivery.tries] * (1 + random.uniform(0, JITTER))
        delivery.next_attempt_at = now + timedelta(seconds=seconds)
    else:
        delivery.state, delivery.next_attempt_at = DeliveryState.DEAD, None
    delivery.tries += 1
    delivery.busy_until = now + _LOST_AFTER
    delivery.save(update_fields=["state", "tries", "next_attempt_at", "busy_until"])
    attempt = WebhookAttempt.objects.create(delivery=delivery, error="not finished", duration_ms=0)
    return delivery, attempt


def _try(delivery: WebhookDelivery, attempt: WebhookAttempt) -> None:
    started = time.monotonic()
    try:
        attempt.status, attempt.error = _post(delivery), ""
    except (RefusedError, ExchangeError, sealing.UnreadableError) as error:
        attempt.error = str(error)[:200]
    except Exception as error:
        # It fails this try only: the others go on, and so does the next one.
        logger.exception("a callback failed")
        attempt.error = f"internal error: {type(error).__name__}"
    attempt.duration_ms = round((time.monotonic() - started) * 1000)
    attempt.save()
    _judge(delivery, attempt.status)


def _post(delivery: WebhookDelivery) -> int:
    target = addresses.check(delivery.endpoint.url)
    body = delivery.body.encode()
    headers = signing.headers(delivery.endpoint.client, delivery.message_id, body)
    headers |= {"Content-Type": "application/json", "User-Agent": f"facesvc/{settings.VERSION}"}
    deadline = time.monotonic() + TOTAL_SECONDS
    return exchange.send("POST", target, headers, body, deadline=deadline).status


@transaction.atomic
def _judge(delivery: WebhookDelivery, status: int | None) -> None:
    """Store what follows from a try. After a failure `_claim` has stored it already.

    A later try may have begun. This function, `queue` and `replay` lock the address first, and then
    its callbacks.
    """
    if status == _GONE:
        WebhookEndpoint.objects.filter(pk=delivery.endpoint_id).update(disabled_at=timezone.now())
    mine = WebhookDelivery.objects.filter(pk=delivery.pk)
    mine.update(busy_until=None)
    if status is not None and 200 <= status < 300:
        mine.update(state=DeliveryState.DELIVERED, next_attempt_at=None)
    elif status == _GONE:
        pending = Q(endpoint=delivery.endpoint_id, state=DeliveryState.PENDING)
        dead = Q(pk=delivery.pk, state=DeliveryState.DEAD)  # this was its last try
        stopped = WebhookDelivery.objects.filter(pending | dead)
        stopped.update(state=DeliveryState.STOPPED, next_attempt_at=None)


@transaction.atomic
def replay(deliveries: QuerySet[WebhookDelivery], *, actor: str) -> int:
    """Send again from the first try on, even to disabled addresses; returns how many."""
    wanted = WebhookDelivery.objects.filter(pk__in=list(deliveries.values_list("pk", flat=True)))
    endpoints = WebhookEndpoint.objects.filter(pk__in=wanted.values("endpoint"))
    endpoints.update(disabled_at=None)
    rows = list(wanted.select_for_update())
    for row in rows:
        row.state, row.tries, row.next_attempt_at = DeliveryState.PENDING, 0, timezone.now()
        row.save(update_fields=["state", "tries", "next_attempt_at"])
        audit.note(actor, "webhook.replay", message_id=row.message_id)
    call_if_due()
    return len(rows)


@transaction.atomic
def enable(endpoints: QuerySet[WebhookEndpoint], *, actor: str) -> int:
    """Enable addresses that answered 410, and send again what was stopped; returns how many."""
    wanted = WebhookEndpoint.objects.filter(pk__in=endpoints.values("pk"))
    rows = list(wanted.select_for_update())
    for row in rows:
        if row.disabled_at:
            audit.note(actor, "webhook.enable", client=row.client, address=row.address)
    WebhookEndpoint.objects.filter(pk__in=[row.pk for row in rows]).update(disabled_at=None)
    stopped = WebhookDelivery.objects.filter(endpoint__in=rows, state=DeliveryState.STOPPED)
    return replay(stopped, actor=actor)
