"""Makes methods of both clients of one description of a call."""

import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import replace
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar, overload

import anyio
import httpx

from facesvc.client.call import Call, PagedCall
from facesvc.client.exchange import Flow, Manner, Reply, Step, exchange

P = ParamSpec("P")
T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  an item of a page


class Blocking:
    """Follows flows in the thread that calls."""

    def __init__(self, manner: Manner, http: httpx.Client) -> None:
        self.manner = manner
        self.http = http

    def run(self, flow: Flow[T]) -> T:
        reply: Reply = None
        try:
            while True:
                reply = self._do(flow.send(reply))
        except StopIteration as end:
            result: T = end.value
            return result

    def _do(self, step: Step) -> Reply:
        if not isinstance(step, dict):
            time.sleep(step)
            return None
        try:
            return self.http.request(**step)
        except httpx.TransportError as error:
            return error

    def pages(self, call: PagedCall[T, I]) -> Iterator[I]:
        page: Any = self.run(exchange(call, self.manner))
        yield from page[call.items]
        while cursor := page["next_cursor"]:
            page = self.run(exchange(_next(call, cursor), self.manner))
            yield from page[call.items]


class Awaiting:
    """Follows flows in a task of asyncio or trio."""

    def __init__(self, manner: Manner, http: httpx.AsyncClient) -> None:
        self.manner = manner
        self.http = http

    async def run(self, flow: Flow[T]) -> T:
        reply: Reply = None
        try:
            while True:
                reply = await self._do(flow.send(reply))
        except StopIteration as end:
            result: T = end.value
            return result

    async def _do(self, step: Step) -> Reply:
        if not isinstance(step, dict):
            await anyio.sleep(step)
            return None
        try:
            return await self.http.request(**step)
        except httpx.TransportError as error:
            return error

    async def pages(self, call: PagedCall[T, I]) -> AsyncIterator[I]:
        page: Any = await self.run(exchange(call, self.manner))
        while True:
            for item in page[call.items]:
                yield item
            if not page["next_cursor"]:
                return
            page = await self.run(exchange(_next(call, page["next_cursor"]), self.manner))


class Method(Generic[P, T]):
    """A method of both clients: it sends the call that a function describes."""

    def __init__(self, describe: Callable[P, Call[T]]) -> None:
        self.describe = describe

    @overload
    def __get__(self, client: Blocking, owner: Any) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Awaiting, owner: Any) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Any, owner: Any) -> Any:
        @wraps(self.describe)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.run(exchange(self.describe(*args, **kwargs), client.manner))

        return method


class AllPages(Generic[P, T, I]):
    """A method of both clients that iterates over the items of all pages."""

    def __init__(self, describe: Callable[P, PagedCall[T, I]]) -> None:
        self.describe = describe

    @overload
    def __get__(self, client: Blocking, owner: Any) -> Callable[P, Iterator[I]]: ...
    @overload
    def __get__(self, client: Awaiting, owner: Any) -> Callable[P, AsyncIterator[I]]: ...
    def __get__(self, client: Any, owner: Any) -> Any:
        @wraps(self.describe)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.pages(self.describe(*args, **kwargs))

        return method


def _next(call: PagedCall[T, I], cursor: str) -> PagedCall[T, I]:
    return replace(call, query={**call.query, "cursor": cursor})
