"""`python -m tests.fuzz.damage NAME`: one of the bodies that once did damage, and what it costs
now.

In a process of its own, which the kernel ends after `MOST_SECONDS` of CPU: what took minutes takes
a second at most. The last line that is printed says what became of it.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import django
import psutil

from recognition.collections import current
from recognition.inference.images import ImageError, decode
from tests.fuzz import hard_pictures as hard
from tests.support.processes import PROJECT, environment

MOST_SECONDS = 60  # for making the bodies, too
MB = 1024**2

PICTURES: dict[str, Callable[[], Iterable[bytes]]] = {
    "filling": lambda: [hard.filling(250_000), hard.filling(10 * MB - 3)],
    "filling and no marker": lambda: [b"\xff\xd8" + b"\xff\0" * (5 * MB - 1)],
    "empty segments": lambda: [hard.empty_segments()],
    "every marker": lambda: (body for _, body in hard.every_marker()),
    "2,000 scans": lambda: [hard.more_scans(2000, 2000, 2000, which=-1)],
    "300 MB behind the pixels": lambda: [hard.zeros_behind()],
    "1,000 packed texts": lambda: [hard.packed_texts()],
}


def _form(name: str, content: bytes, more: str = "") -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + content + b"\r\n--x--\r\n"


JSON, FORM = "application/json", "multipart/form-data; boundary=x"
_OBJECTS = b"[" + b"{}," * 5_000_000 + b"{}]"
# Type, body, and what it is answered. Each is sent eight times.
BODIES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "objects": (JSON, lambda: b'{"image": ' + _OBJECTS + b"}", "413 payload_too_large"),
    "objects in a text": (
        JSON,
        lambda: b'{"image": "QUJD", "metadata": "' + _OBJECTS + b'"}',
        "413 payload_too_large",
    ),
    "objects in a form": (FORM, lambda: _form("metadata", _OBJECTS), "413 payload_too_large"),
    "objects in a file": (
        FORM,
        lambda: _form("metadata", _OBJECTS, '; filename="blob"'),
        "413 payload_too_large",
    ),
    "names": (JSON, lambda: b"{" + b'"a":1,' * 2_500_000 + b'"b":1}', "413 payload_too_large"),
    "a picture that is none": (
        JSON,
        lambda: b'{"image": "' + b"QUJD" * 3_000_000 + b'"}',
        "415 unsupported_format",
    ),
}


def run(name: str) -> dict[str, Any]:
    """What `python -m tests.fuzz.damage` says. Raises AssertionError when it does not come to an
    end."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.damage", name],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=environment(RATE_LIMIT_PER_MINUTE="0", RATE_LIMIT_PER_HOUR="0"),
    )
    assert done.returncode == 0, f"{name}: ended by {done.returncode}\n{done.stderr[-2000:]}"
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def outcome_of(body: bytes) -> str:
    try:
        decode(body, max_bytes=10 * MB, max_pixels=40_000_000)
    except ImageError as error:
        return error.code
    return "decoded"


def send(name: str) -> None:
    """Send a body eight times; how much the process has grown then."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "facesvc.settings"
    django.setup()
    from django.test import Client
    from django.test.utils import setup_test_environment

    from tests.support.builders import Person, fake_engine, service_token

    setup_test_environment()
    current.enter(current.DEFAULT)
    engine = fake_engine()
    sys.modules["recognition.packs.engine"].current = lambda: engine  # type: ignore[attr-defined]
    person = Person(service_token(), Client())
    content_type, make, _ = BODIES[name]
    body, outcomes, grown = make(), set(), []
    person.send("post", "identify", b"{}")
    before = psutil.Process().memory_info().rss
    for _ in range(8):
        answer = person.send("post", "identify", body, content_type=content_type)
        outcomes.add(f"{answer.status_code} {answer.json()['error']['code']}")
        answer.request["wsgi.input"].__init__()  # the test client would keep what it sent
        grown.append((psutil.Process().memory_info().rss - before) / 1e6)
    print(json.dumps({"outcomes": sorted(outcomes), "first_mb": grown[0], "last_mb": grown[-1]}))


def main(name: str) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    if name in BODIES:
        send(name)
        return
    outcomes, most = set(), 0.0
    for body in PICTURES[name]():
        started = time.process_time()
        outcomes.add(outcome_of(body))
        most = max(most, time.process_time() - started)
    print(json.dumps({"outcomes": sorted(outcomes), "most_seconds": round(most, 3)}))


if __name__ == "__main__":
    main(sys.argv[1])
