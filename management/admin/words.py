"""Stored facts about people in words for a moderator."""

from typing import Any

from django.conf import settings

from recognition.admin.kit import in_words, spaced
from recognition.inference import quality
from recognition.models import Face, User

_PRIVACY = {
    "public": "Public: everybody may find this person",
    "friends": "Friends: friends and members of the same groups may find this person",
    "private": "Private: only the person may find this person",
}
_TAGGABLE = {
    "everyone": "anybody may tag it",
    "friends_only": "only friends may tag it",
    "nobody": "no other person may tag it",
}
_COMPONENTS = {
    "size": "Size of the face",
    "sharpness": "Sharpness",
    "exposure": "Exposure",
    "contrast": "Contrast",
    "pose": "Looks at the camera",
    "detection": "Surely a face",
    "border": "Wholly in the picture",
    "network": "Score of the quality network",
    "mirror": "Both halves of the face are read alike",
    "level": "Neither on its side nor upside down",
    "stillness": "Nothing moved",
    "detail": "Enough pixels",
    "mouth": "Mouth and nose uncovered",
    "eyes": "Eyes uncovered",
}
# A score is called good from here on; an ordinary portrait has it.
_GOOD = 0.7


def privacy(user: User) -> str:
    return _PRIVACY[user.privacy_level]


def found_by(face: Face) -> str:
    """Whether searches find the face, and who may tag it."""
    if face.suspended_at:
        return "Suspended: no search finds it"
    if not face.searchable:
        return "Not searchable: no search finds it"
    return f"Searchable; {_TAGGABLE[face.taggable]}"


def quality_of(face: Face) -> str:
    """The score, what it means, and what is wrong with the picture."""
    score = face.quality_score
    rank = "good" if score >= _GOOD else "usable" if score >= settings.MIN_FACE_QUALITY else "poor"
    # As at the enrolment, the worst first.
    known = {k: v for k, v in face.quality_components.items() if k in quality.REASONS}
    reasons = quality.combine(known).reasons if known else ()
    return f"{rank} ({score:.2f})" + (f": {', '.join(map(spaced, reasons))}" if reasons else "")


def components_of(face: Face) -> list[tuple[str, float]]:
    """The components of the quality score from 0 to 1, by their names."""
    known = face.quality_components
    return [(name, known[key]) for key, name in _COMPONENTS.items() if key in known]


def facts_of(metadata: Any, prefix: str = "") -> list[tuple[str, str]]:
    """The metadata that an app stored with a face, one line a value."""
    if not isinstance(metadata, dict):
        return [(prefix or "value", in_words(metadata))]
    lines: list[tuple[str, str]] = []
    for key, value in metadata.items():
        name = f"{prefix}, {key}" if prefix else str(key)
        name = spaced(name)
        lines += facts_of(value, name) if isinstance(value, dict) else [(name, in_words(value))]
    return lines


def confidence(value: float) -> str:
    """A confidence as a chance, never as a certainty.

    0.80 is one stranger in a thousand, and each 0.05 more is a tenth of that.
    """
    return "above 0.99" if value >= 0.995 else f"{value:.2f}"
