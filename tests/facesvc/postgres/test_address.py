"""DATABASE_URL: what is read of it, and what its owner learns about a wrong one."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict

from facesvc.postgres import address


def parse(url: str) -> dict[str, Any]:
    return address.parse("DATABASE_URL", url)


def test_it_works() -> None:
    found = parse("postgresql://facesvc:password@host/facesvc?sslmode=require")
    assert found["OPTIONS"].pop("sslmode") == "require"
    assert found["OPTIONS"] == address.PATIENCE
    assert found | {"OPTIONS": {}} == {
        "ENGINE": "facesvc.postgres",
        "NAME": "facesvc",
        "USER": "facesvc",
        "PASSWORD": "password",
        "HOST": "host",
        "PORT": "",
        "OPTIONS": {},
    }


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("postgres://u@one:5432,two:5433/db", "one,two", "5432,5433"),
        ("postgresql://u:p@one,two/db", "one,two", ","),
        ("postgresql://u:p@one:5433,two/db", "one,two", "5433,"),
        ("postgresql://u@[::1]:5432,[fe80::2]:5433/db", "::1,fe80::2", "5432,5433"),
        ("postgresql://u@%2Frun%2Fone:5432,%2Frun%2Ftwo:5432/db", "/run/one,/run/two", "5432,5432"),
        ("postgresql:///db?host=one,two&port=5433", "one,two", "5433"),
    ],
)
def test_several_servers(url: str, host: str, port: str) -> None:
    found = parse(url)
    assert (found["HOST"], found["PORT"], found["NAME"]) == (host, port, "db")
    assert found["OPTIONS"]["target_session_attrs"] == "read-write"
    assert found["OPTIONS"]["connect_timeout"] == 3


def test_the_query_has_the_last_word() -> None:
    url = "postgresql://u@one,two/db?target_session_attrs=any&connect_timeout=7"
    options = parse(url)["OPTIONS"]
    assert (options["target_session_attrs"], options["connect_timeout"]) == ("any", "7")


def test_escaped_characters() -> None:
    assert parse("postgresql://u:%40%2F%3A%25%23@host/db")["PASSWORD"] == "@/:%#"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://u:hidden@host/db", "does not begin with postgresql://"),
        ("host=one dbname=hidden", "does not begin with postgresql://"),
        ("postgresql://u:hid@den@host/db", "has a second @"),
        ("postgresql://u:hid/den@host/db", "has a port that is not a number"),
        ("postgresql://u:hid%zzden@host/db", "cannot be read (invalid percent-encoded token)"),
        ("postgresql://u:hid%den@host/db", "cannot be read (a %.. is no character)"),
        ("postgresql://u:p@host/db?hidden=1", "cannot be read (invalid URI query parameter)"),
        ("postgresql://u:hidden@[::1/db", "cannot be read (end of string reached when looking"),
        ("postgresql://u:p@host:hidden/db", "has a port that is not a number"),
        ("postgresql://u:hidden@host:5432", "names no database"),
        ("postgresql://u:hidden@one,two/", "names no database"),
        ("postgresql:///db?host=one,two,hidden&port=1,2", "has not as many ports as hosts"),
    ],
)
def test_a_wrong_one(url: str, problem: str) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        parse(url)
    message = str(caught.value)
    assert message.startswith(f"DATABASE_URL {problem}")
    assert "postgresql://user:password@host:5432/name" in message
    assert not any(part in message for part in ("hid", "den@"))


def test_libpq_knows_all_options() -> None:
    options = parse("postgresql://u@one,two/db")["OPTIONS"]
    assert conninfo_to_dict(**options) == options


# --- replicas -------------------------------------------------------------------------------------


def test_replicas_are_taken_at_random_and_soon_given_up() -> None:
    url = "postgresql://me:secret@one:5432,two:5433/faces?connect_timeout=7"
    parsed = address.parse_replicas("FACESVC_SEARCH_DATABASE_URL", url)
    assert parsed["ENGINE"] == "facesvc.postgres.replicas"
    assert (parsed["HOST"], parsed["PORT"]) == ("one,two", "5432,5433")
    options = parsed["OPTIONS"]
    assert options["load_balance_hosts"] == "random"
    assert options["target_session_attrs"] == "standby"
    assert options["connect_timeout"] == "7"
    assert options["tcp_user_timeout"] < address.PATIENCE["tcp_user_timeout"]


def test_one_replica_may_turn_out_to_be_none() -> None:
    parsed = address.parse_replicas("NAME", "postgresql://one/faces")
    assert "target_session_attrs" not in parsed["OPTIONS"]


def test_a_wrong_address_of_replicas() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^FACESVC_SEARCH_DATABASE_URL names no"):
        address.parse_replicas("FACESVC_SEARCH_DATABASE_URL", "postgresql://one")
