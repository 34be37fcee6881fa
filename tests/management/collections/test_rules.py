import ast
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from pytest_django import Settings

from management import collections
from recognition.collections import rules
from recognition.collections.current import entered, rule
from recognition.errors import ServiceError
from recognition.models import AuditEvent
from recognition.packs import scores
from recognition.privacy import consent
from tests.support.collections.callers import service_of
from tests.test_layout import MODULES, named

pytestmark = pytest.mark.django_db

# Here a setting is looked at as a setting.
_ABOUT_SETTINGS = {"recognition/checks.py", "recognition/collections/rules.py"}


def test_it_works(settings: Settings) -> None:
    settings.FACESVC_REQUIRE_CONSENT = False
    given = {"FACESVC_REQUIRE_CONSENT": True, "VERIFICATION_THRESHOLD": 0.9}
    strict = collections.make("strict", actor="system", given=given)
    assert scores.level_confidence("standard") == settings.VERIFICATION_THRESHOLD != 0.9
    with entered(strict.entered):
        assert scores.level_confidence("standard") == 0.9
        with pytest.raises(ServiceError):
            consent.require({})
    consent.require({})


def _another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value + (1 if isinstance(value, int) else 0.01)


def test_each_rule_is_that_of_its_collection() -> None:
    other = {name: _another(getattr(django_settings, name)) for name in rules.declared()}
    other.pop("STORE_FACE_CROPS")
    row = collections.make("shop", actor="system", given=other)
    with entered(row.entered):
        assert {name: rule(name) for name in other} == other
    assert {name: rule(name) for name in other} == {
        name: getattr(django_settings, name) for name in other
    }


def test_changes() -> None:
    collections.make("shop", actor="system", given={"MIN_FACE_QUALITY": 0.5})
    row = collections.change_rules("shop", {"FACESVC_FACES_PER_HOUR": 3}, actor="service:crm")
    assert row.rules == {"MIN_FACE_QUALITY": 0.5, "FACESVC_FACES_PER_HOUR": 3}
    row = collections.change_rules("shop", {"MIN_FACE_QUALITY": None}, actor="service:crm")
    assert row.rules == {"FACESVC_FACES_PER_HOUR": 3}
    event = AuditEvent.objects.filter(action="collection.rules").latest("pk")
    assert event.details["changes"] == {"MIN_FACE_QUALITY": None}


@pytest.mark.parametrize(
    "given",
    [
        {"SECRET_KEY": "x"},
        {"FACESVC_MOST_COLLECTIONS": 5},
        {"MIN_FACE_QUALITY": "0.5"},
        {"MIN_FACE_QUALITY": 1.5},
        {"MIN_FACE_QUALITY": float("nan")},
        {"MIN_FACE_QUALITY": True},
        {"FACESVC_FACES_PER_HOUR": 1.5},
        {"FACESVC_REQUIRE_CONSENT": 1},
        {"RATE_LIMIT_PER_MINUTE": -1},
        {"FACESVC_BATCH_RETENTION_DAYS": 10**12},
        # The picture would be gone before it no longer counts as replayed.
        {"FACESVC_SESSION_RETENTION_DAYS": 1, "FACESVC_REPLAY_HOURS": 48},
        {"STORE_FACE_CROPS": True},
    ],
)
def test_what_the_setting_may_not_be_the_rule_may_not(
    settings: Settings, given: dict[str, Any]
) -> None:
    settings.FACESVC_CROP_KEYS, settings.STORE_FACE_CROPS = [], False
    with pytest.raises(ServiceError) as refused:
        collections.make("shop", actor="system", given=given)
    assert refused.value.code == "invalid_request"
    assert [row.name for row in collections.listed()] == ["default"]


def test_default_has_the_settings_themselves() -> None:
    with pytest.raises(ServiceError) as refused:
        collections.change_rules("default", {"MIN_FACE_QUALITY": 0.5}, actor="system")
    assert refused.value.code == "default_collection"


def test_a_rate_limit_is_that_of_the_collection(client: Client) -> None:
    row = collections.make("shop", actor="system", given={"RATE_LIMIT_PER_MINUTE": 1})
    person = service_of(row, client)
    assert [person.get("users").status_code for _ in range(2)] == [200, 429]


def read_as_settings(tree: ast.AST) -> list[str]:
    """Names of rules that are read past the collection."""
    return [
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "settings"
        and node.attr in rules.declared()
    ]


def test_nobody_reads_the_setting_itself() -> None:
    """Product code reads a rule by `current.rule`, or it would be the same in all collections."""
    found = {
        named(path): read_as_settings(ast.parse(path.read_text()))
        for path in MODULES
        if not named(path).startswith("facesvc/settings/") and named(path) not in _ABOUT_SETTINGS
    }
    assert {name: names for name, names in found.items() if names} == {}
    assert read_as_settings(ast.parse("a = settings.MIN_FACE_QUALITY")) == ["MIN_FACE_QUALITY"]
