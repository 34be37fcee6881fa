"""What a call of the client raises."""

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """The base of all errors of the client."""


class ApiError(ClientError):
    """The service refused a call, or something in between answered in its place.

    `code` is one of docs/errors.md and never changes its meaning; `no_json` is an answer that is
    not one of the service. `retry_after` is in seconds, and 0 if nothing was said.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int,
        details: Mapping[str, Any] | None = None,
        request_id: str = "",
        retry_after: int = 0,
    ) -> None:
        super().__init__(f"{message} ({code}, request {request_id or 'unknown'})")
        self.code = code
        self.message = message
        self.status = status
        self.details = dict(details or {})
        self.request_id = request_id
        self.retry_after = retry_after


class UnreachableError(ClientError):
    """No answer came. The call may have been done if `was_sent`."""

    def __init__(self, message: str, *, was_sent: bool) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class UnfinishedJobError(ClientError):
    """A job has not ended within the time that you gave; it goes on."""


class CallbackError(ClientError):
    """A callback does not come from the service, or is too old."""
