from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.db.models.signals import post_migrate

SWEEP, PURGE, CARRY_OVER = "batch: sweep", "batch: purge", "batch: carry over"
INDEX = "batch: index"


class BatchConfig(AppConfig):
    name = "batch"
    verbose_name = "Jobs and callbacks"

    def ready(self) -> None:
        post_migrate.connect(_schedule_tasks, sender=self)


def _schedule_tasks(using: str, apps: Any = installed, **kwargs: Any) -> None:
    from django_q.models import Schedule

    try:
        apps.get_model("django_q", "Schedule")
    except LookupError:
        return  # the migrations so far have not made its table
    schedules = Schedule.objects.using(using)
    what = {"func": "batch.tasks.sweep", "schedule_type": Schedule.MINUTES, "minutes": 1}
    schedules.update_or_create(name=SWEEP, defaults={**what, "repeats": -1})
    what = {"func": "batch.tasks.purge", "schedule_type": Schedule.DAILY}
    schedules.update_or_create(name=PURGE, defaults={**what, "repeats": -1})
    what = {"func": "batch.tasks.carry_over", "schedule_type": Schedule.HOURLY}
    schedules.update_or_create(name=CARRY_OVER, defaults={**what, "repeats": -1})
    what = {"func": "batch.tasks.look_at_index", "schedule_type": Schedule.HOURLY}
    schedules.update_or_create(name=INDEX, defaults={**what, "repeats": -1})
