"""API keys: what opens the service, and what does not."""

import base64
import hashlib
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from recognition.api.callers import api_keys, keys, making, tokens
from recognition.api.callers.claims import TokenError
from recognition.collections import schemas
from recognition.collections.current import entered
from recognition.collections.models import ApiKey, Collection
from recognition.models import AuditEvent
from tests.support.builders import OWNER, PREFIX, Person, data_of, make_user, refusal

pytestmark = pytest.mark.django_db

SCOPES = ["face:manage"]


@pytest.fixture(autouse=True)
def user() -> None:
    make_user(OWNER)


@pytest.fixture
def made() -> tuple[ApiKey, str]:
    return making.make(ApiKey, "app", SCOPES, collection="default", by="command:test")


def ask(client: Client, token: str, path: str = f"users/{OWNER}") -> HttpResponse:
    return Person(token, client).get(path)


def other_collection(name: str = "shop") -> Collection:
    row = Collection.objects.create(name=name)
    schemas.make(row.entered)
    return row


INVALID = (401, "invalid_token")


def test_it_works(client: Client, made: tuple[ApiKey, str]) -> None:
    key, text = made
    assert text.startswith(f"fk_{key.pk}_")
    assert data_of(ask(client, text))["user_id"] == str(OWNER)


def test_the_service_is_in_the_audit_log_by_name(client: Client, made: tuple[ApiKey, str]) -> None:
    key, text = made
    data_of(Person(text, client).put("groups/club"), status=201)
    event = AuditEvent.objects.get(action="group.create")
    assert event.actor == "service:app"
    event = AuditEvent.objects.get(action="key.make")
    assert (event.actor, event.details["key_id"]) == ("command:test", key.pk)


def test_a_key_has_its_scopes_and_no_others(client: Client, made: tuple[ApiKey, str]) -> None:
    answer = Person(made[1], client).post("identify", image_url="x")
    assert refusal(answer) == (403, "insufficient_scope")


def test_a_stolen_table_opens_nothing(client: Client, made: tuple[ApiKey, str]) -> None:
    row = ApiKey.objects.values().get(pk=made[0].pk)
    stolen = [str(row["id"]), row["service"], str(row["created_at"])]
    for form in (bytes(row["hash"]).hex(), base64.b64encode(bytes(row["hash"])).decode()):
        stolen += [form, f"fk_{row['id']}_{form}"]
    stolen.append(f"fk_{row['id']}_{hashlib.sha256(bytes(row['hash'])).hexdigest()}")
    assert bytes(row["hash"]) != bytes.fromhex(made[1].rpartition("_")[2])  # not stored in clear
    for each in stolen:
        assert refusal(ask(client, each)) == INVALID, each
    assert ask(client, made[1]).status_code == 200


def test_a_revoked_key(client: Client, made: tuple[ApiKey, str]) -> None:
    assert making.revoke(made[0], by="command:test")
    assert refusal(ask(client, made[1])) == INVALID
    assert not making.revoke(made[0], by="command:test")
    assert AuditEvent.objects.filter(action="key.revoke").count() == 1


