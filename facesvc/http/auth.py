"""Who is calling, what the token allows, and how often."""

from typing import TYPE_CHECKING, Any

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from recognition import rate_windows
from recognition.access import Caller
from recognition.api.callers import api_keys, tokens
from recognition.collections.current import enter
from recognition.collections.doors import UnknownCollectionError, opened
from recognition.processes.current_request import current
from recognition.rate_windows import Window

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module

# What an answer with 401 asks for.
CHALLENGE = 'Bearer realm="facesvc"'


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <JWT or API key>`. request.user is a Caller.

    request.auth names the token, for its rate limits: one text for each, and no secret.
    """

    def authenticate(self, request: Request) -> tuple[Any, str] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != b"bearer":
            return None
        if len(parts) != 2:
            raise AuthenticationFailed("The Authorization header must be `Bearer <token>`.")
        try:
            token = parts[1].decode("ascii")
            caller, name = _entered(token)
        except UnicodeDecodeError:
            raise AuthenticationFailed("The token is not valid.") from None
        except tokens.TokenError as error:
            raise AuthenticationFailed(str(error), code=error.code) from None
        except UnknownCollectionError:
            raise AuthenticationFailed("The token's collection does not exist.") from None
        current.get().caller = "service" if caller.is_service else "user"
        return caller, name

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def _entered(token: str) -> tuple[Caller, str]:
    """Work in the collection of a token or key. Returns who is calling, and what names it."""
    if api_keys.is_key(token):
        key = api_keys.read(token)
        key.enter()
        return key.caller, f"key {key.id}"
    caller = tokens.read(token)
    enter(opened(caller.collection, caller.issued_at))
    # What the signature covers: one text for a token, however its signature is spelt. ECDSA has
    # two valid signatures for everything signed, and base64 several spellings of one.
    return caller, token.rpartition(".")[0]


class HasScope(BasePermission):
    """Requires the scope, or all scopes, that the view names in `required_scope`."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        caller: Any = request.user
        scope: str = view.required_scope  # type: ignore[attr-defined]
        has = caller.scopes if isinstance(caller, Caller) else frozenset()
        missing = [each for each in scope.split() if each not in has]
        self.message = f"The token lacks the scope {' '.join(missing)}."
        return isinstance(caller, Caller) and not missing


class TokenThrottle(BaseThrottle):
    """RATE_LIMIT_PER_MINUTE and RATE_LIMIT_PER_HOUR, or what the token itself says."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        """Raises Throttled, which names the limit."""
        own = request.user.calls_per_minute if isinstance(request.user, Caller) else None
        limits = rate_windows.limits_of(own)
        if not any(limits):
            return True
        has_room, windows = rate_windows.count(str(request.auth), limits)
        # The window that is full soonest, and the full window that lasts longest.
        nearest = min(windows, key=lambda window: (window.remaining, -window.left))
        current.get().rate_limit = {
            "RateLimit-Limit": str(nearest.limit),
            "RateLimit-Remaining": str(nearest.remaining),
            "RateLimit-Reset": str(max(1, round(nearest.left))),
        }
        if not has_room:
            raise Throttled(max(1, nearest.left), _message(nearest, is_own=bool(own)))
        return True


def _message(window: Window, *, is_own: bool) -> str:
    source = "its calls_per_minute" if is_own else f"RATE_LIMIT_PER_{window.name.upper()}"
    return f"This token may make {window.limit} calls per {window.name} ({source})."
