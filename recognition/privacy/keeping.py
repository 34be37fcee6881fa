"""What is kept of people, and how it goes: one list, to which each app adds one entry.

Erasing, exporting, merging, purging and the rotation of keys go through the list. The `keeps.py` of
an app adds its entry, and is imported when the service starts. What an app has to say about a
person is one of the fields of `Keeps`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Model, Q, QuerySet

from recognition import people
from recognition.models import Face, MergedUser
from recognition.models.user_ids import named_in

Row = dict[str, Any]
NOT_SHOWN = "(not shown)"


@dataclass(frozen=True)
class Person:
    """A person to look for. `ids` are the user's key, and then those that were merged into it.

    Several people who are erased together are looked for as one, who has the ids of all of them.

    A text that is about the person has one of `traces` in it: a key in both spellings, or the id of
    a face; or it has one of `app_ids` in it as a whole word: they may be as short as `7`.
    """

    id: UUID
    ids: list[UUID]
    traces: list[str]
    app_ids: list[str]

    @classmethod
    def of(cls, user_id: UUID, *others: UUID) -> "Person":
        """As the database knows the person now."""
        ids = ids_of(user_id, *others)
        faces = Face.objects.filter(user__in=[user_id, *others])
        spelled = [text for each in ids for text in (str(each), each.hex)]
        traces = [*spelled, *faces.values_list("face_id", flat=True)]
        return cls(user_id, ids, traces, [*people.texts_of(ids).values()])

    def is_in(self, text: str) -> bool:
        return any(trace in text for trace in self.traces) or named_in(text, self.app_ids)

    def in_column(self, name: str) -> Q:
        """The rows with such a text in this column."""
        found = Q(*(Q((f"{name}__icontains", trace)) for trace in self.traces), _connector=Q.OR)
        if self.app_ids:
            # In one, since PostgreSQL keeps 32 of them, and would make more again for each row.
            words = "|".join(map(re.escape, self.app_ids))
            found |= Q((f"{name}__regex", rf"(^|[^[:alnum:]_])({words})($|[^[:alnum:]_])"))
        return found


def ids_of(*user_ids: UUID) -> list[UUID]:
    """The ids of users, and then the ids of those who were merged into them."""
    former = MergedUser.objects.filter(into__in=user_ids).order_by("pk")
    return [*user_ids, *former.values_list("pk", flat=True)]


@dataclass
class Erasure:
    """The erasure of a person, or of several, while it runs.

    `removed` counts rows by the label of their model.
    """

    person: Person
    removed: Counter[str] = field(default_factory=Counter)

    def delete(self, rows: "QuerySet[Any]") -> None:
        self.removed.update(rows.delete()[1])


@dataclass(frozen=True)
class Section:
    """Rows of one model about a person. `hidden` columns are only mentioned in an export."""

    name: str
    model: type[Model]
    about: Callable[[Person], Q]
    hidden: frozenset[str] = frozenset()
    # What another person's row says about this one, where it speaks of others as well.
    part: Callable[[Row, Person], Row] = lambda row, person: row
    more: tuple[str, ...] = ()  # columns of related rows

    def rows(self, person: Person) -> Iterator[Row]:
        found = self.model._default_manager.filter(self.about(person)).order_by("pk")
        columns = [column.attname for column in self.model._meta.concrete_fields]
        shown = [name for name in columns if name not in self.hidden]
        for row in found.values(*shown, *self.more):
            yield self.part(row, person) | dict.fromkeys(sorted(self.hidden), NOT_SHOWN)


def by(name: str) -> Callable[[Person], Q]:
    return lambda person: Q(**{name: person.id})


def _nothing(*args: Any) -> None:
    """The step of an app that keeps nothing of the kind."""


@dataclass(frozen=True)
class Keeps:
    """What one app keeps of people. Each step runs in the transaction of what it belongs to.

    `lock` takes the locks that come before the user's. What is done under them alone is done here.
    `forget` removes what no foreign key reaches. The user is locked, so nothing is added any more.
    `forget_face(face)`: a face is about to be deleted, and its user stays.
    `move_face(face, was)`: a face has another user. Both users and the face are locked.
    `hand_over(user_id, into)`: `user_id` is merged into `into`. No lock is taken yet.
    """

    lock: Callable[[Erasure], None] = _nothing
    forget: Callable[[Erasure], None] = _nothing
    forget_face: Callable[[Face], None] = _nothing
    move_face: Callable[[Face, UUID], None] = _nothing
    hand_over: Callable[[UUID, UUID], None] = _nothing
    sections: Sequence[Section] = ()
    # Each rule drops rows that are old, and says how many.
    retain: Sequence[Callable[[], str]] = ()
    # Models with an encrypted column `sealed`.
    sealed: Sequence[type[Model]] = ()


# The order matters to no lock: `lock` runs for all entries before `forget` runs for any.
KEEPS: list[Keeps] = []


def sections() -> list[Section]:
    return [section for keeps in KEEPS for section in keeps.sections]


def retention_rules() -> list[Callable[[], str]]:
    return [rule for keeps in KEEPS for rule in keeps.retain]


def sealed_models() -> list[type[Model]]:
    return [model for keeps in KEEPS for model in keeps.sealed]


# Neither a template nor its listing ever changes its user. Both are made again: the triggers of
# recognition.migrations make the listings, the sketches and the counts.
_TEMPLATES = """
WITH gone AS (
    DELETE FROM recognition_template WHERE face_id = ANY(%(faces)s)
    RETURNING face_id, embedding_version, model_version, embedding, created_at
)
INSERT INTO recognition_template
    (face_id, user_id, embedding_version, model_version, embedding, created_at)
SELECT face_id, %(user)s, embedding_version, model_version, embedding, created_at FROM gone
"""


def move_faces(faces: Iterable[int], to: UUID) -> int:
    """Give faces, by their primary keys, to a user. Returns how many. All users are locked."""
    keys = sorted(faces)
    moved = Face.objects.filter(pk__in=keys).update(user=to)
    with connection.cursor() as cursor:
        cursor.execute(_TEMPLATES, {"faces": keys, "user": to})
    return moved
