"""Callbacks: queued with the end of a job, tried until the receiver has them, each try stored."""

import json
import random
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.urls import reverse
from django.utils import timezone
from django_q.tasks import async_task

from batch import addresses, posting, signing
from batch.addresses import RefusedError
from batch.models import (
    DeliveryState,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
)
from batch.posting import PostError
from recognition.errors import ServiceError

# What is waited after each failure, 76 hours together; the last one is followed by a last try.
_MINUTE, _HOUR = 60, 3600
DELAYS: tuple[int, ...] = (
    *(30, 5 * _MINUTE, 30 * _MINUTE),
    *(2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
)
# Each delay is drawn out by up to this share, so that what failed together does not come together.
JITTER = 0.2
# After this a try is taken for lost, with the process that made it.
_TRY_SECONDS = 3 * posting.TOTAL_SECONDS
_AT_ONCE = 100
_GONE = 410


def require_deliverable(client: str, url: str) -> None:
    """Raises invalid_callback_url."""
    try:
        addresses.check(url)
    except RefusedError as error:
        raise ServiceError("invalid_callback_url", str(error)) from None
    if WebhookEndpoint.objects.filter(client=client, url=url, disabled_at__isnull=False).exists():
        message = "The address answered 410 Gone before; an operator can replay to enable it."
        raise ServiceError("invalid_callback_url", message)


def queue(job: Any) -> None:
    """In the transaction that ends the job. `job` is a Job with its counts."""
    endpoint, _ = WebhookEndpoint.objects.get_or_create(client=job.subject, url=job.callback_url)
    if endpoint.disabled_at:
        WebhookDelivery.objects.create(
            job=job, endpoint=endpoint, body=_body(job), state=DeliveryState.STOPPED
        )
        return
    delivery = WebhookDelivery.objects.create(
        job=job, endpoint=endpoint, body=_body(job), next_attempt_at=timezone.now()
    )
    _send(delivery)


def _body(job: Any) -> str:
    path = reverse("batch-job-results", kwargs={"job_id": job.job_id})
    body = {
        "type": f"batch.{job.status}",
        "timestamp": job.finished_at.isoformat().replace("+00:00", "Z"),
        "data": {
            "job_id": job.job_id,
            "status": job.status,
            "total": job.total,
            "succeeded": job.succeeded,
            "failed": job.failed,
            "results_url": settings.FACESVC_PUBLIC_URL + path,
        },
    }
    return json.dumps(body)


def _send(delivery: WebhookDelivery) -> None:
    """Queue a try. Should the task get lost, it is queued anew when the time of a try is over."""
    lost_after = timezone.now() + timedelta(seconds=_TRY_SECONDS)
    WebhookDelivery.objects.filter(pk=delivery.pk).update(next_attempt_at=lost_after)
    async_task("batch.tasks.deliver", delivery.pk, delivery.tries)


def queue_due() -> None:
    with transaction.atomic():
        due = WebhookDelivery.objects.filter(
            state=DeliveryState.PENDING, next_attempt_at__lte=timezone.now()
        )
        locked = due.select_for_update(skip_locked=True).order_by("next_attempt_at")
        for delivery in locked[:_AT_ONCE]:
            _send(delivery)


def deliver(pk: int, tries: int) -> None:
    """One try, the one after so many; only once, however often the task is run."""
    lost_after = timezone.now() + timedelta(seconds=_TRY_SECONDS)
    claimed = WebhookDelivery.objects.filter(
        pk=pk, state=DeliveryState.PENDING, tries=tries
    ).update(tries=F("tries") + 1, next_attempt_at=lost_after)
    if claimed != 1:
        return
    delivery = WebhookDelivery.objects.select_related("endpoint").get(pk=pk)
    attempt = WebhookAttempt.objects.create(delivery=delivery, error="not finished", duration_ms=0)
    started = time.monotonic()
    try:
        attempt.status, attempt.error = _post(delivery), ""
    except (RefusedError, PostError) as error:
        attempt.error = str(error)[:200]
    attempt.duration_ms = round((time.monotonic() - started) * 1000)
    attempt.save()
    _judge(delivery, attempt.status)


def _post(delivery: WebhookDelivery) -> int:
    target = addresses.check(delivery.endpoint.url)
    body = delivery.body.encode()
    headers = signing.headers(delivery.endpoint.client, delivery.message_id, body)
    headers |= {"Content-Type": "application/json", "User-Agent": f"facesvc/{settings.VERSION}"}
    return posting.post(target, body, headers)


@transaction.atomic
def _judge(delivery: WebhookDelivery, status: int | None) -> None:
    mine = WebhookDelivery.objects.filter(
        pk=delivery.pk, state=DeliveryState.PENDING, tries=delivery.tries
    )
    if status is not None and 200 <= status < 300:
        # Also when a later try has begun meanwhile: the receiver has it.
        mine = WebhookDelivery.objects.filter(pk=delivery.pk, state=DeliveryState.PENDING)
        mine.update(state=DeliveryState.DELIVERED, next_attempt_at=None)
    elif status == _GONE:
        _disable(delivery.endpoint)
    elif delivery.tries > len(DELAYS):
        mine.update(state=DeliveryState.DEAD, next_attempt_at=None)
    else:
        seconds = DELAYS[delivery.tries - 1] * (1 + random.uniform(0, JITTER))
        mine.update(next_attempt_at=timezone.now() + timedelta(seconds=seconds))


def _disable(endpoint: WebhookEndpoint) -> None:
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(disabled_at=timezone.now())
    pending = WebhookDelivery.objects.filter(endpoint=endpoint, state=DeliveryState.PENDING)
    pending.update(state=DeliveryState.STOPPED, next_attempt_at=None)


@transaction.atomic
def replay(deliveries: QuerySet[WebhookDelivery]) -> int:
    """Send again from the first try on, to disabled addresses as well; how many."""
    rows = list(deliveries.select_for_update(of=("self",)))
    endpoints = WebhookEndpoint.objects.filter(pk__in={row.endpoint_id for row in rows})
    endpoints.update(disabled_at=None)
    for row in rows:
        row.state, row.tries, row.next_attempt_at = DeliveryState.PENDING, 0, timezone.now()
        row.save(update_fields=["state", "tries", "next_attempt_at"])
        _send(row)
    return len(rows)
