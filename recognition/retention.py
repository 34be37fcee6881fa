"""What `manage.py purge` drops because it is old."""

from collections.abc import Callable

from recognition import idempotency
from recognition.models import IdempotencyKey


def drop_idempotency_keys() -> str:
    count, _ = IdempotencyKey.objects.filter(created_at__lte=idempotency.oldest()).delete()
    return f"{count} idempotency keys are dropped."


# Each drops its rows and says how many. Other apps add theirs.
RULES: list[Callable[[], str]] = [drop_idempotency_keys]
