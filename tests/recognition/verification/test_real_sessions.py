"""A login and a call over real photos, with the default pack."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import cv2
import numpy as np
import pytest
from django.test import Client
from pytest_django import Settings

from recognition.inference.arrays import Image
from recognition.packs import engine
from tests.support.builders import OWNER, Person, data_of, enrol_face, service_token
from tests.support.photos import (
    SHARED,
    astronaut,
    coffee,
    encode,
    jpeg,
    needs_shared,
    resized,
    six_people,
    tom_hanks,
)

pytestmark = pytest.mark.django_db
START, SURE, LOST, OTHER = "verifying", "verified", "lost", "mismatch"


@pytest.fixture(autouse=True)
def no_hurry(settings: Settings) -> None:
    settings.FACESVC_LIVE_FRAMES_PER_SECOND = 1000


def shaken(image: Image, number: int) -> Image:
    """As a hand-held camera sees it: a little turned, shifted, and with another light."""
    height, width = image.shape[:2]
    draw = np.random.default_rng(number).uniform(-1, 1, 4)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 4 * draw[0], 1 + 0.03 * draw[1])
    matrix[:, 2] += 0.02 * width * draw[2:]
    moved = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.clip(moved * (1 + 0.1 * draw[0]) + 6 * draw[1], 0, 255).astype(np.uint8)


def moved(image: Image, number: int) -> Image:
    """As a camera sees somebody who turns their head and nods: the nose goes further than the ears.
    Photos of real people are one moment each, so this is only like it."""
    faces, pose = engine.current().pipeline.detect(image)[:1], number % 3
    if not faces or not pose:
        return shaken(image, number)
    how_far = {1: 0.15, 2: 0.35}[pose]  # to nod, to turn
    (x, y), radius = faces[0].centre, 0.35 * float(faces[0].box[2] - faces[0].box[0])
    places = np.indices(image.shape[:2], np.float32)  # rows, columns
    near_nose = np.exp(-((places[1] - x) ** 2 + (places[0] - y) ** 2) / radius**2)
    places[pose - 1] -= (how_far * radius * near_nose).astype(np.float32)
    turned = cv2.remap(
        image, places[1], places[0], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return shaken(turned.astype(np.uint8), number)


def portrait(image: Image) -> Image:
    """Small enough for a video call."""
    return resized(image, min(1.0, 480 / max(image.shape)))


class Call:
    def __init__(self, person: Person, **fields: Any) -> None:
        fields = {"user_id": OWNER, "purpose": "video_call", **fields}
        self.path = f"sessions/{data_of(person.post('sessions', **fields), 201)['session_id']}"
        self.person, self.frames = person, 0

    def states(self, image: Image, frames: int, *, moves: bool = True) -> list[str]:
        states = []
        for _ in range(frames):
            self.frames += 1
            answer = self.person.send(
                "post",
                f"{self.path}/frames?sequence={self.frames}",
                jpeg((moved if moves else shaken)(image, self.frames)),
                content_type="image/jpeg",
            )
            states.append(data_of(answer)["state"])
        return states


def enrol(*images: bytes) -> None:
    for image in images:
        enrol_face(OWNER, image)


def log_in(person: Person, path: str, image: bytes) -> tuple[str, str]:
    """The result, and the state of the session after it."""
    text = base64.b64encode(image).decode()
    metadata = {"session_id": path.removeprefix("sessions/")}
    answer = data_of(person.post("verify", user_id=OWNER, image=text, metadata=metadata))
    return answer["verification_result"], data_of(person.get(path))["state"]


def test_a_login(service: Person) -> None:
    enrol(encode(astronaut()))
    path = Call(service, purpose="login").path
    tried = [coffee(), resized(tom_hanks(), 3), moved(astronaut(), 2)]
    assert [log_in(service, path, jpeg(image)) for image in tried] == [
        ("no_face_detected", START),
        ("no_match", START),
        ("success", SURE),
    ]


# What was done to a picture that logged in before, or was enrolled; each of them logged in once.
COPIES: dict[str, Callable[[Image], bytes]] = {
    "the picture itself": encode,
    "quality 90": lambda image: jpeg(image, 90),
    "quality 85": lambda image: jpeg(image, 85),
    "quality 60": lambda image: jpeg(image, 60),
    "one pixel more": lambda image: encode(np.pad(image, ((1, 0), (1, 0), (0, 0)), "edge")),
    "mirrored": lambda image: encode(np.ascontiguousarray(image[:, ::-1])),
    "smaller": lambda image: jpeg(resized(image, 0.9)),
    "hand-held": lambda image: jpeg(shaken(image, 1)),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_do_not_log_in(service: Person, name: str) -> None:
    """Neither of the enrolled picture nor of one that logged in before."""
    enrol(encode(astronaut()))
    path = Call(service, purpose="login").path
    assert log_in(service, path, COPIES[name](astronaut())) == ("rejected", START)
    used = moved(astronaut(), 2)
    assert log_in(service, path, encode(used)) == ("success", SURE)
    again = Call(service, purpose="login").path
    assert log_in(service, again, COPIES[name](used)) == ("rejected", START)


def test_a_still_in_a_call(service: Person) -> None:
    """Held in a hand, or put into the stream of a virtual camera: only who moves is verified."""
    enrol(encode(astronaut()))
    for still in (True, False):
        call = Call(service)
        states = call.states(portrait(astronaut()), 6, moves=not still)
        assert (SURE in states) is not still


def test_a_call(service: Person) -> None:
    """One sits down, leaves, another comes, then six people, then the first one again."""
    enrol(encode(resized(tom_hanks(), 3)))
    call = Call(service)
    hanks = resized(tom_hanks(), 2)
    trace = [
        *call.states(hanks, 4),
        *call.states(resized(coffee(), 0.5), 3),
        *call.states(portrait(astronaut()), 3),
        *call.states(resized(six_people(), 0.5), 2),
        *call.states(hanks, 3),
    ]
    assert trace == [
        *(START, START, SURE, SURE),
        *(SURE, SURE, LOST),
        *(LOST, LOST, OTHER),
        *(OTHER, OTHER),
        *(OTHER, OTHER, SURE),
    ]


@needs_shared
def test_a_login_and_a_call_with_two_photos_of_one_man(service: Person) -> None:
    obama, again, biden = (
        cv2.imread(str(SHARED / "photos" / name)).astype(np.uint8)
        for name in ("obama.jpg", "obama2.jpg", "biden.jpg")
    )
    enrol(jpeg(obama))
    path = Call(service, purpose="login").path
    assert log_in(service, path, jpeg(biden)) == ("no_match", START)
    assert log_in(service, path, jpeg(again)) == ("success", SURE)
    call = Call(service)
    trace = [
        *call.states(portrait(again), 3),
        *call.states(portrait(biden), 3),
        *call.states(resized(coffee(), 0.5), 3),
        *call.states(portrait(again), 3),
    ]
    assert trace == [
        *(START, START, SURE),
        *(SURE, SURE, OTHER),
        *(OTHER, OTHER, LOST),
        *(LOST, LOST, SURE),
    ]


def people_of_lfw(count: int) -> list[list[Path]]:
    folders = sorted(folder for folder in (SHARED / "lfw-a").iterdir() if folder.is_dir())
    photos = [sorted(folder.glob("*.jpg")) for folder in folders]
    return [each for each in photos if len(each) > 3][:count]


@needs_shared
def test_calls_of_people_of_lfw(client: Client) -> None:
    """Enrolled with two photos; a call shows the others, then somebody else, then them again."""
    person = Person(service_token(), client)
    people = people_of_lfw(6)
    read = [[cv2.imread(str(path)).astype(np.uint8) for path in photos] for photos in people]
    for number in range(0, len(read), 2):
        user_id = OWNER.int + number
        own, stranger = read[number], read[number + 1]
        user = UUID(int=user_id)
        for image in own[:2]:
            enrol_face(user, jpeg(image))
        call = Call(person, user_id=user, verification_level="basic")
        states = call.states(own[2], 4) + call.states(stranger[0], 4) + call.states(own[3], 4)
        assert [states[3], states[7], states[11]] == [SURE, OTHER, SURE], people[number][0].parent
