"""What `manage.py purge` drops because it is old."""

from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from recognition import idempotency
from recognition.models import Attempt, FailureCount, IdempotencyKey, Session


def drop_idempotency_keys() -> str:
    count, _ = IdempotencyKey.objects.filter(created_at__lte=idempotency.oldest()).delete()
    return f"{count} idempotency keys are dropped."


def drop_sessions() -> str:
    """And attempts, with what they know of pictures; failures, but no locks.

    Of each device of a user the newest success stays, or the user's own phone would be a stranger.
    """
    before = timezone.now() - timedelta(days=settings.FACESVC_SESSION_RETENTION_DAYS)
    successes = Attempt.objects.filter(result="success").exclude(device="")
    newest = (
        successes.order_by("user", "device", "-at", "-pk").distinct("user", "device").values("pk")
    )
    old_attempts = Attempt.objects.filter(at__lt=before)
    with transaction.atomic():
        kept = old_attempts.filter(pk__in=newest)
        kept.update(session=None, picture_hash="", pixels_hash="")
        attempts, _ = old_attempts.exclude(pk__in=newest).delete()
    FailureCount.objects.filter(last_failure_at__lt=before, locked_at=None).delete()
    old = Session.objects.filter(expires_at__lt=before)
    count = old.count()
    old.delete()
    return f"{count} sessions and {attempts} attempts are dropped."


# Each drops its rows and says how many. Other apps add theirs.
RULES: list[Callable[[], str]] = [drop_idempotency_keys, drop_sessions]
