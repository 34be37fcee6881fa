"""What a verified token says: who is calling, and with which scopes.

Identity providers name the same things differently; docs/tokens.md has the settings for several.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeGuard

from django.conf import settings

from recognition.access import Caller
from recognition.collections.current import DEFAULT
from recognition.collections.doors import is_name
from recognition.models.user_ids import InvalidUserIdError, UserId, is_uuid

MOST_CALLS_PER_MINUTE = 100_000
# Client names go into the audit log.
_CLIENT_NAME = re.compile(r"[A-Za-z0-9_.@:-]{1,100}")
# How providers name the client that a token was issued to; the first one counts.
_CLIENT_CLAIMS = ("azp", "client_id", "appid", "cid")


class TokenError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def come_from_provider() -> bool:
    """Whether an identity provider makes the tokens, and not who has our secret."""
    return bool(settings.JWT_JWKS_URL or settings.JWT_PUBLIC_KEY)


def is_client_name(name: str) -> bool:
    """Whether a token of our own secret may stand for a service of this name: not for a UUID, which
    looks like a user's."""
    return bool(_CLIENT_NAME.fullmatch(name)) and not is_uuid(name)


def caller_of(claims: Mapping[str, Any]) -> Caller:
    """Raises TokenError."""
    _require_audience(claims)
    scopes, calls = _scopes(claims), _calls_per_minute(claims)
    collection = _collection(claims)
    issued_at = int(claims["iat"]) if "iat" in claims else None  # a number, or it is not verified
    subject = claims.get("sub")
    if isinstance(subject, str) and _is_service(subject, claims):
        return Caller(subject, None, scopes, calls, collection, issued_at)
    user_id = _user_id(claims)
    return Caller(str(user_id), user_id, scopes, calls, collection, issued_at)


def client_scopes(entries: Iterable[str]) -> dict[str, frozenset[str]]:
    """The scopes of each client, from texts as `client=scope scope`. Raises ValueError."""
    return {
        client: frozenset(scopes.split()) for client, scopes in _by_client(entries, "scope scope")
    }


def client_collections(entries: Iterable[str]) -> dict[str, str]:
    """The collection of each client, from texts as `client=name`. Raises ValueError."""
    found = dict(_by_client(entries, "collection"))
    if wrong := [name for name in found.values() if not is_name(name)]:
        raise ValueError(f"{wrong[0]!r} is no name of a collection")
    return found


def _by_client(entries: Iterable[str], form: str) -> Iterator[tuple[str, str]]:
    for entry in entries:
        client, equals, given = entry.rpartition("=")  # an id may have `=` in it
        if not (client.strip() and equals and given.strip()):
            raise ValueError(f"{entry!r} is not written as `client={form}`")
        yield client.strip(), given.strip()


def _require_audience(claims: Mapping[str, Any]) -> None:
    """The client counts where a token has no `aud`, as those of Cognito for access."""
    if not settings.JWT_AUDIENCE:
        return
    named = _audiences(claims) or _clients(claims)
    if not set(settings.JWT_AUDIENCE).intersection(named):
        raise TokenError("invalid_token", "The token is not for this service: see JWT_AUDIENCE.")


def _audiences(claims: Mapping[str, Any]) -> list[str]:
    given = claims.get("aud", [])
    return [each for each in (given if isinstance(given, list) else [given]) if _is_text(each)]


def _clients(claims: Mapping[str, Any]) -> list[str]:
    """The client that the token was issued to, if a claim says it."""
    named: list[Any] = [claims.get(name) for name in _CLIENT_CLAIMS]
    return [each for each in named if _is_text(each)][:1]


def _is_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value)


def _is_service(subject: str, claims: Mapping[str, Any]) -> bool:
    """An account of the identity provider must not become a service by its name alone.

    With our own secret, a token says that it is a service's: its `client_id` is its `sub`, as RFC
    9068 has it of clients. Any other subject is a user, so that no user becomes a service by an id.
    """
    if come_from_provider() or settings.JWT_SERVICE_CLIENTS:
        return subject in settings.JWT_SERVICE_CLIENTS
    return claims.get("client_id") == subject and is_client_name(subject)


