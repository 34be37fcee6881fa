"""`python -m facesvc.running.probe`: exit 0 when the web server of this container is ready, else
1."""

import sys
import time

from recognition.outbound.exchange import MOST_BYTES, ExchangeError, Target, send

SECONDS = 4.0


def readiness(host: str, port: int) -> tuple[bool, str]:
    """Whether a web server of this machine is ready, and what it says of it."""
    target = Target("http", host, port, "/health/ready", (host,))
    try:
        answer = send("GET", target, deadline=time.monotonic() + SECONDS, most=MOST_BYTES)
    except ExchangeError as error:
        return False, str(error)
    return answer.status == 200, f"{answer.status} {answer.body.decode(errors='replace')}"


def main(port: int = 8000) -> int:
    is_ready, answer = readiness("127.0.0.1", port)
    print(answer[:1000])  # what `docker inspect` shows
    return 0 if is_ready else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
