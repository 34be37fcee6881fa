"""A person's consent, as `metadata.consent` of a face: when it was given, and to which text."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from recognition.collections.current import rule
from recognition.errors import ServiceError

CONSENT = "consent"
_MOST_CHARACTERS = 100  # of the name of a text's version
# Clocks differ.
_AHEAD = timedelta(minutes=5)


def problem_with(value: Any) -> str | None:
    """What is wrong with a consent, for people."""
    if not isinstance(value, dict) or set(value) != {"given_at", "text_version"}:
        return "consent has given_at and text_version, and nothing else."
    version, given_at = value["text_version"], value["given_at"]
    if not isinstance(version, str) or not 0 < len(version.strip()) <= len(version) <= (
        _MOST_CHARACTERS
    ):
        return f"consent.text_version must be a text of 1 to {_MOST_CHARACTERS} characters."
    return _problem_with_time(given_at)


def _problem_with_time(text: Any) -> str | None:
    try:
        at = parse_datetime(text) if isinstance(text, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        return "consent.given_at must be a time with its zone, as 2024-01-20T10:30:00Z."
    if at > timezone.now() + _AHEAD:
        return "consent.given_at is in the future."
    return None


def require(metadata: Mapping[str, Any]) -> None:
    """Before a face is stored. Raises consent_required."""
    if rule("FACESVC_REQUIRE_CONSENT") and CONSENT not in metadata:
        raise ServiceError(
            "consent_required",
            "A face is stored with metadata.consent only: given_at and text_version.",
        )


def kept(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """New metadata of a face, with the old consent unless another is given."""
    old = {CONSENT: before[CONSENT]} if CONSENT in before else {}
    return {**old, **after}
