"""`python -m facesvc.running.probe`: exit 0 when the web server of this container is ready, else
1."""

import sys
from http.client import HTTPConnection, HTTPException

SECONDS = 4.0


def main(port: int = 8000) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/health/ready", headers={"Host": "localhost"})
        response = connection.getresponse()
        answer = f"{response.status} {response.read(1000).decode(errors='replace')}"
    except (OSError, HTTPException) as error:
        print(error)
        return 1
    finally:
        connection.close()
    print(answer)  # what `docker inspect` shows
    return 0 if response.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
