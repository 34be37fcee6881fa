from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CollectionsConfig(AppConfig):
    name = "recognition.collections"
    verbose_name = "Collections and keys"

    def ready(self) -> None:
        post_migrate.connect(_make_default, sender=self)


def _make_default(using: str, **kwargs: Any) -> None:
    """The row of `default`, which keys refer to."""
    from recognition.collections.models import Collection

    Collection.objects.using(using).get_or_create(pk=1, defaults={"name": "default", "salt": b""})
