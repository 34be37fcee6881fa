"""System checks: a pack or a setting that cannot work is an error at start."""

from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from recognition import engine, protection
from recognition.inference.packs import PackError


@register()
def check_pack(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    try:
        engine.calibration_of(engine.pack(settings.FACESVC_PACK))
    except PackError as error:
        return [Error(str(error), id="facesvc.E001", hint="See FACESVC_PACK.")]
    return []


@register()
def check_keys(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.STORE_FACE_CROPS and not settings.FACESVC_CROP_KEYS:
        return [Error("STORE_FACE_CROPS needs FACESVC_CROP_KEYS.", id="facesvc.E003")]
    try:
        for key in settings.FACESVC_CROP_KEYS:
            Fernet(key)
        protection.key_ids()
    except (ValueError, ImproperlyConfigured) as error:
        return [Error(f"A key is not valid: {error}", id="facesvc.E004")]
    return []


@register()
def check_thresholds(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    limits = {
        # Between `basic` and `strict`, or the levels would not be in order.
        "VERIFICATION_THRESHOLD": (0.80, 0.95),
        "FACE_MATCH_THRESHOLD": (0.0, 0.9999),
        "MIN_FACE_QUALITY": (0.0, 1.0),
    }
    return [
        Error(f"{name} must be from {low} to {high}.", id="facesvc.E002")
        for name, (low, high) in limits.items()
        if not low <= getattr(settings, name) <= high
    ]
