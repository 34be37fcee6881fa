from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_delete

SWEEP = "batch: sweep"


class BatchConfig(AppConfig):
    name = "batch"

    def ready(self) -> None:
        from batch import erasure, models, retention
        from recognition.models import User
        from recognition.retention import RULES
        from recognition.sealing import SEALED_MODELS

        RULES.extend([retention.drop_jobs, retention.drop_secrets, retention.drop_tasks])
        SEALED_MODELS.extend([models.Picture, models.WebhookSecret])
        pre_delete.connect(erasure.forget, sender=User)
        post_migrate.connect(_schedule_sweep, sender=self)


def _schedule_sweep(using: str, **kwargs: Any) -> None:
    from django_q.models import Schedule

    what = {"func": "batch.tasks.sweep", "schedule_type": Schedule.MINUTES, "minutes": 1}
    Schedule.objects.using(using).update_or_create(name=SWEEP, defaults={**what, "repeats": -1})
