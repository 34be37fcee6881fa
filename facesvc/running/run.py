"""`facesvc run`: the whole service under one parent, for a single machine.

Database, migrations, model pack, web server, workers, in this order; Ctrl-C undoes it.
"""

import argparse
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from django.conf import settings

from facesvc import home
from facesvc.monitoring import terminal
from facesvc.postgres import cluster, database, locks
from facesvc.postgres.cluster import DatabaseError
from facesvc.running.probe import readiness
from facesvc.running.supervisor import GaveUpError, Supervisor, revive, say
from recognition.processes.orphans import die_with_parent

READY_TIMEOUT = 120  # seconds
TOKEN_HOURS = 2
TOKEN_CALLS = 600  # a minute: somebody who tries things out is alone
TOKEN = (
    *("issue_token", "--service", "local", "--scope", "all"),
    *("--calls-per-minute", str(TOKEN_CALLS), "--minutes", str(TOKEN_HOURS * 60)),
)
# Where the code is installed, a folder `batch` of the current folder must not stand for ours.
PYTHON = [sys.executable] if home.IS_CHECKOUT else [sys.executable, "-P"]
# For glibc, as in the image: see docs/deployment.md.
MALLOC = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "2097152",
    "MALLOC_TRIM_THRESHOLD_": "4194304",
}
# As it was given to this process: Django sets TZ later.
_ENVIRONMENT = dict(os.environ)


class RunError(Exception):
    """The service cannot run; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    parser = argparse.ArgumentParser(prog="facesvc run", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args(arguments)
    os.chdir(home.HOME_DIR)
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.default_int_handler)
    try:
        with _only_one(settings.DATA_DIR, address(options.host, options.port)):
            _check_port(options.host, options.port)
            with _database(settings.DATA_DIR) as (environment, inherited):
                _serve(options.host, options.port, environment, inherited)
    except KeyboardInterrupt:
        print("Stopped.")
    except (RunError, GaveUpError, DatabaseError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def local_host(host: str) -> str:
    """Where this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def address(host: str, port: int) -> str:
    reachable = local_host(host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


@contextmanager
def _only_one(data_dir: Path, url: str) -> Iterator[None]:
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data_dir / "locks" / "run"
    try:
        descriptor = locks.acquire(path, locks.EXCLUSIVE, timeout=0)
    except locks.LockedError:
        raise RunError(f"facesvc is already running ({path.read_text()})") from None
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, f"pid {os.getpid()}, {url}".encode())
        yield
    finally:
        os.close(descriptor)


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"cannot listen on {host} port {port}: {error.strerror}"
            raise RunError(f"{message} (--port takes another; make run PORT=...)") from None


@contextmanager
def _database(data_dir: Path) -> Iterator[tuple[Mapping[str, str], list[int]]]:
    """The environment and the descriptors with which children find the database running."""
    ours = {"PYTHONUNBUFFERED": "1", "DJANGO_SETTINGS_MODULE": "facesvc.settings"}
    environment = {**MALLOC, **_ENVIRONMENT, **_log_style(), **ours}
    if settings.DATABASE_URL:
        yield environment, []
        return
    is_new = not cluster.folder(data_dir).exists()
    with terminal.step("Making the database" if is_new else "Starting the database"):
        environment["DATABASE_URL"] = database.embedded_url(data_dir)
    try:
        # Children hold the lock as well: after a kill -9 of this process the database waits for
        # their last request.
        yield environment, [database.join(data_dir)]
    finally:
        if not database.release(data_dir):
            print("The database stays: another process uses it.")


def _log_style() -> dict[str, str]:
    """How the children log: they write into pipes, and only this process sees a terminal."""
    if settings.FACESVC_LOG_FORMAT != "auto":
        return {}
    if not sys.stdout.isatty():
        return {"FACESVC_LOG_FORMAT": "json"}
    colours = {"FORCE_COLOR": "1"} if terminal.in_colour(sys.stdout) else {}
    return {"FACESVC_LOG_FORMAT": "text", **colours}


