"""What waits for the workers, and what they gave up."""

from datetime import timedelta

from django.utils import timezone
from django_q.models import OrmQ, Schedule

from batch.apps import SWEEP
from batch.models import DeliveryState, WebhookDelivery, WebhookEndpoint
from facesvc.doctor.examining import Finding, failure, ok, warning

# A cluster looks at its schedule every half minute, and the sweep is due every minute.
SILENCE = timedelta(minutes=3)
LONG_WAIT = timedelta(minutes=10)


def queue() -> Finding:
    """Checks that a worker on any machine follows the schedule and takes tasks."""
    sweep = Schedule.objects.filter(name=SWEEP).first()
    if sweep is None:
        return failure("the schedule is missing", "Run `manage.py migrate`.")
    now = timezone.now()
    if now - sweep.next_run > SILENCE:
        text = f"no worker has looked for {_minutes(now - sweep.next_run)}"
        return failure(text, "Start one: `manage.py qcluster`; `make run` has one.")
    waiting = OrmQ.objects.filter(lock__lte=now).order_by("lock").first()
    if waiting and now - waiting.lock > LONG_WAIT:
        text = f"a task has waited for {_minutes(now - waiting.lock)}"
        return warning(text, "More workers help: FACESVC_TASK_WORKERS, or another machine.")
    return ok("a worker takes what waits")


def _minutes(time: timedelta) -> str:
    return f"{time.total_seconds() // 60:.0f} minutes"


def callbacks() -> Finding:
    given_up = WebhookDelivery.objects.filter(state=DeliveryState.DEAD).count()
    stopped = WebhookEndpoint.objects.filter(disabled_at__isnull=False).count()
    if not given_up + stopped:
        return ok("none was given up")
    text = f"given up: {given_up}; addresses that answered 410 Gone: {stopped}"
    return warning(text, "The admin shows why, and sends them again (`manage.py replay_webhooks`).")
