"""What all commands have in common."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error

from facesvc.postgres.cluster import DatabaseError
from recognition.api.tokens import NotTheIssuerError
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


class ServiceCommand(BaseCommand):
    """A command that ends with one line, and no traceback, at an error that is to be expected."""

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
