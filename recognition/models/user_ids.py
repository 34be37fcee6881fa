"""The ids of users: texts of the app, and the UUIDs that stand for them in the database.

An id that is a UUID is its own key. The key of any other text is made of it (UUID version 8, as RFC
9562 makes one of a name with SHA-256). A UUID that looks like such a key is a text like any other,
and gets another key: so two ids never share a key, and a key that somebody reads is nobody's id.
docs/decisions/0019-ids-of-the-app.md says why.
"""

import re
import unicodedata
from collections.abc import Collection
from hashlib import sha256
from typing import Any, Self
from uuid import UUID, uuid4

MAX_LENGTH = 128
# Never changes: it is part of every key.
_NAMESPACE = UUID("0f4d58c0-6b0b-4c6e-9d0a-3f8e1a7c5b21").bytes
_UUID = re.compile("[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
# One that is its own key.
_X = "[0-9a-fA-F]"
_PLAIN = re.compile(rf"{_X}{{8}}-{_X}{{4}}-(?!8{_X}{{3}}-[89abAB])(?:{_X}{{4}}-){{2}}{_X}{{12}}")
_OTHER_UUID = re.compile(rf"(?:urn:uuid:{_UUID.pattern}|\{{{_UUID.pattern}\}})", re.IGNORECASE)
# What `isprintable` takes although nobody sees it (Default_Ignorable_Code_Point, and the empty
# Braille cell), and the character that stands for bytes that could not be decoded.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffd"
    "\U000e0100-\U000e01ef]"
)
# How the ids begin of users who stand for one face that nobody has given to a person. The interface
# of Rekognition, which stores such faces, knows no id with this character.
NAMELESS = "face|"
_VERSION, _VARIANT = 0x8 << 76, 0x2 << 62
_MARKS = 0xF << 76 | 0x3 << 62


class InvalidUserIdError(ValueError):
    """The text is no user id; the message says why, for people."""


class UserId(UUID):
    """A user id that somebody wrote: `text` is shown, and the UUID itself is the key."""

    __slots__ = ("text",)
    text: str

    def __init__(self, text: str) -> None:
        """Raises InvalidUserIdError."""
        if is_uuid(text):
            text = text.lower()
        elif problem := _problem_with(text):
            raise InvalidUserIdError(problem)
        super().__init__(int=_key(text))
        object.__setattr__(self, "text", text)

    @classmethod
    def of_row(cls, key: UUID, given: str | None) -> Self:
        """The id of a stored user."""
        return cls(given or str(key))

    @property
    def given(self) -> str | None:
        """The text that is stored with the key; None if the key says it."""
        return self.text if is_made(self) else None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.text,)


def nameless() -> UserId:
    """A new id for the user of a face that nobody has given to a person yet."""
    return UserId(f"{NAMELESS}{uuid4()}")


def is_uuid(text: str) -> bool:
    return bool(_UUID.fullmatch(text))


def is_made(key: UUID) -> bool:
    """Whether the key was made of a text, so that it does not say which."""
    return key.int & _MARKS == _VERSION | _VARIANT


def stored(text: str) -> tuple[str, str | None]:
    """The key of an id and, where the key does not say it, the text; five times as fast as UserId
    for a UUID. Raises InvalidUserIdError."""
    if _PLAIN.fullmatch(text):
        return text.lower(), None
    user_id = UserId(text)
    return str(user_id), user_id.given


def parsed(text: str) -> UserId | None:
    """The id that a text is, if it is one."""
    try:
        return UserId(text)
    except InvalidUserIdError:
        return None


def shown(key: UUID) -> str:
    """The text of an id. A key that was made of a text needs it: it came from a UserId."""
    if isinstance(key, UserId):
        return key.text
    if is_made(key):
        raise ValueError("the text of this user's id was not read")
    return str(key)


def in_texts(value: Any, texts: dict[str, str]) -> Any:
    """A JSON value with texts in place of keys, which also stand behind `user:`."""
    match value:
        case dict():
            return {name: in_texts(each, texts) for name, each in value.items()}
        case list():
            return [in_texts(each, texts) for each in value]
        case UUID():
            return texts.get(str(value), str(value))
        case str():
            kind, colon, key = value.rpartition(":")
            is_named = key in texts and kind in ("", "user")
            return kind + colon + texts[key] if is_named else value
    return value


def named_in(text: str, ids: Collection[str]) -> bool:
    """Whether one of the ids is in the text as a whole word: the id `7` is not in `17`."""
    return any(re.search(rf"(?<!\w){re.escape(each)}(?!\w)", text) for each in ids)


def _key(text: str) -> int:
    if is_uuid(text) and not is_made(key := UUID(text)):
        return key.int
    digest = int.from_bytes(sha256(_NAMESPACE + text.encode()).digest()[:16])
    return digest & ~_MARKS | _VERSION | _VARIANT


def _problem_with(text: str) -> str:
    if not 0 < len(text) <= MAX_LENGTH:
        return f"A user id has 1 to {MAX_LENGTH} characters."
    if not text.isprintable() or _UNSEEN.search(text):
        return "A user id has printable characters only, and no spaces but the plain one."
    if text != text.strip():
        return "A user id has no spaces at its ends."
    if not unicodedata.is_normalized("NFC", text):
        return "A user id is in the Unicode normal form NFC: normalise it first."
    if {".", ".."}.intersection(text.split("/")):
        return "A user id is not `.` or `..`, and has no such part between slashes."
    if _OTHER_UUID.fullmatch(text):
        return "A UUID is written with its hyphens, and with nothing around it."
    return ""
