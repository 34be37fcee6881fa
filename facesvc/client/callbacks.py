"""Whether a callback comes from the service: Standard Webhooks 1.0, as in docs/webhooks.md."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import cast

from facesvc.client.answers import BatchJobEnded
from facesvc.client.errors import CallbackError

_PREFIX = "whsec_"
_OLDEST = 300  # seconds, and as many into the future


def verify_callback(secret: str, headers: Mapping[str, str], body: bytes) -> BatchJobEnded:
    """The event that a callback reports, once its signature and its age are checked.

    `secret` is what `facesvc webhook_secret` prints, and `body` the body byte for byte. Remember
    the header `webhook-id` for some days, and ignore what you have seen: a callback may arrive
    twice. Raises CallbackError.
    """
    given = {name.lower(): value for name, value in headers.items()}
    try:
        identity, stamp = given["webhook-id"], given["webhook-timestamp"]
        signatures = given["webhook-signature"].split()
        age = time.time() - int(stamp)
    except (KeyError, ValueError) as error:
        raise CallbackError("a header of the signature is missing or broken") from error
    try:
        key = base64.b64decode(secret.strip().removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise CallbackError(f"the secret is not one: it begins with {_PREFIX}") from error
    if not key:  # with which anybody can sign
        raise CallbackError("the secret is empty")
    digest = hmac.new(key, f"{identity}.{stamp}.".encode() + body, hashlib.sha256).digest()
    ours = b"v1," + base64.b64encode(digest)
    if not any(hmac.compare_digest(ours, each.encode()) for each in signatures):
        raise CallbackError("the signature is not that of this body and secret")
    if abs(age) > _OLDEST:
        raise CallbackError(f"the callback is {age:.0f} seconds old")
    return cast(BatchJobEnded, json.loads(body))