def _user_id(claims: Mapping[str, Any]) -> UserId:
    name = settings.JWT_USER_CLAIM
    given = _found(claims, name)
    if name == "email" and claims.get("email_verified") not in (True, "true"):
        # Anybody could open an account with the address of another.
        raise TokenError("invalid_token", "The token's e-mail address is not verified.")
    text = str(given) if type(given) is int else given
    if not isinstance(text, str):
        raise TokenError("invalid_token", f"The token has no user id in {name}.")
    try:
        return UserId(text)
    except InvalidUserIdError as error:
        raise TokenError("invalid_token", f"The token's {name}: {error}") from None


def _found(claims: Any, name: str) -> Any:
    """The claim of this name, or the one inside another whose name is the part before a dot."""
    if not isinstance(claims, dict):
        return None
    if name in claims:
        return claims[name]
    dots = (at for at, sign in enumerate(name) if sign == ".")
    inside = (_found(claims.get(name[:at]), name[at + 1 :]) for at in dots)
    return next((each for each in inside if each is not None), None)


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """The scopes of the token, or those that the settings give its client."""
    if settings.JWT_CLIENT_SCOPES:
        of_clients = client_scopes(settings.JWT_CLIENT_SCOPES)
        for client in _clients(claims) or _audiences(claims):
            if client in of_clients:
                return of_clients[client]
    prefix = settings.JWT_SCOPE_PREFIX
    named = {each for name in settings.JWT_SCOPE_CLAIM for each in _listed(claims, name)}
    return frozenset(each.removeprefix(prefix) for each in named if each.startswith(prefix))


def _collection(claims: Mapping[str, Any]) -> str:
    """The collection that the token, or the settings for its client, name; else `default`.

    Where the settings name collections of clients, a client that somebody forgot gets none.
    """
    said = _found(claims, settings.JWT_COLLECTION_CLAIM)
    if said is not None and not (isinstance(said, str) and is_name(said)):
        name = settings.JWT_COLLECTION_CLAIM
        raise TokenError("invalid_token", f"The token's {name} is no name of a collection.")
    of_clients = client_collections(settings.JWT_CLIENT_COLLECTIONS)
    named = (of_clients.get(each) for each in _clients(claims) or _audiences(claims))
    of_client = next((each for each in named if each), None)
    if said and of_client and said != of_client:
        raise TokenError("invalid_token", "The token's collection is not that of its client.")
    if not (said or of_client) and of_clients:
        raise TokenError(
            "invalid_token", "The token's client is in no collection: see JWT_CLIENT_COLLECTIONS."
        )
    return said or of_client or DEFAULT.name


def _listed(claims: Mapping[str, Any], name: str) -> list[str]:
    """Scopes as a text with blanks, or as a list: identity providers write both."""
    given = _found(claims, name) or ""
    texts = given if isinstance(given, list) else [given]
    if not all(isinstance(text, str) for text in texts):
        raise TokenError("invalid_token", f"The token's {name} is neither a text nor a list.")
    scopes = [scope for text in texts for scope in text.split()]
    if any("," in scope for scope in scopes):
        message = "The token's scopes are separated by commas; blanks must separate them."
        raise TokenError("invalid_token", message)
    return scopes


def _calls_per_minute(claims: Mapping[str, Any]) -> int | None:
    """The limit of the token itself. It counts only with our own secret: its owner could make any
    number of tokens anyway."""
    own = claims.get("calls_per_minute")
    if own is None or come_from_provider():
        return None
    if type(own) is not int or not 1 <= own <= MOST_CALLS_PER_MINUTE:
        raise TokenError(
            "invalid_token", "The token's calls_per_minute is no number that is taken."
        )
    return own
