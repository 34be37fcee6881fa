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
def check_thresholds(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [
        Error(f"{name} must be from {low} to {high}.", id="facesvc.E002")
        for name, (low, high) in _limits().items()
        if not low <= getattr(settings, name) <= high
    ]


def _limits() -> dict[str, tuple[float, float]]:
    """The least and the greatest value of settings that are numbers."""
    return {
        # Between `basic` and `strict`, or the levels would not be in order.
        "VERIFICATION_THRESHOLD": (0.80, 0.95),
        "FACE_MATCH_THRESHOLD": (0.0, 0.9999),
        "FACESVC_NEW_FACE_HOURS": (0, 24 * 365),
        "FACESVC_FACES_PER_HOUR": (0, 1_000_000_000),
        "MIN_FACE_QUALITY": (0.0, 1.0),
        # pgvector's limits, but for the least ef_search: fewer than a search asks for.
        "FACESVC_HNSW_M": (2, 100),
        "FACESVC_HNSW_EF_CONSTRUCTION": (max(4, 2 * settings.FACESVC_HNSW_M), 1000),
        "FACESVC_HNSW_EF_SEARCH": (100, 1000),
        "FACESVC_LIVENESS_THRESHOLD": (0.0, 1.0),
        "FACESVC_DEEPFAKE_THRESHOLD": (0.0, 1.0),
        "FACESVC_LIVE_FRAMES_PER_SECOND": (0.1, 1000),
        "FACESVC_LIVE_FRAME_MEGAPIXELS": (0.01, 1000),
        # In two frames an alternation would be the state that changes with each of them.
        "FACESVC_LIVE_WINDOW": (3, 100),
        "FACESVC_PROVIDER_SECONDS": (0.01, 60),
        "FACESVC_TASK_NICE": (0, 19),
        "JWT_LEEWAY_SECONDS": (0, 300),
        # gunicorn takes a process for stuck after a minute.
        "FACESVC_STATEMENT_SECONDS": (1, 50),
        "FACESVC_LOCK_SECONDS": (0.1, 50),
        "FACESVC_LOGIN_SESSION_SECONDS": (1, 3600),
        "FACESVC_LIVE_SESSION_MINUTES": (1, 24 * 60),
        "FACESVC_LIVE_GAP_SECONDS": (0.1, 3600),
        "FACESVC_LIVE_CHECK_SECONDS": (0, 3600),
        # The face that others are compared with is kept for no longer.
        "FACESVC_LIVE_MOTION_SECONDS": (1, 3600 * settings.FACESVC_REPLAY_HOURS),
        "FACESVC_SESSION_RETENTION_DAYS": (1, 3650),
        "FACESVC_INFERENCE_AT_ONCE": (1, 1000),
        "FACESVC_INFERENCE_WAITING": (0, 10_000),
        "FACESVC_INFERENCE_WAIT_SECONDS": (0.01, 50),
        # The database keeps the youngest 30 days in any case.
        "FACESVC_AUDIT_RETENTION_DAYS": (30, 36500),
        # What is purged is not found again.
        "FACESVC_REPLAY_HOURS": (1, 24 * settings.FACESVC_SESSION_RETENTION_DAYS),
    }


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
