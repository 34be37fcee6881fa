from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from batch.webhooks import signing
from facesvc.management.service_command import CommandInOne
from recognition.privacy import sealing


class Command(CommandInOne):
    help = "Print the secret that callbacks to a client are signed with, and nothing else."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("client", help="`sub` of the client's tokens")
        parser.add_argument(
            "--rotate",
            action="store_true",
            help="make a new one; the old one signs as well for "
            f"{settings.FACESVC_WEBHOOK_ROTATION_HOURS} hours",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not sealing.is_possible():
            raise CommandError("Secrets are stored encrypted: set FACESVC_CROP_KEYS.")
        find = signing.rotate if options["rotate"] else signing.current
        self.stdout.write(find(options["client"]))
