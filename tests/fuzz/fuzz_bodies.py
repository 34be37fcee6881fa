"""Bodies that nobody should send: broken pictures in every form in which pictures come, and noise.

Each is made from its number alone, so that one that was found can be made again.
"""

import base64
import json
import random
from collections.abc import Callable
from typing import NamedTuple

from tests.fuzz.fuzz_pictures import cut, edge, flip, move, picture

USER = "0000000a-0000-4000-8000-000000000001"
BOUNDARY = b"xxBOUNDARYxx"
RAW_TYPES = ["image/jpeg", "image/png", "image/webp", "image/bmp", "image/gif", "image/x-\xff"]


class Sent(NamedTuple):
    """A request; `kind` is for the report."""

    kind: str
    path: str
    content_type: str
    body: bytes


# --- texts ----------------------------------------------------------------------------------------


def base64_text(chance: random.Random, data: bytes) -> str:
    text = base64.b64encode(data).decode()
    return chance.choice(_BASE64)(chance, text)


def _sprinkled(chance: random.Random, text: str) -> str:
    odd = ["=", "-", "_", "%", "\n", " ", "\0", "\ud800", "é", "\U0001f600", "\u202e", "\\", '"']
    letters = list(text)
    for _ in range(chance.randint(1, 5)):
        letters.insert(chance.randrange(len(letters) + 1), chance.choice(odd))
    return "".join(letters)


_BASE64: list[Callable[[random.Random, str], str]] = [
    lambda chance, text: text,
    lambda chance, text: text,
    lambda chance, text: text.rstrip("="),
    lambda chance, text: text[: chance.randrange(len(text) + 1)],
    lambda chance, text: text.replace("+", "-").replace("/", "_"),
    lambda chance, text: "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)),
    lambda chance, text: base64.b64encode(text.encode()).decode(),
    lambda chance, text: text + "=" * chance.randrange(1, 9) + text[:8],
    lambda chance, text: chance.choice(_DATA_URIS) + text,
    lambda chance, text: chance.choice(_DATA_URIS) + text,
    _sprinkled,
]
_DATA_URIS = [
    *(
        "data:image/jpeg;base64,",
        "data:image/png;base64,",
        "data:;base64,",
        "DATA:image/png;base64,",
    ),
    *("data:,", "data:image/png,", "data:" + "x" * 5000 + ";base64,", "data:image/svg+xml;base64,"),
    *("data:image/png;base64,data:image/png;base64,", "data:text/html;charset=x;base64,"),
]


def value(chance: random.Random, depth: int = 0) -> object:
    """Any JSON value, more often a strange one."""
    plain = [
        None,
        True,
        0,
        -1,
        2**63,
        10**400,
        1.5,
        1e308,
        "",
        "x",
        "\0",
        "\ud800",
        "[]",
        "{}",
        USER,
    ]
    if depth > 3 or chance.random() < 0.7:
        return chance.choice(plain)
    if chance.random() < 0.5:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {str(value(chance, 9)): value(chance, depth + 1) for _ in range(chance.randrange(4))}


def _broken_json(chance: random.Random, text: bytes) -> bytes:
    deep = chance.choice([50, 2000, 30_000])
    nested = chance.choice([b"[" * deep + b"]" * deep, b'{"a":' * deep + b"1" + b"}" * deep])
    ways = [
        lambda: text,
        lambda: text,
        lambda: text,
        lambda: flip(chance, text),
        lambda: cut(chance, text),
        lambda: move(chance, text),
        lambda: text.replace(b"{", b'{"x": ' + nested + b", ", 1),
        lambda: text.replace(b"null", chance.choice([b"NaN", b"1e999", b"9" * 5000, b"-0"])),
        lambda: text.decode().encode(chance.choice(["utf-16", "utf-32", "utf-8-sig"])),
    ]
    return chance.choice(ways)()


# --- requests -------------------------------------------------------------------------------------

_OPTIONS = {
    "register": ["face_group", "face_index", "metadata"],
    "verify": ["face_id", "verification_level", "match_on", "metadata"],
    "identify": ["on_behalf_of", "faces", "search_scope", "metadata"],
    "detect": [],
    "compare": ["verification_level"],
    "frames": ["sequence", "captured_at"],
}


