"""How a command ends at an error: in one line where it was to be expected."""

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, transaction

from facesvc.management.service_command import ServiceCommand
from recognition.errors import ServiceError
from recognition.inference.pack.declaration import PackError


class Failing(ServiceCommand):
    requires_system_checks = []

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def handle(self, *args: Any, **options: Any) -> None:
        raise self._error


@pytest.mark.parametrize(
    "error", [PackError("there is no pack"), ServiceError("not_found", "there is no pack.")]
)
def test_it_works(error: Exception) -> None:
    with pytest.raises(CommandError) as caught:
        call_command(Failing(error))
    assert str(caught.value) == "there is no pack."
    assert caught.value.__cause__ is error


def test_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError) as missing:
        (tmp_path / "photo.jpg").read_bytes()
    with pytest.raises(CommandError, match=r"photo\.jpg: No such file or directory\.$"):
        call_command(Failing(missing.value))


def test_a_database_that_is_away() -> None:
    gone = OperationalError("connection refused\nDETAIL: not for you")
    with pytest.raises(CommandError, match=r"^The database cannot do this now: .* refused\. Run"):
        call_command(Failing(gone))


def test_a_read_only_database(db: None) -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL transaction_read_only = on")
        with pytest.raises(CommandError, match="read-only transaction"):
            call_command("erase_user", "0000000f-0000-4000-8000-00000000000f")
        transaction.set_rollback(True)


@pytest.mark.parametrize("error", [KeyError("a fault of ours"), ConnectionResetError()])
def test_what_nobody_expects_is_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error)):
        call_command(Failing(error))
