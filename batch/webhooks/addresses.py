"""Where a callback may go: no way into the network that the service stands in.

An address is resolved once, every address that its name has is checked, and the connection goes to
one of those: a name that means something else a moment later cannot matter.
"""

import re
import time
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from django.conf import settings

from recognition.errors import ServiceError
from recognition.outbound.exchange import DEFAULT_PORTS, Target, addresses_of, path_of

_MAX_LENGTH = 2000
_RESOLVE_SECONDS = 5.0
_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?")
# IPv6 addresses with an IPv4 address inside, which a gateway on the way unwraps.
_CARRIERS = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
# Special addresses of the registries that some versions of Python take for global.
_SPECIAL = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "3fff::/20")))
_GLOBAL_UNICAST = IPv6Network("2000::/3")
# Public by number, but the virtual host of a cloud's machines (Azure); the other clouds' metadata
# services have link-local, private or shared addresses.
_METADATA = {IPv4Address("168.63.129.16")}


class RefusedError(ServiceError):
    """A callback must not or cannot go there; the message is for the caller."""

    def __init__(self, message: str) -> None:
        super().__init__("invalid_callback_url", message)


def check(url: str) -> Target:
    """Parse, resolve and judge an address. Raises RefusedError.

    Only the DNS is asked, which may take seconds.
    """
    scheme, host, port, path = _parse(url)
    allowed = {entry.lower() for entry in settings.WEBHOOK_ALLOWED_HOSTS}
    listed_with_port = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if port not in settings.FACESVC_WEBHOOK_PORTS and listed_with_port not in allowed:
        raise RefusedError(
            f"The port {port} is not allowed; WEBHOOK_ALLOWED_HOSTS can list {listed_with_port}."
        )
    ips = _resolve(host, port)
    if not ips or not ({host, listed_with_port} & allowed or all(map(is_public, ips))):
        # One message for both, or callers could learn the names in our network.
        raise RefusedError("The host has no address, or one that is not public.")
    return Target(scheme, host, port, path, ips)


def _parse(url: str) -> tuple[str, str, int, str]:
    """Returns scheme, host in lower case, port, and path with query; stricter than browsers."""
    if (
        len(url) > _MAX_LENGTH
        or not url.isascii()
        or not url.isprintable()
        or set(url) & set(" \\")
    ):
        raise RefusedError("The address has characters that do not belong there, or is too long.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise RefusedError("This is no address.") from None
    schemes = {"https", "http"} if settings.FACESVC_WEBHOOK_ALLOW_HTTP else {"https"}
    if parts.scheme not in schemes:
        raise RefusedError(f"The address must begin with {' or '.join(sorted(schemes))}.")
    if "@" in parts.netloc:
        raise RefusedError("Credentials do not belong into an address.")
    if not _is_host(host, bracketed="[" in parts.netloc):
        raise RefusedError("The host is not valid.")
    port = DEFAULT_PORTS[parts.scheme] if port is None else port
    return parts.scheme, host, port, path_of(parts)


def _is_host(host: str, *, bracketed: bool) -> bool:
    if not bracketed:
        return bool(_NAME.fullmatch(host))
    try:
        return isinstance(ip_address(host), IPv6Address) and "%" not in host
    except ValueError:
        return False


def _resolve(host: str, port: int) -> tuple[str, ...]:
    """The addresses of a host, none if the DNS is too slow. The C library also reads 127.1."""
    try:
        # A name server may never answer.
        return tuple(addresses_of(host, port, deadline=time.monotonic() + _RESOLVE_SECONDS))
    except OSError:
        return ()


def is_public(ip: str) -> bool:
    """Whether an address is on the public internet, even inside another address."""
    try:
        address = _unwrapped(ip_address(ip))
    except ValueError:
        return False  # with a zone, so link-local
    if address is None or address in _METADATA:
        return False
    if any(address.version == net.version and address in net for net in _SPECIAL):
        return False
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address | None:
    """The IPv4 address inside an IPv6 one, if any; None for a tunnel, which is refused."""
    if isinstance(address, IPv4Address):
        return address
    if address.scope_id or address.teredo or address.sixtofour or address in _LOCAL_NAT64:
        return None
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if any(address in network for network in _CARRIERS):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
