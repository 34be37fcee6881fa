"""An end user has two requests with pictures at a time, in all processes together."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from select import select
from tempfile import TemporaryFile
from typing import IO

import psutil
import pytest

from benchmarks.service import PREFIX, Service, running
from recognition.errors import ServiceError
from recognition.processes.user_requests import UserRequests
from tests.support.builders import OWNER, STRANGER, user_token
from tests.support.patience import PATIENCE, wait_until
from tests.support.processes import PROJECT

REFUSED = "requests_in_progress"
# Does what it reads, line by line: "begin USER", "begin_computing USER" or "end PLACE".
ELSEWHERE = """
import os, sys
from recognition.collections import current
from recognition.errors import ServiceError
from recognition.processes.user_requests import UserRequests

current.enter(current.DEFAULT)
requests = UserRequests()
requests.share(os.fdopen(int(sys.argv[1]), "rb+"))
for line in sys.stdin:
    verb, argument = line.split()
    try:
        given = int(argument) if verb == "end" else argument
        done = getattr(requests, verb)(given)
    except ServiceError as error:
        done = error.code
    print(done, flush=True)
"""


class Elsewhere:
    """Another process that has the file."""

    def __init__(self, file: IO[bytes]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", ELSEWHERE, str(file.fileno())],
            pass_fds=[file.fileno()],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _do(self, line: str) -> str:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def begin(self, user: str) -> str:
        return self._do(f"begin {user}")

    def begin_computing(self, user: str) -> str:
        return self._do(f"begin_computing {user}")

    def end(self, place: str) -> None:
        assert self._do(f"end {place}") == "None"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def file() -> Iterator[IO[bytes]]:
    with TemporaryFile() as opened:
        yield opened


@pytest.fixture
def start(file: IO[bytes]) -> Iterator[Callable[[], Elsewhere]]:
    with ExitStack() as started:

        def one() -> Elsewhere:
            process = Elsewhere(file)
            started.callback(process.kill)
            return process

        yield one


@pytest.fixture(params=["alone", "shared"])
def requests(request: pytest.FixtureRequest, file: IO[bytes]) -> UserRequests:
    made = UserRequests()
    if request.param == "shared":
        made.share(file)
    return made


def attempt(requests: UserRequests, user: str) -> str:
    try:
        return str(requests.begin(user))
    except ServiceError as error:
        assert error.details == {"retry_after": 1}
        return error.code


def test_it_works(requests: UserRequests) -> None:
    for _ in range(3):
        places = [requests.begin("a"), requests.begin("a")]
        assert attempt(requests, "a") == REFUSED
        places.append(requests.begin("b"))
        for place in places:
            requests.end(place)
    assert not requests._taken  # nothing is kept of them


def test_the_place_that_was_given_back_is_free(requests: UserRequests) -> None:
    for given_back in (0, 1):
        places = [requests.begin("a"), requests.begin("a")]
        requests.end(places.pop(given_back))
        places.append(requests.begin("a"))
        assert attempt(requests, "a") == REFUSED
        for place in places:
            requests.end(place)


def test_threads_of_one_process(requests: UserRequests) -> None:
    """The kernel knows no threads: it gives a process the same byte twice."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: attempt(requests, "a"), range(40)))
    assert answers.count(REFUSED) == 38
    assert len(set(answers)) == 3


def test_processes_count_together(file: IO[bytes], start: Callable[[], Elsewhere]) -> None:
    here = UserRequests()
    here.share(file)
    there, over_there = start(), start()
    first, second = there.begin("a"), attempt(here, "a")
    assert {first, second} == {str(min(int(first), int(second)) + each) for each in (0, 1)}
    assert there.begin("a") == attempt(here, "a") == over_there.begin("a") == REFUSED
    # Other users have two of their own, wherever they come.
    assert REFUSED not in (over_there.begin("b"), attempt(here, "b"))
    there.end(first)
    assert over_there.begin("a") == first
    assert there.begin("a") == REFUSED
    here.end(int(second))
    assert there.begin("a") == second


def test_one_request_of_a_user_computes_in_all_processes(
    file: IO[bytes], start: Callable[[], Elsewhere]
) -> None:
    ours, theirs = UserRequests(), start()
    ours.share(file)
    place = ours.begin_computing("a")
    assert place is not None
    assert theirs.begin_computing("a") == "None" and ours.begin_computing("a") is None
    assert theirs.begin_computing("b") != "None" and theirs.begin("a") != REFUSED
    ours.end(place)
    assert theirs.begin_computing("a") == str(place)
    theirs.kill()
    assert ours.begin_computing("a") == place
    assert ours.begin("a", is_batch=True) != place and attempt(ours, "a") != REFUSED


def test_a_killed_process_gives_its_places_back(
    file: IO[bytes], start: Callable[[], Elsewhere]
) -> None:
    here = UserRequests()
    here.share(file)
    there = start()
    assert REFUSED not in (there.begin("a"), there.begin("a"))
    assert attempt(here, "a") == REFUSED
    there.kill()
    assert REFUSED not in (attempt(here, "a"), attempt(here, "a"))
    assert attempt(here, "a") == REFUSED


def test_a_child_that_ends_takes_no_place_along(
    file: IO[bytes], start: Callable[[], Elsewhere]
) -> None:
    """It closes its copy of the file, as every program does that a web process starts."""
    here = UserRequests()
    here.share(file)
    here.begin("a"), here.begin("a")
    subprocess.run([sys.executable, "-c", ""], pass_fds=[file.fileno()], check=True)
    assert start().begin("a") == REFUSED


# --- through gunicorn -----------------------------------------------------------------------------


@pytest.fixture
def service() -> Iterator[Service]:
    # gunicorn must not replace a process that the test has stopped.
    with running({"WEB_WORKERS": "2", "GUNICORN_CMD_ARGS": "--timeout=600"}) as started:
        yield started


def unfinished(service: Service, user: object) -> socket.socket:
    """A request that is in progress for as long as its body does not come: a short one would be
    waited for before the request begins."""
    client = socket.create_connection(("127.0.0.1", service.port), PATIENCE)
    head = [
        f"POST {PREFIX}/detect HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n",
        f"Authorization: Bearer {user_token(user)}\r\nContent-Length: 1000000\r\n\r\n",
    ]
    client.sendall("".join(head).encode())
    return client


def answer(service: Service, user: object) -> tuple[int, bool]:
    headers = {"Authorization": f"Bearer {user_token(user)}", "Content-Type": "image/png"}
    status, body = service.request("POST", f"{PREFIX}/detect", body=b"no picture", headers=headers)
    return status, REFUSED.encode() in body


@pytest.mark.slow
def test_the_processes_of_gunicorn_count_together(service: Service) -> None:
    one, other = service.workers()
    with ExitStack() as stack:
        stack.callback(resume, one)
        stack.callback(resume, other)
        one.suspend()  # the other one takes what comes
        clients = [stack.enter_context(unfinished(service, OWNER)) for _ in range(3)]
        (refused,), _, _ = select(clients, [], [], PATIENCE)
        assert b" 429 " in refused.recv(100)  # then two others are in progress
        other.suspend()
        one.resume()
        assert answer(service, OWNER) == (429, True)
        assert answer(service, STRANGER) == (415, False)
        other.kill()
        wait_until(lambda: answer(service, OWNER) == (415, False))


def resume(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.resume()
