"""The log for people in a terminal: short lines, in colours, and the steps of a start.

It has the content of the log in JSON, less what only programs read; facesvc.monitoring.logs says
what no log holds.
"""

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from logging.handlers import BufferingHandler
from typing import TextIO

# Read at import: Django switches the process to UTC later.
_ZONE = datetime.now().astimezone().tzinfo
_API = "/api/v1/face-recognition"
# Paths that browsers and probes ask for by themselves, again and again.
_UNSEEN = {
    *("/health", "/health/live", "/health/ready", "/metrics", "static", "none"),
    *("/admin/jsi18n/", "/admin/recognition/face/picture/<str:signed>/"),
}
_WORDS = {"none": "an unknown path", "static": "a static file"}
_PARAMETER = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")

RED, GREEN, YELLOW, CYAN, DIM, BOLD = "31", "32", "33", "36", "2", "1"
# By the first digit of the status.
_COLOURS = {1: CYAN, 2: GREEN, 3: CYAN, 4: YELLOW, 5: RED}


def in_colour(stream: TextIO) -> bool:
    """Whether to use colours: on a terminal, unless NO_COLOR is set (https://no-color.org).

    FORCE_COLOR is set where a parent passes the lines on to a terminal.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def painted(text: str, colour: str, *, really: bool = True) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if really else text


class LineFilter(logging.Filter):
    """Leaves out the requests of browsers and probes, unless they fail."""

    def filter(self, record: logging.LogRecord) -> bool:
        fields = record.__dict__
        return fields.get("route") not in _UNSEEN or int(fields.get("status", 500)) >= 400


class Formatter(logging.Formatter):
    """Formats an aligned line: the time; a request's status, milliseconds, caller and route."""

    def __init__(self, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def formatMessage(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, _ZONE)
        return f"{self._paint(f'{at:%H:%M:%S}', DIM)}  {self._content(record)}"

    def _content(self, record: logging.LogRecord) -> str:
        fields = record.__dict__
        if "route" in fields:
            return self._request(fields)
        if "item" in fields and "job" in fields:
            again = f", attempt {fields['attempt']}" if fields["attempt"] > 1 else ""
            return f"a picture of {fields['job']} is done{again}{_place(fields)}"
        if record.levelno < logging.WARNING:
            return record.message
        colour = YELLOW if record.levelno == logging.WARNING else RED
        return f"{self._paint(record.levelname, colour)}  {record.message}"

    def _request(self, fields: dict[str, object]) -> str:
        status = int(str(fields["status"]))
        shown = self._paint(f"{status}", _COLOURS.get(status // 100, RED))
        who = self._paint(f"{fields['caller']:<8}", DIM)
        error = self._paint(f"  {fields['error']}", YELLOW) if fields.get("error") else ""
        route = route_for_people(str(fields["route"])) + _place(fields)
        return f"{shown} {fields['total_ms']:>7.0f} ms  {who}  {fields['method']} {route}{error}"

    def _paint(self, text: str, colour: str) -> str:
        return painted(text, colour, really=self._colour)


def _place(fields: dict[str, object]) -> str:
    """The collection of a line, where it is not `default`."""
    return f" in {fields['collection']}" if fields.get("collection") else ""


def route_for_people(route: str) -> str:
    """`/users/{user_id}` for `/api/v1/face-recognition/users/<user_id:user_id>`."""
    if route in _WORDS:
        return _WORDS[route]
    return _PARAMETER.sub(r"{\1}", route.removeprefix(_API))


@contextmanager
def step(text: str) -> Iterator[None]:
    """Prints what begins and, if it took more than a second, how long it took.

    Lines that this process logs until then come after that line, and not in its middle.
    """
    print(text, end="", flush=True)
    began, heard = time.monotonic(), BufferingHandler(capacity=10**6)
    heard.setLevel(logging.WARNING)
    logging.getLogger().addHandler(heard)
    try:
        yield
        seconds = time.monotonic() - began
        print(f" ({seconds:.0f} s)" if seconds > 1 else "", end="")
    finally:
        logging.getLogger().removeHandler(heard)
        print("", *(line.getMessage() for line in heard.buffer), sep="\n  ", flush=True)
