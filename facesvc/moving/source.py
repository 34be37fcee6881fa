"""What a source gives: faces with their users and pictures, and why something cannot be moved."""

from collections.abc import Callable
from dataclasses import dataclass

from facesvc.moving.boxes import Place

MOST_BYTES = 20_000_000  # of a picture; the service's own limit may be lower


class StopError(Exception):
    """The move cannot begin, or cannot go on. The message says what to do."""


class NotMovedError(Exception):
    """This one face cannot be moved; the others can."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class SourceFace:
    """A face as the other service knows it."""

    source_id: str  # stays with the face in metadata.source_id, so that it is never moved twice
    name: str  # what the other service calls the person
    user: Callable[[], str]  # the user id; raises NotMovedError
    picture: Callable[[], bytes]  # raises NotMovedError and StopError
    place: Place | None = None  # of the face in its picture, if that is known
    is_of_group: bool = False  # other faces were taken from the same picture
