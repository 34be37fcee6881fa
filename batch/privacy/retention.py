"""What `manage.py purge` drops of batches because it is old."""

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django_q.models import Task

from batch.jobs import jobs
from batch.models import DeliveryState, Job, WebhookDelivery, WebhookEndpoint, WebhookSecret
from recognition.collections.current import rule

# Jobs that are deleted together: their items pass through memory.
_AT_ONCE = 50


def drop_jobs() -> str:
    """Drops old jobs with their results and callbacks, once no callback is pending."""
    before = timezone.now() - timedelta(days=rule("FACESVC_BATCH_RETENTION_DAYS"))
    old = Job.objects.filter(finished_at__lt=before)
    old = old.exclude(Q(delivery__state=DeliveryState.PENDING))
    count = 0
    while some := list(old.values_list("pk", flat=True)[:_AT_ONCE]):
        Job.objects.filter(pk__in=some).delete()
        count += len(some)
    return f"{count} batch jobs are dropped."


@transaction.atomic
def drop_addresses() -> str:
    """Drops addresses without callbacks, since some hold a secret.

    An address that answered 410 stays refused.
    """
    callbacks = WebhookDelivery.objects.filter(endpoint=OuterRef("pk"))
    unused = WebhookEndpoint.objects.filter(~Exists(callbacks), disabled_at=None)
    # Checked again under their locks: a job may have ended since.
    locked = list(unused.select_for_update(skip_locked=True).values_list("pk", flat=True))
    count, _ = unused.filter(pk__in=locked).delete()
    return f"{count} addresses of callbacks are dropped."


def end_overdue_jobs() -> str:
    """Ends overdue jobs where no worker runs, or their pictures would wait for ever."""
    overdue = Job.objects.unfinished().filter(deadline_at__lt=timezone.now())
    pks = list(overdue.values_list("pk", flat=True))
    for pk in pks:
        jobs.finish(pk)
    return f"{len(pks)} overdue batch jobs are ended."


def drop_secrets() -> str:
    count, _ = WebhookSecret.objects.filter(retires_at__lt=timezone.now()).delete()
    return f"{count} retired webhook secrets are dropped."


def drop_tasks() -> str:
    """Drops old records of tasks: django-q2 keeps failed ones for ever.

    All collections share them. The shortest time counts, since a record may quote a row of any.
    """
    before = timezone.now() - timedelta(days=rule("FACESVC_BATCH_RETENTION_DAYS"))
    count, _ = Task.objects.filter(stopped__lt=before).delete()
    return f"{count} records of tasks are dropped."


def drop_sessions() -> str:
    count, _ = Session.objects.filter(expire_date__lt=timezone.now()).delete()
    return f"{count} ended sessions of the admin pages are dropped."
