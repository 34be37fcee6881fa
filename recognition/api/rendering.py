"""How an answer is declared: once, for its value and for the API description."""

import math
from collections.abc import Callable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers as s

from recognition.packs.scores import ScoreScale

Value = dict[str, Any]
Read = Callable[[Any, Any], Any]
# Steps from 0 to 1 that scores are shown in, to end users and to services.
COARSE, FINE = 100, 10_000


class Serializer(s.Serializer[Any]):
    # An object in an answer. The value of a field is the attribute of its name, or of its `source`;
    # "*" is the whole row. This is a comment, since a docstring would stand in every description.

    @classmethod
    def of(cls, row: Any, shown: Any = None) -> Value:
        """The value for a row. Every field gets `shown`: the scale of scores, or landmark names.

        REST framework's own way, `data`, takes several times as long: see
        docs/decisions/0010-answers.md. What is stored as JSON stays as it is.
        """
        if isinstance(row, dict):
            return row
        return {name: read(row, shown) for name, read in _readers(cls)}

    @classmethod
    def each(cls, rows: Sequence[Any], shown: Any = None) -> list[Value]:
        return [cls.of(row, shown) for row in rows]


def page_of(name: str, /, **rows: s.BaseSerializer[Any]) -> s.Serializer[Any]:
    """A page of a list, for the API description: `ServiceViewSet.page` makes it."""
    return inline_serializer(name, {**rows, "next_cursor": s.CharField(allow_null=True)})


class Converted:
    """A field whose value is another one than that of its row."""

    def converted(self, value: Any, shown: Any) -> Any:
        raise NotImplementedError


class TextOrNull(Converted, s.CharField):
    """Null for the empty text of a column that has no NULL."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def converted(self, value: Any, shown: Any) -> Any:
        return value or None


class Always(Converted, s.ChoiceField):
    """The same in every answer."""

    def __init__(self, value: str) -> None:
        super().__init__([value], source="*")
        self.value = value

    def converted(self, value: Any, shown: Any) -> str:
        return self.value


class Milliseconds(Converted, s.IntegerField):
    """Seconds, shown as whole milliseconds."""

    def converted(self, value: Any, shown: Any) -> int:
        milliseconds: int = round(value * 1000)
        return milliseconds


class Rounded(Converted, s.FloatField):
    """A number that is rounded to some digits, and brought into its bounds."""

    def __init__(self, digits: int, **options: Any) -> None:
        super().__init__(**options)
        self.digits = digits

    def converted(self, value: Any, shown: Any) -> float | None:
        if value is not None and self.max_value is not None:
            value = min(self.max_value, max(self.min_value, value))
        return None if value is None else round(float(value), self.digits)


class ShownScores(NamedTuple):
    """What scores are shown with. `steps`: COARSE for end users, whose tokens may be in other
    hands."""

    scale: ScoreScale
    steps: int = FINE

    def rounded(self, score: float) -> float:
        """Rounded down: what is below a threshold must not be shown as if it met it."""
        # The addition keeps what is a round number but for the last bit.
        return math.floor(score * self.steps + 1e-6) / self.steps


class Similarity(Converted, s.FloatField):
    """The similarity of a cosine; 0 if there was nothing to compare."""

    def __init__(self, *, source: str = "cosine") -> None:
        super().__init__(source=source, min_value=0, max_value=1)

    def converted(self, value: Any, shown: ShownScores) -> float:
        return 0.0 if value is None else shown.rounded(shown.scale.similarity(value))


class Confidence(Similarity):
    """The confidence of a cosine; 0 if there was nothing to compare."""

    def converted(self, value: Any, shown: ShownScores) -> float:
        return 0.0 if value is None else shown.rounded(shown.scale.confidence(value))


class Extrapolated(Converted, s.BooleanField):
    """Whether so low a false match rate is beyond what the calibration could measure."""

    def converted(self, value: Any, shown: ShownScores) -> bool:
        return shown.scale.is_extrapolated(value)


@cache
def _readers(kind: type[Serializer]) -> list[tuple[str, Read]]:
    """How the fields of a kind of answer are read, in their order."""
    fields = kind._declared_fields.items()
    return [(name, _reader(field, field.source or name)) for name, field in fields]


def _reader(field: Any, source: str) -> Read:
    get = _getter(source)
    match field:
        case s.ListSerializer():
            child: Any = field.child
            each = type(child).each
            return lambda row, shown: each(get(row), shown)
        case Serializer(allow_null=True):
            of = type(field).of
            return lambda row, shown: None if (v := get(row)) is None else of(v, shown)
        case Serializer():
            of = type(field).of
            return lambda row, shown: of(get(row), shown)
        case Converted():
            converted = field.converted
            return lambda row, shown: converted(get(row), shown)
        case s.UUIDField():
            return lambda row, shown: None if (v := get(row)) is None else str(v)
    return lambda row, shown: get(row)


def _getter(source: str) -> Callable[[Any], Any]:
    """How a source is read. An attribute of None is None."""
    if source == "*":
        return lambda row: row
    if "." not in source:
        return attrgetter(source)
    first, last = source.split(".")
    return lambda row: None if (v := getattr(row, first)) is None else getattr(v, last)
