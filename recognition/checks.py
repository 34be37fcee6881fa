"""System checks: a pack or a setting that cannot work is an error at start."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

from recognition.access import SCOPES
from recognition.api.callers import claims, tokens
from recognition.gallery import indexes
from recognition.inference.pack.declaration import PackError
from recognition.inference.providers import Provider
from recognition.outbound.exchange import is_address
from recognition.packs import calibrations, engine, first_pack, protection
from recognition.processes import connections
from recognition.verification.providers import CHECKS


@register()
def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    each = (
        *(pack(), inference(), keys(), public_key()),
        *(clients(), providers(), jobs(), threads(), ranges()),
    )
    return list(chain.from_iterable(each))


def pack() -> Iterator[CheckMessage]:
    try:
        first = engine.pack(first_pack.choose().pack)
        if first.calibration is None and calibrations.in_use(first) is None:
            yield Error(engine.not_calibrated(first), id="facesvc.E001", hint="See FACESVC_PACK.")
    except PackError as error:
        yield Error(str(error), id="facesvc.E001", hint="See FACESVC_PACK.")


def inference() -> Iterator[CheckMessage]:
    provider = Provider(settings.FACESVC_INFERENCE_PROVIDER)
    if not provider.is_here:
        text = f"FACESVC_INFERENCE_PROVIDER={provider} needs the package {provider.package}."
        yield Error(text, id="facesvc.E011", hint="See docs/deployment.md.")


def keys() -> Iterator[CheckMessage]:
    if settings.STORE_FACE_CROPS and not settings.FACESVC_CROP_KEYS:
        yield Error("STORE_FACE_CROPS needs FACESVC_CROP_KEYS.", id="facesvc.E003")
    try:
        for key in settings.FACESVC_CROP_KEYS:
            Fernet(key)
        protection.key_ids()
    except (ValueError, ImproperlyConfigured) as error:
        yield Error(f"A key is not valid: {error}", id="facesvc.E004")


def public_key() -> Iterator[CheckMessage]:
    try:
        if settings.JWT_PUBLIC_KEY:
            tokens.algorithm_of(settings.JWT_PUBLIC_KEY)
    except ValueError as error:
        yield Error(f"JWT_PUBLIC_KEY cannot be used: {error}", id="facesvc.E009")


def clients() -> Iterator[CheckMessage]:
    try:
        given = claims.client_scopes(settings.JWT_CLIENT_SCOPES).values()
    except ValueError as error:
        yield Error(f"JWT_CLIENT_SCOPES: {error}.", id="facesvc.E010")
        return
    try:
        claims.client_collections(settings.JWT_CLIENT_COLLECTIONS)
    except ValueError as error:
        yield Error(f"JWT_CLIENT_COLLECTIONS: {error}.", id="facesvc.E018")
    if unknown := sorted(frozenset().union(*given) - {*SCOPES}):
        yield Error(f"JWT_CLIENT_SCOPES has {', '.join(unknown)}.", id="facesvc.E010")
    if settings.JWT_JWKS_URL and not settings.JWT_AUDIENCE:
        text = "Without JWT_AUDIENCE a token counts that the provider made for another app."
        hint = "Set it to what the provider writes into `aud` for your app: docs/tokens.md."
        yield Warning(text, id="facesvc.W003", hint=hint)


def providers() -> Iterator[CheckMessage]:
    for name in ("ANTISPOOFING_SERVICE_URL", "DEEPFAKE_DETECTION_SERVICE_URL", "JWT_JWKS_URL"):
        if getattr(settings, name) and not is_address(getattr(settings, name)):
            yield Error(f"{name} is no http or https address.", id="facesvc.E006")
    if unknown := sorted(set(settings.FACESVC_STRICT_CHECKS) - set(CHECKS)):
        text = f"FACESVC_STRICT_CHECKS knows {', '.join(CHECKS)}, not {', '.join(unknown)}."
        yield Error(text, id="facesvc.E007")


def jobs() -> Iterator[CheckMessage]:
    if not settings.FACESVC_CROP_KEYS:
        text = "Without FACESVC_CROP_KEYS jobs and callbacks are refused."
        yield Warning(text, id="facesvc.W001", hint="See docs/operations.md#keys.")


def threads() -> Iterator[CheckMessage]:
    taken = settings.FACESVC_INFERENCE_AT_ONCE + settings.FACESVC_INFERENCE_WAITING
    if taken >= settings.WEB_THREADS:
        text = (
            "WEB_THREADS must be more than FACESVC_INFERENCE_AT_ONCE and FACESVC_INFERENCE_WAITING "
            "together, or all threads may wait and none answers."
        )
        yield Error(text, id="facesvc.E008")


def ranges() -> Iterator[CheckMessage]:
    for setting in settings.DECLARED:
        if sentence := setting.out_of_range(settings):
            yield Error(sentence, id="facesvc.E002")


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


@register(Tags.database)
def check_pooler(app_configs: Any, databases: Any, **kwargs: Any) -> list[CheckMessage]:
    if not databases or not connections.are_shared():
        return []
    text = "A pooler in front of PostgreSQL mixes the connections of this service."
    hint = "Set it to session mode: a request would see the people of another collection."
    return [Error(text, id="facesvc.E019", hint=hint)]
