"""`manage.py qcluster`: what is left when one of its processes is killed with -9."""

import os
import signal
from collections.abc import Iterator

import psutil
import pytest
from cryptography.fernet import Fernet
from django.db import connections
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.tasks import async_task
from pytest_django import Settings

from batch.queue.cluster import Cluster as ServiceCluster
from recognition.gallery import indexes
from recognition.gallery.indexes import IndexState
from tests.batch.test_batch_chaos import Cluster, clusters
from tests.support.builders import OWNER, make_face, make_user, vector
from tests.support.patience import PATIENCE, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
OURS = os.getpriority(os.PRIO_PROCESS, 0)
NICE = min(19, max(0, OURS) + 1)


@pytest.fixture
def cluster(settings: Settings) -> Iterator[Cluster]:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    with clusters(1, FACESVC_TASK_NICE=str(NICE)) as (started,):
        wait_until(lambda: len(started.family()) == 5)
        wait_until(is_idle)
        yield started


def is_idle() -> bool:
    return not OrmQ.objects.exists()


@pytest.mark.parametrize("which", ["worker", "monitor", "pusher"])
def test_a_process_of_an_idle_cluster(cluster: Cluster, which: str) -> None:
    """An idle worker holds the lock of the queue: without more ado nothing would ever run again."""
    main, sentinel, *others = cluster.family()
    victim = dict(zip(("worker", "monitor", "pusher"), sorted(others, key=age), strict=True))[which]
    victim.kill()
    psutil.wait_procs([victim], PATIENCE)
    async_task("math.sqrt", 4)
    wait_until(is_idle)
    assert main.is_running() and sentinel.is_running()
    wait_until(lambda: len(cluster.family()) == 5)
    if NICE > OURS:  # the tests may run at 19 themselves, where nothing gives way to them
        wait_until(lambda: gives_way(cluster))
    assert cluster.starts == 1


def gives_way(cluster: Cluster) -> bool:
    """The worker alone; the new one after another one was killed, too."""
    return sorted(each.nice() for each in cluster.family()) == [OURS] * 4 + [NICE]


def age(process: psutil.Process) -> float:
    return process.create_time()


@pytest.mark.parametrize("which", [0, 1], ids=["main", "sentinel"])
def test_nothing_goes_on_without_its_parent(cluster: Cluster, which: int) -> None:
    family = cluster.family()
    family[which].kill()
    _gone, alive = psutil.wait_procs(family, PATIENCE)
    assert not alive


def test_one_worker_does_other_tasks_while_an_index_is_built(settings: Settings) -> None:
    """The build waits for an old transaction, and goes on when the cluster has ended."""
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    make_face(make_user(OWNER), vector(1))
    index = indexes.name_of("dlib_v1")
    other = connections.create_connection("default")
    other.set_autocommit(False)
    try:
        with clusters(1, FACESVC_HNSW_FROM="1"):
            with other.cursor() as cursor:
                cursor.execute("LOCK recognition_template IN ROW EXCLUSIVE MODE")
            async_task("batch.tasks.build_index")
            wait_until(lambda: indexes.look("dlib_v1").state == IndexState.BUILDING)
            async_task("batch.tasks.sweep")
            wait_until(is_idle)
            assert indexes.look("dlib_v1").state == IndexState.BUILDING
        other.rollback()
        wait_until(lambda: indexes.is_valid("dlib_v1"))
    finally:
        other.close()
        indexes.drop(index)


def test_no_task_is_started_twice_while_it_runs() -> None:
    assert Conf.RETRY > Conf.TIMEOUT > 0
    assert Conf.ACK_FAILURES and Conf.MAX_ATTEMPTS == 1


def test_a_second_signal_does_not_stop_the_stopping() -> None:
    """It comes in the middle of the first, as from `make` and from what it runs."""
    stops = []

    class Stopping(ServiceCluster):
        def stop(self) -> bool:
            stops.append(self)
            signal.raise_signal(signal.SIGTERM)
            return True

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        Stopping()
        signal.raise_signal(signal.SIGTERM)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert len(stops) == 1
