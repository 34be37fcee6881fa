"""JSON Web Tokens: made with our secret for trying out, or by the app's identity provider."""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings

from recognition.access import Caller
from recognition.outbound import exchange

_SIGNED_BY_KEY = {"RS256", "ES256", "EdDSA"}
MOST_CALLS_PER_MINUTE = 100_000
# Client names go into the audit log.
_CLIENT_NAME = re.compile(r"[A-Za-z0-9_.@:-]{1,100}")


class TokenError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


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
            audience=settings.JWT_AUDIENCE or None,
            issuer=settings.JWT_ISSUER or None,
            leeway=settings.JWT_LEEWAY_SECONDS,
            options={"require": ["exp", "sub"], "verify_aud": bool(settings.JWT_AUDIENCE)},
        )
    except jwt.ExpiredSignatureError:
        raise TokenError("token_expired", "The token has expired.") from None
    except jwt.PyJWKClientConnectionError as error:
        raise KeysUnavailableError(str(error)) from error
    except jwt.PyJWTError:  # also an algorithm that the key is not for
        raise TokenError("invalid_token", "The token is not valid.") from None
    return _caller(claims)


def issue(
    subject: str, scopes: list[str], *, minutes: int, calls_per_minute: int | None = None
) -> str:
    """A token signed with our own secret. Raises NotTheIssuerError."""
    if _comes_from_provider():
        raise NotTheIssuerError("Tokens come from the identity provider of the settings.")
    now = datetime.now(UTC)
    claims: dict[str, Any] = {"sub": subject, "scope": " ".join(scopes), "iat": now}
    claims["exp"] = now + timedelta(minutes=minutes)
    if calls_per_minute:
        claims["calls_per_minute"] = calls_per_minute
    if settings.JWT_AUDIENCE:
        claims["aud"] = settings.JWT_AUDIENCE
    if settings.JWT_ISSUER:
        claims["iss"] = settings.JWT_ISSUER
    return jwt.encode(claims, settings.JWT_SECRET, algorithm="HS256")


def _comes_from_provider() -> bool:
    return bool(settings.JWT_JWKS_URL or settings.JWT_PUBLIC_KEY)


def is_client_name(name: str) -> bool:
    return bool(_CLIENT_NAME.fullmatch(name)) and _uuid(name) is None


def _is_known_client(subject: str) -> bool:
    """An account of the identity provider must not become a service by its name alone."""
    if _comes_from_provider() or settings.JWT_SERVICE_CLIENTS:
        return subject in settings.JWT_SERVICE_CLIENTS
    return is_client_name(subject)


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
            keys = json.loads(exchange.fetch(self.uri, deadline=time.monotonic() + self.timeout))
            return jwt.PyJWKSet.from_dict(self._as_jwk_set_payload(keys))
        except (exchange.ExchangeError, ValueError, jwt.PyJWTError) as error:
            self._asked_again_at = time.monotonic() + self.PAUSE
            raise jwt.PyJWKClientConnectionError(str(error)) from error


@cache
def _jwks(url: str) -> _Keys:
    return _Keys(url, timeout=5)


def _caller(claims: dict[str, Any]) -> Caller:
    subject = claims["sub"]
    user_id = _uuid(subject)
    if user_id is None and not _is_known_client(subject):
        raise TokenError("invalid_token", "The token's subject is no user id and no client name.")
    return Caller(str(user_id or subject), user_id, _scopes(claims), _calls_per_minute(claims))


def _calls_per_minute(claims: dict[str, Any]) -> int | None:
    """The limit of the token itself. It counts only with our own secret: its owner could make any
    number of tokens anyway."""
    own = claims.get("calls_per_minute")
    if own is None or _comes_from_provider():
        return None
    if type(own) is not int or not 1 <= own <= MOST_CALLS_PER_MINUTE:
        raise TokenError(
            "invalid_token", "The token's calls_per_minute is no number that is taken."
        )
    return own


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    """The scopes in `scope` or `scp`: identity providers write a text with blanks, or a list."""
    found: set[str] = set()
    for name in ("scope", "scp"):
        given = claims.get(name) or ""
        texts = given if isinstance(given, list) else [given]
        if not all(isinstance(text, str) for text in texts):
            raise TokenError("invalid_token", f"The token's {name} is neither a text nor a list.")
        found.update(*(text.split() for text in texts))
    if any("," in scope for scope in found):
        message = "The token's scopes are separated by commas; blanks must separate them."
        raise TokenError("invalid_token", message)
    return frozenset(found)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
