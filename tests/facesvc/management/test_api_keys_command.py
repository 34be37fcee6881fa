"""The command that makes, lists, rotates and revokes keys of services."""

import io
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from recognition.access import SCOPES
from recognition.api.callers.access_keys import UnknownAccessKeyError, access_key
from recognition.collections.models import AccessKey, ApiKey
from tests.support.builders import OWNER, Person, make_user, refusal

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def sealed(settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]


def run(*arguments: object) -> tuple[str, str]:
    output, errors = io.StringIO(), io.StringIO()
    call_command("api_keys", *map(str, arguments), stdout=output, stderr=errors)
    return output.getvalue(), errors.getvalue()


def status(client: Client, key: str) -> int:
    return Person(key, client).get(f"users/{OWNER}").status_code


def test_it_works(client: Client) -> None:
    make_user(OWNER)
    output, said = run("make", "shop-backend", "--scope", "face:manage", "--days", 30)
    assert output.count("\n") == 1 and output.strip() not in said
    assert "until 20" in said and "nobody can see it again" in said
    assert status(client, output.strip()) == 200
    key = ApiKey.objects.get()
    listed = run("list")[0]
    assert all(each in listed for each in (key.pk, "shop-backend", "default", "valid until 20"))
    assert output.strip()[20:] not in listed
    new = run("rotate", key.pk, "--hours", 1)[0].strip()
    assert status(client, output.strip()) == status(client, new) == 200
    assert (
        "is revoked" in run("revoke", key.pk)[0] and "already revoked" in run("revoke", key.pk)[0]
    )
    assert (status(client, output.strip()), status(client, new)) == (401, 200)


def test_a_key_that_was_found_somewhere_can_be_revoked(client: Client) -> None:
    text = run("make", "app", "--scope", "all")[0].strip()
    assert ApiKey.objects.get().scopes == list(SCOPES)
    run("revoke", text)
    answer = Person(text, client).get(f"users/{OWNER}")
    assert refusal(answer) == (401, "invalid_token")


def test_access_keys() -> None:
    output = run("make", "app", "--scope", "face:identify", "--aws")[0]
    made = dict(line.split(" = ") for line in output.splitlines())
    key_id, secret = made["aws_access_key_id"], made["aws_secret_access_key"]
    assert (len(key_id), len(secret)) == (20, 40)
    known, key = access_key(key_id)
    assert (known, key.caller.subject, key.caller.scopes) == (secret, "app", {"face:identify"})
    assert key.collection.is_default and secret not in repr(key)
    assert secret.encode() not in bytes(AccessKey.objects.get().sealed)
    assert key_id in run("list")[0]
    run("rotate", key_id, "--hours", 0)
    with pytest.raises(UnknownAccessKeyError):
        access_key(key_id)
    for strange in ("", "FKIA", "AKIAIOSFODNN7EXAMPLE", key_id + "\n", key_id.lower(), "\0" * 20):
        with pytest.raises(UnknownAccessKeyError):
            access_key(strange)


def test_access_keys_are_not_stored_in_clear(settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS = []
    with pytest.raises(CommandError, match="set FACESVC_CROP_KEYS"):
        run("make", "app", "--scope", "face:identify", "--aws")
    assert not AccessKey.objects.exists()


@pytest.mark.parametrize("is_on", [False, True])
def test_a_pair_of_keys_that_opens_nothing_yet(settings: Settings, is_on: bool) -> None:
    settings.FACESVC_AWS = is_on
    assert ("FACESVC_AWS is not true" in run("make", "app", "--aws")[1]) is not is_on
    assert "FACESVC_AWS" not in run("make", "app")[1]


def test_no_keys() -> None:
    assert run("list")[0] == "There are no keys. `manage.py api_keys make SERVICE` makes one.\n"


def test_the_list_has_the_limit_of_a_key() -> None:
    run("make", "mover", "--calls-per-minute", 6000)
    run("make", "shop")
    head, mover, shop = run("list")[0].splitlines()
    place = head.index("calls a minute")
    assert (mover[place:].split()[0], shop[place:].split()[0]) == ("6,000", "-")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("make", "two words", "--scope", "all"), "letters"),
        (("make", "app", "--scope", "face:fly"), "Unknown scope: face:fly"),
        (("make", "app", "--scope", ""), "at least one scope"),
        (("make", "app", "--scope", "all", "--days", 0), "--days"),
        (("make", "app", "--scope", "all", "--calls-per-minute", 0), "from 1 to"),
        (("make", "app", "--scope", "all", "--collection", "NoShop"), "no collection 'NoShop'"),
        (("rotate", "0" * 16), "no key of this id: `manage.py api_keys list`"),
        (("rotate", "0" * 16, "--hours", -1), "no key"),
        (("revoke", "\0"), "no key"),
        (("revoke", "x" * 10_000), "no key"),
    ],
)
def test_what_is_refused(arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(*arguments)
    assert not ApiKey.objects.exists()


def test_an_overlap_that_makes_no_sense() -> None:
    run("make", "app", "--scope", "all")
    with pytest.raises(CommandError, match="--hours"):
        run("rotate", ApiKey.objects.get().pk, "--hours", -1)
