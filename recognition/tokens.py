"""JSON Web Tokens: made with our secret for trying out, or by the app's identity provider."""

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from json import JSONDecodeError
from typing import Any
from uuid import UUID

import jwt
from django.conf import settings

from recognition.access import Caller

_SIGNED_BY_KEY = ["RS256", "ES256", "EdDSA"]
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
            options={"require": ["exp", "sub"], "verify_aud": bool(settings.JWT_AUDIENCE)},
        )
    except jwt.ExpiredSignatureError:
        raise TokenError("token_expired", "The token has expired.") from None
    except (jwt.PyJWKClientConnectionError, jwt.PyJWKSetError, JSONDecodeError) as error:
        raise KeysUnavailableError(str(error)) from error
    except jwt.PyJWTError:  # also a key that does not fit the token's algorithm
        raise TokenError("invalid_token", "The token is not valid.") from None
    return _caller(claims)


def issue(subject: str, scopes: list[str], *, minutes: int) -> str:
    """A token signed with our own secret. Raises NotTheIssuerError."""
    if settings.JWT_JWKS_URL or settings.JWT_PUBLIC_KEY:
        raise NotTheIssuerError("Tokens come from the identity provider of the settings.")
    now = datetime.now(UTC)
    claims = {"sub": subject, "scope": " ".join(scopes), "iat": now}
    claims["exp"] = now + timedelta(minutes=minutes)
    if settings.JWT_AUDIENCE:
        claims["aud"] = settings.JWT_AUDIENCE
    if settings.JWT_ISSUER:
        claims["iss"] = settings.JWT_ISSUER
    return jwt.encode(claims, settings.JWT_SECRET, algorithm="HS256")


def is_client_name(name: str) -> bool:
    return bool(_CLIENT_NAME.fullmatch(name)) and _uuid(name) is None


def _is_known_client(subject: str) -> bool:
    """With an identity provider any account would do otherwise, as a service that acts for all."""
    if settings.JWT_JWKS_URL or settings.JWT_PUBLIC_KEY:
        return subject in settings.JWT_SERVICE_CLIENTS
    return is_client_name(subject)


def _key(token: str) -> tuple[Any, list[str]]:
    """The key and what it may be used with, so that no token chooses how it is checked."""
    if settings.JWT_JWKS_URL:
        return _jwks(settings.JWT_JWKS_URL).get_signing_key_from_jwt(token).key, _SIGNED_BY_KEY
    if settings.JWT_PUBLIC_KEY:
        return settings.JWT_PUBLIC_KEY, _SIGNED_BY_KEY
    return settings.JWT_SECRET, ["HS256"]


@cache
def _jwks(url: str) -> jwt.PyJWKClient:
    return jwt.PyJWKClient(url, timeout=5)


def _caller(claims: dict[str, Any]) -> Caller:
    subject, scope = claims["sub"], claims.get("scope", "")
    if not isinstance(scope, str):
        raise TokenError("invalid_token", "The token's scope is not a text.")
    user_id = _uuid(subject)
    if user_id is None and not _is_known_client(subject):
        raise TokenError("invalid_token", "The token's subject is no user id and no client name.")
    return Caller(str(user_id or subject), user_id, frozenset(scope.split()))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
