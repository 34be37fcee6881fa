"""Stored facts about people in words for a moderator."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from recognition.admin.kit import in_words, spaced
from recognition.collections.current import rule
from recognition.inference import quality
from recognition.models import Face, User

_PRIVACY = {
    "public": _lazy("Public: everybody may find this person"),
    "friends": _lazy("Friends: friends and members of the same groups may find this person"),
    "private": _lazy("Private: only the person may find this person"),
}
_TAGGABLE = {
    "everyone": _lazy("anybody may tag it"),
    "friends_only": _lazy("only friends may tag it"),
    "nobody": _lazy("no other person may tag it"),
}
_COMPONENTS = {
    "size": _lazy("Size of the face"),
    "sharpness": _lazy("Sharpness"),
    "exposure": _lazy("Exposure"),
    "contrast": _lazy("Contrast"),
    "pose": _lazy("Looks at the camera"),
    "detection": _lazy("Surely a face"),
    "border": _lazy("Wholly in the picture"),
    "network": _lazy("Score of the quality network"),
    "mirror": _lazy("Both halves of the face are read alike"),
    "level": _lazy("Neither on its side nor upside down"),
    "stillness": _lazy("Nothing moved"),
    "detail": _lazy("Enough pixels"),
    "mouth": _lazy("Mouth and nose uncovered"),
    "eyes": _lazy("Eyes uncovered"),
}
# A score is called good from here on; an ordinary portrait has it.
_GOOD = 0.7


def privacy(user: User) -> str:
    return str(_PRIVACY[user.privacy_level])


def found_by(face: Face) -> str:
    """Whether searches find the face, and who may tag it."""
    if face.suspended_at:
        return _("Suspended: no search finds it")
    if not face.searchable:
        return _("Not searchable: no search finds it")
    return _("Searchable; {rule}").format(rule=_TAGGABLE[face.taggable])


def quality_of(face: Face) -> str:
    """The score, what it means, and what is wrong with the picture."""
    score = face.quality_score
    is_usable = score >= rule("MIN_FACE_QUALITY")
    rank = _("good") if score >= _GOOD else _("usable") if is_usable else _("poor")
    # As at the enrolment, the worst first.
    known = {k: v for k, v in face.quality_components.items() if k in quality.REASONS}
    reasons = quality.combine(known).reasons if known else ()
    return f"{rank} ({score:.2f})" + (f": {', '.join(map(spaced, reasons))}" if reasons else "")


def components_of(face: Face) -> list[tuple[Any, float]]:
    """The components of the quality score from 0 to 1, by their names."""
    known = face.quality_components
    return [(name, known[key]) for key, name in _COMPONENTS.items() if key in known]


def facts_of(metadata: Any, prefix: str = "") -> list[tuple[str, str]]:
    """The metadata that an app stored with a face, one line a value."""
    if not isinstance(metadata, dict):
        return [(prefix or _("value"), in_words(metadata))]
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
    return _("above 0.99") if value >= 0.995 else f"{value:.2f}"
