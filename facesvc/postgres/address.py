"""Reads the address of a PostgreSQL, or of several servers of which one takes writes."""

from typing import Any

import psycopg
from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict

# A server that drops packets, or vanishes in the middle, must not hold anybody up for minutes:
# seconds, and milliseconds in the last line.
PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
# The next host may answer at once, and a standby is no use to us.
_SEVERAL = {"connect_timeout": 3, "target_session_attrs": "read-write"}
# The primary can answer at once what a replica does not.
_IMPATIENCE = {
    "connect_timeout": 2,
    "keepalives_idle": 2,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 5_000,
    "load_balance_hosts": "random",
}
# A server that has been promoted is no replica any more.
_SEVERAL_REPLICAS = {"target_session_attrs": "standby"}
_FORM = "postgresql://user:password@host:5432/name"
_ADVICE = (
    f"It has to be {_FORM}, and may name several servers: ...@one:5432,two:5432/name. In a user or "
    "a password, write % as %25, @ as %40, / as %2F and : as %3A."
)


def parse(setting: str, url: str) -> dict[str, Any]:
    """Returns Django's settings of a database. Raises ImproperlyConfigured.

    libpq itself reads the address, so all its parameters may be in the query. The messages show no
    part of the address: with a character that is not escaped, any part may be one of the password.
    """
    return _database(setting, _given(setting, url), PATIENCE, _SEVERAL)


def parse_replicas(setting: str, url: str) -> dict[str, Any]:
    """As `parse`, for one or several streaming replicas, of which each connection takes any."""
    replicas = _database(setting, _given(setting, url), _IMPATIENCE, _SEVERAL_REPLICAS)
    return replicas | {"ENGINE": "facesvc.postgres.replicas"}


def _database(
    setting: str, given: dict[str, Any], options: dict[str, Any], if_several: dict[str, Any]
) -> dict[str, Any]:
    name, host, port = (given.pop(each, "") for each in ("dbname", "host", "port"))
    if problem := _problem(name, host, port):
        raise _wrong(setting, problem)
    return {
        "ENGINE": "facesvc.postgres",
        "NAME": name,
        "USER": given.pop("user", ""),
        "PASSWORD": given.pop("password", ""),
        "HOST": host,
        "PORT": port,
        "OPTIONS": options | (if_several if "," in host else {}) | given,
    }


def _given(setting: str, url: str) -> dict[str, Any]:
    if not url.startswith(("postgresql://", "postgres://")):
        raise _wrong(setting, "does not begin with postgresql://")
    try:
        return conninfo_to_dict(url)
    except psycopg.Error as error:
        reason = str(error).partition(":")[0].strip()
        raise _wrong(setting, f"cannot be read ({reason})") from None
    except UnicodeDecodeError:
        raise _wrong(setting, "cannot be read (a %.. is no character)") from None


def _problem(name: str, host: str, port: str) -> str:
    """What libpq would notice only when it connects, as the end of a sentence."""
    if "@" in host:
        return "has a second @, where the host should begin"
    ports = port.split(",")
    if not all(each == "" or each.isdecimal() for each in ports):
        return "has a port that is not a number"
    if len(ports) not in (1, len(host.split(","))):
        return "has not as many ports as hosts"
    return "" if name else "names no database"


def _wrong(setting: str, problem: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{setting} {problem}. {_ADVICE}")
