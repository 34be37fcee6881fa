"""What `manage.py purge` drops because it is old: the rules of this app."""

from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from recognition.collections.current import here, rule
from recognition.collections.models import AccessKey, ApiKey
from recognition.models import (
    Attempt,
    AuditEvent,
    DailyCount,
    FailureCount,
    RateWindow,
    Session,
)


def drop_sessions() -> str:
    """Drops sessions, attempts with what they know of pictures, and failures, but no locks.

    The newest success of each device stays, or the user's own phone would be a stranger.
    """
    before = timezone.now() - timedelta(days=rule("FACESVC_SESSION_RETENTION_DAYS"))
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


def drop_rate_windows() -> str:
    """Drops the windows of rate limits that were unused for an hour."""
    before = timezone.now() - timedelta(hours=1)
    old = RateWindow.objects.filter(hour_start__lt=before, minute_start__lt=before)
    # Skips rows that a request counts in at this moment: its count would be lost.
    some = old.select_for_update(skip_locked=True).values_list("pk", flat=True)
    with transaction.atomic():
        count, _ = RateWindow.objects.filter(pk__in=list(some)).delete()
    return f"{count} windows of the rate limit are dropped."


def drop_audit_events() -> str:
    """Drops old events. The table's trigger allows no other deletion."""
    before = timezone.now() - timedelta(days=rule("FACESVC_AUDIT_RETENTION_DAYS"))
    with transaction.atomic(), connection.cursor() as cursor:
        name = "facesvc.audit_purged_before"
        cursor.execute("SELECT set_config(%s, %s, true)", [name, before.isoformat()])
        count, _ = AuditEvent.objects.filter(at__lt=before).delete()
        # Otherwise a caller's longer transaction could go on deleting.
        cursor.execute("SELECT set_config(%s, '', true)", [name])
    return f"{count} events of the audit log are dropped."


def drop_keys() -> str:
    """Drops keys of the collection's services that ended when the oldest events may have been."""
    before = timezone.now() - timedelta(days=rule("FACESVC_AUDIT_RETENTION_DAYS"))
    count = 0
    for kind in (ApiKey, AccessKey):
        ended = Q(revoked_at__lt=before) | Q(expires_at__lt=before)
        rows = kind.objects.filter(ended, collection=here().number)
        count += rows.delete()[0]
    return f"{count} keys of services that ended are dropped."


def drop_daily_counts() -> str:
    """Drops counts when they are as old as the audit log may be."""
    before = timezone.localdate() - timedelta(days=rule("FACESVC_AUDIT_RETENTION_DAYS"))
    count, _ = DailyCount.objects.filter(day__lt=before).delete()
    return f"{count} counts of old days are dropped."
