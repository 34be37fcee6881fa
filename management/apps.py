from django.apps import AppConfig
from django.db.models.signals import pre_delete


class ManagementConfig(AppConfig):
    name = "management"

    def ready(self) -> None:
        from django.contrib.admin.models import LogEntry

        from management import erasure
        from recognition.models import User
        from recognition.privacy.export import SECTIONS, Section

        SECTIONS.append(Section("operators_log", LogEntry, erasure.about_in_admin_log))
        pre_delete.connect(erasure.forget_admin_log, sender=User)
