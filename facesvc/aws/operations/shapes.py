"""What the fields of requests may be: the shapes that AWS documents, and their refusals."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from facesvc.aws.errors import AwsError, invalid
from recognition.api import base64_text
from recognition.api.base64_text import DecodedPicture


class Shape(Protocol):
    def read(self, value: Any, at: str) -> Any:
        """The value, checked; `at` is the name of its field. Raises AwsError."""


@dataclass(frozen=True)
class Text:
    pattern: str
    longest: int

    def read(self, value: Any, at: str) -> str:
        text = _of_type(value, str, at)
        if not text:
            raise _violation(text, at, "have length greater than or equal to 1")
        if len(text) > self.longest:
            raise _violation(text, at, f"have length less than or equal to {self.longest}")
        if not re.fullmatch(self.pattern, text):
            raise _violation(text, at, f"satisfy regular expression pattern: {self.pattern}")
        return str(text)


@dataclass(frozen=True)
class Whole:
    least: int
    most: int

    def read(self, value: Any, at: str) -> int:
        return int(_in_range(_of_type(value, int, at), self, at))


@dataclass(frozen=True)
class Number:
    least: float = 0
    most: float = 100

    def read(self, value: Any, at: str) -> float:
        return float(_in_range(_of_type(value, (int, float), at), self, at))


@dataclass(frozen=True)
class OneOf:
    values: tuple[str, ...]

    def read(self, value: Any, at: str) -> str:
        if (text := _of_type(value, str, at)) not in self.values:
            raise _violation(text, at, f"satisfy enum value set: [{', '.join(self.values)}]")
        return str(text)


@dataclass(frozen=True)
class Several:
    of: Shape
    most: int

    def read(self, value: Any, at: str) -> list[Any]:
        values = _of_type(value, list, at)
        if not 1 <= len(values) <= self.most:
            raise _violation(f"{len(values)} values", at, f"have length from 1 to {self.most}")
        return [
            self.of.read(each, f"{at}.{place}.member") for place, each in enumerate(values, start=1)
        ]


class PictureShape:
    """The bytes of a picture. One that lies in S3 cannot be read from here."""

    def read(self, value: Any, at: str) -> bytes:
        given = _of_type(value, dict, at)
        if "S3Object" in given:
            raise AwsError(
                "InvalidS3ObjectException",
                "Unable to get object metadata from S3: this service has no access to it. Send the "
                "picture itself as Bytes.",
            )
        if "Bytes" not in given:
            raise invalid(f"{at} needs Bytes.")
        data = given["Bytes"]
        if isinstance(data, DecodedPicture):
            return data.read()
        return base64_text.decoded(_of_type(data, str, f"{at}.bytes"))


COLLECTION_ID = Text(r"[a-zA-Z0-9_.\-]+", 255)
USER_ID = Text(r"[a-zA-Z0-9_.\-:]+", 128)
FACE_ID = Text(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", 36)
TOKEN = Text(r"[a-zA-Z0-9\-_]+", 64)
NEXT_TOKEN = Text(r"[!-~]+", 255)
PERCENT = Number()
QUALITY_FILTER = OneOf(("NONE", "AUTO", "LOW", "MEDIUM", "HIGH"))
_ATTRIBUTES = """
DEFAULT ALL AGE_RANGE BEARD EMOTIONS EYE_DIRECTION EYEGLASSES EYES_OPEN GENDER MOUTH_OPEN MUSTACHE
FACE_OCCLUDED SMILE SUNGLASSES
"""
ATTRIBUTES = Several(OneOf(tuple(_ATTRIBUTES.split())), 14)


def read(
    given: Mapping[str, Any], needed: Mapping[str, Shape], taken: Mapping[str, Shape]
) -> dict[str, Any]:
    """The fields of a request. One that is null is missing, as AWS has it. Raises AwsError."""
    present = {name: value for name, value in given.items() if value is not None}
    for name in needed:
        if name not in present:
            raise _violation("null", _shown(name), "not be null")
    shapes = {**needed, **taken}
    if unknown := sorted(present.keys() - shapes.keys()):
        raise invalid(f"The field {unknown[0][:100]} is not known here.")
    return {name: shapes[name].read(value, _shown(name)) for name, value in present.items()}


def _of_type(value: Any, kind: type | Sequence[type], at: str) -> Any:
    kinds = (kind,) if isinstance(kind, type) else tuple(kind)
    if isinstance(value, bool) or not isinstance(value, kinds):
        names = " or ".join(each.__name__ for each in kinds)
        raise AwsError("SerializationException", f"The value at '{at}' is not of the type {names}.")
    return value


def _in_range(value: Any, limits: Whole | Number, at: str) -> Any:
    if value < limits.least:
        raise _violation(value, at, f"have value greater than or equal to {limits.least}")
    if value > limits.most:
        raise _violation(value, at, f"have value less than or equal to {limits.most}")
    return value


def _violation(value: Any, at: str, constraint: str) -> AwsError:
    return invalid(
        f"1 validation error detected: Value '{str(value)[:200]}' at '{at}' failed to satisfy "
        f"constraint: Member must {constraint}"
    )


def _shown(name: str) -> str:
    return name[0].lower() + name[1:]
