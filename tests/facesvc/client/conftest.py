"""Clients of the service in the same process: everything but the socket is real."""

from collections.abc import Coroutine
from typing import Any, TypeVar

import httpx
import pytest
from django.test import Client

from facesvc import client as python_client
from tests.support.builders import service_token

URL = "http://localhost"
T = TypeVar("T")


class Here(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers requests by the service itself, in the transaction of the test."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = Client(raise_request_exception=False).generic(
            request.method,
            request.url.raw_path.decode(),
            request.read(),
            content_type=request.headers.get("Content-Type", ""),
            headers=dict(request.headers),
            RAW_URI=request.url.raw_path.decode(),
        )
        headers = dict(answer.headers)
        return httpx.Response(answer.status_code, headers=headers, content=answer.content)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return self.handle_request(request)


def done(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that never waits: in a loop it would have a connection of its own
    to the database, and not see the transaction of the test."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("it waits for something")


@pytest.fixture
def client() -> python_client.Client:
    return python_client.Client(URL, service_token(), http=httpx.Client(transport=Here()))


@pytest.fixture
def async_client() -> python_client.AsyncClient:
    return python_client.AsyncClient(URL, service_token(), http=httpx.AsyncClient(transport=Here()))
