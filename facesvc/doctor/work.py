"""What waits for the workers, and what they gave up."""

from datetime import timedelta

from django.utils import timezone
from django_q.models import OrmQ, Schedule

from batch.apps import SWEEP
from batch.models import DeliveryState, WebhookDelivery, WebhookEndpoint
from facesvc.doctor.examining import Finding, failure, ok, warning
from recognition.models import NewFace

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


def look_alikes() -> Finding:
    """Checks that the search for the look-alikes of new faces does not fail again and again."""
    waiting, failing = NewFace.objects.count(), NewFace.objects.failing().count()
    if not failing:
        return ok(f"new faces that wait to be compared with other users': {waiting}")
    text = f"new faces that could not be compared with other users': {failing}"
    advice = (
        "The log of the worker says why. A worker tries them again, at least once a day; each may "
        "have a possible duplicate that no moderator sees."
    )
    return warning(text, advice)
