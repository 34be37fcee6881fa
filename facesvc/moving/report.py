"""What a move says: a bar, a line for each face that is refused, a summary, and a file."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tqdm import tqdm

from facesvc.moving.enrolling import MoveOutcome
from facesvc.moving.source import SourceFace, StopError

_STATES = {
    "enrolled": "enrolled",
    "would_enrol": "would be enrolled",
    "already": "enrolled before",
    "refused": "refused",
}


class Report:
    """Counts the outcomes, and writes each into a file of JSON lines as soon as it is known."""

    def __init__(self, file: IO[str] | None) -> None:
        self._file = file
        self._states: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._users: set[str] = set()

    @property
    def is_complete(self) -> bool:
        return not self._states["refused"]

    def follow(self, outcomes: Iterable[MoveOutcome], faces: Sequence[SourceFace]) -> None:
        # Without a terminal there is no bar, which would stand between the lines.
        for outcome in tqdm(outcomes, total=len(faces), unit="face", desc="Moving", disable=None):
            self._add(outcome)

    def _add(self, outcome: MoveOutcome) -> None:
        self._states[outcome.state] += 1
        if outcome.state == "refused":
            self._reasons[outcome.reason] += 1
            with tqdm.external_write_mode():
                print(printable(_line(outcome)))
        else:
            self._users.add(outcome.user_id)
        if self._file:
            print(json.dumps(_row(outcome), ensure_ascii=False), file=self._file, flush=True)

    def summary(self) -> list[str]:
        states = [f"{n} {_STATES[state]}" for state, n in self._states.most_common()]
        done = f"{self._states.total()} faces: {', '.join(states) or 'nothing to do'}."
        reasons = [f"{reason} {n}" for reason, n in self._reasons.most_common()]
        refused = [f"Refused: {', '.join(reasons)}."] if reasons else []
        return [f"{done} They are of {len(self._users)} users.", *refused]


@contextmanager
def opened(path: Path | None) -> Iterator[Report]:
    """A report that goes into a file as well, which only its owner may read: it names people.

    Raises StopError.
    """
    if path is None:
        yield Report(None)
        return
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        if path.is_file():  # that of an earlier run may be open to others
            path.chmod(0o600)
    except OSError as error:
        raise StopError(f"{path}: {error.strerror}") from error
    # A half of a surrogate pair becomes its escape, which JSON has as well.
    with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123
        yield Report(file)


def printable(text: str) -> str:
    """Names of another service may hold what commands a terminal."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def _line(outcome: MoveOutcome) -> str:
    user = f" ({outcome.user_id})" if outcome.user_id else ""
    return f"{outcome.face.source_id}{user}: refused: {outcome.reason}. {outcome.message}"


def _row(outcome: MoveOutcome) -> dict[str, str]:
    return {
        "source_id": outcome.face.source_id,
        "user_id": outcome.user_id,
        "state": outcome.state,
        "face_id": outcome.face_id,
        "reason": outcome.reason,
        "message": outcome.message,
    }
