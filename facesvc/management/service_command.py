"""What all commands have in common."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db import Error

from facesvc import home
from facesvc.postgres.cluster import DatabaseError
from recognition.api.callers.tokens import NotTheIssuerError
from recognition.collections.current import DEFAULT, CollectionGoneError, Entered, entered
from recognition.collections.doors import UnknownCollectionError, find
from recognition.collections.visiting import all_collections
from recognition.errors import ServiceError
from recognition.inference.images import ImageError
from recognition.inference.pack.declaration import PackError
from recognition.measuring.photos import PhotosError
from recognition.model_change import ModelChangeInProgressError
from recognition.privacy.sealing import UnreadableError
from recognition.processes import connections

_EXPECTED = (
    DatabaseError,
    ModelChangeInProgressError,
    ImageError,
    NotTheIssuerError,
    PackError,
    PhotosError,
    ServiceError,
    UnreadableError,
)


class SpelledOutput(OutputWrapper):
    """Output whose advice names commands as one types them here."""

    def write(  # type: ignore[override]  # as Django's own, which is no TextIO
        self,
        msg: str = "",
        style_func: Callable[[str], str] | None = None,
        ending: str | None = None,
    ) -> None:
        super().write(home.spelled(msg), style_func, ending)


class ServiceCommand(BaseCommand):
    """A command that ends with one line, and no traceback, at an error that is to be expected."""

    def __init__(
        self, stdout: TextIO | None = None, stderr: TextIO | None = None, **kwargs: Any
    ) -> None:
        super().__init__(stdout, stderr, **kwargs)
        self.stdout = SpelledOutput(stdout or sys.stdout)
        self.stderr = SpelledOutput(stderr or sys.stderr)
        self.stderr.style_func = self.style.ERROR

    def execute(self, *args: Any, **options: Any) -> str | None:
        with _in_one_line():
            return super().execute(*args, **options)


class CommandInOne(ServiceCommand):
    """A command that works in one collection: that of `--collection`."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.add_argument(
            "--collection",
            default=DEFAULT.name,
            metavar="NAME",
            help="the collection to work in (default: %(default)s)",
        )
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        with _in_one_line(), entered(collection_named(options["collection"])):
            return super().execute(*args, **options)


class CommandInEach(ServiceCommand):
    """A command that works in one collection after the other, in `handle_here`."""

    def handle(self, *args: Any, **options: Any) -> None:
        self.in_each(lambda: self.handle_here(**options))

    def handle_here(self, **options: Any) -> None:
        raise NotImplementedError

    def in_each(self, work: Callable[[], None]) -> None:
        """Do the work in each collection. What fails in one is said after the others are done."""
        failed = []
        for collection in all_collections():
            if not collection.is_default:
                self.stdout.write(f"The collection {collection.name}:")
            try:
                with entered(collection), _in_one_line():
                    work()
            except CollectionGoneError:
                self.stdout.write("It is erased.")
            except CommandError as error:
                where = "" if collection.is_default else f"The collection {collection.name}: "
                failed.append(f"{where}{error}")
        if failed:
            raise CommandError("\n".join(failed))


def collection_named(name: str) -> Entered:
    """A collection, suspended or not. Raises CommandError."""
    if name == DEFAULT.name:
        return DEFAULT
    try:
        return find(name).entered
    except UnknownCollectionError:
        raise CommandError(
            f"There is no collection {name!r}. `manage.py collections list` lists them."
        ) from None


@contextmanager
def _in_one_line() -> Iterator[None]:
    """A block that ends with a CommandError at an error that is to be expected."""
    try:
        yield
    except _EXPECTED as error:
        raise CommandError(f"{str(error).removesuffix('.')}.") from error
    except Error as error:
        if not connections.is_passing(error):
            raise
        raise CommandError(
            f"The database cannot do this now: {connections.first_line(error)}. Run the command"
            " again when `manage.py doctor` says that the database is well."
        ) from error
    except OSError as error:
        if error.filename is None:
            raise
        raise CommandError(f"{error.filename}: {error.strerror}.") from error
