"""Keeps a few child processes running, and the embedded database.

Passes on the output of the processes, restarts them, and ends them all.
"""

import errno
import os
import re
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from facesvc.postgres import database
from recognition.processes.orphans import die_with_parent

MAX_RESTARTS = 5
RESTART_WINDOW = 60  # seconds
LOOK, REVIVAL_DELAY, MOST_DELAY = 1.0, 1.0, 60.0  # seconds
# A line of the log is passed on as it is: in JSON, or for people with the time first.
_LOGGED = re.compile(r"\{|(\x1b\[2m)?[0-9]{2}:[0-9]{2}:[0-9]{2}")
GRACE = 35  # seconds from SIGTERM to SIGKILL: longer than a request or gunicorn's own grace


class GaveUpError(Exception):
    """A child dies again and again; the message ends with its last output."""


@dataclass
class Child:
    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_RESTARTS + 1))
    unfinished_line: bytes = b""
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=20))


class Supervisor:
    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        environment: Mapping[str, str],
        inherited: Sequence[int] = (),
        first_delay: float = 0.5,
    ) -> None:
        """Nothing is started yet. `inherited` are descriptors that the children keep open."""
        self._children = [Child(name, command) for name, command in commands.items()]
        self._environment = environment
        self._inherited = inherited
        self._first_delay = first_delay
        # Once all is well, a child that cannot start, as on a full disk, may do so later.
        self.gives_up = True
        self._width = max(map(len, commands))
        self._selector = selectors.DefaultSelector()

    def step(self, timeout: float = 0.2) -> None:
        """Start what should run and does not, and pass on output for so many seconds."""
        for child in self._children:
            if child.process and child.process.poll() is not None:
                self._bury(child, child.process)
            if child.process is None and time.monotonic() >= child.start_at:
                self._start(child)
        self._pass_on_output(timeout)

    def last_output(self) -> str:
        return "\n".join(
            f"{child.name} | {line}" for child in self._children for line in child.last_lines
        )

    def stop(self, grace: float = GRACE) -> None:
        """SIGTERM to all, SIGKILL to what is left after the grace or a KeyboardInterrupt.

        A third signal waits until that is done, so that none of them is left behind.
        """
        running = [child.process for child in self._children if child.process]
        try:
            for process in running:
                process.terminate()
            deadline = time.monotonic() + grace
            while time.monotonic() < deadline and any(p.poll() is None for p in running):
                self._pass_on_output(0.1)
        finally:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
            for process in running:
                _kill_group(process)
            self._pass_on_output(0)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _start(self, child: Child) -> None:
        process = subprocess.Popen(
            child.command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            pass_fds=self._inherited,
            start_new_session=True,  # Ctrl-C in the terminal reaches the supervisor only
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
        assert process.stdout
        child.process = process
        self._selector.register(process.stdout, selectors.EVENT_READ, (child, process.stdout))

    def _bury(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        self._pass_on_output(0)
        _kill_group(process)  # what it started itself and left behind
        now = time.monotonic()
        child.process = None
        child.deaths.append(now)
        recent = sum(now - death < RESTART_WINDOW for death in child.deaths)
        if recent > MAX_RESTARTS and self.gives_up:
            last = "\n".join(child.last_lines)
            raise GaveUpError(f"{child.name} ended {recent} times within a minute.\n{last}")
        delay = min(MOST_DELAY, self._first_delay * 2 ** (recent - 1))
        child.start_at = now + delay
        code = process.returncode
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        say(f"{child.name} ended ({how}), starting it again in {delay:g} s")

    def _pass_on_output(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            child, pipe = key.data
            chunk = os.read(key.fd, 65536)
            if not chunk:
                self._selector.unregister(pipe)
                pipe.close()
                chunk = b"\n" if child.unfinished_line else b""
            *lines, child.unfinished_line = (child.unfinished_line + chunk).split(b"\n")
            for line in lines:
                text = line.decode(errors="replace")
                child.last_lines.append(text)
                is_logged = _LOGGED.match(text)
                say(text if is_logged else f"{child.name:{self._width}} | {text}")


def revive(data_dir: Path) -> threading.Event:
    """Start the embedded database again whenever it ends, for as long as that takes.

    Its disk may be full, and a start may take minutes, so this goes on beside the caller. The event
    that it returns ends it.
    """
    stop = threading.Event()
    threading.Thread(target=keep_reviving, args=(data_dir, stop), daemon=True).start()
    return stop


def keep_reviving(data_dir: Path, stop: threading.Event) -> None:
    """Until `stop` is set. The tries come later and later while they fail."""
    pause, delay = LOOK, REVIVAL_DELAY
    while not stop.wait(pause):
        pause = LOOK
        if database.is_running(data_dir):
            delay = REVIVAL_DELAY
            continue
        say("The database ended, starting it again")
        try:
            database.join(data_dir)
        except Exception as error:
            # A full disk shows in many ways, such as a keeper that cannot start. Any of them is
            # printed and waited for: without its delay the next try would come at once, for ever.
            say(f"{error}\nThe next try is in {delay:g} s")
            pause, delay = delay, min(MOST_DELAY, 2 * delay)


def say(line: str) -> None:
    """Print a line. It is lost while the disk that it goes to is full: that must not end what runs,
    which could otherwise not go on when there is room again."""
    try:
        print(f"{line}\n", end="", flush=True)  # one piece: another thread may print
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Each child leads a group of its own, which outlives it while it has members."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
