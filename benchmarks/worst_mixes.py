"""What one end user may send to hurt all others: each mix goes on until it is stopped."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Callable, Coroutine, Iterable
from itertools import cycle
from typing import Any

import numpy as np

from benchmarks.attacker import JSON, Attacker, drip, request_of

MB = 1024**2
LARGEST = 10 * MB  # of a picture


# --- pictures -------------------------------------------------------------------------------------


def _noisy() -> bytes:
    """JPEG of quality 30, 40 megapixels."""
    from tests.support.photos import encode

    noise = np.random.default_rng(1).integers(0, 256, (5000, 8000, 1), np.uint8)
    return encode(np.repeat(noise, 3, 2), ".jpg", 1, 30)[:LARGEST]


def _nobody(rows: int = 12, columns: int = 10) -> bytes:
    from tests.support.photos import coffee, jpeg

    return jpeg(np.tile(coffee(), (rows, columns, 1)), 60)[:LARGEST]


def _crowd(times: int = 4) -> bytes:
    from tests.support.photos import jpeg, six_people

    return jpeg(np.tile(six_people(), (times, times, 1)), 80)


def _blank() -> bytes:
    from tests.support.photos import black_png

    return black_png(8000, 5000)


# --- mixes ----------------------------------------------------------------------------------------

# What is sent is made first, and then sent for ever.
Attack = Coroutine[Any, Any, None]


async def _together(*attacks: Attack) -> None:
    await asyncio.gather(*attacks)


def mixed(by: Attacker) -> Attack:
    """60 costly requests of many kinds, and three calls of frames with nobody in them."""
    (token,) = by.tokens(1)
    many_values = b'{"user_id": "%s", "image": [%s]}' % (
        str(by.user).encode(),
        b",".join([b"{}"] * 4_000_000),
    )
    nobody, blank, register = _nobody(), _blank(), f"register?user_id={by.user}"
    requests = [
        request_of(token, by.verify, _noisy()),
        request_of(token, by.verify, nobody),
        request_of(token, by.verify, blank, "image/png"),
        request_of(token, "identify", _crowd()),
        request_of(token, "detect", blank, "image/png"),
        request_of(token, by.verify, b"\xff\xd8" + b"\xff" * 9_000_000 + b"\0"),
        request_of(token, "verify", many_values, JSON),
        request_of(token, register, nobody, key="the same"),
        request_of(token, register, nobody, key="the same"),
    ]
    sixty = (request for _, request in zip(range(60), cycle(requests), strict=False))
    frame = _nobody(4, 3)
    return _together(by.send(12, sixty), *(by.call(token, frame) for _ in range(3)))


def frames(by: Attacker) -> Attack:
    """Three calls with a crowd in each frame, and a token for each."""
    frame = _crowd(1)
    return _together(*(by.call(token, frame) for token in by.tokens(3)))


def photos(by: Attacker) -> Attack:
    """The largest photos, by many tokens; `identify` looks for small faces in them, too."""
    kinds = [_noisy(), _nobody()]
    pairs = zip(by.tokens(40), cycle(kinds), strict=False)
    requests = [
        request_of(token, path, photo) for token, photo in pairs for path in (by.verify, "identify")
    ]
    return by.send(8, cycle(requests))


def formats(by: Attacker) -> Attack:
    """The pictures of every format that are slowest to decode, by many tokens."""
    from tests.fuzz.hard_pictures import WORST

    names = ("JPEG, noise, progressive", "PNG, 16 bits, alpha, interlaced", "PNG, noise")
    names += ("WebP, noise", "WebP, lossless, 65,536 codes", "BMP, packed")
    kinds = [WORST[name]() for name in names]
    pairs = zip(by.tokens(40), cycle(kinds), strict=False)
    return by.send(8, cycle([request_of(token, by.verify, photo) for token, photo in pairs]))


def crowds(by: Attacker) -> Attack:
    """A hundred faces in each picture, to be found in all groups, by many tokens."""
    crowd = _crowd()
    requests = [
        request_of(token, path, crowd) for token in by.tokens(20) for path in ("identify", "detect")
    ]
    return by.send(8, cycle(requests))


def batches(by: Attacker) -> Attack:
    """Batches that are answered at once, each of a hundred large photos."""
    photo = _nobody(4, 6)
    pictures = [(f"{number}", photo) for number in range(100)]
    body, kind = _form_of(pictures)
    requests = [request_of(token, "batch-identify", body, kind) for token in by.tokens(8)]
    return by.send(6, cycle(requests))


def _form_of(pictures: Iterable[tuple[str, bytes]]) -> tuple[bytes, str]:
    head = "--edge\r\nContent-Disposition: form-data; name=images; filename={}\r\n\r\n"
    parts = [head.format(name).encode() + data + b"\r\n" for name, data in pictures]
    return b"".join(parts) + b"--edge--\r\n", "multipart/form-data; boundary=edge"


def bodies(by: Attacker) -> Attack:
    """The longest bodies that are taken, of JSON."""
    text = base64.b64encode(np.random.default_rng(1).bytes(7 * MB)).replace(b"/", b"\\/")
    images = [b'{"image_id": "%d", "image": "%s"}' % (number, text) for number in range(19)]
    body = b'{"images": [%s]}' % b", ".join(images)
    requests = [request_of(token, "batch-identify", body, JSON) for token in by.tokens(8)]
    return by.send(4, cycle(requests))


def jobs(by: Attacker) -> Attack:
    """Jobs of large photos, for the worker."""
    photo = _nobody()
    images = [{"image_id": f"{n}", "image": base64.b64encode(photo).decode()} for n in range(8)]
    body = json.dumps({"images": images, "processing_options": {"async": True}}).encode()
    requests = [request_of(token, "batch-identify", body, JSON) for token in by.tokens(1)]
    return by.send(1, cycle(requests), pause=2)


def values(by: Attacker) -> Attack:
    """JSON and forms of many small values, for every endpoint that takes them."""
    nested = b'{"a":' * 4000 + b"1" + b"}" * 4000
    wide = b"{%s}" % b",".join(b'"%x":[]' % number for number in range(5000))
    fields = b"".join(
        b"--edge\r\nContent-Disposition: form-data; name=a%d\r\n\r\n1\r\n" % n for n in range(990)
    )
    blanks = (
        b"--edge\r\nContent-Disposition: form-data; name=image; filename=a\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + b" " * LARGEST + b"\r\n--edge--\r\n"
    )
    bodies = [(nested, JSON), (wide, JSON)]
    bodies += [(fields + b"--edge--\r\n", "multipart/form-data; boundary=edge")]
    bodies += [(blanks, "multipart/form-data; boundary=edge")]
    bodies += [(b"\r\n--edg" * (LARGEST // 7), "multipart/form-data; boundary=edge")]
    paths = ("verify", "identify", "batch-identify", "sessions", f"users/{by.user}")
    requests = [
        request_of(token, path, body, kind, method="PUT" if "/" in path else "POST")
        for token in by.tokens(10)
        for path in paths
        for body, kind in bodies
    ]
    random.Random(1).shuffle(requests)
    return by.send(6, cycle(requests))


def rows(by: Attacker) -> Attack:
    """Changes of what searches read: faces, the privacy of the user, sessions; and deep lists."""
    from tests.support.photos import astronaut, jpeg

    photo, user = jpeg(astronaut()[:260, 100:340]), f"users/{by.user}"
    levels = [json.dumps({"privacy_level": level}).encode() for level in ("public", "private")]
    opened = json.dumps({"user_id": str(by.user), "purpose": "video_call"}).encode()
    requests: list[bytes] = []
    for token in by.tokens(60):
        requests += [
            request_of(token, f"register?user_id={by.user}", photo),
            request_of(token, user, levels[0], JSON, method="PUT"),
            request_of(token, user, levels[1], JSON, method="PUT"),
            request_of(token, "sessions", opened, JSON),
            request_of(token, f"{user}/faces?page_size=200", method="GET"),
            request_of(token, "batch-jobs?page_size=200", method="GET"),
            request_of(token, "models", method="GET"),
            request_of(token, user, method="DELETE"),
        ]
    return by.send(8, cycle(requests))


def refused(by: Attacker) -> Attack:
    """Far more requests than a token may make, and tokens without a scope, with long bodies."""
    photo = _nobody()
    tokens = [*by.tokens(1), *by.tokens(1, scopes=["face:manage"]), "not.a.token"]
    requests = [request_of(token, by.verify, photo) for token in tokens]
    return by.send(8, cycle(requests), pause=0.05)


def flood(by: Attacker) -> Attack:
    """Far more short requests than a token may make, on many connections."""
    tokens = [*by.tokens(1), "not.a.token"]
    requests = [request_of(token, f"users/{by.user}", method="GET") for token in tokens]
    return by.send(32, cycle(requests), pause=0.1)


def strangers(by: Attacker) -> Attack:
    """What needs no token: the description, probes, the page, the login of the operators."""
    paths = ("/api/schema", "/health/ready", "/", "/api/docs", "/admin/login/", "/metrics", "/x")
    requests = [request_of("", path, method="GET") for path in paths]
    return by.send(12, cycle(requests), pause=0.05)


def slow(by: Attacker) -> Attack:
    """Bodies of which a byte comes now and then, with all tokens that there are and with none."""
    tokens = [*by.tokens(20), *["not.a.token"] * 20]
    paths = cycle([f"users/{by.user}", by.verify])
    requests = [
        request_of(token, path, b" " * 60_000, JSON, method="PUT" if "/" in path else "POST")
        for token, path in zip(tokens, paths, strict=False)
    ]
    return _together(*(drip(by, request, 1000) for request in requests))


def heads(by: Attacker) -> Attack:
    """Requests of which not even the head comes to its end."""
    (token,) = by.tokens(1)
    request = request_of(token, by.verify, b" " * 60_000, JSON)
    return _together(*(drip(by, request, 20) for _ in range(40)))


Mix = Callable[[Attacker], Attack]
MIXES: dict[str, Mix] = {
    mix.__name__: mix
    for mix in (
        mixed,
        frames,
        photos,
        formats,
        crowds,
        batches,
        bodies,
        values,
        rows,
        refused,
        flood,
        strangers,
        slow,
        heads,
        jobs,  # at last: the worker goes on with them
    )
}
