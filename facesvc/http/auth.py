"""Who is calling, and what the token allows."""

from typing import TYPE_CHECKING, Any

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from recognition.access import Caller
from recognition.api import tokens
from recognition.processes.current_request import current

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <JWT>`. request.user is a Caller, request.auth what was signed."""

    def authenticate(self, request: Request) -> tuple[Any, str] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != b"bearer":
            return None
        if len(parts) != 2:
            raise AuthenticationFailed("The Authorization header must be `Bearer <token>`.")
        try:
            token = parts[1].decode("ascii")
            caller = tokens.read(token)
        except UnicodeDecodeError:
            raise AuthenticationFailed("The token is not valid.") from None
        except tokens.TokenError as error:
            raise AuthenticationFailed(str(error), code=error.code) from None
        current.get().caller = "service" if caller.is_service else "user"
        return caller, tokens.signed_part(token)

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="facesvc"'


class HasScope(BasePermission):
    """Requires the scope, or all scopes, that the view names in `required_scope`."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        caller: Any = request.user
        scope: str = view.required_scope  # type: ignore[attr-defined]
        has = caller.scopes if isinstance(caller, Caller) else frozenset()
        missing = [each for each in scope.split() if each not in has]
        self.message = f"The token lacks the scope {' '.join(missing)}."
        return isinstance(caller, Caller) and not missing
