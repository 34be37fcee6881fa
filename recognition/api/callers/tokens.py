"""JSON Web Tokens: made with our secret for trying out, or by the app's identity provider."""

import json
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from django.conf import settings
from jwt.algorithms import RSAAlgorithm

from recognition.access import Caller
from recognition.api.callers.claims import TokenError as TokenError
from recognition.api.callers.claims import caller_of, come_from_provider
from recognition.collections.current import here
from recognition.models.user_ids import UserId
from recognition.outbound import exchange

_SIGNED_BY_KEY = {"RS256", "ES256", "EdDSA"}
# Google publishes the keys of Firebase as certificates by the ids of the keys, and not as JWKS.
_CERTIFICATE = "-----BEGIN CERTIFICATE-----"


class KeysUnavailableError(Exception):
    """The identity provider's keys cannot be fetched at the moment."""


class NotTheIssuerError(Exception):
    """Tokens come from an identity provider; one signed by our secret would be refused."""


def read(token: str) -> Caller:
    """The caller that a token stands for, verified. Raises TokenError."""
    try:
        key, algorithms = _key(token)
        claims = jwt.decode(
            token,
            key,
            algorithms=algorithms,
            issuer=settings.JWT_ISSUER or None,
            leeway=settings.JWT_LEEWAY_SECONDS,
            options={"require": ["exp"], "verify_aud": False},  # caller_of does
        )
    except jwt.ExpiredSignatureError:
        raise TokenError("token_expired", "The token has expired.") from None
    except jwt.PyJWKClientConnectionError as error:
        raise KeysUnavailableError(str(error)) from error
    except jwt.PyJWTError:  # also an algorithm that the key is not for
        raise TokenError("invalid_token", "The token is not valid.") from None
    return caller_of(claims)


def issue(
    subject: UserId | str, scopes: list[str], *, minutes: int, calls_per_minute: int | None = None
) -> str:
    """A token signed with our own secret, for a user or for the service of this name.

    It is of the current collection. Raises NotTheIssuerError.
    """
    if come_from_provider():
        raise NotTheIssuerError("Tokens come from the identity provider of the settings.")
    now = datetime.now(UTC)
    claims: dict[str, Any] = {"scope": " ".join(scopes), "iat": now}
    if isinstance(subject, UserId):
        claims["sub"] = subject.text
    else:
        claims["sub"] = claims["client_id"] = subject
    if not here().is_default or settings.JWT_CLIENT_COLLECTIONS:
        claims[settings.JWT_COLLECTION_CLAIM] = here().name
    claims["exp"] = now + timedelta(minutes=minutes)
    if calls_per_minute:
        claims["calls_per_minute"] = calls_per_minute
    if settings.JWT_AUDIENCE:
        claims["aud"] = settings.JWT_AUDIENCE[0]
    if settings.JWT_ISSUER:
        claims["iss"] = settings.JWT_ISSUER[0]
    return jwt.encode(claims, settings.JWT_SECRET, algorithm="HS256")


def _key(token: str) -> tuple[Any, list[str]]:
    """The key and the algorithms that belong to it, so that no token chooses how it is checked."""
    if settings.JWT_JWKS_URL:
        published = _jwks(settings.JWT_JWKS_URL).get_signing_key_from_jwt(token)
        return published.key, sorted(_SIGNED_BY_KEY & {published.algorithm_name})
    if settings.JWT_PUBLIC_KEY:
        try:
            return settings.JWT_PUBLIC_KEY, [algorithm_of(settings.JWT_PUBLIC_KEY)]
        except ValueError as error:  # the system check facesvc.E009 says so at the start
            raise KeysUnavailableError(str(error)) from error
    return settings.JWT_SECRET, ["HS256"]


@cache
def algorithm_of(pem: str) -> str:
    """The algorithm that a public key is for. Raises ValueError if there is none."""
    try:
        key = load_pem_public_key(pem.encode())
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error
    match key:
        case RSAPublicKey():
            return "RS256"
        case EllipticCurvePublicKey() if isinstance(key.curve, SECP256R1):
            return "ES256"
        case Ed25519PublicKey() | Ed448PublicKey():
            return "EdDSA"
    raise ValueError("The key is neither RSA, nor EC on P-256, nor Ed25519 or Ed448.")


class _Keys(jwt.PyJWKClient):
    """The provider's keys. If the provider does not answer, it is not asked again for a moment.

    A fetch blocks all requests, even those with a known key. Anybody can make tokens with ids of
    keys that do not exist, and these would stop the service while the provider is away.
    """

    PAUSE = 10.0  # seconds
    _asked_again_at = 0.0

    def fetch_data(self) -> Any:
        if time.monotonic() < self._asked_again_at:
            raise jwt.PyJWKClientConnectionError("It did not answer a moment ago.")
        try:
            found = json.loads(exchange.fetch(self.uri, deadline=time.monotonic() + self.timeout))
            keys = _of_certificates(found) if _are_certificates(found) else found
            return jwt.PyJWKSet.from_dict(self._as_jwk_set_payload(keys))
        except (exchange.ExchangeError, ValueError, jwt.PyJWTError) as error:
            self._asked_again_at = time.monotonic() + self.PAUSE
            raise jwt.PyJWKClientConnectionError(str(error)) from error


@cache
def _jwks(url: str) -> _Keys:
    return _Keys(url, timeout=5)


def _are_certificates(found: Any) -> bool:
    values = found.values() if isinstance(found, dict) else ()
    return bool(values) and all(str(each).startswith(_CERTIFICATE) for each in values)


def _of_certificates(found: dict[str, str]) -> dict[str, Any]:
    """A JWK set of certificates by the ids of their keys. Raises ValueError."""
    keys = []
    for key_id, pem in found.items():
        key = load_pem_x509_certificate(pem.encode()).public_key()
        if isinstance(key, RSAPublicKey):
            keys.append({**RSAAlgorithm.to_jwk(key, as_dict=True), "kid": key_id})
    return {"keys": keys}