def _fields(chance: random.Random, path: str) -> dict[str, object]:
    fields: dict[str, object] = {"user_id": USER} if path in ("register", "verify") else {}
    for name in _OPTIONS[path]:
        if chance.random() < 0.1:
            fields[name] = value(chance)
    if chance.random() < 0.05:
        fields[chance.choice(["user_id", "image", "x", "\0"])] = value(chance)
    return fields


def _pictures_of(path: str) -> list[str]:
    return ["image_a", "image_b"] if path == "compare" else ["image"]


def _as_raw(chance: random.Random) -> Sent:
    path = chance.choice([path for path in _OPTIONS if path != "compare"])
    query = f"?user_id={USER}" if path in ("register", "verify") else ""
    return Sent("raw", path + query, chance.choice(RAW_TYPES), picture(chance))


def _as_json(chance: random.Random) -> Sent:
    path = chance.choice([*_OPTIONS])
    texts = {name: base64_text(chance, picture(chance)) for name in _pictures_of(path)}
    text = json.dumps(texts | _fields(chance, path)).encode()
    return Sent("JSON", path, "application/json", _broken_json(chance, text))


def _as_batch(chance: random.Random) -> Sent:
    count = chance.choice([0, 1, 2, 3, 101])
    images = [
        {"image_id": f"{number}", "image": base64_text(chance, picture(chance))}
        for number in range(min(count, 3))
    ]
    images += images[:1] * (count - len(images))
    text = json.dumps({"images": images if chance.random() < 0.9 else value(chance)}).encode()
    return Sent("batch", "batch-identify", "application/json", _broken_json(chance, text))


def _as_form(chance: random.Random) -> Sent:
    path = chance.choice([*_OPTIONS, "batch-identify"])
    names = ["images"] * 2 if path == "batch-identify" else _pictures_of(path)
    parts = [_part(chance, name, picture(chance), 'filename="a.jpg"') for name in names]
    for name, content in _fields(chance, path).items() if path in _OPTIONS else ():
        text = content if isinstance(content, str) else json.dumps(content)
        parts.append(_part(chance, name, text.encode(errors="surrogatepass")))
    body = b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"
    for _ in range(chance.choice([0, 0, 0, 1, 2])):
        body = chance.choice([flip, cut, move, edge])(chance, body)
    boundary = chance.choice([BOUNDARY] * 8 + [b"other", b"", b"x" * 300, b"\xff"]).decode(
        "latin-1"
    )
    return Sent("form", path, f"multipart/form-data; boundary={boundary}", body)


def _part(chance: random.Random, name: str, content: bytes, more: str = "") -> bytes:
    odd = [
        "Content-Transfer-Encoding: base64",
        "Content-Transfer-Encoding: quoted-printable",
        "Content-Type: image/jpeg",
        "Content-Type: multipart/mixed; boundary=y",
        "Content-Type: text/plain; charset=nonsense",
        "Content-Disposition: form-data; name=x",
        "X: " + "x" * 3000,
    ]
    headers = [f'Content-Disposition: form-data; name="{name}"; {more}']
    headers += [chance.choice(odd)] if chance.random() < 0.2 else []
    head = "\r\n".join(headers).encode(errors="surrogatepass")
    return b"--" + BOUNDARY + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


def _as_graph(chance: random.Random) -> Sent:
    things: list[object] = [
        {"user": {"user_id": USER, "display_name": value(chance)}},
        {"group": value(chance)},
        {"group": "hiking"},
        {"membership": {"group": "hiking", "user_id": USER}},
        {"friendship": [USER, value(chance)]},
        {"remove": {"membership": {"group": "hiking", "user_id": USER}}},
        value(chance),
    ]
    lines = [json.dumps(chance.choice(things)).encode() for _ in range(chance.randrange(8))]
    lines = [line if chance.random() < 0.7 else _broken_json(chance, line) for line in lines]
    ends = chance.choice([b"\n", b"\n", b"\r\n", b"\r", b"\n\n", b"\0"])
    return Sent("graph", "graph", "application/x-ndjson", ends.join(lines))


_FORMS = [_as_raw, _as_raw, _as_raw, _as_json, _as_json, _as_json, _as_form, _as_form]
_FORMS += [_as_batch, _as_graph]


def body(seed: int, number: int) -> Sent:
    chance = random.Random(f"{seed} {number}")
    return chance.choice(_FORMS)(chance)
