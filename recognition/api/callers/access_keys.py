"""Pairs of keys as AWS has them: an id that everybody may see, and a secret that signs requests.

Who verifies a signature needs the secret itself. So it is stored sealed, with the keys of
FACESVC_CROP_KEYS, and who steals the table alone can sign nothing.
"""

import re
import secrets
from datetime import datetime, timedelta

from recognition.api.callers import keys
from recognition.api.callers.keys import FoundKey
from recognition.collections.models import AccessKey
from recognition.privacy import sealing

_ID = re.compile(r"FKIA[A-Z2-7]{16}")
_SECRET_BYTES = 30  # 40 characters, as those of AWS


class UnknownAccessKeyError(Exception):
    """There is no such access key, or it is not valid any more."""


def access_key(access_key_id: str) -> tuple[str, FoundKey]:
    """The secret of an access key, and what it opens: `enter` it when the signature is right.

    Raises UnknownAccessKeyError, and UnreadableError where the secret cannot be unsealed.
    """
    key = keys.found(AccessKey, access_key_id) if _ID.fullmatch(access_key_id) else None
    if key is None or key.is_revoked or key.has_expired:
        raise UnknownAccessKeyError("there is no such access key")
    return sealing.unseal(key.secret).decode(), key


def make(
    service: str, scopes: list[str], *, collection: str, by: str, expires_at: datetime | None = None
) -> tuple[AccessKey, str]:
    """A new access key, and its secret, which nobody can see again.

    Raises UnknownCollectionError, invalid_request, and ImproperlyConfigured without a key to seal.
    """
    new, secret = _new()
    new.service, new.scopes, new.expires_at = service, scopes, expires_at
    return keys.store(new, collection=collection, by=by), secret


def rotate(key: AccessKey, *, keep: timedelta, by: str) -> tuple[AccessKey, str]:
    """A key in place of this one, which stays valid for so long, and its secret.

    Raises invalid_request.
    """
    new, secret = _new()
    return keys.replace(key, new, keep=keep, by=by), secret


def _new() -> tuple[AccessKey, str]:
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    return AccessKey(sealed=sealing.seal(secret.encode())), secret
