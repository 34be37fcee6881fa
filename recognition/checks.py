"""System checks: a pack or a setting that cannot work is an error at start."""

from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

from recognition.api import tokens
from recognition.gallery import indexes
from recognition.inference.pack.declaration import PackError
from recognition.outbound.exchange import is_address
from recognition.packs import engine, protection
from recognition.verification.evidence.providers import CHECKS


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
def check_public_key(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if not settings.JWT_PUBLIC_KEY:
        return []
    try:
        tokens.algorithm_of(settings.JWT_PUBLIC_KEY)
    except ValueError as error:
        return [Error(f"JWT_PUBLIC_KEY cannot be used: {error}", id="facesvc.E009")]
    return []


@register()
def check_providers(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    names = ("ANTISPOOFING_SERVICE_URL", "DEEPFAKE_DETECTION_SERVICE_URL", "JWT_JWKS_URL")
    errors: list[CheckMessage] = [
        Error(f"{name} is no http or https address.", id="facesvc.E006")
        for name in names
        if getattr(settings, name) and not is_address(getattr(settings, name))
    ]
    if unknown := sorted(set(settings.FACESVC_STRICT_CHECKS) - set(CHECKS)):
        text = f"FACESVC_STRICT_CHECKS knows {', '.join(CHECKS)}, not {', '.join(unknown)}."
        errors.append(Error(text, id="facesvc.E007"))
    return errors


@register()
def check_jobs(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.FACESVC_CROP_KEYS:
        return []
    return [Warning("Without FACESVC_CROP_KEYS jobs and callbacks are refused.", id="facesvc.W001")]


@register()
def check_threads(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    taken = settings.FACESVC_INFERENCE_AT_ONCE + settings.FACESVC_INFERENCE_WAITING
    if taken < settings.WEB_THREADS:
        return []
    text = (
        "WEB_THREADS must be more than FACESVC_INFERENCE_AT_ONCE and FACESVC_INFERENCE_WAITING "
        "together, or all threads may wait and none answers."
    )
    return [Error(text, id="facesvc.E008")]


@register()
def check_ranges(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    refused = [setting.out_of_range(settings) for setting in settings.DECLARED]
    return [Error(sentence, id="facesvc.E002") for sentence in refused if sentence]


@register(Tags.database)
def check_pgvector(app_configs: Any, databases: Any, **kwargs: Any) -> list[CheckMessage]:
    if not databases:
        return []
    version = indexes.pgvector_version()
    if version and version >= indexes.LEAST_PGVECTOR:
        return []
    least = ".".join(map(str, indexes.LEAST_PGVECTOR))
    there = f"only {'.'.join(map(str, version))}" if version else "none"
    return [
        Error(f"PostgreSQL needs pgvector {least} or newer; it has {there}.", id="facesvc.E005")
    ]
