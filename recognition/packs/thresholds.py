"""The confidence that a match needs, by the name of its level."""

from django.conf import settings

# Confidence of the operating points; `standard` is a setting.
BASIC, STRICT = 0.80, 0.95
LEVELS = ("basic", "standard", "strict")


def level_confidence(level: str) -> float:
    standard: float = settings.VERIFICATION_THRESHOLD
    return {"basic": BASIC, "standard": standard, "strict": STRICT}[level]
