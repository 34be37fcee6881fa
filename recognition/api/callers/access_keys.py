"""Pairs of keys as AWS has them: an id that everybody may see, and a secret that signs requests.

Who verifies a signature needs the secret itself. So it is stored sealed, with the keys of
FACESVC_CROP_KEYS, and who steals the table alone can sign nothing.
"""

import re
import secrets

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


def new(key_id: str) -> tuple[AccessKey, str]:
    """A key that is not stored yet, and its secret. Raises ImproperlyConfigured."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    return AccessKey(id=key_id, sealed=sealing.seal(secret.encode())), secret
