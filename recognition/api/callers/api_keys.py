"""API keys: `fk_<id>_<secret>`, for services that have no identity provider.

The id finds the row, which has a hash of the key. A key is shown once, when it is made.
"""

import hashlib
import hmac
import re
import secrets

from recognition.api.callers import keys
from recognition.api.callers.claims import TokenError
from recognition.api.callers.keys import FoundKey
from recognition.collections.models import ApiKey

# No JWT begins so: it begins with `e`, which is base64 of a brace.
_PREFIX = "fk_"
_KEY = re.compile(r"fk_([0-9a-f]{16})_[0-9a-f]{64}")
_SECRET_BYTES = 32


def is_key(token: str) -> bool:
    """Whether it looks like a key, and not like a JWT."""
    return token.startswith(_PREFIX)


def read(token: str) -> FoundKey:
    """What a key opens. Raises TokenError, which says whether it has expired only to its owner."""
    written = _KEY.fullmatch(token)
    found = keys.found(ApiKey, written[1]) if written else None
    # The database takes some microseconds more to find a row. They tell nothing: an id has 64
    # random bits, so nobody can ask for one that exists without having been given it.
    key = found or keys.none(ApiKey, hashlib.sha256().digest_size)
    if not hmac.compare_digest(_hash(token), key.secret) or key.is_revoked:
        raise TokenError("invalid_token", "The key is not valid.")
    if key.has_expired:
        raise TokenError("token_expired", "The key has expired.")
    return key


def new(key_id: str) -> tuple[ApiKey, str]:
    """A key that is not stored yet, and its text."""
    made = ApiKey(id=key_id)
    text = f"{_PREFIX}{made.pk}_{secrets.token_hex(_SECRET_BYTES)}"
    made.hash = _hash(text)
    return made, text


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
