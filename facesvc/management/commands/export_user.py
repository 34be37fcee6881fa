import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from facesvc.management.service_command import CommandInOne
from recognition.models.user_ids import UserId
from recognition.privacy import export


class Command(CommandInOne):
    help = (
        "Write all that is held about a user into a zip archive: JSON, and the kept pictures. The "
        "audit log notes who asked."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user_id", type=UserId)
        parser.add_argument("--asked-by", required=True, help="who asked for it, for the audit log")
        parser.add_argument("--output", type=Path, help="default: export_KEY.zip")

    def handle(self, *args: Any, **options: Any) -> None:
        user_id: UserId = options["user_id"]
        path: Path = options["output"] or Path(f"export_{user_id}.zip")  # the key
        if not options["asked_by"].strip():
            raise CommandError("--asked-by is empty.")
        # Readable by this account only, and never in place of an existing file.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(
                    export.export(
                        actor="command:export_user",
                        user_id=user_id,
                        asked_by=options["asked_by"].strip()[:200],
                    )
                )
        except BaseException:
            path.unlink()
            raise
        self.stdout.write(f"{path} has all that is held about {user_id.text}, and says what it is.")
