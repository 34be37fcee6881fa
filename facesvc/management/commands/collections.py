import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from facesvc.management.service_command import ServiceCommand, collection_named
from management import collections
from management.collections import Described
from recognition.collections import rules

_ACTOR = "command:collections"
_MADE = """\
{name} is made, and is empty. This makes a key for an app of yours:
    manage.py api_keys make APP --collection {name}
This makes a token, which expires:
    manage.py issue_token --collection {name} --service APP"""
_COLUMNS = ("name", "state", "users", "faces", "made", "rules")


class Command(ServiceCommand):
    help = (
        "List the collections, make one, suspend or resume it, set its rules, or erase it with all "
        "that is in it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        actions.add_parser("list", help="each collection with its state and its size")
        for action, about in (
            ("make", "make an empty collection"),
            ("suspend", "refuse every request for it; it keeps all that is in it"),
            ("resume", "end the suspension"),
        ):
            actions.add_parser(action, help=about).add_argument("name")
        some = actions.add_parser(
            "set", help="give settings another value in it", epilog=f"Rules: {_names()}."
        )
        some.add_argument("name")
        some.add_argument(
            "rules",
            nargs="+",
            metavar="RULE=VALUE",
            help="without a value, the service's own setting counts again",
        )
        erase = actions.add_parser("erase", help="erase it with all users and faces in it")
        erase.add_argument("name")
        erase.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options.get("name", "")
        if name and options["action"] != "make":
            collection_named(name)
        match options["action"]:
            case "list":
                self._list()
            case "make":
                collections.make(name, actor=_ACTOR)
                self.stdout.write(_MADE.format(name=name))
            case "suspend":
                collections.suspend(name, actor=_ACTOR)
                self.stdout.write(
                    f"{name} is suspended: every request for it is refused. "
                    f"`manage.py collections resume {name}` ends that."
                )
            case "resume":
                collections.resume(name, actor=_ACTOR)
                self.stdout.write(f"{name} answers requests.")
            case "set":
                row = collections.change_rules(name, _read(options["rules"]), actor=_ACTOR)
                said = f"Rules of {name}: {_written(row.rules)}" if row.rules else ""
                self.stdout.write(said or f"{name} has no rules: the service's own settings count.")
            case "erase":
                self._erase(name, is_sure=options["yes"])

    def _list(self) -> None:
        found = collections.described([*collections.listed().order_by("pk")])
        lines = [_COLUMNS, *map(_cells, found)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())

    def _erase(self, name: str, *, is_sure: bool) -> None:
        collections.require_changeable(name)
        found = collections.describe(collections.collection_of(name))
        if not is_sure:
            question = (
                f"This erases {name} with {found.users} users and {found.faces} faces for good. "
                "Type its name to go on: "
            )
            try:
                is_sure = input(question).strip() == name
            except EOFError:
                raise CommandError("Nobody answers: say --yes.") from None
        if not is_sure:
            raise CommandError("Nothing is erased.")
        gone = collections.erase(name, actor=_ACTOR)
        self.stdout.write(f"{name} is erased, with {gone.users} users and {gone.faces} faces.")


def _cells(found: Described) -> tuple[str, ...]:
    sizes = f"{found.users:,}", f"{found.faces:,}"
    made = f"{found.created_at:%Y-%m-%d}"
    return found.name, found.state, *sizes, made, _written(found.rules)


def _written(given: Any) -> str:
    return " ".join(f"{name}={json.dumps(value)}" for name, value in given.items()) or "-"


def _names() -> str:
    return ", ".join(rules.declared())


def _read(texts: list[str]) -> dict[str, Any]:
    """The values of rules; None where there is none."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise CommandError(f"{text!r} is not written as RULE=VALUE.")
        try:
            found[name] = json.loads(value.strip().lower()) if value.strip() else None
        except ValueError:
            raise CommandError(f"{value!r} is no number, and neither true nor false.") from None
    return found
