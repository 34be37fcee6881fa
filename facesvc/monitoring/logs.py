"""Configures the log, in JSON or for people: what every line carries, and one line a request.

The log holds nothing that a caller sends or is answered: no picture, vector, token or body, and no
user's id in a path.
"""

import logging
import re
import sys
from typing import Any

from django.http import HttpRequest, HttpResponse
from pythonjsonlogger.json import JsonFormatter

from facesvc.monitoring import terminal
from recognition.collections.current import here_or_default
from recognition.processes.current_request import current

logger = logging.getLogger("facesvc.requests")

LEVELS: tuple[str, ...] = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
STYLES: tuple[str, ...] = ("auto", "json", "text")
_STATIC = "/static/"
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
# PostgreSQL may add a row, with its vector, to the message of an error.
_DETAIL = re.compile(r"^(DETAIL|CONTEXT): .*(\n|$)", re.MULTILINE)


def configuration(level: str, style: str) -> dict[str, Any]:
    """The argument of logging.config.dictConfig, for one of LEVELS and one of STYLES."""
    if style == "auto":
        style = "text" if sys.stderr.isatty() else "json"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": "facesvc.monitoring.logs.LineFormatter",
                "fmt": "%(levelname)s %(name)s %(request_id)s %(process)d %(message)s",
                "rename_fields": {"levelname": "level", "name": "logger"},
                "timestamp": True,
            },
            "text": {
                "()": "facesvc.monitoring.logs.TextFormatter",
                "colour": terminal.in_colour(sys.stderr),
            },
        },
        "filters": {
            "request": {"()": "facesvc.monitoring.logs.RequestIdFilter"},
            "failure": {"()": "facesvc.monitoring.logs.FailureFilter"},
            "json": {"()": "logging.Filter"},  # everything
            "text": {"()": "facesvc.monitoring.terminal.LineFilter"},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": style,
                "filters": ["request", "failure", style],
            }
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": _loggers(level, is_for_people=style == "text"),
    }


def _loggers(level: str, *, is_for_people: bool) -> dict[str, Any]:
    """People get only the warnings of the servers and the queue, unless they want everything."""
    least = "WARNING" if is_for_people and level == "INFO" else level
    return {
        "django.request": {"level": "ERROR"},
        # Anybody may send any host; the line of the request already says that it was refused.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "gunicorn.error": {"handlers": ["stderr"], "propagate": False, "level": least},
        **{name: {"level": least} for name in ("django-q", "batch.tasks") if is_for_people},
    }


class RequestIdFilter(logging.Filter):
    """Adds the id of the request that is being answered, and a collection that is not `default`."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current.get().id
        if not (collection := here_or_default()).is_default:
            record.collection = collection.name
        return True


class FailureFilter(logging.Filter):
    """Replaces the path by the route in Django's lines about failed requests.

    A path may hold the id of a user. Lines that say that the service is overloaded are dropped: the
    line of the request says it, thousands of times in a rush.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        request = record.__dict__.pop("request", None)
        path = getattr(request, "path", None)
        if path and isinstance(record.args, tuple):
            record.args = tuple(route_of(request) if arg == path else arg for arg in record.args)
        return record.name != "django.request" or getattr(record, "status_code", 500) != 503


class _WithoutRows(logging.Formatter):
    def formatException(self, ei: Any) -> str:
        return _DETAIL.sub("", str(super().formatException(ei)))


class LineFormatter(_WithoutRows, JsonFormatter):
    """One JSON object a line."""


class TextFormatter(_WithoutRows, terminal.Formatter):
    """One line for people."""

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # another formatter's text may have rows
        return super().format(record)


def route_of(request: HttpRequest) -> str:
    """The route, such as `/api/v1/face-recognition/users/<user_id:user_id>`.

    There are few routes, whatever paths clients ask for.
    """
    if request.path.startswith(_STATIC):
        return "static"
    return f"/{request.resolver_match.route}" if request.resolver_match else "none"


def method_of(request: HttpRequest) -> str:
    return request.method if request.method and request.method in _METHODS else "other"


def caller_of(request: HttpRequest) -> str:
    """The kind of the caller: user, service, operator (of the admin pages) or nobody."""
    # Only if a view has read it: otherwise this would query the database.
    operator = getattr(request, "_cached_user", None)
    is_operator = operator and operator.is_authenticated
    return current.get().caller or ("operator" if is_operator else "nobody")


def request_line(request: HttpRequest, response: HttpResponse, total_ms: float) -> None:
    """Logs the line of the current request, with the time of each of its stages."""
    failure = getattr(response, "data", None) if response.status_code >= 400 else None
    fields: dict[str, Any] = {
        "route": route_of(request),
        "method": method_of(request),
        "status": response.status_code,
        "error": failure.get("code") if isinstance(failure, dict) else None,
        "caller": caller_of(request),
        "total_ms": total_ms,
        **{name: round(spent, 1) for name, spent in current.get().spent.items()},
    }
    logger.info("request", extra={key: value for key, value in fields.items() if value is not None})
