"""The login of the admin pages, which limits how often passwords can be guessed."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any

from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _

from recognition import rate_windows
from recognition.rate_windows import RateLimits

# Tries a minute and an hour: for one name from one address; for all names from one address, since
# each try costs a third of a second of a core, even for a name that does not exist; and for one
# name from anywhere, in case a proxy does not say where a client is.
_OF_A_NAME = RateLimits(5, 30)
_OF_AN_ADDRESS = RateLimits(30, 200)
_THROUGH_THE_PROXY = RateLimits(60, 300)

# A process computes one password at a time, however many addresses try.
_computing = BoundedSemaphore(1)
_PATIENCE = 0.3  # seconds, of a thread of the web server


class LoginForm(AdminAuthenticationForm):
    def clean(self) -> dict[str, Any]:
        peer, client = _addresses(self.request)
        name = self.cleaned_data.get("username", "")
        # The address comes first: a client that is refused for it adds no rows for names.
        _count(f"login {client}", _OF_AN_ADDRESS)
        # The address is part of the key, so a stranger elsewhere cannot lock an operator out.
        _count(f"login {client} {name}", _OF_A_NAME)
        if peer != client:
            _count(f"login {peer} through {name}", _THROUGH_THE_PROXY)
        with _alone():
            return super().clean()


def _addresses(request: HttpRequest | None) -> tuple[str, str]:
    """The address of the peer, and of the client as the proxy before us names it."""
    meta = request.META if request else {}
    peer = meta.get("REMOTE_ADDR", "")
    said = meta.get("HTTP_X_FORWARDED_FOR", "") if settings.FACESVC_BEHIND_TLS_PROXY else ""
    return peer, said.rpartition(",")[2].strip() or peer


def _count(what: str, most: RateLimits) -> None:
    has_room, __ = rate_windows.count(what, most)
    if not has_room:
        raise ValidationError(_("Too many attempts; try again later."))


@contextmanager
def _alone() -> Iterator[None]:
    if not _computing.acquire(timeout=_PATIENCE):
        raise ValidationError(_("Too many attempts at once; try again."))
    try:
        yield
    finally:
        _computing.release()
