from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from facesvc import backup, erasures
from facesvc.management.service_command import ServiceCommand


class Command(ServiceCommand):
    # They would complain about the database that is to be replaced.
    requires_system_checks = []
    help = "Bring back what `manage.py backup` saved, while the service is stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("file", type=Path, nargs="?")
        which.add_argument(
            "--finish",
            action="store_true",
            help="do what a database needs that another tool has restored",
        )
        parser.add_argument("--replace", action="store_true", help="drop what the database holds")
        parser.add_argument(
            "--erased",
            type=Path,
            metavar="LIST",
            help="erase again the people that `manage.py erasures` printed",
        )
        parser.add_argument(
            "--unsigned", action="store_true", help="you know where the file is from"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        erased = erasures.read(options["erased"])
        if options["finish"]:
            backup.finish(erased)
        else:
            backup.restore(
                options["file"],
                replace=options["replace"],
                erased=erased,
                unsigned=options["unsigned"],
            )
