"""JPEG: walks over the segments, which bounds the work of the decoder.

A decoder does work for every scan, however few bytes the scan has. It fills missing pixels with
grey, so the end marker has to be there; see `_Walk.end` for the one exception.
"""

import re
import struct

from recognition.inference.formats.header import Header, ImageError, invalid, truncated

# The next marker other than stuffing (0), a restart (D0 to D7) or filling (FF). The pattern has no
# repetition, so the search is linear for any bytes.
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_FRAMES = {0xC0 + n for n in range(16)} - {0xC4, 0xC8, 0xCC}
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
# Photos have some dozen segments; a colour profile or a description of 10 MB has 160.
_MAX_SEGMENTS = 1000
# Encoders write 1 to 12 scans. A scan takes up to 1.5 ns a pixel, even without data, so what the
# second limit allows takes less than a second. See docs/decisions/0007.
_MAX_SCANS = 100
_MAX_SCANNED_PIXELS = 600_000_000
# The decoder reads 8 bytes ahead. What it finds there can replace missing data of the last block
# only: it then needs more bytes, and gives up.
_READ_AHEAD = bytes(16)


def read(data: bytes) -> Header:
    """Raises ImageError."""
    walk = _Walk(data)
    return Header(
        "jpeg",
        walk.width,
        walk.height,
        has_end=walk.has_end,
        # The decoder reads all scans, however few pixels it computes. So a picture is decoded twice
        # only if both times together take no longer than the limit allows.
        is_scalable=walk.scanned_pixels <= _MAX_SCANNED_PIXELS // 2,
    )


def for_decoder(data: bytes) -> bytes | memoryview:
    """The picture without any bytes after its end. Raises ImageError."""
    walk = _Walk(data)
    if walk.scans > 1 and walk.scanned_pixels > _MAX_SCANNED_PIXELS:
        raise _too_many_scans()
    picture = memoryview(data)[: walk.end]
    return picture if walk.has_end else bytes(picture) + _READ_AHEAD


class _Walk:
    """The segments up to the end.

    The walk jumps from segment to segment, so the end of a thumbnail inside one does not count.
    Raises ImageError, struct.error.
    """

    def __init__(self, data: bytes) -> None:
        self.width = self.height = self.end = self.scans = self._frame = self._components = 0
        self.has_end = False
        at = 2
        for _ in range(_MAX_SEGMENTS):
            marker = _MARKER.search(data, at)
            if marker is None or marker[1][0] == _END or self.end:
                self._finish(data, marker)
                return
            (length,) = struct.unpack_from(">H", data, marker.end())
            self._see(marker[1][0], data, marker.end())
            at = marker.end() + length
        raise invalid("The JPEG has too many segments.")

    @property
    def scanned_pixels(self) -> int:
        return self.scans * self.width * self.height

    def _finish(self, data: bytes, marker: re.Match[bytes] | None) -> None:
        self.has_end = marker is not None and marker[1][0] == _END
        if marker is None and not self.end:
            raise truncated()
        if not self._frame:
            raise invalid("The JPEG has no frame.")
        self.end = len(data) if marker is None else marker.start() + 2 * self.has_end

    def _see(self, kind: int, data: bytes, at: int) -> None:
        """Check one segment of this kind, whose length is at `at`."""
        if kind < 0xC0 or kind == _START:
            # Decoders disagree with this walk on how long such a segment is.
            raise invalid("The JPEG has a segment that no encoder writes.")
        if kind in _FRAMES:
            self._see_frame(kind, data, at)
        elif kind == _SCAN:
            self._see_scan(data, at)

    def _see_frame(self, kind: int, data: bytes, at: int) -> None:
        if self._frame:
            # Decoders take the first, so the limits would be checked on the wrong one.
            raise invalid("The JPEG has two frames.")
        if kind not in (_BASELINE, _EXTENDED, _PROGRESSIVE):
            # Arithmetic decoding goes on without data, and browsers do not support these kinds
            # either.
            message = "The JPEG is arithmetic-coded, lossless or hierarchical; send a plain one."
            raise ImageError("unsupported_format", message)
        self._frame = kind
        self.height, self.width, self._components = struct.unpack_from(">HHB", data, at + 3)

    def _see_scan(self, data: bytes, at: int) -> None:
        if not self._frame:
            raise invalid("The JPEG has no frame before its pixels.")
        self.scans += 1
        if self.scans > _MAX_SCANS:
            raise _too_many_scans()
        # One scan of all components in sequence has all pixels: nothing after it is needed, and
        # some cameras leave out the end marker. The decoder itself then reports missing pixels.
        is_whole = self._frame != _PROGRESSIVE and data[at + 2] == self._components
        self.end = at if is_whole and self.scans == 1 else 0


def _too_many_scans() -> ImageError:
    return invalid("The JPEG has too many scans.")
