"""The one way out: what the tests of callbacks, checks and tokens do not show of it."""

import socket
import time
from typing import Any

import pytest

from recognition.outbound import exchange
from recognition.outbound.exchange import Answer, ExchangeError, Target
from tests.support.patience import PATIENCE
from tests.support.servers.receiver import Receiver, receiving


def soon() -> float:
    return time.monotonic() + PATIENCE


def target_of(receiver: Receiver, host: str, *ips: str) -> Target:
    return Target("http", host, receiver.port, "/path?a=b", ips)


def test_it_works() -> None:
    with receiving(418) as receiver:
        target = target_of(receiver, "app.example", "127.0.0.1")
        assert exchange.send("POST", target, {"X": "y"}, b"body", deadline=soon()) == Answer(
            418, b""
        )
    ((headers, body),) = receiver.received
    assert (headers["host"], headers["x"]) == (f"app.example:{receiver.port}", "y")
    assert (headers[":path"], body) == ("/path?a=b", b"body")


def test_an_address_of_the_operator() -> None:
    with receiving() as receiver:
        assert exchange.fetch(receiver.url, b"{}", deadline=soon()) == b""
    ((headers, body),) = receiver.received
    assert (headers["user-agent"], headers["content-type"]) == ("facesvc", "application/json")
    assert (headers[":path"], body) == ("/hook?of=batch", b"{}")


def test_no_name_is_looked_up_for_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever checked its addresses has to know that nothing else is reached."""
    real = socket.getaddrinfo

    def numbers_alone(host: str, *args: Any, **options: Any) -> Any:
        return real(host, *args, **{**options, "flags": socket.AI_NUMERICHOST})

    monkeypatch.setattr(socket, "getaddrinfo", numbers_alone)
    with receiving() as receiver:
        for ips in ((), ("127.0.0.2",)):
            with pytest.raises(ExchangeError) as caught:
                exchange.send("POST", target_of(receiver, "localhost", *ips), deadline=soon())
            assert caught.value.reason == "unreachable"
        assert not receiver.received


@pytest.mark.parametrize("host", ["a..example", "a" * 64 + ".example", "no.such.invalid"])
def test_a_name_without_an_address(host: str) -> None:
    """Those that the codec of names refuses as well: who asks is answered, and does not wait."""
    with pytest.raises(OSError) as caught:
        exchange.addresses_of(host, 80, deadline=soon())
    assert not isinstance(caught.value, TimeoutError)
    assert not exchange._asked
    with pytest.raises(ExchangeError, match=r"\w"):
        exchange.fetch(f"http://{host}/", deadline=soon())


def test_a_deadline_that_is_over() -> None:
    with receiving() as receiver, pytest.raises(ExchangeError) as caught:
        target = target_of(receiver, "app.example", "127.0.0.1")
        exchange.send("POST", target, deadline=time.monotonic())
    assert caught.value.reason == "timeout" and not receiver.received
