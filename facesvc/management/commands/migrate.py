from typing import Any

from django.core.management.commands import migrate
from django.db import connections, transaction

from recognition.collections import current, schemas
from recognition.collections.models import Collection
from recognition.models import locks
from recognition.models.locks import One


class Command(migrate.Command):
    help = f"{migrate.Command.help} It does so in each collection."

    def handle(self, *args: Any, **options: Any) -> None:
        using = options["database"]
        schemas.prepare(using)
        self._in(current.DEFAULT, *args, **options)
        for collection in _others(using):
            with schemas.staying(collection, using):
                if _is_there(collection, using):
                    self._in(collection, *args, **options)

    def _in(self, collection: current.Entered, *args: Any, **options: Any) -> None:
        self._collection = collection
        with current.entered(collection):
            super().handle(*args, **options)

    def migration_progress_callback(
        self, action: str, migration: Any = None, fake: bool = False
    ) -> None:
        if action in ("apply_start", "unapply_start"):
            current.enter(schemas.place_of(migration.app_label, self._collection))
        elif migration:
            current.enter(self._collection)
        super().migration_progress_callback(action, migration, fake)


def _others(using: str) -> list[current.Entered]:
    """The collections beside `default`. One that is being erased may have no tables any more."""
    if Collection._meta.db_table not in connections[using].introspection.table_names():
        return []
    with current.entered(current.DEFAULT), transaction.atomic():
        # The maker of one with the tables as they were holds this until it can be seen.
        locks.wait_for(One.COLLECTION)
    rows = Collection.objects.using(using).filter(erasing_at=None, pk__gt=1).order_by("pk")
    return [row.entered for row in rows]


def _is_there(collection: current.Entered, using: str) -> bool:
    rows = Collection.objects.using(using)
    return rows.filter(pk=collection.number, erasing_at=None).exists()
