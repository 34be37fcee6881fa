"""Databases from before the first release, whose migrations are no longer there.

Each app's migrations were then written again from the beginning, and none leads from the former
ones to these.
"""

from typing import Any

from django.core.management import CommandError
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

# The first of the former migrations: every such database has it.
_FIRST = {("batch", "0001_jobs"), ("recognition", "0002_active_model")}
WHY = "was made before the first release, and this version cannot bring it up to date"
ADVICE = (
    "Start with an empty database (without DATABASE_URL: move data/postgres away), and enrol the"
    " people again."
)


def is_former(using: str) -> bool:
    return not _FIRST.isdisjoint(MigrationRecorder(connections[using]).applied_migrations())


def is_saved(migrations: str) -> bool:
    """Whether a backup is one of such a database.

    `migrations` are the rows of django_migrations in it, as pg_restore prints them: id, app, name
    and time with tabs between.
    """
    return any(tuple(line.split("\t")[1:3]) in _FIRST for line in migrations.splitlines())


def refuse(using: str, **kwargs: Any) -> None:
    """A receiver of pre_migrate: it refuses before anything is half migrated."""
    if is_former(using):
        raise CommandError(f"The database {WHY}. {ADVICE}")
