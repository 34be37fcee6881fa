from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from facesvc.management.service_command import CommandInOne
from recognition.models import User
from recognition.models.user_ids import UserId
from recognition.verification import lockout


class Command(CommandInOne):
    help = "Let a user be verified again after too many failed attempts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user_id", type=UserId)

    def handle(self, *args: Any, **options: Any) -> None:
        user_id: UserId = options["user_id"]
        if not User.objects.filter(pk=user_id).exists():
            raise CommandError(f"There is no user {user_id.text}.")
        count = lockout.unlock(user_id, actor="command:unlock")
        said = "{} is unlocked." if count else "No failed attempt is counted for {}."
        self.stdout.write(said.format(user_id.text))
