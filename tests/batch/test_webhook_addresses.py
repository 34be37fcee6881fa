"""Where callbacks may go, at submission and at delivery: nothing is sent to what is refused."""

import socket
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from pytest_django import Settings

from batch.webhooks import addresses
from batch.webhooks.addresses import RefusedError
from tests.support.patience import PATIENCE

PUBLIC = "93.184.216.34"
Resolve = Callable[[str], list[str]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A resolver that knows these names, and reads numbers as the C library does."""
    known = {"app.example": [PUBLIC]}
    real = socket.getaddrinfo

    def resolve(host: str, port: int, **options: Any) -> Any:
        if host not in known:
            return real(host, port, flags=socket.AI_NUMERICHOST, **options)
        families = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(families[":" in ip], 1, 6, "", (ip, port)) for ip in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


def test_it_works(names: dict[str, list[str]]) -> None:
    target = addresses.check("https://App.Example/hooks/7?a=b")
    assert (target.scheme, target.host, target.port) == ("https", "app.example", 443)
    assert (target.path, target.ips, target.authority) == ("/hooks/7?a=b", (PUBLIC,), "app.example")


PRIVATE = [
    # this machine
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7F.1",
    "0",
    "0.0.0.0",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[2001:0:53aa:64c:0:0:80ff:fffe]",
    # private networks
    "10.0.0.1",
    "167772161",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "0xc0a80101",
    "100.64.0.1",
    "198.18.0.1",
    "[fc00::1]",
    "[fd00::1]",
    "[::ffff:10.0.0.1]",
    "[64:ff9b::10.0.0.1]",
    # link-local, metadata services
    "169.254.1.1",
    "169.254.169.254",
    "2852039166",
    "0xA9FEA9FE",
    "[fe80::1]",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    # no one's
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "[2001:db8::1]",
    "[ff02::1]",
]


@pytest.mark.parametrize("host", PRIVATE)
def test_a_host_that_is_not_public(names: dict[str, list[str]], host: str) -> None:
    with pytest.raises(RefusedError):
        addresses.check(f"https://{host}/")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "ip6-localhost"])
def test_names_of_this_machine(host: str) -> None:
    """With the real resolver."""
    with pytest.raises(RefusedError):
        addresses.check(f"https://{host}/")


@pytest.mark.parametrize(
    "ips",
    [["10.0.0.1"], [PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC], [PUBLIC, "::1"], ["fe80::1%eth0"]],
    ids=str,
)
def test_a_name_with_a_private_address(names: dict[str, list[str]], ips: list[str]) -> None:
    names["app.example"] = ips
    with pytest.raises(RefusedError, match="not public"):
        addresses.check("https://app.example/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "app.example",
        "//app.example/",
        "https:app.example",
        "https://",
        "https:///path",
        "https://:443/",
        "http://app.example/",
        "ftp://app.example/",
        "file:///etc/passwd",
        "gopher://app.example/",
        "javascript:alert(1)",
        "https://user@app.example/",
        "https://user:pass@app.example/",
        "https://@app.example/",
        "https://app.example@127.0.0.1/",
        "https://127.0.0.1#@app.example/",
        "https://app.example:22/",
        "https://app.example:80/",
        "https://app.example:8443/",
        "https://app.example:0/",
        "https://app.example:99999/",
        "https://app.example:x/",
        "https://app.example:-1/",
        "https://app.example\\@127.0.0.1/",
        "https://app.example/a b",
        "https://app.example/\r\nX: y",
        "https://app.example/\x00",
        "\thttps://app.example/",
        "https://①②⑦.⓪.⓪.①/",
        "https://app。example/",
        "https://app.exam%70le/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://[app.example]/",
        "https://[127.0.0.1]/",
        "https://unknown.invalid/",
        "https://app.example/" + "x" * 2000,
    ],
)
def test_an_address_that_is_refused(names: dict[str, list[str]], url: str) -> None:
    with pytest.raises(RefusedError):
        addresses.check(url)


@pytest.mark.parametrize(
    "ip", [PUBLIC, "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
)
def test_public_addresses(ip: str) -> None:
    assert addresses.is_public(ip)


def test_an_intranet_host_that_is_listed(names: dict[str, list[str]], settings: Settings) -> None:
    names["app.lan"] = ["10.0.0.1"]
    settings.WEBHOOK_ALLOWED_HOSTS = ["App.lan", "10.0.0.2:8443", "[fd00::1]:8443"]
    assert addresses.check("https://app.lan/").ips == ("10.0.0.1",)
    assert addresses.check("https://10.0.0.2:8443/").port == 8443
    assert addresses.check("https://[fd00::1]:8443/").authority == "[fd00::1]:8443"
    for url in ("https://app.lan:8443/", "https://10.0.0.2/", "https://other.lan/"):
        with pytest.raises(RefusedError):
            addresses.check(url)


def test_http_by_setting(names: dict[str, list[str]], settings: Settings) -> None:
    settings.FACESVC_WEBHOOK_ALLOW_HTTP, settings.FACESVC_WEBHOOK_PORTS = True, [443, 80]
    assert addresses.check("http://app.example/").port == 80
    with pytest.raises(RefusedError):
        addresses.check("http://127.0.0.1/")


def test_names_that_are_not_there_look_like_those_inside(names: dict[str, list[str]]) -> None:
    names["inside.example"], names["none.example"] = ["10.0.0.1"], []
    messages = set()
    for host in ("inside.example", "none.example", "unknown.invalid"):
        with pytest.raises(RefusedError) as caught:
            addresses.check(f"https://{host}/")
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_a_name_server_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    over, answered = Event(), []

    def silent(*args: Any, **options: Any) -> list[Any]:
        answered.append(not over.wait(PATIENCE))
        return []

    monkeypatch.setattr(addresses, "_RESOLVE_SECONDS", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", silent)
    with pytest.raises(RefusedError):
        addresses.check("https://app.example/")
    assert not answered  # it was not waited for
    over.set()
