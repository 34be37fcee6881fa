"""One end user who sends what costs most, over plain connections, and counts the answers."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

from benchmarks.load import Answer, Connection
from benchmarks.service import PREFIX

SCOPES = ("face:register", "face:verify", "face:identify", "face:manage", "face:batch")
PATIENCE = 90.0  # seconds
JSON = "application/json"
_users = count(666)


@dataclass
class Attacker:
    """One end user, with as many tokens as they like, and what their requests were answered."""

    port: int
    user: UUID = field(default_factory=lambda: UUID(int=next(_users)))
    tally: Counter[str] = field(default_factory=Counter)

    def tokens(self, number: int, scopes: Iterable[str] = SCOPES) -> list[str]:
        return [token_of(self.user, scopes, minutes=60 + each) for each in range(number)]

    @property
    def verify(self) -> str:
        return f"verify?user_id={self.user}"

    async def send(self, connections: int, requests: Iterator[bytes], pause: float = 0) -> None:
        """The next one as soon as there is an answer, on so many connections."""
        await asyncio.gather(*(self._send(requests, pause) for _ in range(connections)))

    async def _send(self, requests: Iterator[bytes], pause: float) -> None:
        connection = Connection(self.port)
        for request in requests:
            answer = await ask(connection, request)
            self.tally[f"request {answer.status if answer else 'closed'}"] += 1
            await asyncio.sleep(pause)
        connection.close()

    async def call(self, token: str, frame: bytes) -> None:
        """A call with five frames a second."""
        opened = json.dumps({"user_id": str(self.user), "purpose": "video_call"}).encode()
        session = await _json(self.port, request_of(token, "sessions", opened, JSON))
        if not (session_id := session.get("data", {}).get("session_id")):
            self.tally["no session"] += 1
            return
        connection, clock = Connection(self.port), asyncio.get_running_loop().time
        for number in count():
            begin = clock()
            path = f"sessions/{session_id}/frames?sequence={number}"
            answer = await ask(connection, request_of(token, path, frame))
            self.tally[f"frame {answer.status if answer else 'closed'}"] += 1
            await asyncio.sleep(max(0.0, 0.2 - (clock() - begin)))


def token_of(subject: object, scopes: Iterable[str] = SCOPES, minutes: int = 60) -> str:
    from recognition.api.callers import tokens
    from recognition.models.user_ids import UserId

    named = UserId(str(subject)) if isinstance(subject, UUID) else str(subject)
    return tokens.issue(named, list(scopes), minutes=minutes)


def request_of(
    token: str,
    path: str,
    body: bytes = b"",
    kind: str = "image/jpeg",
    *,
    key: str = "",
    method: str = "POST",
) -> bytes:
    address = path if path.startswith("/") else f"{PREFIX}/{path}"
    head = (
        f"{method} {address} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    )
    return (head + (f"Idempotency-Key: {key}\r\n" if key else "") + "\r\n").encode() + body


async def ask(connection: Connection, request: bytes, patience: float = PATIENCE) -> Answer | None:
    try:
        async with asyncio.timeout(patience):
            return await connection.ask(request)
    except (OSError, EOFError, TimeoutError):
        connection.close()
        return None


async def _json(port: int, request: bytes) -> dict[str, dict[str, str]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    body = json.loads(await reader.readexactly(length))
    writer.close()
    return dict(body)


async def drip(by: Attacker, request: bytes, at_once: int) -> None:
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", by.port)
        writer.write(request[:at_once])
        try:
            for at in range(at_once, len(request)):
                writer.write(request[at : at + 1])
                await asyncio.sleep(1)
                if reader.at_eof() or writer.is_closing():
                    break
            status = (await reader.readline())[9:12].decode()
        except OSError:
            status = ""
        by.tally[f"slow {status or 'closed'}"] += 1
        writer.close()
