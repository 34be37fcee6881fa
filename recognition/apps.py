from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class RecognitionConfig(AppConfig):
    name = "recognition"

    def ready(self) -> None:
        from recognition import checks  # noqa: F401  registers the system checks

        post_migrate.connect(_make_index, sender=self)


def _make_index(using: str, **kwargs: Any) -> None:
    """The active version's vector index: of no cost in a new database, kept in an old one."""
    from recognition import engine, indexes

    row = engine.active_model()
    indexes.ensure(engine.version_of(engine.pack(row.pack), row.template_key))
