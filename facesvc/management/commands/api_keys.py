from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from facesvc.management.service_command import ServiceCommand, collection_named
from recognition.access import SCOPES
from recognition.api.callers import making
from recognition.collections.current import here
from recognition.collections.models import AccessKey, ApiKey, ServiceKey

_BY = "command:api_keys"
_USUAL = "face:register face:verify face:identify face:manage"
_IS_OFF = "FACESVC_AWS is not true here. The service answers at /aws/ when you set it and restart."
_COLUMNS = ("id", "service", "collection", "scopes", "calls a minute", "last used", "state")


class Command(ServiceCommand):
    help = "Make, list, rotate and revoke the keys of services that have no identity provider."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        make = actions.add_parser("make", help="make a key, and print it: nobody can see it again")
        make.add_argument("service", help="its name in the audit log")
        make.add_argument(
            "--scope",
            default=_USUAL,
            help=f"of: {' '.join(SCOPES)}; or `all` (default: %(default)s)",
        )
        make.add_argument(
            "--collection", metavar="NAME", help="that the key opens (default: default)"
        )
        make.add_argument(
            "--days", type=int, metavar="N", help="after which it expires (default: never)"
        )
        make.add_argument(
            "--calls-per-minute",
            type=int,
            metavar="N",
            help="a limit of its own, and 60 times as many an hour "
            "(default: RATE_LIMIT_PER_MINUTE and RATE_LIMIT_PER_HOUR)",
        )
        make.add_argument(
            "--aws", action="store_true", help="a pair of keys for programs that sign as AWS does"
        )
        actions.add_parser("list", help="each key, when it was used, and when it expires")
        rotate = actions.add_parser("rotate", help="make a key in place of another, and print it")
        rotate.add_argument("id", help="of the key, as in the list")
        rotate.add_argument(
            "--hours",
            type=int,
            default=24,
            metavar="N",
            help="for which the old one stays valid (default: %(default)s)",
        )
        revoke = actions.add_parser("revoke", help="take a key back, from the next request on")
        revoke.add_argument("id", help="of the key, as in the list")

    def handle(self, *args: Any, **options: Any) -> None:
        match options["action"]:
            case "make":
                self._make(**options)
            case "list":
                self._list()
            case "rotate":
                self._rotate(making.key_of(options["id"]), options["hours"])
            case "revoke":
                key = making.key_of(options["id"])
                was_valid = making.revoke(key, by=_BY)
                self.stdout.write(f"{key} {'is' if was_valid else 'was already'} revoked.")

    def _make(self, service: str, scope: str, days: int | None, aws: bool, **options: Any) -> None:
        if days is not None and not 1 <= days <= making.MOST_DAYS:
            raise CommandError(f"--days must be from 1 to {making.MOST_DAYS}.")
        collection = options["collection"] or here().name
        collection_named(collection)
        scopes = making.all_scopes(collection) if scope == "all" else scope.split()
        expires_at = timezone.now() + timedelta(days=days) if days else None
        made = making.make(
            AccessKey if aws else ApiKey,
            service,
            scopes,
            collection=collection,
            by=_BY,
            expires_at=expires_at,
            calls_per_minute=options["calls_per_minute"],
        )
        self._show(*made)
        if aws and not settings.FACESVC_AWS:
            self.stderr.write(_IS_OFF, self.style.WARNING)

    def _show(self, key: ServiceKey, secret: str) -> None:
        """The key alone is on the standard output: it can be piped into a store of secrets."""
        if isinstance(key, AccessKey):
            self.stdout.write(f"aws_access_key_id = {key.pk}\naws_secret_access_key = {secret}")
        else:
            self.stdout.write(secret)
        until = f"until {_time(key.expires_at)}" if key.expires_at else "until it is revoked"
        self.stderr.write(
            f"The key {key.pk} opens the collection {key.collection} for the service {key.service},"
            f" with {' '.join(key.scopes)}, {until}. Keep it now: nobody can see it again.",
            self.style.SUCCESS,
        )

    def _list(self) -> None:
        if not (found := making.listed()):
            self.stdout.write("There are no keys. `manage.py api_keys make SERVICE` makes one.")
            return
        rows = [_COLUMNS, *map(_row, found)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            padded = (text.ljust(width) for text, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join(padded).rstrip())

    def _rotate(self, key: ServiceKey, hours: int) -> None:
        if not 0 <= hours <= making.MOST_HOURS:
            raise CommandError(f"--hours must be from 0 to {making.MOST_HOURS}.")
        self._show(*making.rotate(key, keep=timedelta(hours=hours), by=_BY))
        key.refresh_from_db()
        self.stderr.write(
            f"The old key {key.pk} is valid until {_time(key.expires_at)}.", self.style.SUCCESS
        )


def _row(key: ServiceKey) -> tuple[str, ...]:
    used = _time(key.last_used_at) if key.last_used_at else "never"
    calls = f"{key.calls_per_minute:,}" if key.calls_per_minute else "-"
    who = key.pk, key.service, str(key.collection)
    return *who, " ".join(key.scopes), calls, used, _state(key)


def _state(key: ServiceKey) -> str:
    if key.revoked_at:
        return f"revoked {_time(key.revoked_at)}"
    if key.expires_at is None:
        return "valid"
    return f"{'expired' if making.is_over(key) else 'valid until'} {_time(key.expires_at)}"


def _time(at: datetime | None) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M %Z}"
