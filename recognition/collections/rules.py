"""Settings that a collection may have a value of its own for.

The table of settings says which (`Setting.rules` in facesvc.settings.table). `current.rule` gives
the value that counts where a thread works.
"""

import math
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from recognition.errors import ServiceError

Rules = dict[str, Any]


class _Settled:
    """The settings as they are in a collection with these rules."""

    def __init__(self, rules: Mapping[str, Any]) -> None:
        self._rules = rules

    def __getattr__(self, name: str) -> Any:
        return self._rules[name] if name in self._rules else getattr(settings, name)


def declared() -> dict[str, Any]:
    """The settings that may differ, by name, in the order of docs/settings.md."""
    return {each.name: each for each in settings.DECLARED if each.is_rule}


def changed(rules: Mapping[str, Any], changes: Mapping[str, Any]) -> Rules:
    """The rules after some changes; None takes a rule back.

    A value has to be one that the setting itself could have. Raises invalid_request.
    """
    known = declared()
    for name, value in changes.items():
        if name not in known:
            message = f"rules: {name[:100]} is no rule. These are: {', '.join(known)}."
            raise ServiceError("invalid_request", message)
        if value is not None:
            _require_type(name, known[name].kind, value)
    merged = {name: value for name, value in {**rules, **changes}.items() if value is not None}
    _require_sense({name: value for name, value in merged.items() if name in known})
    return merged


def problem(rules: Mapping[str, Any]) -> str:
    """Why these rules could not be made now, as after a change of a setting; empty if they could.

    They count nevertheless.
    """
    try:
        changed({}, rules)
    except ServiceError as error:
        return str(error).removeprefix("rules: ")
    return ""


def _require_type(name: str, kind: str, value: Any) -> None:
    is_flag = kind.startswith("`true`")
    fits = (
        isinstance(value, bool)
        if is_flag
        else type(value) is int
        or (kind == "number" and isinstance(value, float) and math.isfinite(value))
    )
    if not fits:
        what = "true or false" if is_flag else f"a {kind}"
        raise ServiceError("invalid_request", f"rules: {name} must be {what}.")


def _require_sense(rules: Rules) -> None:
    """Refuse what `manage.py check` refuses of settings. A range may depend on other settings."""
    settled = _Settled(rules)
    for each in settings.DECLARED:
        if sentence := each.out_of_range(settled):
            raise ServiceError("invalid_request", f"rules: {sentence}")
    if settled.STORE_FACE_CROPS and not settings.FACESVC_CROP_KEYS:
        message = "rules: STORE_FACE_CROPS needs the setting FACESVC_CROP_KEYS."
        raise ServiceError("invalid_request", message)
