"""Expected refusals. facesvc.http.errors maps their codes to HTTP."""

from typing import Any


class ServiceError(Exception):
    """A request that cannot be fulfilled, for a reason that the caller is told."""

    def __init__(self, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = details or {}
