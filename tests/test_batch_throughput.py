"""What the queue costs: 50 photos as a job, beside a plain loop over the same photos.

The loops run in as many threads as the worker. One does what an item does without the queue, which
is to identify; the other only decodes, detects and embeds. Both are printed, with their ratio.
"""

import time
from collections.abc import Callable

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from batch import jobs, threads, verbs
from batch.jobs import NewItem
from batch.models import Job, Kind
from recognition import engine
from tests.photos import astronaut, jpeg
from tests.test_batch_chaos import APP, SEARCH, clusters

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
PHOTOS = 50
ROUNDS = 8  # at most; other programs on the machine cost the one or the other some seconds


def seconds_of_a_loop(count: int, task: Callable[[], object]) -> float:
    photos = iter(range(PHOTOS))

    def loop() -> None:
        for _ in photos:
            task()

    begin = time.monotonic()
    threads.run(count, loop)
    return time.monotonic() - begin


def seconds_of_a_job(photo: bytes) -> float:
    """From the submission to the end, the encryption of the photos included."""
    items = [NewItem(f"{number}", photo, {}) for number in range(PHOTOS)]
    begin = time.monotonic()
    job = jobs.submit(caller=APP, kind=Kind.IDENTIFY, options=SEARCH, items=items)
    while Job.objects.filter(pk=job.pk, finished_at=None).exists():
        assert time.monotonic() - begin < 120
        time.sleep(0.05)
    return time.monotonic() - begin


@pytest.mark.parametrize("count", [1, 2])
def test_the_queue_costs_at_most_a_tenth(settings: Settings, count: int) -> None:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    photo, active = jpeg(astronaut()), engine.current()
    pipeline, identify, queued = [], [], []
    with clusters(1, FACESVC_TASK_THREADS=str(count)):
        seconds_of_a_job(photo)  # everybody loads the models
        for _ in range(ROUNDS):
            pipeline.append(seconds_of_a_loop(count, lambda: active.embed(active.look_at(photo))))
            identify.append(
                seconds_of_a_loop(
                    count, lambda: verbs.outcome_of(Kind.IDENTIFY, APP, SEARCH, photo)
                )
            )
            queued.append(seconds_of_a_job(photo))
            if len(queued) > 1 and min(identify) / min(queued) >= 0.9:
                break
    print(f"{count} threads, seconds: pipeline {min(pipeline):.2f}, identify {min(identify):.2f}")
    print(f"queued {min(queued):.2f}: {min(pipeline) / min(queued):.3f} of the pipeline")
    print(f"and {min(identify) / min(queued):.3f} of identify")
    assert min(identify) / min(queued) >= 0.9
