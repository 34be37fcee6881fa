"""`manage.py collections`, and how other commands find their collection."""

import io
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from pytest_django import Settings

from facesvc.management.commands import collections as command
from management import collections
from recognition import model_change
from recognition.api.callers import tokens
from recognition.collections.current import DEFAULT, entered
from recognition.models import AuditEvent, User
from recognition.packs import engine, protection
from tests.support.builders import OWNER, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def template_key(settings: Settings) -> None:
    settings.FACESVC_TEMPLATE_KEYS = (Fernet.generate_key().decode(),)


def run(name: str, *arguments: object, **options: Any) -> str:
    output = io.StringIO()
    call_command(name, *map(str, arguments), stdout=output, stderr=io.StringIO(), **options)
    return output.getvalue()


def test_it_works() -> None:
    made = run("collections", "make", "shop")
    assert "api_keys make APP --collection shop" in made and "issue_token" in made
    said = run("collections", "set", "shop", "MIN_FACE_QUALITY=0.5", "FACESVC_REQUIRE_CONSENT=True")
    assert said == "Rules of shop: MIN_FACE_QUALITY=0.5 FACESVC_REQUIRE_CONSENT=true\n"
    assert run("collections", "set", "shop", "MIN_FACE_QUALITY=").count("MIN_FACE") == 0
    assert "no rules" in run("collections", "set", "shop", "FACESVC_REQUIRE_CONSENT=")
    assert "collections resume shop" in run("collections", "suspend", "shop")
    head, default, shop = run("collections", "list").splitlines()
    assert head.split() == ["name", "state", "users", "faces", "made", "rules"]
    assert default.startswith("default  active ") and shop.startswith("shop     suspended  0 ")
    run("collections", "resume", "shop")
    assert run("collections", "erase", "shop", "--yes") == (
        "shop is erased, with 0 users and 0 faces.\n"
    )
    assert [row.name for row in collections.listed()] == ["default"]
    assert set(AuditEvent.objects.values_list("actor", flat=True)) == {"command:collections"}


def test_an_erasure_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    run("collections", "make", "shop")
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return "yes"

    monkeypatch.setattr(command, "input", answer, raising=False)
    with pytest.raises(CommandError, match="Nothing is erased"):
        run("collections", "erase", "shop")
    assert "shop with 0 users and 0 faces" in asked[0]
    monkeypatch.setattr(command, "input", lambda question: "shop", raising=False)
    assert "erased" in run("collections", "erase", "shop")


def test_nobody_is_asked_whether_to_erase_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "input", lambda question: pytest.fail(question), raising=False)
    with pytest.raises(CommandError, match="cannot be suspended or erased"):
        run("collections", "erase", "default")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["make", "a b"], "name has"),
        (["make", "default"], "already"),
        (["suspend", "default"], "always exists"),
        (["suspend", "nobody"], "no collection 'nobody'. `manage.py collections list`"),
        (["erase", "nobody"], "no collection 'nobody'. `manage.py collections list`"),
        (["set", "shop", "MIN_FACE_QUALITY"], "RULE=VALUE"),
        (["set", "shop", "MIN_FACE_QUALITY=good"], "no number"),
        (["set", "shop", "MIN_FACE_QUALITY=2"], "from 0.0 to 1.0"),
        (["set", "shop", "LOG_LEVEL=1"], "is no rule"),
    ],
)
def test_refusals(arguments: list[str], said: str) -> None:
    run("collections", "make", "shop")
    with pytest.raises(CommandError, match=said):
        run("collections", *arguments)


def test_a_command_in_one_collection() -> None:
    shop = collections.make("shop", actor="system")
    make_user(OWNER)
    with entered(shop.entered):
        make_user(OWNER)
    assert "erased" in run("erase_user", OWNER, "--collection", "shop")
    with entered(shop.entered):
        assert not User.objects.exists()
    assert User.objects.exists()
    claims = tokens.read(run("issue_token", "--service", "a", "--collection", "shop").strip())
    assert claims.collection == "shop"
    with pytest.raises(CommandError, match="no collection 'nobody'"):
        run("erase_user", OWNER, "--collection", "nobody")


def test_a_token_names_default_where_clients_have_collections(settings: Settings) -> None:
    """Without a claim such a token would be refused."""
    settings.JWT_CLIENT_COLLECTIONS = ["shop-app=shop"]
    assert tokens.read(run("issue_token", "--service", "a").strip()).collection == "default"


def test_a_command_in_each_collection(settings: Settings) -> None:
    """A new key: every collection changes to it."""
    shop = collections.make("shop", actor="system").entered
    new = Fernet.generate_key().decode()
    settings.FACESVC_TEMPLATE_KEYS = (new, *settings.FACESVC_TEMPLATE_KEYS)
    said = run("rotate_keys")
    assert said.count("The templates have the key.") == 2
    assert "The collection shop:" in said.splitlines()
    for collection in (DEFAULT, shop):
        with entered(collection):
            assert engine.active_model().template_key == protection.newest_key()


def test_each_collection_has_its_turn_where_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    collections.make("shop", actor="system")
    seen: list[str] = []

    def dropped() -> list[str]:
        seen.append("")
        raise model_change.ModelChangeInProgressError("the model changes now")

    monkeypatch.setattr(model_change, "retired_versions", dropped)
    with pytest.raises(CommandError) as failed:
        run("purge")
    assert str(failed.value) == (
        "the model changes now.\nThe collection shop: the model changes now."
    )
    assert len(seen) == 2
