"""What a check finds, and how checks are examined one after the other."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, OperationalError

from facesvc.postgres.cluster import DatabaseError
from recognition.collections.current import DEFAULT, CollectionGoneError, entered
from recognition.collections.visiting import all_collections
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


# From the best to the worst.
_STATES = (CheckState.OK, CheckState.WARNING, CheckState.FAILURE)
_NAMED = 5  # collections in one line


def in_each(look: Callable[[], Finding]) -> Callable[[], Finding]:
    """The check in every collection; what it finds outside of `default` names the collection."""

    def looked() -> Finding:
        with entered(DEFAULT):
            first = look()
        if first.state is CheckState.FAILURE:
            return first  # there may be no table that says which others there are
        found = {DEFAULT.name: first}
        for collection in all_collections()[1:]:
            with suppress(CollectionGoneError), entered(collection):
                found[collection.name] = _looked(Check(collection.name, look))
        return _summed_up(found)

    return looked


def _summed_up(found: dict[str, Finding]) -> Finding:
    """What is worst, with the names of the collections that have it."""
    worst = max((each.state for each in found.values()), key=_STATES.index)
    if worst is CheckState.OK:
        more = f"; {len(found) - 1} more collections are well" if len(found) > 1 else ""
        return replace(found[DEFAULT.name], text=f"{found[DEFAULT.name].text}{more}")
    bad = {name: each for name, each in found.items() if each.state is worst}
    texts = [
        each.text if name == DEFAULT.name else f"in {name}: {each.text}"
        for name, each in bad.items()
    ]
    more = f"; and in {len(bad) - _NAMED} more collections" if len(bad) > _NAMED else ""
    advice = next(each.advice for each in bad.values())
    return Finding(worst, "; ".join(texts[:_NAMED]) + more, advice)


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
