"""Expected refusals. facesvc.http.errors maps their codes to HTTP."""

from typing import Any


class ServiceError(Exception):
    """A request that cannot be fulfilled; the caller gets the code and the message."""

    def __init__(self, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = details or {}
