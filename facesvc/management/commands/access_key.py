from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError

from facesvc.aws import keys
from facesvc.aws.models import AccessKey
from facesvc.management.service_command import ServiceCommand
from recognition.access import SCOPES
from recognition.api import claims
from recognition.privacy import sealing

_SCOPES = "face:register face:verify face:identify face:manage"


class Command(ServiceCommand):
    help = "Make, list and revoke the access keys that clients of Amazon Rekognition sign with."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        make = actions.add_parser(
            "make", help="print a new key and its secret, which nobody can read again"
        )
        make.add_argument("service", help="its name, for the audit log")
        make.add_argument(
            "--scope", default=_SCOPES, help=f"of: {' '.join(SCOPES)} (default: %(default)s)"
        )
        make.add_argument("--days", type=int, metavar="N", help="until it expires (default: never)")
        make.add_argument(
            "--calls-per-minute",
            type=int,
            metavar="N",
            help="a limit of its own, and 60 times as many an hour "
            "(default: RATE_LIMIT_PER_MINUTE and RATE_LIMIT_PER_HOUR)",
        )
        actions.add_parser("list", help="list all keys, without their secrets")
        revoke = actions.add_parser("revoke", help="end a key at once and for good")
        revoke.add_argument("access_key_id")

    def handle(self, *args: Any, **options: Any) -> None:
        match options["action"]:
            case "make":
                self._make(options)
            case "list":
                for row in keys.all_keys():
                    self.stdout.write(_line(row))
            case "revoke":
                if not keys.revoke(options["access_key_id"]):
                    raise CommandError("There is no such key, or it is revoked already.")

    def _make(self, options: dict[str, Any]) -> None:
        scopes, service, days = options["scope"].split(), options["service"], options["days"]
        if unknown := sorted(set(scopes) - set(SCOPES)):
            raise CommandError(f"Unknown scope: {', '.join(unknown)}. Known: {', '.join(SCOPES)}.")
        if not claims.is_client_name(service):
            raise CommandError("A service's name has letters, digits and . @ : _ - and is no UUID.")
        if days is not None and not 1 <= days <= 3650:
            raise CommandError("--days must be from 1 to 3650.")
        calls = options["calls_per_minute"]
        if calls is not None and not 1 <= calls <= claims.MOST_CALLS_PER_MINUTE:
            message = f"--calls-per-minute must be from 1 to {claims.MOST_CALLS_PER_MINUTE}."
            raise CommandError(message)
        if not sealing.is_possible():
            raise CommandError("Secrets are stored encrypted: set FACESVC_CROP_KEYS.")
        lasts = timedelta(days=days) if days else None
        try:
            row, secret = keys.make(service, scopes, lasts=lasts, calls_per_minute=calls)
        except keys.TooManyKeysError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"aws_access_key_id = {row.access_key_id}")
        self.stdout.write(f"aws_secret_access_key = {secret}")


def _line(row: AccessKey) -> str:
    def day(at: Any) -> str:
        return f"{at:%Y-%m-%d}" if at else "never"

    state = f"revoked {day(row.revoked_at)}" if row.revoked_at else f"expires {day(row.expires_at)}"
    used = f"{row.last_used_at:%Y-%m-%d %H:%M}" if row.last_used_at else "never"
    return f"{row.access_key_id} {row.service} {state} used {used} {' '.join(row.scopes)}"
