"""Lists in pages: where a page ended is in its NextToken, which nobody else can make or read."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from facesvc.aws.errors import AwsError
from facesvc.aws.operations.calls import Answer, AwsCall
from recognition.collections.current import here

_Row = TypeVar("_Row")


def page(
    call: AwsCall,
    rows_after: Callable[[str, int], Sequence[_Row]],
    position_of: Callable[[_Row], object],
    *,
    usual: int,
) -> tuple[list[_Row], Answer]:
    """The rows of a page, and the NextToken if more follow.

    `rows_after` gives so many rows behind a position, or from the beginning if it is empty. Raises
    InvalidPaginationTokenException.
    """
    most = call.fields.get("MaxResults") or usual  # some lists take 0 for the usual number
    token = call.fields.get("NextToken")
    found = rows_after(_opened(call, token) if token else "", most + 1)
    rows = [*found[:most]]
    if len(found) <= most:
        return rows, {}
    text = f"{_list_of(call)} {position_of(rows[-1])}"
    return rows, {"NextToken": _sealing().encrypt(text.encode()).decode()}


def _opened(call: AwsCall, token: str) -> str:
    try:
        listed, _, position = _sealing().decrypt(token.encode()).decode().partition(" ")
    except InvalidToken:
        listed = position = ""
    if listed != _list_of(call):
        message = "The NextToken is not one of this list."
        raise AwsError("InvalidPaginationTokenException", message)
    return position


def _list_of(call: AwsCall) -> str:
    """What stands for the list: a token of another one, or of another key's, is refused, and one of
    a collection that was erased, whose name another one has now."""
    fields: dict[str, Any] = {
        name: value
        for name, value in call.fields.items()
        if name not in ("NextToken", "MaxResults")
    }
    text = repr((here().number, call.operation, call.caller.subject, sorted(fields.items())))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def _sealing() -> Fernet:
    key = HKDF(SHA256(), length=32, salt=None, info=b"facesvc tokens of pages")
    return Fernet(base64.urlsafe_b64encode(key.derive(settings.SECRET_KEY.encode())))
