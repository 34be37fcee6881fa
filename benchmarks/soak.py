"""Whether the service's memory grows: thousands of mixed requests, good and bad, of all sizes.

    python -m benchmarks.soak                    # 6,000 requests, ten minutes
    python -m benchmarks.soak --requests 600

It starts the service on 127.0.0.1 with a database of its own, and ends it. The first sixth of the
requests is warming up: caches fill. Then the memory (RSS of gunicorn's processes) in the next tenth
is compared with the last tenth, both by the median. Exit code 1 when it grew by more than 3%, when
an answer was an error of the service, or when too few were answered for that to mean anything.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from uuid import uuid4

import cv2
import numpy as np
from tqdm import tqdm

from benchmarks.service import PREFIX, Service, running

AT_ONCE = 4
WARM_UP = 1 / 6
MOST_GROWTH = 0.03
LEAST_ANSWERED = 0.75  # of the requests; a tenth of them is bad on purpose
EVERY = 10  # requests between two looks at the memory

JPEG = {"Content-Type": "image/jpeg"}
JSON = {"Content-Type": "application/json"}
Answer = tuple[int, bytes]


@dataclass
class Soak:
    """The requests, each of a random kind and size."""

    service: Service
    random: random.Random
    users: list[str] = field(default_factory=list)

    def one(self) -> int:
        """Send one of a random kind; its status."""
        kinds: Mapping[Callable[[], Answer], int] = {
            self.register: 10,
            self.verify: 20,
            self.identify: 23,
            self.identify_group: 2,
            self.detect: 15,
            self.compare: 8,
            self.batch: 2,
            self.frame: 5,
            self.broken: 5,
            self.without_token: 3,
            self.lists: 5,
            self.health: 2,
        }
        (kind,) = self.random.choices(list(kinds), weights=list(kinds.values()))
        return kind()[0]

    def post(self, path: str, body: bytes, headers: Mapping[str, str] = JPEG) -> Answer:
        return self.service.request("POST", f"{PREFIX}{path}", body=body, headers=headers)

    def register(self) -> Answer:
        user = str(uuid4())
        answer = self.post(f"/register?user_id={user}", self.photo())
        if answer[0] == 201:
            self.users.append(user)
        return answer

    def verify(self) -> Answer:
        user = self.random.choice([*self.users, str(uuid4())])
        return self.post(f"/verify?user_id={user}", self.photo())

    def identify(self) -> Answer:
        return self.post("/identify", self.photo())

    def identify_group(self) -> Answer:
        from tests.support.photos import jpeg, six_people

        return self.post("/identify", jpeg(six_people()))

    def detect(self) -> Answer:
        return self.post("/detect", self.photo())

    def compare(self) -> Answer:
        body, headers = form({"image_a": self.photo(), "image_b": self.photo()})
        return self.post("/compare", body, headers)

    def batch(self) -> Answer:
        body, headers = form({"images": self.photo()})
        return self.post("/batch-identify", body, headers)

    def frame(self) -> Answer:
        user = self.random.choice([*self.users, str(uuid4())])
        opened = json.dumps({"user_id": user, "purpose": "video_call"}).encode()
        status, body = self.post("/sessions", opened, JSON)
        if status != 201:
            return status, body
        session = json.loads(body)["data"]["session_id"]
        return self.post(f"/sessions/{session}/frames?sequence=1", self.photo())

    def broken(self) -> Answer:
        photo = self.photo()
        bad = self.random.choice([photo[: len(photo) // 2], b"no picture", b"\xff\xd8\xff", b""])
        return self.post("/identify", bad)

    def without_token(self) -> Answer:
        headers = {**JPEG, "Authorization": "Bearer nobody"}
        return self.post("/identify", self.photo(), headers)

    def lists(self) -> Answer:
        return self.service.request("GET", f"{PREFIX}{self.random.choice(['/users', '/models'])}")

    def health(self) -> Answer:
        return self.service.request("GET", "/health/ready")

    def photo(self) -> bytes:
        """A portrait of any size, light and compression: no two are the same."""
        from tests.support.photos import astronaut, jpeg

        portrait = astronaut()[:260, 100:340]
        width, height = (
            round(side * self.random.uniform(0.9, 2.2)) for side in portrait.shape[1::-1]
        )
        lit = cv2.resize(portrait, (width, height)) * self.random.uniform(0.7, 1.2)
        return jpeg(np.clip(lit, 0, 255).astype(np.uint8), self.random.randrange(60, 95))


def form(files: Mapping[str, bytes]) -> tuple[bytes, dict[str, str]]:
    boundary = "facesvc-soak"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}.jpg"\r\n'
        f"Content-Type: image/jpeg\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, data in files.items()
    ]
    content_type = f"multipart/form-data; boundary={boundary}"
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), {"Content-Type": content_type}


def soak(service: Service, requests: int, seed: int) -> tuple[Counter[int], list[int]]:
    """How often each status came, and the memory in bytes after every few requests."""
    statuses: Counter[int] = Counter()
    memory: list[int] = []
    source = Soak(service, random.Random(seed))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda _: source.one(), range(requests))
        for done, status in enumerate(tqdm(answers, total=requests, smoothing=0), start=1):
            statuses[status] += 1
            if done % EVERY == 0:
                memory.append(service.memory())
    return statuses, memory


def growth(memory: list[int]) -> float:
    """Of the medians of the first tenth after the warm-up and of the last tenth."""
    first, tenth = round(len(memory) * WARM_UP), max(1, len(memory) // 10)
    before = statistics.median(memory[first : first + tenth])
    return statistics.median(memory[-tenth:]) / before - 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=7, help="of the kinds and sizes")
    options = parser.parse_args()
    with running() as service:
        statuses, memory = soak(service, options.requests, options.seed)
    grown = growth(memory)
    figures = {
        "statuses": dict(sorted(statuses.items())),
        "memory_mb": [round(size / 1024**2) for size in memory[:: max(1, len(memory) // 20)]],
        "growth_after_warm_up": round(grown, 4),
        "load_average": round(os.getloadavg()[0], 2),
    }
    print(json.dumps(figures, indent=2))
    missed = failures(statuses, grown)
    print("\n".join(f"FAILED: {name}" for name in missed) or "No leak to be seen")
    return 1 if missed else 0


def failures(statuses: Mapping[int, int], grown: float) -> list[str]:
    answered = sum(count for code, count in statuses.items() if code < 300)
    checks = {
        "memory grew": grown > MOST_GROWTH,
        "an error of the service": any(code >= 500 and code != 503 for code in statuses),
        "too few answered": answered < LEAST_ANSWERED * sum(statuses.values()),
    }
    return [name for name, failed in checks.items() if failed]


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    sys.exit(main())
