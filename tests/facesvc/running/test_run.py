"""The supervisor, with tiny real children, and `python -m facesvc.running.run` as a whole."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import IO

import psutil
import pytest

from facesvc.postgres import locks
from facesvc.running import supervisor as supervising
from facesvc.running.supervisor import MAX_RESTARTS, Child, GaveUpError, Supervisor
from tests.support.patience import PATIENCE, wait_until

PROJECT = Path(__file__).parents[3]
OBEDIENT = ["sh", "-c", "echo started; exec sleep 100"]
STUBBORN = ["sh", "-c", "trap '' TERM; echo started; while :; do sleep 0.1; done"]
BROKEN = ["sh", "-c", "printf 'no such file'; exit 3"]
WITH_GRANDCHILD = ["sh", "-c", "sleep 100 & echo $!; wait"]

Make = Callable[..., Supervisor]


@pytest.fixture
def make() -> Iterator[Make]:
    made = []

    def supervisor(*command: str) -> Supervisor:
        made.append(Supervisor({"it": command}, environment=os.environ, first_delay=0.01))
        return made[-1]

    yield supervisor
    for one in made:
        one.stop(grace=0)


def only_child(supervisor: Supervisor) -> Child:
    (child,) = supervisor._children
    return child


def step_until(supervisor: Supervisor, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        supervisor.step(0.02)


def start(supervisor: Supervisor) -> subprocess.Popen[bytes]:
    """Step until the child has said something."""
    step_until(supervisor, lambda: only_child(supervisor).last_lines)
    process = only_child(supervisor).process
    assert process
    return process


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until_dead(pid: int) -> None:
    wait_until(lambda: not is_alive(pid))


def test_output_is_passed_on(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    start(make(*OBEDIENT))
    assert capsys.readouterr().out == "it | started\n"


@pytest.mark.parametrize(
    "line", ['{"level": "INFO"}', "12:34:56  200  GET /users", "\x1b[2m12:34:56\x1b[0m  200"]
)
def test_a_line_of_the_log_is_passed_on_as_it_is(
    make: Make, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    start(make("sh", "-c", 'printf "%s\\n" "$1"; exec sleep 100', "sh", line))
    assert capsys.readouterr().out == f"{line}\n"


def test_a_dead_child_is_restarted(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    supervisor = make(*OBEDIENT)
    first = start(supervisor)
    first.kill()
    step_until(supervisor, lambda: only_child(supervisor).process not in {first, None})
    assert "it ended (SIGKILL), starting it again in 0.01 s" in capsys.readouterr().out


def test_a_log_on_a_full_disk_ends_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of `make run > log`, on the disk that the database fills."""
    supervisor = make(*OBEDIENT)
    with suppress(OSError), Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        first = start(supervisor)
        first.kill()
        step_until(supervisor, lambda: only_child(supervisor).process not in {first, None})
        monkeypatch.undo()
    assert start(supervisor) != first


def test_what_a_dead_child_leaves_behind_is_killed(make: Make) -> None:
    supervisor = make(*WITH_GRANDCHILD)
    first = start(supervisor)
    grandchild = int(only_child(supervisor).last_lines[0])
    first.kill()
    step_until(supervisor, lambda: not is_alive(grandchild))


def test_it_gives_up_with_the_last_output(make: Make) -> None:
    supervisor = make(*BROKEN)
    with pytest.raises(GaveUpError, match=r"(?s)it ended 6 times within a minute.*no such file"):
        step_until(supervisor, lambda: False)


