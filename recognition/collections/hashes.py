"""Hashes of pictures, phones and ids, by which nobody can link two collections."""

import hmac

from django.utils.crypto import salted_hmac

from recognition.collections.current import here


def keyed(what: str, value: str | bytes) -> hmac.HMAC:
    """An HMAC-SHA256 of a value, under our secret and the salt of the current collection.

    `what` says what is hashed, so that equal values of two kinds have two hashes.
    """
    given = value if isinstance(value, bytes) else value.encode()
    return salted_hmac(what, here().salt + given, algorithm="sha256")
