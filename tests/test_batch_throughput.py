"""What the queue costs: 50 photos as a job, beside the pipeline alone on the same photos."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from batch import jobs, work
from batch.jobs import NewItem
from batch.models import Job, Kind
from recognition import engine
from tests.photos import astronaut, jpeg
from tests.test_batch_chaos import APP, SEARCH, clusters

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
PHOTOS = 50
ROUNDS = 8  # at most; other programs on the machine cost the one or the other some seconds


def seconds_of_the_pipeline(photo: bytes, threads: int) -> float:
    """Decoded, detected, embedded; nothing is looked up and nothing stored."""
    active = engine.current()
    begin = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: active.embed(active.look_at(photo)), range(PHOTOS)))
    return time.monotonic() - begin


def seconds_of_a_job(photo: bytes) -> float:
    """From the submission to the end, the encryption of the photos and their searches included."""
    items = [NewItem(f"{number}", photo, {}) for number in range(PHOTOS)]
    begin = time.monotonic()
    job = jobs.submit(caller=APP, kind=Kind.IDENTIFY, options=SEARCH, items=items)
    while Job.objects.filter(pk=job.pk, finished_at=None).exists():
        assert time.monotonic() - begin < 120
        time.sleep(0.05)
    return time.monotonic() - begin


@pytest.mark.parametrize("threads", [1, 2])
def test_the_queue_costs_at_most_a_tenth(settings: Settings, threads: int) -> None:
    """A worker with as many threads as the plain loop beside it."""
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    photo = jpeg(astronaut())
    alone, queued = [], []
    with clusters(1, FACESVC_TASK_THREADS=str(threads)):
        warm = [NewItem("warm", photo, {})]
        work.at_once(APP, Kind.IDENTIFY, SEARCH, warm)
        seconds_of_a_job(photo)
        for _ in range(ROUNDS):
            alone.append(seconds_of_the_pipeline(photo, threads))
            queued.append(seconds_of_a_job(photo))
            if min(alone) / min(queued) >= 0.9 and len(alone) > 1:
                break
    ratio = min(alone) / min(queued)
    print(f"alone {min(alone):.2f} s, queued {min(queued):.2f} s, ratio {ratio:.3f}")
    assert ratio >= 0.9
