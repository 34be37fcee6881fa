"""What a check finds, and how checks are examined one after the other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, OperationalError

from facesvc.postgres.cluster import DatabaseError
from recognition.inference.pack.declaration import PackError
from recognition.processes.connections import first_line


class CheckState(StrEnum):
    OK = "ok"
    WARNING = "warning"  # it works, but needs attention
    FAILURE = "failure"  # something does not work
    UNKNOWN = "unknown"  # skipped, because a check that it needs failed


@dataclass(frozen=True)
class Finding:
    state: CheckState
    text: str
    advice: str = ""  # what to do


def ok(text: str) -> Finding:
    return Finding(CheckState.OK, text)


def warning(text: str, advice: str) -> Finding:
    return Finding(CheckState.WARNING, text, advice)


def failure(text: str, advice: str) -> Finding:
    return Finding(CheckState.FAILURE, text, advice)


@dataclass(frozen=True)
class Check:
    name: str
    look: Callable[[], Finding]
    needs: tuple[str, ...] = ()  # names of checks before it


def examine(checks: Sequence[Check]) -> Iterator[tuple[str, Finding]]:
    """Yields each check's name and finding. A check is skipped when one that it needs failed."""
    failed: set[str] = set()
    for check in checks:
        if missing := [need for need in check.needs if need in failed]:
            finding = Finding(CheckState.UNKNOWN, f"skipped, because these failed: {missing[0]}")
        else:
            finding = _looked(check)
        if finding.state in (CheckState.FAILURE, CheckState.UNKNOWN):
            failed.add(check.name)
        yield check.name, finding


def _looked(check: Check) -> Finding:
    try:
        return check.look()
    except (OperationalError, DatabaseError) as error:
        text = f"it does not answer: {first_line(error)}"
        return failure(text, "Start the database, or see DATABASE_URL.")
    except (Error, PackError, ImproperlyConfigured, OSError) as error:
        return failure(first_line(error), "See the log of the service.")
