"""What all commands have in common."""

import sys
from collections.abc import Callable
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.db import Error

from facesvc import home
from facesvc.postgres.cluster import DatabaseError
from recognition.api.callers.tokens import NotTheIssuerError
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
        try:
            return super().execute(*args, **options)
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
