"""What is asked of both sides, and whether both answer the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

from benchmarks.beside import pictures
from benchmarks.beside.sides import Message, Side, form

_sequence = count(1)
OF_A_BATCH = 8


@dataclass(frozen=True)
class Case:
    """One kind of request. `expected`: whether it matches (verify), or how many faces it has."""

    name: str
    verb: str
    images: Sequence[bytes]
    expected: int
    most: int = 100  # requests of a block

    def message(self, side: Side, number: int, client: int = 0) -> Message:
        """The request with this number of a client."""
        image = self.images[number % len(self.images)]
        if self.verb == "frame":
            return side.frame(client, next(_sequence), image)
        if self.verb == "batch-identify":
            return form(self.verb, [image] * OF_A_BATCH)
        if self.verb == "identify":
            return form(self.verb, [image])
        user_id = pictures.PORTRAYED
        if self.verb == "register":
            user_id = str(uuid4())
            side.newcomers.append(user_id)
        return form(self.verb, [image], user_id=user_id)

    def found(self, side: Side) -> int:
        """What a side finds in the first picture, to be compared with `expected`."""
        answer = side.send(self.message(side, 0))
        answer = answer.get("data", answer)  # the FastAPI server answers without an envelope
        if self.verb == "verify":
            return int(answer["is_match"])
        if self.verb == "identify":
            return len(answer["faces"])
        if self.verb == "batch-identify":
            return len(answer["results"])
        return self.expected  # a good status is all that these two say


def all_cases() -> dict[str, Case]:
    vga = pictures.portraits(640, 480)
    others = [pictures.single(number) for number in pictures.NEWCOMERS]
    cases = [
        Case("verify, 640 x 480", "verify", vga, 1),
        Case("verify, 2 megapixels", "verify", pictures.portraits(1600, 1200), 1),
        Case("verify, 12 megapixels", "verify", pictures.portraits(4000, 3000), 1),
        Case("identify, one face", "identify", vga, 1),
        Case("identify, six faces", "identify", [pictures.group()], 6),
        Case("identify, no face", "identify", [pictures.nobody()], 0),
        Case("register", "register", others, 1, len(others)),
        Case("frame of a call", "frame", vga, 1),
        Case("batch of eight pictures", "batch-identify", vga, OF_A_BATCH, 2),
    ]
    return {case.name: case for case in cases}


def forget(side: Side) -> None:
    """Erases all newcomers that this side has: those who come next find no lookalikes there."""
    while side.newcomers:
        user_id = side.newcomers.pop()
        if side.prefix:  # the FastAPI server cannot erase anybody, and looks for no lookalikes
            # A registration that was refused has enrolled nobody.
            erase = Message(f"users/{user_id}", "application/json", b"", "DELETE")
            side.send(erase, or_absent=True)


def require_same(case: Case, sides: Sequence[Side]) -> None:
    """Raises RuntimeError unless each side finds what there is."""
    found: dict[str, Any] = {side.name: case.found(side) for side in sides}
    for side in sides:
        forget(side)
    if set(found.values()) != {case.expected}:
        raise RuntimeError(f"{case.name}: {case.expected} expected, found {found}")
