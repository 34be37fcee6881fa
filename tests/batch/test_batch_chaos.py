"""Real clusters, of which one process after the other is killed, and what the jobs come to.

The long run takes some minutes: `FACESVC_CHAOS_JOBS=10 FACESVC_CHAOS_ITEMS=100 make test-all
ARGS="-n 0 -s tests/batch/test_batch_chaos.py"`.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from pytest_django import Settings

from batch.jobs import at_once, jobs, work
from batch.jobs.jobs import NewItem
from batch.models import Item, Job, Kind, Picture, WebhookDelivery
from recognition.access import Caller
from recognition.models import Face, User
from tests.support import processes
from tests.support.builders import OWNER, SEARCH, enrol_face
from tests.support.patience import PATIENCE
from tests.support.photos import jpeg, tom_hanks
from tests.support.servers.receiver import Receiver, receiving

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
PROJECT = Path(__file__).parents[2]
JOBS = int(os.environ.get("FACESVC_CHAOS_JOBS", "4"))
ITEMS = int(os.environ.get("FACESVC_CHAOS_ITEMS", "20"))
KILL_EVERY = 2.0 if JOBS >= 10 else 1.0  # seconds
# One more could be the last for a picture: on a slow machine all may fall on the same one.
MOST_KILLS = JOBS * ITEMS if JOBS >= 10 else work._MOST_ATTEMPTS - 1
LONGEST = PATIENCE + 2 * JOBS * ITEMS  # seconds

APP = Caller("app", None, frozenset({"face:identify", "face:register", "face:batch"}))
HIS_SEARCH = {
    **SEARCH,
    "on_behalf_of": str(OWNER),
    "groups": ["public", "friends"],
    "min_confidence": 0.1,
}


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    settings.FACESVC_WEBHOOK_ALLOW_HTTP = True
    with receiving(200) as receiver:
        settings.WEBHOOK_ALLOWED_HOSTS = [f"127.0.0.1:{receiver.port}"]
        yield receiver


class Cluster:
    """`manage.py qcluster` on the test database, started again whenever it is gone."""

    def __init__(self, log: Path, settings: Mapping[str, str]) -> None:
        self.log = log
        self.settings = settings
        self.starts = 0
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        environment = {
            **processes.environment(),
            "FACESVC_CROP_KEYS": django_settings.FACESVC_CROP_KEYS[0],
            "FACESVC_WEBHOOK_ALLOW_HTTP": "true",
            "WEBHOOK_ALLOWED_HOSTS": ",".join(django_settings.WEBHOOK_ALLOWED_HOSTS),
            "LOG_LEVEL": "WARNING",
            **self.settings,
        }
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", "qcluster"],
                cwd=PROJECT,
                env=environment,
                stdout=log,
                stderr=log,
            )

    def restart_if_gone(self) -> None:
        if self.process.poll() is not None:
            self.process = self._start()

    def family(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            main = psutil.Process(self.process.pid)
            return [main, *main.children(recursive=True)]
        return []

    def kill_one(self, chance: random.Random) -> bool:
        if family := self.family():
            with suppress(psutil.NoSuchProcess):
                chance.choice(family).kill()
                return True
        return False

    def end(self) -> None:
        family = self.family()
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()


@contextmanager
def clusters(count: int, **settings: str) -> Iterator[list[Cluster]]:
    with tempfile.TemporaryDirectory(prefix="facesvc-") as folder:
        logs = [Path(folder) / f"{number}.log" for number in range(count)]
        running = [Cluster(log, settings) for log in logs]
        try:
            yield running
        except BaseException:
            for cluster in running:
                print(cluster.log.read_text(errors="replace")[-5000:])
            raise
        finally:
            for cluster in running:
                cluster.end()


def photo(number: int) -> bytes:
    """Another picture of the same man for every number; none for every ninth."""
    if number % 9 == 8:
        return b"not a picture"
    matrix = cv2.getRotationMatrix2D((56, 56), number % 41 - 20, 1 - number / 5000)
    image = cv2.warpAffine(tom_hanks(), matrix, (112, 112), borderMode=cv2.BORDER_REPLICATE)
    return jpeg(image.astype(np.uint8))


def items_of(job: int) -> list[NewItem]:
    return [NewItem(f"{job}-{n}", photo(job * ITEMS + n), {}) for n in range(ITEMS)]


def comparable(result: dict[str, Any]) -> dict[str, Any]:
    if "search_stats" in result:
        result = {**result, "search_stats": {**result["search_stats"], "search_time_ms": 0}}
    return result


def quiet_results() -> dict[str, dict[str, Any]]:
    """What every picture comes to when nobody is killed."""
    return {
        item.image_id: comparable(json.loads(json.dumps(item.result, cls=DjangoJSONEncoder)))
        for job in range(JOBS)
        for item in at_once.answer(
            APP, Kind.IDENTIFY, HIS_SEARCH, items_of(job), has_client=lambda: True
        ).results
    }


@transaction.atomic
def is_one_claimed() -> bool:
    """Whether a worker has an item: a kill while nobody has anything would prove nothing."""
    pending = Item.objects.pending()
    free = len(pending.select_for_update(skip_locked=True).values_list("pk"))
    return free < pending.count()


def wait_for(
    running: list[Cluster], *, kill: random.Random | None, every: float = KILL_EVERY
) -> tuple[int, float]:
    """Until all jobs have ended and all callbacks are delivered; how many kills, how long."""
    begin = next_kill = time.monotonic()
    kills = 0
    while (
        Job.objects.unfinished().exists()
        or WebhookDelivery.objects.exclude(state="delivered").exists()
    ):
        assert time.monotonic() < begin + LONGEST, list(
            Job.objects.with_counts().values_list("status", "succeeded", "failed")
        )
        for cluster in running:
            cluster.restart_if_gone()
        is_due = kills < MOST_KILLS and time.monotonic() > next_kill + every
        if kill and is_due and is_one_claimed():
            kills, next_kill = kills + kill.choice(running).kill_one(kill), time.monotonic()
        time.sleep(0.1)
    return kills, time.monotonic() - begin


def test_every_picture_once_whoever_is_killed(receiver: Receiver) -> None:
    enrol_face(OWNER, jpeg(tom_hanks()), check_quality=False)
    expected = quiet_results()
    submitted = [
        jobs.submit(
            caller=APP,
            kind=Kind.IDENTIFY,
            options=HIS_SEARCH,
            items=items_of(number),
            callback_url=receiver.url,
        )
        for number in range(JOBS)
    ]
    with clusters(2) as running:
        kills, seconds = wait_for(running, kill=random.Random(7))
        print(f"{kills} kills in {seconds:.0f} s, {[each.starts for each in running]} starts")
    assert kills >= 2
    assert not Picture.objects.exists()
    found = {item.image_id: comparable(item.result) for item in Item.objects.done()}
    assert found == expected
    assert Item.objects.count() == JOBS * ITEMS
    statuses = Job.objects.with_counts().values_list("status", "succeeded", "failed")
    failed = sum(number % 9 == 8 for number in range(JOBS * ITEMS))
    assert {status for status, _, _ in statuses} == {"completed"}
    assert sum(row[2] for row in statuses) == failed
    deliveries = WebhookDelivery.objects.filter(job__in=submitted).select_related("job")
    ids = {each.job.job_id: each.message_id for each in deliveries}
    assert len(ids) == JOBS
    for job_id, message_id in ids.items():
        got = {h["webhook-id"] for h, body in receiver.received if job_id.encode() in body}
        assert got == {message_id}


def test_every_face_once_whoever_is_killed(receiver: Receiver) -> None:
    """An enrolment and its result are one: never a face without result, never `duplicate_face`."""
    users = [User.objects.create() for _ in range(ITEMS)]
    others = {"face_group": "primary", "face_index": None, "metadata": {"quality_check": False}}
    pictures = [number for number in range(2 * ITEMS) if number % 9 != 8][:ITEMS]
    items = [
        NewItem(f"{n}", photo(n), {"user_id": str(user.pk), **others})
        for n, user in zip(pictures, users, strict=True)
    ]
    jobs.submit(caller=APP, kind=Kind.REGISTER, options={}, items=items)
    with clusters(2) as running:
        kills, seconds = wait_for(running, kill=random.Random(3), every=0.7)
        print(f"{kills} kills in {seconds:.0f} s")
    assert kills >= 1  # on a fast machine it is over soon
    assert [item.result for item in Item.objects.filter(state="error")] == []
    named = sorted(item.result["face_id"] for item in Item.objects.done())
    assert named == sorted(Face.objects.values_list("face_id", flat=True))
    assert sorted(Face.objects.values_list("user", flat=True)) == sorted(u.pk for u in users)
