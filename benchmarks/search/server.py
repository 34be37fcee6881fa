"""A database of its own for the run, in a temporary folder of which nothing stays."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The folder of a replica, in that of the database.
REPLICA = "replica"


@contextmanager
def own_database(*, with_replica: bool = False) -> Iterator[Path]:
    """Django set up, on an empty migrated database; call it before anything of the product's.

    The settings are the product's, but not those of the installation that is in .env. With a
    replica they name one that is to be started in the folder REPLICA.
    """
    with tempfile.TemporaryDirectory(prefix="facesvc-bench-") as folder:
        os.environ["DJANGO_SETTINGS_MODULE"] = "facesvc.settings"
        os.environ |= {"FACESVC_DATA": folder, "DATABASE_URL": "", "FACESVC_TEMPLATE_KEYS": ""}
        os.environ["LOG_LEVEL"] = "WARNING"
        os.environ["SECRET_KEY"] = secrets.token_urlsafe(48)
        os.environ["FACESVC_SEARCH_DATABASE_URL"] = _address(folder) if with_replica else ""
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connections

        from facesvc.postgres import database

        try:
            call_command("migrate", verbosity=0)
            yield Path(folder)
        finally:
            connections.close_all()
            database.release(Path(folder))


def _address(folder: str) -> str:
    from facesvc.postgres import replica

    return replica.address(Path(folder) / REPLICA)
