"""`python -m tests.fuzz.fuzzing SEED FIRST LAST SHARE`: sends the bodies of tests.fuzz.fuzz_bodies.

In a process of its own, whose end is seen when a decoder takes it down: before each body its number
is written to the standard output, and at the end a report. One body of SHARE is looked at with the
real networks if it can be decoded, the others find a face that is made up.
"""

import json
import os
import sys
import traceback
from collections import Counter
from datetime import timedelta
from typing import Any

import django
import psutil

from recognition.collections import current

# The memory is compared with what it was after so many of all bodies.
WARM = 0.3


def main(seed: int, first: int, last: int, share: int) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "facesvc.settings"
    django.setup()
    from django.test.utils import setup_test_environment

    setup_test_environment()
    current.enter(current.DEFAULT)
    sender = _sender(share)
    statuses: Counter[str] = Counter()
    findings: list[dict[str, Any]] = []
    memory: list[int] = []
    for number in range(first, last):
        print(number, flush=True)
        try:
            statuses[sender(seed, number)] += 1
        except Exception:
            findings.append({"number": number, "what": traceback.format_exc()})
        memory.append(psutil.Process().memory_info().rss)
    report = {
        "statuses": dict(statuses.most_common()),
        "findings": findings[:20],
        "found": len(findings),
        "warm_mb": max(memory[: int(len(memory) * WARM) + 1]) / 1e6,
        "most_mb": max(memory) / 1e6,
        "end_mb": sum(memory[-50:]) / len(memory[-50:]) / 1e6,
    }
    print(json.dumps(report))


def _sender(share: int) -> Any:
    """What sends one body and says what became of it. Raises when that is none of its answers."""
    from django.test import Client
    from django.utils import timezone

    from facesvc.http.error_codes import STATUS
    from recognition.models import Session
    from recognition.packs import engine
    from tests.fuzz.fuzz_bodies import body
    from tests.support.builders import (
        OWNER,
        Person,
        fake_engine,
        make_face,
        make_user,
        near,
        service_token,
        vector,
    )

    real, faked = engine.current, fake_engine()
    faked.pipeline.show(near(vector(1), 0.93))  # type: ignore[attr-defined]
    owner = make_user(OWNER)
    make_face(owner, vector(1))
    later = timezone.now() + timedelta(days=1)
    session = Session.objects.create(
        user=owner, purpose="video_call", level="standard", expires_at=later
    )
    client = Client()

    def send(seed: int, number: int) -> str:
        sent = body(seed, number)
        engine.current = real if number % share == 0 else lambda: faked
        person = Person(service_token(), client)
        path = sent.path.replace("frames", f"sessions/{session.pk}/frames")
        answer = person.send("post", path, sent.body, content_type=sent.content_type)
        told = answer.json()
        assert told["success"] is (answer.status_code < 400), told
        assert answer.status_code < 500, told
        code = told.get("error", {}).get("code", "")
        assert not code or STATUS[code] == answer.status_code, told
        return f"{sent.kind} {answer.status_code} {code}".rstrip()

    return send


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
