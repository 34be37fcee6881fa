from django.apps import AppConfig


class ManagementConfig(AppConfig):
    name = "management"

    def ready(self) -> None:
        from management import keeps
        from recognition.privacy.keeping import KEEPS

        KEEPS.append(keeps.KEEPS)