def test_the_delay_grows(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    supervisor = make(*BROKEN)
    with pytest.raises(GaveUpError):
        step_until(supervisor, lambda: False)
    delays = re.findall(r"again in ([0-9.]+) s", capsys.readouterr().out)
    assert delays == ["0.01", "0.02", "0.04", "0.08", "0.16"]


def test_stop_asks_first(make: Make) -> None:
    supervisor = make(*OBEDIENT)
    process = start(supervisor)
    supervisor.stop()
    assert process.returncode == -signal.SIGTERM


def test_stop_kills_after_the_grace(make: Make) -> None:
    supervisor = make(*STUBBORN)
    process = start(supervisor)
    supervisor.stop(grace=0.2)
    assert process.returncode == -signal.SIGKILL


def test_a_second_interrupt_kills_at_once(make: Make) -> None:
    supervisor = make(*STUBBORN)
    process = start(supervisor)
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            supervisor.stop(grace=60)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert process.returncode == -signal.SIGKILL


def test_a_third_interrupt_leaves_nobody_behind(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = make(*STUBBORN)
    process, kill = start(supervisor), supervising._kill_group

    def interrupted(process: subprocess.Popen[bytes]) -> None:
        signal.raise_signal(signal.SIGINT)
        kill(process)

    monkeypatch.setattr(supervising, "_kill_group", interrupted)
    # A process of pytest-xdist ignores it.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            supervisor.stop(grace=0)
    finally:
        signal.signal(signal.SIGINT, previous)
        monkeypatch.undo()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_children_end_with_a_killed_supervisor() -> None:
    program = (
        "import os; from facesvc.running.supervisor import Supervisor\n"
        "s = Supervisor({'it': ['sh', '-c', 'echo $$; exec sleep 100']}, environment=os.environ)\n"
        "while True: s.step()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    child = int(process.stdout.readline().removeprefix("it | "))
    process.kill()
    process.communicate()
    wait_until_dead(child)


def test_a_child_that_ends_again_and_again_once_all_was_well(make: Make) -> None:
    """Its delay grows, up to a bound, and nothing is given up."""
    supervisor = make(*BROKEN)
    supervisor.gives_up = False
    child = only_child(supervisor)
    step_until(supervisor, lambda: len(child.deaths) > MAX_RESTARTS)
    # A difference of two sums of floats is not exactly what was added.
    delay = child.start_at - child.deaths[-1]
    assert delay == pytest.approx(0.01 * 2**MAX_RESTARTS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def facesvc_run(
    data_dir: Path, port: int, output: int | IO[str] = subprocess.PIPE
) -> subprocess.Popen[str]:
    theirs = {"DATABASE_URL", "NO_COLOR", "FORCE_COLOR", "FACESVC_LOG_FORMAT", "LOG_LEVEL"}
    environment = {name: value for name, value in os.environ.items() if name not in theirs}
    return subprocess.Popen(
        [sys.executable, "-m", "facesvc.running.run", "--port", str(port)],
        cwd=PROJECT,
        env={**environment, "FACESVC_DATA": str(data_dir), "WEB_WORKERS": "1"},
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_second_run_is_refused(tmp_path: Path) -> None:
    with locks.held(tmp_path / "locks" / "run", locks.EXCLUSIVE) as descriptor:
        os.write(descriptor, b"pid 12, http://127.0.0.1:8000")
        process = facesvc_run(tmp_path, free_port())
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert output == "facesvc is already running (pid 12, http://127.0.0.1:8000)\n"


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = facesvc_run(tmp_path, port := taken.getsockname()[1])
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in output


def get(port: int, path: str, token: str = "") -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as web:
        web.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        return web.getresponse().status


@pytest.mark.slow
def test_everything_starts_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    port = free_port()
    process = facesvc_run(tmp_path, port)
    assert process.stdout
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C stops"):
                break
        assert get(port, "/health/ready") == 200
        running = [process.pid, *(child.pid for child in psutil.Process(process.pid).children())]
        running.append(int((tmp_path / "postgres" / "postmaster.pid").read_text().split()[0]))
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=PATIENCE)
    text = "".join(lines) + rest
    assert process.returncode == 0, text
    assert "eyJ" not in text  # no token, where nobody looks
    logged = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert "/health/ready" in {line.get("route") for line in logged}
    for pid in running:
        wait_until_dead(pid)


@pytest.mark.slow
def test_on_a_terminal(tmp_path: Path) -> None:
    """A token that works, and of the log the line of a request."""
    port, (ours, theirs) = free_port(), os.openpty()
    process = facesvc_run(tmp_path, port, theirs)
    os.close(theirs)
    users, shown = "/api/v1/face-recognition/users", []
    try:
        for line in lines_of(ours):
            shown.append(line)
            if line.startswith("export TOKEN="):
                assert get(port, users, line.partition("=")[2].strip()) == 200
            if "GET /users" in line:
                break
    finally:
        process.send_signal(signal.SIGINT)
        shown += lines_of(ours)
        process.wait(PATIENCE)
        os.close(ours)
    text = "".join(shown)
    assert process.returncode == 0, text
    assert re.search(r"\x1b\[32m200\x1b\[0m +[0-9]+ ms  \x1b\[2mservice \x1b\[0m  GET /users", text)
    for noise in ("{", "/health", "Q Cluster", "gunicorn", "dropped"):
        assert noise not in text
    assert text.splitlines()[-2:] == [
        "Stopping: requests that are being answered may end.",
        "Stopped.",
    ]


def lines_of(terminal: int) -> Iterator[str]:
    """Until its last process is gone, which Linux tells by an error."""
    with suppress(OSError), open(terminal, closefd=False, newline="\n") as output:
        yield from (line.replace("\r\n", "\n") for line in output)
