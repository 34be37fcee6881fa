import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from facesvc.management.service_command import CommandInOne
from management import erasure
from recognition.errors import ServiceError
from recognition.models.user_ids import UserId

_NOTHING_HELD = {
    "user_not_found": "nothing is held.",
    "user_merged": "nothing is held under this id, which was merged into another.",
}


class Command(CommandInOne):
    help = "Erase all that is held about users, as DELETE /users/ID; prints the receipts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "user_ids", nargs="+", metavar="ID", help="or -: one a line of the standard input"
        )
        parser.add_argument(
            "--keys", action="store_true", help="the ids are keys, as the audit log has them"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        kind = UUID if options["keys"] else UserId
        ids = [*_read(options["user_ids"], kind)]  # all of them, before anybody is erased
        for text, user_id in ids:
            try:
                receipt = erasure.erase(actor="command:erase_user", user_id=user_id)
            except ServiceError as error:
                if error.code not in _NOTHING_HELD:
                    raise CommandError(f"{text}: {error}") from error
                self.stdout.write(f"{text}: {_NOTHING_HELD[error.code]}")
                continue
            counts = ", ".join(f"{count} {name}" for name, count in receipt.removed.items())
            self.stdout.write(
                f"{text}: erased on {receipt.erased_at:%Y-%m-%d %H:%M:%S} UTC, "
                f"receipt {receipt.receipt_id}: {counts}."
            )


def _read(texts: Iterable[str], kind: type[UUID]) -> Iterable[tuple[str, UUID]]:
    for text in texts:
        if text == "-":
            lines = (line.rstrip("\n") for line in sys.stdin)
            yield from _read((line for line in lines if line.strip(" -")), kind)
            continue
        try:
            yield text, kind(text)
        except ValueError:
            raise CommandError(f"{text!r} is no user id; nobody is erased.") from None
