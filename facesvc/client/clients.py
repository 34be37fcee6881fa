"""The two clients. How they send is in exchange.py, their calls are in operations.py."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Generic, TypeVar

import httpx

from facesvc.client import answers, exchange
from facesvc.client.answers import FrameTaken, Job
from facesvc.client.binding import Awaiting, Blocking
from facesvc.client.call import Id
from facesvc.client.exchange import Manner
from facesvc.client.operations import Operations
from facesvc.client.pictures import Picture

R = TypeVar("R")
# Seconds. A batch that is answered at once takes longer: give the client another one for it.
_TIMEOUT = 60.0


class LiveCall(Generic[R]):
    """A call that is watched: send it the frames in the order in which they were taken."""

    def __init__(self, session: answers.Session, post: Callable[..., R]) -> None:
        self.session = session
        self._post = post
        self._sequence = 0

    def frame(self, picture: Picture) -> R:
        """Send the next frame. Its answer has the `state` of the call."""
        self._sequence += 1
        return self._post(self.session["session_id"], picture, sequence=self._sequence)


class Client(Blocking, Operations):
    """The client for programs with threads. It may be used by several at once."""

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str],
        *,
        tries: int = 4,
        longest_wait: float = 90.0,
        http: httpx.Client | None = None,
    ) -> None:
        """`token` may be a function; it is asked before each try. `http` has proxies and such."""
        manner = Manner(url=url, token=token, tries=tries, longest_wait=longest_wait)
        super().__init__(manner, http or httpx.Client(timeout=_TIMEOUT))

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.http.close()

    def wait_for_job(self, job_id: str, *, timeout: float | None = None, bar: bool = False) -> Job:
        """Wait until a job has ended, with a bar on the terminal if you like."""
        with _progress(bar) as seen:
            return self.run(exchange.wait_for_job(job_id, self.manner, timeout, seen))

    @contextmanager
    def live_call(
        self, user_id: Id, *, purpose: answers.PurposeEnum = "video_call"
    ) -> Iterator[LiveCall[FrameTaken]]:
        """Open a session for frames, and end it with the block."""
        session = self.open_session(user_id, purpose=purpose)
        try:
            yield LiveCall(session, self.post_frame)
        finally:
            self.end_session(session["session_id"])


class AsyncClient(Awaiting, Operations):
    """The client for programs with asyncio or trio."""

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str],
        *,
        tries: int = 4,
        longest_wait: float = 90.0,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """`token` may be a function; it is asked before each try. `http` has proxies and such."""
        manner = Manner(url=url, token=token, tries=tries, longest_wait=longest_wait)
        super().__init__(manner, http or httpx.AsyncClient(timeout=_TIMEOUT))

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self.http.aclose()

    async def wait_for_job(
        self, job_id: str, *, timeout: float | None = None, bar: bool = False
    ) -> Job:
        """Wait until a job has ended, with a bar on the terminal if you like."""
        with _progress(bar) as seen:
            return await self.run(exchange.wait_for_job(job_id, self.manner, timeout, seen))

    @asynccontextmanager
    async def live_call(
        self, user_id: Id, *, purpose: answers.PurposeEnum = "video_call"
    ) -> AsyncIterator[LiveCall[Coroutine[Any, Any, FrameTaken]]]:
        """Open a session for frames, and end it with the block."""
        session = await self.open_session(user_id, purpose=purpose)
        try:
            yield LiveCall(session, self.post_frame)
        finally:
            await self.end_session(session["session_id"])


@contextmanager
def _progress(bar: bool) -> Iterator[Callable[[Job], None]]:
    """What is called with each state of a job; it moves the bar if there is one."""
    if not bar:
        yield lambda job: None
        return
    from tqdm import tqdm  # only a bar needs it

    with tqdm(unit="picture") as shown:

        def seen(job: Job) -> None:
            shown.total = job["total"]
            shown.n = job["succeeded"] + job["failed"] + job["skipped"]
            shown.refresh()

        yield seen
