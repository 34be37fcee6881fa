"""How an answer is declared: once, for its value and for the API description."""

from collections.abc import Callable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers as s

from recognition.models.user_ids import shown as shown_id

Schema = dict[str, Any]  # a part of the API description
Value = dict[str, Any]
Read = Callable[[Any, Any], Any]


class Serializer(s.Serializer[Any]):
    # An object in an answer. The value of a field is the attribute of its name, or of its `source`;
    # "*" is the whole row. This is a comment, since a docstring would stand in every description.

    @classmethod
    def of(cls, row: Any, shown: Any = None) -> Value:
        """The value for a row. Every field gets `shown`: ShownScores, or the names of landmarks.

        REST framework's own way, `data`, takes several times as long: see
        docs/decisions/0010-answers.md. What is stored as JSON stays as it is.
        """
        return row if isinstance(row, dict) else cls.filled(row, shown)

    @classmethod
    def filled(cls, row: Any, shown: Any = None, **known: Any) -> Value:
        """The fields of a row, but for those whose value is `known`."""
        fields = _readers(cls)
        return {name: known[name] if name in known else read(row, shown) for name, read in fields}

    @classmethod
    def each(cls, rows: Sequence[Any], shown: Any = None) -> list[Value]:
        return [cls.of(row, shown) for row in rows]


def page_of(name: str, /, **rows: s.BaseSerializer[Any]) -> s.Serializer[Any]:
    """A page of a list, for the API description: `ServiceViewSet.page` makes it."""
    return inline_serializer(name, {**rows, "next_cursor": s.CharField(allow_null=True)})


def object_of(**properties: Schema) -> Schema:
    """An object that has all these properties."""
    return {"type": "object", "properties": properties, "required": [*properties]}


class Converted:
    """A field that converts the value of its row."""

    def converted(self, value: Any) -> Any:
        raise NotImplementedError


class TextOrNull(Converted, s.CharField):
    """Null for the empty text of a column that has no NULL."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def converted(self, value: Any) -> Any:
        return value or None


class Always(Converted, s.ChoiceField):
    """The same in every answer."""

    def __init__(self, value: str) -> None:
        super().__init__([value], source="*")
        self.value = value

    def converted(self, value: Any) -> str:
        return self.value


class Milliseconds(Converted, s.IntegerField):
    """Seconds, shown as whole milliseconds."""

    def converted(self, value: Any) -> int:
        milliseconds: int = round(value * 1000)
        return milliseconds


class Rounded(Converted, s.FloatField):
    """A number that is rounded to some digits, and brought into its bounds."""

    def __init__(self, digits: int, **options: Any) -> None:
        super().__init__(**options)
        self.digits = digits

    def converted(self, value: Any) -> float | None:
        if value is not None and self.max_value is not None:
            value = min(self.max_value, max(self.min_value, value))
        return None if value is None else round(float(value), self.digits)


class UserIdText(Converted, s.CharField):
    """A user's id as the app writes it, of a key whose text is known."""

    def converted(self, value: Any) -> str | None:
        return None if value is None else shown_id(value)


class Sorted(Converted, s.ListField):
    """A set of texts, shown as a list."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=s.CharField(), **options)

    def converted(self, value: Any) -> list[str]:
        return sorted(value)


class Score(s.FloatField):
    def __init__(self) -> None:
        super().__init__(min_value=0, max_value=1)


class Scored(Serializer):
    # An object with both scores of its row's `cosine`; `shown` are ShownScores.

    @classmethod
    def of(cls, row: Any, shown: Any = None) -> Value:
        return cls.filled(row, shown, **shown.of(row.cosine))


@cache
def _readers(kind: type[Serializer]) -> list[tuple[str, Read]]:
    """The fields of a kind of answer with how each is read, in their order."""
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
            return lambda row, shown: converted(get(row))
        case s.UUIDField():
            return lambda row, shown: None if (v := get(row)) is None else str(v)
    return lambda row, shown: get(row)


def _getter(source: str) -> Callable[[Any], Any]:
    """The function that reads a source. An attribute of None is None."""
    if source == "*":
        return lambda row: row
    if "." not in source:
        return attrgetter(source)
    first, last = source.split(".")
    return lambda row: None if (v := getattr(row, first)) is None else getattr(v, last)
