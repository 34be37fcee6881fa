from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class RecognitionConfig(AppConfig):
    name = "recognition"

    def ready(self) -> None:
        from django.db.models.signals import pre_delete

        from recognition import checks  # noqa: F401  registers the system checks
        from recognition.models import User
        from recognition.sessions import hold_for_erasure

        pre_delete.connect(hold_for_erasure, sender=User)
        post_migrate.connect(_prepare_search, sender=self)


def _prepare_search(using: str, **kwargs: Any) -> None:
    """For the active version: of no cost in a new database, kept in an old one."""
    from recognition import engine, indexes

    row = engine.active_model()
    pack = engine.pack(row.pack)
    version = engine.version_of(pack, row.template_key)
    indexes.sketch(version, engine.centre_of(pack, row.template_key))
    indexes.ensure(version)
