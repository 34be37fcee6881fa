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
    names = ("VERIFICATION_THRESHOLD", "FACE_MATCH_THRESHOLD", "MIN_FACE_QUALITY")
    return [
        Error(f"{name} must be at least 0 and below 1.", id="facesvc.E002")
        for name in names
        if not 0 <= getattr(settings, name) < 1
    ]
