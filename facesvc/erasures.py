"""Who was erased, and which collections: so that a restored backup brings nobody back.

`manage.py erasures` prints them, a line each:

    3a3a5e5a-0000-4000-8000-000000000002 2024-01-20T10:30:00+00:00
    3a3a5e5a-0000-4000-8000-000000000002 2024-01-20T10:30:00+00:00 collection_5
    collection_4

The first is a person of `default`, the second one of another collection, and the last line says
that a collection is gone. Names can be given again, so collections have their numbers here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from django.core.management import CommandError
from django.db import connection

from management import collections, erasure
from recognition.collections import erasing
from recognition.collections.current import DEFAULT, Entered, entered, here, schema_of
from recognition.collections.models import Collection
from recognition.collections.visiting import all_collections
from recognition.errors import ServiceError
from recognition.models import User

_PLACE = re.compile(r"collection_([1-9][0-9]*)")
_SEQUENCE = "collections_collection_id_seq"
_ACTOR = "command:restore"

Person = tuple[int, UUID]  # the number of the collection, and the person's key


@dataclass
class Erasures:
    """When each person was last erased, and the numbers of collections that are gone."""

    people: dict[Person, datetime] = field(default_factory=dict)
    collections: set[int] = field(default_factory=set)

    def and_those(self, other: "Erasures") -> "Erasures":
        later = {key: max(at, self.people.get(key, at)) for key, at in other.people.items()}
        return Erasures(self.people | later, self.collections | other.collections)

    def lines(self) -> Iterator[str]:
        for (number, user_id), at in self.people.items():
            place = "" if number == DEFAULT.number else f" {schema_of(number)}"
            yield f"{user_id} {at.isoformat()}{place}"
        for number in sorted(self.collections):
            yield schema_of(number)


def noted() -> Erasures:
    """What this database knows of. One from before there were collections has `default` alone."""
    there = _collections()
    found = Erasures(collections=_gone(there))
    for collection in there:
        with entered(collection):
            found.people |= {(collection.number, key): at for key, at in _people().items()}
    return found


def _collections() -> list[Entered]:
    table = Collection._meta.db_table
    return all_collections() if _is_there(table) else [DEFAULT]


def _is_there(name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
        return bool(cursor.fetchone()[0])


def _gone(there: list[Entered]) -> set[int]:
    """The numbers that were given and are not there: no number is given twice."""
    if not _is_there(_SEQUENCE):
        return set()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT last_value, is_called FROM {_SEQUENCE}")
        last, is_given = cursor.fetchone()
    return set(range(2, last + is_given)) - {each.number for each in there}


def _people() -> dict[UUID, datetime]:
    """The people who the audit log of this collection says were erased."""
    if not _is_there("recognition_auditevent"):
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT user_id, max(at) FROM recognition_auditevent WHERE action = 'user.erase'"
            " GROUP BY user_id ORDER BY user_id"
        )
        return dict(cursor.fetchall())


def read(file: Path | None) -> Erasures:
    """Reads what `manage.py erasures` printed once or several times; empty without a file."""
    erased = Erasures()
    try:
        for line in file.read_text().splitlines() if file else ():
            erased = erased.and_those(_read(line.split()))
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} is no list of erasures: {error}. Nothing is done.") from error
    return erased


def _read(words: list[str]) -> Erasures:
    """What a line says. Raises ValueError."""
    if len(words) == 1:
        return Erasures(collections={_number(words[0])})
    user_id, at, *place = words
    if len(place) > 1:
        raise ValueError(f"too many words: {' '.join(words)}")
    number = _number(place[0]) if place else DEFAULT.number
    return Erasures({(number, UUID(user_id)): datetime.fromisoformat(at)})


def _number(place: str) -> int:
    if not (found := _PLACE.fullmatch(place)):
        raise ValueError(f"{place!r} names no collection")
    return int(found[1])


# --- again ----------------------------------------------------------------------------------------


def erase_collections(erased: Erasures) -> None:
    """Erases the collections that were restored from before their erasure."""
    for row in Collection.objects.filter(pk__in=erased.collections - {DEFAULT.number}):
        if row.erasing_at:  # since before the backup, whose audit log says so
            erasing.finish(row)
        else:
            collections.erase(row.name, actor=_ACTOR)
        print(f"The collection {row.name} is erased.")
    # No number is given again that a list says something of.
    most = max(erased.collections | {place for place, __ in erased.people}, default=0)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT setval('{_SEQUENCE}', %s) FROM {_SEQUENCE} WHERE last_value <= %s",
            [most, most],
        )


def erase_people(of: Erasures) -> None:
    """Erases those of the current collection again; users who were created since are kept.

    It includes people without a user row who have jobs.
    """
    erased = {key: at for (place, key), at in of.people.items() if place == here().number}
    known = _people()
    missing = {pk: at for pk, at in erased.items() if pk not in known or known[pk] < at}
    found = User.objects.filter(pk__in=missing).values_list("pk", "created_at")
    anew = {pk for pk, created_at in found if created_at >= missing[pk]}
    for user_id in sorted(missing.keys() - anew):
        print(f"{user_id}: {_erased(user_id)}.")
    # Includes users without data here: a newer backup, restored next, would bring them back.
    for user_id in missing.keys() - _people().keys():
        erasure.note_former(user_id, missing[user_id])


def _erased(user_id: UUID) -> str:
    """Erases a person of the current collection, and says what was there."""
    try:
        receipt = erasure.erase(actor=_ACTOR, user_id=user_id)
    except ServiceError as error:
        if error.code not in ("user_not_found", "user_merged"):
            raise
        return "nothing is held"
    counts = ", ".join(f"{count} {name}" for name, count in receipt.removed.items())
    return f"erased on {receipt.erased_at:%Y-%m-%d %H:%M:%S} UTC, with {counts}"
