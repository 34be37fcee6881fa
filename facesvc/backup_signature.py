"""The last line of a backup: who made it. Restoring a file runs what is in it.

A dump is SQL with functions and triggers, which the service would run with its own rights. So a
file is restored only if it was made with this installation's SECRET_KEY, or if somebody says that
they know where it is from. Programs of PostgreSQL do not mind the line.
"""

import hashlib
import hmac
import os
import re
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

_LINE = re.compile(rb"\nfacesvc backup, HMAC-SHA256 ([0-9a-f]{64})\n")
_LENGTH = len("\nfacesvc backup, HMAC-SHA256 \n") + 64
_CHUNK = 1024**2


def sign(file: Path) -> None:
    """Append the line."""
    with file.open("rb") as content:
        digest = _digest(content, file.stat().st_size)
    with file.open("ab") as end:
        end.write(f"\nfacesvc backup, HMAC-SHA256 {digest}\n".encode())


def problem_with(content: BinaryIO) -> str:
    """What is wrong with an open file, to be read after its name; empty if we have signed it.

    Nobody else may be able to change the file.
    """
    length = max(0, content.seek(0, os.SEEK_END) - _LENGTH)
    content.seek(length)
    line = _LINE.fullmatch(content.read())
    if not line:
        return "has no signature"
    is_ours = hmac.compare_digest(line[1].decode(), _digest(content, length))
    return "" if is_ours else "was changed, or made with another SECRET_KEY"


def _digest(content: BinaryIO, length: int) -> str:
    """The HMAC of the first `length` bytes, in hexadecimal digits."""
    key = hashlib.sha256(b"facesvc.backup\n" + settings.SECRET_KEY.encode()).digest()
    made = hmac.new(key, digestmod="sha256")
    content.seek(0)
    while chunk := content.read(min(_CHUNK, length)):
        made.update(chunk)
        length -= len(chunk)
    return made.hexdigest()
