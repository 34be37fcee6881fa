from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.db.models.signals import post_migrate, pre_delete

SWEEP, PURGE = "batch: sweep", "batch: purge"


class BatchConfig(AppConfig):
    name = "batch"
    verbose_name = "Jobs and callbacks"

    def ready(self) -> None:
        from batch import models
        from batch.privacy import erasure, export, merging, retention
        from recognition.models import Face, User
        from recognition.privacy.export import SECTIONS
        from recognition.privacy.moves import face_moved, users_merging
        from recognition.privacy.retention import RULES
        from recognition.privacy.sealing import SEALED_MODELS

        RULES.extend([retention.end_overdue_jobs, retention.drop_jobs])
        RULES.extend([retention.drop_addresses, retention.drop_secrets])
        RULES.extend([retention.drop_tasks, retention.drop_sessions])
        SECTIONS.extend(export.SECTIONS)
        SEALED_MODELS.extend([models.Picture, models.WebhookSecret])
        pre_delete.connect(erasure.forget, sender=User)
        pre_delete.connect(erasure.forget_face, sender=Face)
        face_moved.connect(erasure.forget_moved_face, sender=Face)
        users_merging.connect(merging.hand_over, sender=User)
        post_migrate.connect(_schedule_tasks, sender=self)


def _schedule_tasks(using: str, apps: Any = installed, **kwargs: Any) -> None:
    from django_q.models import Schedule

    try:
        apps.get_model("django_q", "Schedule")
    except LookupError:
        return  # migrations up to here do not make its table
    schedules = Schedule.objects.using(using)
    what = {"func": "batch.tasks.sweep", "schedule_type": Schedule.MINUTES, "minutes": 1}
    schedules.update_or_create(name=SWEEP, defaults={**what, "repeats": -1})
    what = {"func": "batch.tasks.purge", "schedule_type": Schedule.DAILY}
    schedules.update_or_create(name=PURGE, defaults={**what, "repeats": -1})
