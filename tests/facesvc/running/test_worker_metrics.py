"""GET /metrics of `manage.py qcluster`."""

import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest
from cryptography.fernet import Fernet
from django_q.tasks import async_task
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from recognition.models import NewFace
from recognition.packs import engine
from tests.batch.test_batch_chaos import Cluster, clusters
from tests.support import processes
from tests.support.builders import FRIEND, OWNER, make_face, make_user, vector
from tests.support.patience import PATIENCE, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
TOKEN = "s3cret-0123456789abcdef0123456789abcdef"


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def cluster(settings: Settings, port: int) -> Iterator[Cluster]:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    opened = {"FACESVC_METRICS_TOKEN": TOKEN, "FACESVC_WORKER_METRICS_PORT": str(port)}
    with clusters(1, **opened) as (started,):
        wait_until(lambda: len(started.family()) == 5 and answers(port))
        yield started


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask(
    port: int, authorization: str = f"Bearer {TOKEN}", path: str = "/metrics"
) -> tuple[int, str]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request("GET", path, headers={"Authorization": authorization})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def searches(port: int) -> float:
    samples = [
        sample
        for family in text_string_to_metric_families(ask(port)[1])
        for sample in family.samples
        if sample.name == "facesvc_searches_total"
    ]
    return sum(sample.value for sample in samples)


def folders_of(pid: int) -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(f"facesvc-metrics-{pid}-*"))


def compare_a_new_face(user: str) -> None:
    """The worker searches once, for the look-alikes of the face."""
    NewFace.objects.create(face=make_face(make_user(user), vector(1)))
    async_task("batch.tasks.search_new_faces")
    wait_until(lambda: not NewFace.objects.exists())


def test_what_all_workers_did_is_one_count(cluster: Cluster, port: int) -> None:
    """The worker that is killed after its search counts as well as the one that follows it."""
    engine.active_model()
    assert searches(port) == 0
    compare_a_new_face(OWNER)
    wait_until(lambda: searches(port) == 1)
    main, _sentinel, *others = cluster.family()
    worker = min(others, key=psutil.Process.create_time)
    worker.kill()
    psutil.wait_procs([worker], PATIENCE)
    (folder,) = folders_of(main.pid)
    wait_until(lambda: not (folder / f"gauge_livesum_{worker.pid}.db").exists())
    wait_until(lambda: len(cluster.family()) == 5)
    compare_a_new_face(FRIEND)
    wait_until(lambda: searches(port) == 2)
    text = ask(port)[1]
    assert "facesvc_build_info{" in text and "facesvc_inference_computing 0.0" in text
    # What is stored is the same everywhere, and the web server shows it.
    assert "facesvc_gallery_users" not in text


def test_strangers_see_nothing(cluster: Cluster, port: int) -> None:
    for authorization, path, status in [
        (f"Bearer {TOKEN}", "/metrics", 200),
        (f"Bearer {TOKEN}x", "/metrics", 401),
        ("", "/metrics", 401),
        ("Bearer é", "/metrics", 401),
        (f"Bearer {TOKEN}", "/", 404),
        (f"Bearer {TOKEN}", "/metrics/..", 404),
    ]:
        found, text = ask(port, authorization, path)
        assert found == status, authorization
        assert ("facesvc_" in text) == (status == 200)
    with socket.create_connection(("127.0.0.1", port)):
        assert ask(port)[0] == 200, "a client that sends nothing holds up the others"
    with ExitStack() as held:
        for _ in range(40):
            drip = held.enter_context(socket.create_connection(("127.0.0.1", port)))
            drip.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert ask(port)[0] == 200, "clients that never end keep out the others"
    ends_and_leaves_nothing(cluster, port)


def ends_and_leaves_nothing(cluster: Cluster, port: int) -> None:
    pid = cluster.process.pid
    assert folders_of(pid)
    cluster.end()
    assert cluster.process.returncode == 0
    assert not answers(port)
    assert not folders_of(pid)


def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "manage.py", "qcluster"],
            cwd=processes.PROJECT,
            env=processes.environment(FACESVC_WORKER_METRICS_PORT=str(port)),
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
        )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in done.stderr
