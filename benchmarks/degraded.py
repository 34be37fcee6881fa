"""What the service takes of pictures that no recogniser should judge, through its API.

    FACESVC_MODEL_SOURCE=<folder with the weights> python -m benchmarks.degraded <folder of photos>

Each photo of another person is enrolled as it is, and degraded. A turned picture is compared with
the upright one; if it is as unlike as a stranger's, it was misread, and is enrolled as well. Of
those that were degraded alike and let in, all pairs are compared: these are strangers.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from benchmarks.liveness import one_photo_a_person
from benchmarks.service import PREFIX, Service, running
from recognition.inference.arrays import Image
from recognition.inference.images import turned
from recognition.measuring.quality.spoiling import barred, coarse, masked, moved, scaled

# The confidence that one pair of strangers in a hundred reaches.
_STRANGER = 0.8 * 2 / 3


@dataclass
class Client:
    service: Service
    reasons: Counter[str] = field(default_factory=Counter)

    def post(self, verb: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        status, body = self.service.request(
            "POST",
            f"{PREFIX}/{verb}",
            body=json.dumps(fields).encode(),
            headers={"Content-Type": "application/json"},
        )
        return status, json.loads(body)

    def enrols(self, picture: str) -> bool:
        """Whether the gate lets the picture in; each is enrolled for a user of its own."""
        status, answer = self.post(
            "register", user_id=str(uuid.uuid4()), image=picture, face_index=0
        )
        if status == 201:
            return True
        error = answer["error"]
        if error["code"] not in ("no_face", "low_quality", "invalid_face_index"):
            raise SystemExit(f"register: {error}")
        reasons = error.get("details", {}).get("reasons")
        self.reasons[reasons[0] if reasons else error["code"]] += 1
        return False

    def confidence(self, a: str, b: str) -> tuple[float, bool]:
        """The confidence of a comparison, and whether it is a match at `standard`."""
        status, answer = self.post("compare", image_a=a, image_b=b, faces="largest")
        if status != 200:
            return 0.0, False
        return answer["data"]["confidence_score"], answer["data"]["is_match"]

    def matches(self, pictures: Iterable[str]) -> tuple[int, int]:
        """Pairs that match, and all pairs."""
        pairs = list(itertools.combinations(pictures, 2))
        return sum(self.confidence(a, b)[1] for a, b in pairs), len(pairs)


def text_of(image: Image) -> str:
    done, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, 95))
    if not done:
        raise ValueError("the picture cannot be encoded")
    return base64.b64encode(data.tobytes()).decode()


@dataclass(frozen=True)
class Seen:
    """A photo, the side of its face and the eyes in it, in pixels."""

    image: Image
    side: float
    eyes: Any  # (2, 2)


Kind = Callable[[Seen, np.random.Generator], Image]
KINDS: dict[str, Kind] = {
    "12 x 12 pixels, smooth": lambda seen, lot: coarse(seen.image, 12 / seen.side, cv2.INTER_CUBIC),
    "12 x 12 pixels, blocks": lambda seen, lot: coarse(
        seen.image, 12 / seen.side, cv2.INTER_NEAREST
    ),
    "motion of 31 pixels": lambda seen, lot: moved(seen.image, 31, lot.uniform(0, 180)),
    "mask": lambda seen, lot: masked(seen.image, seen.eyes, lot),
    "bar over the eyes": lambda seen, lot: barred(seen.image, seen.eyes, lot),
    "face of 62 pixels": lambda seen, lot: scaled(seen.image, 62 / seen.side),
    "light x 0.25": lambda seen, lot: (seen.image * 0.25).astype(np.uint8),
}


def seen_in(client: Client, image: Image) -> Seen | None:
    _, answer = client.post("detect", image=text_of(image))
    faces = answer["data"]["faces"]
    if not faces or faces[0]["rotation"]:
        return None
    points, box = faces[0]["face_attributes"]["face_landmarks"], faces[0]["box"]
    eyes = np.array([points["right_eye"], points["left_eye"]], np.float64)
    return Seen(image, float(max(box["width"], box["height"])), eyes)


def ordinary(client: Client, images: list[Image]) -> None:
    refused = sum(not client.enrols(text_of(image)) for image in tqdm(images, desc="ordinary"))
    print(f"ordinary photos: {refused} of {len(images)} refused ({refused / len(images):.1%})")
    print(f"  {dict(client.reasons)}")


def turns(client: Client, images: list[Image]) -> None:
    for degrees in (90, 180, 270):
        misread, refused = [], 0
        for image in tqdm(images, desc=f"turned by {degrees}"):
            picture = text_of(turned(image, degrees))
            if client.confidence(text_of(image), picture)[0] >= _STRANGER:
                continue
            if client.enrols(picture):
                misread.append(picture)
            else:
                refused += 1
        matching, pairs = client.matches(misread)
        print(
            f"turned by {degrees}: of {len(images)}, {len(misread)} misread and let in, {refused} "
            "misread or not found and refused; "
            f"{matching} of {pairs} pairs of misread strangers match"
        )


def degraded(client: Client, images: list[Image], count: int) -> None:
    seen = [each for each in (seen_in(client, image) for image in images) if each][:count]
    for name, make in KINDS.items():
        client.reasons.clear()
        lot = np.random.default_rng(1)
        pictures = [text_of(make(each, lot)) for each in seen]
        let_in = [picture for picture in pictures if client.enrols(picture)]
        matching, pairs = client.matches(let_in)
        print(
            f"{name}: {len(pictures) - len(let_in)} of {len(pictures)} refused; {matching} of "
            f"{pairs} pairs of strangers match at `standard`  {dict(client.reasons.most_common(3))}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pack", default="dlib")
    parser.add_argument("--ordinary", type=int, default=600, help="people enrolled as they are")
    parser.add_argument("--turned", type=int, default=300, help="people whose photos are turned")
    parser.add_argument("--degraded", type=int, default=10, help="people whose photos are degraded")
    options = parser.parse_args()
    most = max(options.ordinary, options.turned, options.degraded + 5)
    paths = one_photo_a_person(options.folder, most)
    images = [cv2.imread(str(path)).astype(np.uint8) for path in paths]
    with running({"FACESVC_PACK": options.pack}) as service:
        client = Client(service)
        print(f"{options.folder}, pack {options.pack}")
        ordinary(client, images[: options.ordinary])
        turns(client, images[: options.turned])
        degraded(client, images, options.degraded)


if __name__ == "__main__":
    main()
