import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError
from tqdm import tqdm

from facesvc.management.service_command import CommandInOne
from management.graph import ndjson
from management.graph.loading import import_graph
from recognition.errors import ServiceError


class Command(CommandInOne):
    help = (
        "Load users, friendships, groups and memberships: JSON objects, one a line, as for "
        "POST /graph. All of them or none; a second import of the same file changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="the file, or - for the standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        with ExitStack() as stack:
            file, size = _open(options["file"], stack)
            reading = stack.enter_context(
                tqdm(total=size, unit="B", unit_scale=True, desc="Reading")
            )
            bars = _Bars(stack)
            try:
                counts = import_graph(
                    actor="command:import_graph",
                    lines=_counted(ndjson.read(file), reading),
                    watch=bars.show,
                )
            except ServiceError as error:
                lines = map(_line, error.details.get("errors", []))
                raise CommandError("\n".join(["Nothing is imported.", *lines])) from error
        kinds = ("users", "groups", "friendships", "memberships")
        parts = [f"{kind}: {_words(counts[kind])}" for kind in kinds]
        self.stdout.write(f"{counts['lines']} lines. {'; '.join(parts)}.")


class _Bars:
    """A progress bar for each kind of links."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._bars: dict[str, tqdm[Any]] = {}

    def show(self, what: str, done: int, total: int) -> None:
        if what not in self._bars:
            bar = tqdm(total=total, unit_scale=True, desc=f"Storing {what}")
            self._bars[what] = self._stack.enter_context(bar)
        self._bars[what].update(done - self._bars[what].n)


def _open(name: str, stack: ExitStack) -> tuple[BinaryIO, int | None]:
    """The file and how many bytes it has, if that is known."""
    if name == "-":
        return sys.stdin.buffer, None
    path = Path(name)
    return stack.enter_context(path.open("rb")), path.stat().st_size or None


def _counted(lines: Iterator[bytes], bar: "tqdm[Any]") -> Iterator[bytes]:
    for line in lines:
        bar.update(len(line))
        yield line
    bar.close()


def _line(error: dict[str, Any]) -> str:
    details = error.get("details")
    what = f"line {error['line']}: {error['code']}. {error['message']}"
    return f"{what} {json.dumps(details, ensure_ascii=False)}" if details else what


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {word}" for word, number in counts.items())
