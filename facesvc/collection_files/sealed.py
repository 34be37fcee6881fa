"""A file of lines that only those read who have its passphrase.

It is encrypted by AES-256-GCM in pieces, under a key that scrypt makes of the passphrase and a
random salt. The nonce of a piece is its number, and says whether it is the last one: pieces that
are changed, exchanged or missing are refused.
"""

import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

_MARK = b"facesvc collection 1\n"
_SALT = 16  # bytes
_PIECE = 1024**2  # bytes of a piece
_TAG = 16
# What OWASP names for stored passwords: 128 MiB, a third of a second.
_COST = {"n": 2**17, "r": 8, "p": 1}
LEAST = 20  # characters of a passphrase


class SealedFileError(Exception):
    """The file is not what it should be; the message says what, after its name."""


def _cipher(passphrase: str, salt: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt=salt, length=32, **_COST).derive(passphrase.encode()))


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11) + bytes([is_last])


class Writer:
    """Writes JSON values, each a line. Without `close` nobody takes the file for whole."""

    def __init__(self, file: BinaryIO, passphrase: str) -> None:
        salt = os.urandom(_SALT)
        self._file, self._head = file, _MARK + salt
        self._cipher = _cipher(passphrase, salt)
        self._waiting, self._number = bytearray(), 0
        file.write(self._head)

    def write(self, value: Any) -> None:
        self._waiting += json.dumps(value, separators=(",", ":")).encode() + b"\n"
        while len(self._waiting) > _PIECE:
            self._seal(bytes(self._waiting[:_PIECE]), is_last=False)
            del self._waiting[:_PIECE]

    def close(self) -> None:
        self._seal(bytes(self._waiting), is_last=True)

    def _seal(self, piece: bytes, *, is_last: bool) -> None:
        nonce = _nonce(self._number, is_last=is_last)
        self._file.write(self._cipher.encrypt(nonce, piece, self._head))
        self._number += 1


def read(file: BinaryIO, passphrase: str) -> Iterator[Any]:
    """The values that were written. Raises SealedFileError, at the latest at the end."""
    head = file.read(len(_MARK) + _SALT)
    if not head.startswith(_MARK) or len(head) < len(_MARK) + _SALT:
        raise SealedFileError("is no file of a collection")
    rest = b""
    for piece in _pieces(file, _cipher(passphrase, head[len(_MARK) :]), head):
        *lines, rest = (rest + piece).split(b"\n")
        yield from map(json.loads, lines)


def _pieces(file: BinaryIO, cipher: AESGCM, head: bytes) -> Iterator[bytes]:
    sealed, number = file.read(_PIECE + _TAG), 0
    while True:
        following = file.read(_PIECE + _TAG)
        nonce = _nonce(number, is_last=not following)
        try:
            yield cipher.decrypt(nonce, sealed, head)
        except InvalidTag:
            problem = (
                "was cut off or changed" if number else "has another passphrase, or was changed"
            )
            raise SealedFileError(problem) from None
        if not following:
            return
        sealed, number = following, number + 1