def _serve(
    host: str, port: int, environment: Mapping[str, str], inherited: Sequence[int]
) -> NoReturn:
    with terminal.step("Preparing the models and the tables"):
        model = _manage("prepare", environment=environment).strip()
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    supervisor = Supervisor(
        {
            "web": [*PYTHON, "-m", "facesvc.running.web", "--bind", bind],
            "worker": [*PYTHON, "-m", "facesvc", "qcluster"],
        },
        environment=environment,
        inherited=inherited,
    )
    revival = threading.Event()
    try:
        # A whole line, since these log from now on.
        print("Starting the web server and the workers", flush=True)
        _wait_until_ready(supervisor, host, port)
        _announce(address(host, port), model, environment)
        supervisor.gives_up = False
        if inherited:
            revival = revive(settings.DATA_DIR)
        while True:
            supervisor.step(1)
    finally:
        revival.set()
        say("Stopping: requests that are being answered may end.")
        supervisor.stop()


def _manage(*arguments: str, environment: Mapping[str, str]) -> str:
    """The output of a management command. Raises RunError, which ends with that output."""
    result = subprocess.run(
        [*PYTHON, "-m", "facesvc", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for this process, which then ends the command
        preexec_fn=die_with_parent(signal.SIGTERM),
    )
    if result.returncode:
        failure = f"facesvc {arguments[0]} failed with exit code {result.returncode}"
        raise RunError(f"{failure}\n{result.stdout}".rstrip())
    return result.stdout


def _wait_until_ready(supervisor: Supervisor, host: str, port: int) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    while not (answer := readiness(local_host(host), port))[0]:
        if time.monotonic() > deadline:
            last = supervisor.last_output()
            raise RunError(f"not ready after {READY_TIMEOUT} s: {answer[1]}\n{last}")
        supervisor.step()


def _announce(url: str, model: str, environment: Mapping[str, str]) -> None:
    """Says where to go on. A token is for the eyes at a terminal, and for no file of a log."""
    token = failure = ""
    if sys.stdout.isatty():
        try:
            token = _manage(*TOKEN, environment=environment).strip()
        except RunError as error:
            failure = str(error)  # such as that an identity provider issues them
    print(announcement(url, model, token, failure), flush=True)


def _given(name: str) -> str:
    """A setting of this process, as it stands before a command in a terminal that has it not."""
    value = _ENVIRONMENT.get(name)
    return f"{name}={shlex.quote(value)} " if value else ""


def _place() -> str:
    """What leads a command to the same database. An address may have a password: it is left out."""
    address = "DATABASE_URL=... " if _ENVIRONMENT.get("DATABASE_URL") else ""
    return address + _given("DATABASE_URL_FILE") + _given("FACESVC_DATA")


def announcement(url: str, model: str, token: str, failure: str = "") -> str:
    """What is printed when the service is ready; without a token, the command that makes one."""
    data, place = _given("FACESVC_DATA"), _place()
    page = f"/#token={token}" if token and settings.FACESVC_PAGE else ""
    lines = [
        "",
        f"facesvc is ready: {url}{page}",
        "",
        f"  {url}/api/docs  the API, to try it",
        f"  {url}/admin/    for operators; this makes an account:",
        f"      {place}{home.typed('createsuperuser')}",
        "",
        model.replace("    manage.py ", f"    {place}{home.typed()}"),
        "",
    ]
    another = f"$({data}{'make' if home.IS_CHECKOUT else 'facesvc'} token)"
    if token:
        lines += [f"For calls from another terminal, for {TOKEN_HOURS} hours:", ""]
        lines += [f"export TOKEN={token}", "", f"A new token: export TOKEN={another}"]
    else:
        lines += [failure or f"A token with all rights: export TOKEN={another}"]
    return "\n".join([*lines, "", "Ctrl-C stops everything.", ""])


if __name__ == "__main__":
    sys.exit(main())