def test_an_expired_key_says_so_to_its_owner_only(
    client: Client, made: tuple[ApiKey, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    ApiKey.objects.update(expires_at=now)
    for left, expected in ((1, 200), (0, 401), (-1, 401)):
        at = now - timedelta(microseconds=left)
        monkeypatch.setattr(timezone, "now", lambda at=at: at)
        assert ask(client, made[1]).status_code == expected
    assert refusal(ask(client, made[1])) == (401, "token_expired")
    assert refusal(ask(client, made[1][:-1] + wrong(made[1][-1]))) == INVALID


def wrong(digit: str) -> str:
    return "0" if digit != "0" else "1"


def test_one_wrong_digit_anywhere(client: Client, made: tuple[ApiKey, str]) -> None:
    text = made[1]
    for at in (3, 18, 20, 50, len(text) - 1):
        assert refusal(ask(client, text[:at] + wrong(text[at]) + text[at + 1 :])) == INVALID


def test_the_secret_of_another_key(client: Client, made: tuple[ApiKey, str]) -> None:
    other = making.make(ApiKey, "app", SCOPES, collection="default", by="command:test")
    swapped = f"fk_{made[0].pk}_{other[1].rpartition('_')[2]}"
    assert refusal(ask(client, swapped)) == INVALID


def test_an_unknown_id_costs_what_a_wrong_secret_costs(
    made: tuple[ApiKey, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def watch(module: Any, name: str) -> None:
        work = getattr(module, name)

        def noted(*args: Any, **options: Any) -> Any:
            done.append(name)
            return work(*args, **options)

        monkeypatch.setattr(module, name, noted)

    watch(keys, "_rows")
    watch(keys, "_read")
    watch(api_keys, "_hash")
    for text in (made[1][:-1] + wrong(made[1][-1]), made[1].replace(made[0].pk, "0" * 16)):
        with pytest.raises(TokenError):
            api_keys.read(text)
    assert done == ["_rows", "_read", "_hash"] * 2


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda key: "fk_", id="the prefix alone"),
        pytest.param(lambda key: key.upper(), id="upper case"),
        pytest.param(lambda key: key.replace("fk_", "FK_", 1), id="upper-case prefix"),
        pytest.param(lambda key: key + "0", id="too long"),
        pytest.param(lambda key: key[:-1], id="too short"),
        pytest.param(lambda key: key.replace("_", "\n", 1), id="a line break"),
        pytest.param(lambda key: key + "\0", id="NUL"),
        pytest.param(lambda key: key.replace("_", "\0", 1), id="NUL for a part"),
        pytest.param(lambda key: key + "é", id="no ASCII"),
        pytest.param(lambda key: key[:-1] + "٠", id="digits of another script"),
        pytest.param(lambda key: "fk_" + "0" * 10_000, id="10,000 characters"),
        pytest.param(lambda key: "fk_' OR 1=1 --_" + "0" * 64, id="SQL with blanks"),
        pytest.param(lambda key: "fk_'/**/OR/**/1=1--_" + "0" * 64, id="SQL"),
        pytest.param(lambda key: f"{key}.{key}.{key}", id="three parts as a JWT"),
        pytest.param(lambda key: key.removeprefix("fk_"), id="without a prefix"),
    ],
)
def test_what_is_no_key(client: Client, made: tuple[ApiKey, str], spoil: Any) -> None:
    spoilt = spoil(made[1]).encode().decode("latin-1")  # as WSGI has it
    assert spoilt != made[1]
    assert refusal(ask(client, spoilt)) == INVALID


def test_keys_and_tokens_are_not_confused(client: Client, made: tuple[ApiKey, str]) -> None:
    token = tokens.issue("app", SCOPES, minutes=5)
    assert ask(client, token).status_code == 200
    assert token[0] == "e"  # whatever is in it: base64 of a brace
    assert refusal(ask(client, f"fk_{token}")) == INVALID
    assert refusal(ask(client, f"{made[1]}.{token}")) == INVALID


def test_a_key_in_the_address_opens_nothing(client: Client, made: tuple[ApiKey, str]) -> None:
    for name in ("token", "key", "api_key", "access_token", "Authorization"):
        answer = client.get(f"{PREFIX}users/{OWNER}", {name: made[1]})
        assert refusal(answer) == (401, "not_authenticated")


def test_a_key_works_beside_an_identity_provider(
    client: Client, made: tuple[ApiKey, str], settings: Settings
) -> None:
    settings.JWT_JWKS_URL = "http://127.0.0.1:9/"  # not asked
    assert ask(client, made[1]).status_code == 200


# --- collections ----------------------------------------------------------------------------------


def test_a_key_opens_its_collection_alone(client: Client) -> None:
    row = other_collection()
    text = making.make(ApiKey, "app", SCOPES, collection="shop", by="command:test")[1]
    assert refusal(ask(client, text)) == (404, "user_not_found")
    with entered(row.entered):
        make_user(OWNER, display_name="of the shop")
        assert AuditEvent.objects.get(action="key.make").actor == "command:test"
    assert data_of(ask(client, text))["display_name"] == "of the shop"
    assert not AuditEvent.objects.filter(action="key.make").exists()


def test_a_suspended_collection(client: Client) -> None:
    other_collection()
    text = making.make(ApiKey, "app", SCOPES, collection="shop", by="command:test")[1]
    Collection.objects.filter(name="shop").update(suspended_at=timezone.now())
    assert refusal(ask(client, text)) == (403, "collection_suspended")
    # Only its owner hears of it.
    assert refusal(ask(client, text[:-1] + wrong(text[-1]))) == INVALID
    assert not ApiKey.objects.filter(last_used_at__isnull=False).exists()


def test_a_collection_that_is_being_erased(client: Client) -> None:
    row = other_collection()
    text = making.make(ApiKey, "app", SCOPES, collection="shop", by="command:test")[1]
    Collection.objects.filter(name="shop").update(erasing_at=timezone.now())
    assert refusal(ask(client, text)) == INVALID
    row.delete()
    assert not ApiKey.objects.exists()
    assert refusal(ask(client, text)) == INVALID


# --- use ------------------------------------------------------------------------------------------


def test_the_last_use_is_noted_once_a_minute(client: Client, made: tuple[ApiKey, str]) -> None:
    def last_use() -> Any:
        return ApiKey.objects.get().last_used_at

    assert last_use() is None
    ask(client, made[1])
    first = last_use()
    assert first is not None
    ask(client, made[1])
    assert last_use() == first
    ApiKey.objects.update(last_used_at=first - timedelta(minutes=2))
    ask(client, made[1])
    assert last_use() >= first - timedelta(minutes=1)
    ApiKey.objects.update(last_used_at=first + timedelta(days=1))  # the clock was set back
    ask(client, made[1])
    assert last_use() < first + timedelta(days=1)


def test_a_wrong_secret_is_no_use(client: Client, made: tuple[ApiKey, str]) -> None:
    ask(client, made[1][:-1] + wrong(made[1][-1]))
    assert ApiKey.objects.get().last_used_at is None


def test_each_key_has_limits_of_its_own(
    client: Client, made: tuple[ApiKey, str], settings: Settings
) -> None:
    settings.RATE_LIMIT_PER_MINUTE = 2
    other = making.make(ApiKey, "app", SCOPES, collection="default", by="command:test")[1]
    assert [ask(client, made[1]).status_code for _ in range(3)] == [200, 200, 429]
    assert ask(client, other).status_code == 200


def test_a_key_with_a_limit_of_its_own(client: Client) -> None:
    options: dict[str, Any] = {"collection": "default", "by": "x", "calls_per_minute": 3}
    key, text = making.make(ApiKey, "app", SCOPES, **options)
    assert [ask(client, text).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert making.rotate(key, keep=timedelta(hours=1), by="x")[0].calls_per_minute == 3


def test_a_key_is_in_no_log(
    client: Client, made: tuple[ApiKey, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ask(client, made[1])
    ask(client, made[1] + "0")
    secret = made[1].rpartition("_")[2]
    assert secret not in caplog.text
    assert secret not in repr(made[0]) and secret not in repr(keys.found(ApiKey, made[0].pk))
    assert bytes(made[0].hash).hex() not in repr(keys.found(ApiKey, made[0].pk))


# --- making and rotating --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "scopes", "collection"),
    [
        ("", SCOPES, "default"),
        ("two words", SCOPES, "default"),
        ("n" * 101, SCOPES, "default"),
        (str(OWNER), SCOPES, "default"),
        ("app", [], "default"),
        ("app", ["face:all"], "default"),
        ("app", ["face:collections"], "shop"),
    ],
)
def test_what_is_refused(service: str, scopes: list[str], collection: str) -> None:
    with pytest.raises(Exception) as refused:
        making.make(ApiKey, service, scopes, collection=collection, by="command:test")
    assert getattr(refused.value, "code", "") == "invalid_request"
    assert not ApiKey.objects.exists()


def test_rotation_overlaps(client: Client, made: tuple[ApiKey, str]) -> None:
    old, text = made
    new, new_text = making.rotate(old, keep=timedelta(hours=1), by="command:test")
    assert ask(client, text).status_code == ask(client, new_text).status_code == 200
    old.refresh_from_db()
    assert (new.service, new.scopes, new.rotated_from) == (old.service, old.scopes, old)
    assert new.expires_at is None and old.expires_at is not None
    ApiKey.objects.filter(pk=old.pk).update(expires_at=timezone.now())
    assert refusal(ask(client, text)) == (401, "token_expired")
    assert ask(client, new_text).status_code == 200
    event = AuditEvent.objects.get(action="key.rotate")
    assert event.details["rotated_from"] == old.pk


def test_a_rotated_key_lasts_as_long_as_the_old_one() -> None:
    week = timezone.now() + timedelta(days=7)
    old = making.make(ApiKey, "app", SCOPES, collection="default", by="x", expires_at=week)[0]
    new = making.rotate(old, keep=timedelta(days=30), by="x")[0]
    assert new.expires_at and new.expires_at - week < timedelta(minutes=1)
    old.refresh_from_db()
    assert old.expires_at == week  # an overlap makes no key last longer


def test_what_cannot_be_rotated(made: tuple[ApiKey, str]) -> None:
    new = making.rotate(made[0], keep=timedelta(hours=1), by="x")[0]
    with pytest.raises(Exception, match=f"was replaced by {new.pk}"):
        making.rotate(made[0], keep=timedelta(hours=1), by="x")
    making.revoke(new, by="x")
    with pytest.raises(Exception, match="not valid any more"):
        making.rotate(new, keep=timedelta(hours=1), by="x")
