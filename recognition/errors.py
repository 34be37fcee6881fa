"""Expected refusals. facesvc.http.errors maps their codes to HTTP."""

from typing import Any


class ServiceError(Exception):
    """A request that cannot be fulfilled; the caller gets the code and the message."""

    def __init__(self, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = details or {}


def of_photo(place: int, code: str, message: str, details: dict[str, Any]) -> ServiceError:
    """The refusal of one of several photos, which says which."""
    return ServiceError(code, f"images[{place}]: {message}", {**details, "image_index": place})


def first_reason(reasons: Any) -> str:
    """The first reason in the `detail` of a ValidationError, behind the name of its field.

    A log often has the message alone, so it has to say what is wrong.
    """
    names: list[str] = []
    while reasons and not isinstance(reasons, str):
        pairs = reasons.items() if isinstance(reasons, dict) else enumerate(reasons)
        name, reasons = next((pair for pair in pairs if pair[1]), ("", ""))
        is_field = isinstance(name, str) or not isinstance(reasons, str)
        if is_field and name != "non_field_errors":
            names.append(str(name))
    return f"{'.'.join(names)}: {reasons}" if names else str(reasons)
