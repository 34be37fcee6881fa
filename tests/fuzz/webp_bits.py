"""Lossless WebP written bit by bit, as no encoder does: RFC 9649, section 3."""

import struct

# In which order the lengths of the codes for code lengths are written.
_ORDER = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
_COLOURS = 256
_BYTE_CODES = [8] * _COLOURS  # every value has the same length


class Bits:
    """Values of so many bits, the lowest first."""

    def __init__(self) -> None:
        self._done = bytearray()
        self._value = self._count = 0

    def put(self, value: int, count: int) -> None:
        self._value |= value << self._count
        self._count += count
        while self._count >= 8:
            self._done.append(self._value & 255)
            self._value >>= 8
            self._count -= 8

    def all(self) -> bytes:
        return bytes(self._done) + struct.pack("<Q", self._value)


def predicted(width: int, height: int, *, mode: int = 11) -> bytes:
    """All transforms of colours, each with one parameter, and one colour: 44 bytes."""
    bits = _begin(width, height)
    for kind, value in ((0, mode), (1, 77)):
        bits.put(1 | kind << 1, 3)
        bits.put(0, 3)  # tiles of 4 x 4
        bits.put(0, 1)
        _one_colour(bits, value)
    bits.put(1 | 2 << 1, 3)
    bits.put(0, 3)  # no further transform, no cache, one group of codes
    _one_colour(bits, 5)
    return _file(bits)


def with_groups(width: int, height: int, count: int) -> bytes:
    """A group of codes for every tile of 16 x 16, up to so many; a decoder makes tables of each."""
    bits = _begin(width, height)
    bits.put(0, 2)
    bits.put(1 | 2 << 1, 4)
    bits.put(0, 1)
    _byte_codes(bits, _COLOURS + 24)
    _byte_codes(bits, _COLOURS)
    for _ in range(3):
        _single(bits, 0)
    for tile in range(-(-width // 16) * -(-height // 16)):
        group = tile % count
        bits.put(_reversed(group & 255), 8)
        bits.put(_reversed(group >> 8), 8)
    for _ in range(5 * count):
        _single(bits, 0)
    return _file(bits)


def _begin(width: int, height: int) -> Bits:
    bits = Bits()
    for value, count in ((0x2F, 8), (width - 1, 14), (height - 1, 14), (0, 4)):
        bits.put(value, count)
    return bits


def _one_colour(bits: Bits, value: int) -> None:
    for each in (value, value, value, 0, 0):
        _single(bits, each)


def _single(bits: Bits, symbol: int) -> None:
    """A code of one symbol, which takes no bits."""
    bits.put(1, 2)
    wide = symbol > 1
    bits.put(int(wide), 1)
    bits.put(symbol, 8 if wide else 1)


def _byte_codes(bits: Bits, symbols: int) -> None:
    """Codes of 8 bits for the first 256 symbols, none for the others."""
    bits.put(0, 1)
    used = max(_ORDER.index(length) for length in (0, 8)) + 1
    bits.put(used - 4, 4)
    for length in _ORDER[:used]:
        bits.put(int(length in (0, 8)), 3)
    bits.put(0, 1)
    for symbol in range(symbols):
        bits.put(int(symbol < _COLOURS), 1)


def _reversed(value: int) -> int:
    return int(f"{value:08b}"[::-1], 2)


def _file(bits: Bits) -> bytes:
    data = bits.all()
    data += bytes(len(data) % 2)
    body = b"WEBPVP8L" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body
