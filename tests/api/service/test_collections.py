"""Collections over HTTP: tests/api/routes.py has who may call what."""

from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from facesvc.http import auth
from recognition.collections.current import Entered
from recognition.collections.models import Collection
from recognition.models import AuditEvent
from tests.support.builders import Person, data_of, refusal
from tests.support.collections.callers import has_schema, service_of

pytestmark = pytest.mark.django_db

GONE = Entered(10**6, "gone")


@pytest.fixture(autouse=True)
def template_key(settings: Settings) -> None:
    settings.FACESVC_TEMPLATE_KEYS = (Fernet.generate_key().decode(),)


def patched(person: Person, name: str, **fields: object) -> dict[str, object]:
    return data_of(person.send("patch", f"collections/{name}", fields))


def test_it_works(admin: Person) -> None:
    made = data_of(admin.post("collections", name="shop"), 201)
    assert made["state"] == "active" and made["made_by"] == "moderation"
    assert (made["users"], made["faces"], made["rules"]) == (0, 0, {})
    assert data_of(admin.get("collections/shop")) == made
    names = [each["name"] for each in data_of(admin.get("collections"))["collections"]]
    assert names == ["shop", "default"]
    changed = patched(admin, "shop", rules={"MIN_FACE_QUALITY": 0.4})
    assert changed["rules"] == {"MIN_FACE_QUALITY": 0.4}
    erased = data_of(admin.delete("collections/shop"))
    assert erased == {"name": "shop", "erased": True, "users": 0, "faces": 0}
    assert refusal(admin.get("collections/shop")) == (404, "collection_not_found")
    actions = AuditEvent.objects.order_by("pk").values_list("action", flat=True)
    assert [*actions] == ["collection.make", "collection.rules", "collection.erase"]


def test_a_token_of_one_that_had_the_name_before(
    admin: Person, client: Client, settings: Settings
) -> None:
    """It may be of another customer."""
    data_of(admin.post("collections", name="shop"), 201)
    of_shop = service_of(Entered(0, "shop"), client)
    data_of(of_shop.get("users"))
    made_at = timezone.now() + timedelta(seconds=settings.JWT_LEEWAY_SECONDS + 2)
    Collection.objects.filter(name="shop").update(created_at=made_at)
    assert refusal(of_shop.get("users")) == (401, "invalid_token")


def test_pages(admin: Person) -> None:
    for name in ("a", "b"):
        admin.post("collections", name=name)
    first = data_of(admin.get("collections", page_size="2"))
    second = data_of(admin.get("collections", page_size="2", cursor=first["next_cursor"]))
    names = [each["name"] for page in (first, second) for each in page["collections"]]
    assert names == ["b", "a", "default"]


def test_a_suspended_one_answers_nobody(admin: Person, client: Client) -> None:
    data_of(admin.post("collections", name="shop"), 201)
    of_shop = service_of(Entered(0, "shop"), client)
    assert of_shop.get("users").status_code == 200
    assert patched(admin, "shop", suspended=True)["state"] == "suspended"
    assert refusal(of_shop.get("users")) == (403, "collection_suspended")
    assert patched(admin, "shop", suspended=False)["state"] == "active"
    assert of_shop.get("users").status_code == 200


def test_no_collection_has_a_say_in_others(admin: Person, client: Client) -> None:
    data_of(admin.post("collections", name="shop"), 201)
    of_shop = service_of(Entered(0, "shop"), client)
    for method in ("get", "patch", "delete"):
        answer = of_shop.send(method, "collections/shop")
        assert refusal(answer) == (403, "default_collection_only")
    assert refusal(of_shop.get("collections")) == (403, "default_collection_only")


def test_refusals(admin: Person, settings: Settings) -> None:
    unfit = admin.post("collections", name="a b")
    assert refusal(unfit) == (400, "invalid_request") and "digits and . _ -" in unfit.text
    assert refusal(admin.post("collections")) == (400, "invalid_request")
    answer = admin.post("collections", name="shop", rules={"SECRET_KEY": "x"})
    assert refusal(answer) == (400, "invalid_request")
    answer = admin.post("collections", name="shop", rules=[])
    assert refusal(answer) == (400, "invalid_request")
    assert refusal(admin.post("collections", name="default")) == (409, "collection_exists")
    assert refusal(admin.delete("collections/default")) == (409, "default_collection")
    settings.FACESVC_TEMPLATE_KEYS = ()
    assert refusal(admin.post("collections", name="shop")) == (409, "template_key_needed")


def test_one_that_is_erased_during_a_request(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token was good when the request began, and its tables are gone."""
    monkeypatch.setattr(auth, "opened", lambda *token: GONE)
    assert not has_schema(GONE.number)
    answer = service_of(GONE, client).get("users")
    assert refusal(answer) == (401, "invalid_token")
    assert answer["WWW-Authenticate"] == 'Bearer realm="facesvc"'


@pytest.mark.parametrize("name", ["%00", "default%00", "a%0A", "%C3%A9", "A" * 256])
def test_a_name_that_none_has(admin: Person, name: str) -> None:
    """The database is not asked for what it cannot take."""
    for method in ("get", "patch", "delete"):
        answer = admin.send(method, f"collections/{name}", {} if method == "patch" else None)
        assert refusal(answer) == (404, "collection_not_found")


@pytest.mark.parametrize("name", [5, "a\n", " a", ".", "..", "", None, "A" * 256])
def test_a_name_that_none_can_have(admin: Person, name: object) -> None:
    assert refusal(admin.post("collections", name=name)) == (400, "invalid_request")


@pytest.mark.parametrize("suspended", ["yes", 1, None])
def test_a_suspension_that_is_neither_true_nor_false(admin: Person, suspended: object) -> None:
    data_of(admin.post("collections", name="shop"), 201)
    answer = admin.send("patch", "collections/shop", {"suspended": suspended})
    assert refusal(answer) == (400, "invalid_request")
