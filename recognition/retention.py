"""What `manage.py purge` drops because it is old."""

from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from recognition.models import IdempotencyKey


def drop_idempotency_keys() -> str:
    before = timezone.now() - timedelta(hours=settings.FACESVC_IDEMPOTENCY_HOURS)
    count, _ = IdempotencyKey.objects.filter(created_at__lt=before).delete()
    return f"{count} idempotency keys are dropped."


# Each drops its rows and says how many. Other apps add theirs.
RULES: list[Callable[[], str]] = [drop_idempotency_keys]
