from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from facesvc.management.service_command import CommandInOne
from recognition.access import SCOPES
from recognition.api.callers import claims, tokens
from recognition.models.user_ids import UserId

_USER_SCOPES = "face:register face:verify face:identify face:manage"


class Command(CommandInOne):
    help = "Print a token, signed with the service's own secret, and nothing else."

    def add_arguments(self, parser: ArgumentParser) -> None:
        subject = parser.add_mutually_exclusive_group(required=True)
        subject.add_argument("--user", type=UserId, metavar="ID", help="for an end user")
        subject.add_argument("--service", metavar="NAME", help="for a service")
        parser.add_argument(
            "--scope",
            default=_USER_SCOPES,
            help=f"of: {' '.join(SCOPES)}; or `all` (default: %(default)s)",
        )
        parser.add_argument("--minutes", type=int, default=settings.ACCESS_TOKEN_EXPIRE_MINUTES)
        parser.add_argument(
            "--calls-per-minute",
            type=int,
            metavar="N",
            help="a limit of its own, and 60 times as many an hour "
            "(default: RATE_LIMIT_PER_MINUTE and RATE_LIMIT_PER_HOUR)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        scopes = list(SCOPES) if options["scope"] == "all" else options["scope"].split()
        if unknown := sorted(set(scopes) - set(SCOPES)):
            raise CommandError(f"Unknown scope: {', '.join(unknown)}. Known: {', '.join(SCOPES)}.")
        if options["service"] is not None and not claims.is_client_name(options["service"]):
            raise CommandError("A service's name has letters, digits and . @ : _ - and is no UUID.")
        if options["minutes"] < 1:
            raise CommandError("--minutes must be at least 1.")
        calls = options["calls_per_minute"]
        if calls is not None and not 1 <= calls <= claims.MOST_CALLS_PER_MINUTE:
            message = f"--calls-per-minute must be from 1 to {claims.MOST_CALLS_PER_MINUTE}."
            raise CommandError(message)
        subject, minutes = options["user"] or options["service"], options["minutes"]
        self.stdout.write(tokens.issue(subject, scopes, minutes=minutes, calls_per_minute=calls))
