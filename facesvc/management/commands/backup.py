from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from facesvc import backup
from facesvc.management.service_command import ServiceCommand


class Command(ServiceCommand):
    # A backup does not wait until everything is well.
    requires_system_checks = []
    help = "Save the database into a file; the service may run. The file has no keys in it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="it must not exist yet")

    def handle(self, *args: Any, **options: Any) -> None:
        backup.save(options["file"])
