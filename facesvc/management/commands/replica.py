import signal
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection

from facesvc.management.service_command import ServiceCommand
from facesvc.postgres import cluster, database, replica


class Command(ServiceCommand):
    help = (
        "Start a standby of the embedded PostgreSQL in a folder, which is made if it is not there,"
        " and run until Ctrl-C; or promote it, so that it takes writes. For tests and trying out:"
        " see docs/operations.md."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["start", "promote"])
        parser.add_argument("folder", type=Path, help="where the standby has its data")

    def handle(self, *args: Any, action: str, folder: Path, **options: Any) -> None:
        folder = folder.resolve()
        if action == "promote":
            self._promote(folder)
        else:
            self._start(folder)

    def _promote(self, folder: Path) -> None:
        if not cluster.folder(folder).exists():
            raise CommandError(f"There is no standby in {folder}.")
        if not replica.is_standby(folder):
            raise CommandError(f"The database in {folder} is no standby: it takes writes already.")
        replica.promote(folder)
        self.stdout.write("It takes writes now. Never start the former primary again.")

    def _start(self, folder: Path) -> None:
        if not cluster.folder(folder).exists():
            self.stdout.write("Copying the database ...")
            connection.ensure_connection()
            primary = connection.connection.info
            replica.copy(primary.dsn, folder, primary.password)
            connection.close()
            if not settings.DATABASE_URL:
                replica.remember_primary(folder, settings.DATA_DIR)
        elif not replica.is_standby(folder):
            raise CommandError(
                f"The database in {folder} is no standby: it takes writes. Choose another folder."
            )
        for signum in (signal.SIGINT, signal.SIGTERM):  # which a shell may have had ignored
            signal.signal(signum, signal.default_int_handler)
        database.join(folder)
        both = [*([] if settings.DATABASE_URL else [settings.DATA_DIR]), folder]
        self.stdout.write(f"The standby runs until Ctrl-C.\nDATABASE_URL={replica.address(*both)}")
        self.stdout.write(f"FACESVC_SEARCH_DATABASE_URL={replica.address(folder)}")
        try:
            signal.pause()
        except KeyboardInterrupt:
            database.release(folder)
