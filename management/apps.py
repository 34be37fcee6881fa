from django.apps import AppConfig
from django.db.models.signals import pre_delete


class ManagementConfig(AppConfig):
    name = "management"

    def ready(self) -> None:
        from management import erasure
        from recognition.models import User

        pre_delete.connect(erasure.forget_admin_log, sender=User)
