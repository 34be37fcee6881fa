"""Runs the embedded PostgreSQL server for as long as somebody uses it.

Users hold a shared lock on one file. The keeper waits for the exclusive lock on it, which it gets
when the last user is gone in whatever way, and stops the server then. Started by
`facesvc.postgres.database`; if the keeper itself is killed, the kernel tells the server to shut
down.
"""

import argparse
import os
import signal
import subprocess
import threading
from pathlib import Path

from facesvc.postgres import locks
from recognition.processes.orphans import die_with_parent

STOP_TIMEOUT = 60


def _stop_when_unused(users: Path, server: subprocess.Popen[bytes]) -> None:
    # Never released: a new user waits until this process, and so the server, is gone.
    locks.acquire(users, locks.EXCLUSIVE)
    server.send_signal(signal.SIGINT)  # "fast": ends the connections and writes a checkpoint
    try:
        server.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)  # "immediate": the log is replayed at the next start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=Path, help="the file that users lock")
    parser.add_argument("--server-lock", type=int, help="descriptor held while the server lives")
    parser.add_argument("--owner", type=int, nargs=2, metavar=("UID", "GID"))
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    if os.fork():
        os._exit(0)  # an orphan from here on: no process has to wait for the keeper
    uid, gid = options.owner or (None, None)
    server = subprocess.Popen(
        options.command,
        user=uid,
        group=gid,
        extra_groups=None if gid is None else [],
        # Every process of the server holds this lock, even those that outlive a killed keeper.
        pass_fds=[options.server_lock],
        preexec_fn=die_with_parent(signal.SIGINT),
    )
    signal.signal(signal.SIGTERM, lambda *_: server.send_signal(signal.SIGINT))
    threading.Thread(target=_stop_when_unused, args=(options.users, server), daemon=True).start()
    server.wait()
    os.close(options.server_lock)  # before the users' lock: see database.release


if __name__ == "__main__":
    main()
