"""What a frame of a call costs beside its inference alone: `make bench-frames`.

CPU time of the whole process; the machine may be busy, so believe the ratio. Exit code 1 when a
frame costs more than 1.15 times as much as decoding, detecting and embedding the same picture.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from itertools import count
from statistics import quantiles

import django
from cryptography.fernet import Fernet

from benchmarks.service import prepared

MOST = 1.15
PHOTOS = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frames", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    keys = {"FACESVC_CROP_KEYS": Fernet.generate_key().decode(), "LOG_LEVEL": "WARNING"}
    with prepared({**keys, "FACESVC_LIVE_FRAMES_PER_SECOND": "1000"}) as environment:
        os.environ.update(environment)
        django.setup()
        figures = measure(options.rounds)
    print(json.dumps(figures | {"load_average": round(os.getloadavg()[0], 2)}, indent=2))
    if figures["of_inference"] > MOST:
        print(f"FAILED: a frame costs more than {MOST} times its inference")
        return 1
    print("A frame costs little more than its inference")
    return 0


def measure(rounds: int) -> dict[str, float]:
    """Milliseconds of CPU of a frame and of its inference, and their ratio.

    Of each the lower quartile of all rounds: whatever else the machine does only adds to both.
    """
    from recognition.packs import engine, main_face
    from tests.support.photos import astronaut, jpeg, resized

    active = engine.current()
    # A portrait in 640 x 480, another picture each time.
    view = resized(astronaut(), 480 / 512)
    photos = [jpeg(_beside(view, 80 + number, 80 - number)) for number in range(-PHOTOS, PHOTOS, 2)]
    frame = _call(photos[0])
    ways: dict[str, Callable[[bytes], object]] = {
        "frame": frame,
        "inference": lambda photo: active.embed(main_face.find(active, photo).faces),
    }
    for way in ways.values():
        way(photos[0])
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for photo in photos * rounds:
        for name, way in ways.items():
            began = time.process_time()
            way(photo)
            seconds[name].append(time.process_time() - began)
    least = {name: quantiles(values)[0] for name, values in seconds.items()}
    return {
        **{f"{name}_ms": round(1000 * value, 2) for name, value in least.items()},
        "of_inference": round(least["frame"] / least["inference"], 3),
    }


def _beside(view, left: int, right: int):
    import cv2

    return cv2.copyMakeBorder(view, 0, 0, left, right, cv2.BORDER_REPLICATE)


def _call(enrolled: bytes) -> Callable[[bytes], object]:
    """What sends the next frame of a call of a user who is enrolled with that picture.

    All of them are views of one picture: the call is verified from the start.
    """
    from django.test import Client
    from django.test.utils import setup_test_environment
    from django.utils import timezone

    from recognition.models import Session
    from tests.support.builders import OWNER, Person, data_of, enrol_face, user_token

    setup_test_environment()
    enrol_face(OWNER, enrolled)
    person, sequence = Person(user_token(OWNER), Client()), count(1)
    opened = data_of(person.post("sessions", user_id=OWNER, purpose="video_call"), 201)
    Session.objects.update(state="verified", moved_at=timezone.now())

    def send(photo: bytes) -> object:
        path = f"sessions/{opened['session_id']}/frames?sequence={next(sequence)}"
        return data_of(person.send("post", path, photo, content_type="image/jpeg"))

    return send


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    sys.exit(main())
