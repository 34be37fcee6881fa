"""The admin pages of keys: a new one is shown once, and kept nowhere."""

import re
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from recognition.api.callers import making
from recognition.api.callers.access_keys import access_key
from recognition.collections.models import AccessKey, ApiKey, Collection
from recognition.errors import ServiceError
from recognition.models import AuditEvent
from tests.support.builders import OWNER, Person, make_user
from tests.support.servers.schemas import make_collection

pytestmark = pytest.mark.django_db

KEYS, PAIRS = "/admin/collections/apikey/", "/admin/collections/accesskey/"
FORM = {"service": "shop", "scopes": ["face:manage"], "days": "30"}


@pytest.fixture
def operator(client: Client, settings: Settings) -> Client:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    client.force_login(User.objects.create_superuser("mia"))
    return client


def shown_key(answer: HttpResponse) -> str:
    assert answer.status_code == 200
    found = re.search(r'<pre id="key">([^<]+)</pre>', answer.content.decode())
    return found[1] if found else ""


def new_id(operator: Client, address: str) -> str:
    """What a fresh form has."""
    page = operator.get(f"{address}add/").content.decode()
    found = re.search(r'name="key_id" value="([^"]+)"', page)
    assert found
    return found[1]


def status(key: str) -> int:
    return Person(key, Client()).get(f"users/{OWNER}").status_code


def test_it_works(operator: Client) -> None:
    make_user(OWNER)
    assert "Nobody can see it again" in operator.get(f"{KEYS}add/").content.decode()
    key = shown_key(operator.post(f"{KEYS}add/", FORM))
    assert status(key) == 200
    row = ApiKey.objects.get()
    assert (row.service, row.scopes, row.created_by) == ("shop", ["face:manage"], "operator:mia")
    listed = operator.get(KEYS).content.decode()
    assert all(each in listed for each in (row.pk, "shop", "face:manage", "default", "valid until"))
    assert AuditEvent.objects.get(action="key.make").actor == "operator:mia"


def test_a_key_is_shown_once_and_kept_nowhere(operator: Client) -> None:
    answer = operator.post(f"{KEYS}add/", FORM)
    secret = shown_key(answer).rpartition("_")[2]
    assert "no-store" in answer["Cache-Control"]
    kept = [operator.cookies.output(), *(str(row.get_decoded()) for row in Session.objects.all())]
    pages = [KEYS, f"{KEYS}add/", f"{KEYS}{ApiKey.objects.get().pk}/change/", "/admin/"]
    kept += [operator.get(page).content.decode() for page in pages]
    kept += [operator.get(f"{KEYS}{ApiKey.objects.get().pk}/history/").content.decode()]
    assert not [text for text in kept if secret in text]


def test_the_form_says_which_collection_a_key_opens(operator: Client) -> None:
    page = operator.get(f"{KEYS}add/").content.decode()
    assert "<strong>default</strong>" in page and "at the top of the page" not in page
    assert "face:batch: send many pictures" in page
    shop = make_collection("shop")
    operator.post("/admin/collection/", {"collection": shop.number})
    page = operator.get(f"{KEYS}add/").content.decode()
    assert "<strong>shop</strong>" in page and "at the top of the page" in page


def test_a_limit_of_its_own(operator: Client) -> None:
    operator.post(f"{KEYS}add/", FORM | {"calls_per_minute": "6000"})
    key = ApiKey.objects.get()
    assert key.calls_per_minute == 6000
    page = operator.get(f"{KEYS}{key.pk}/change/").content.decode()
    assert "Calls a minute" in page and "6000" in page


@pytest.mark.parametrize(("address", "model"), [(KEYS, ApiKey), (PAIRS, AccessKey)])
def test_a_reload_makes_no_second_key(operator: Client, address: str, model: Any) -> None:
    """A browser sends the form once more. The key is not shown again either."""
    form = FORM | {"key_id": new_id(operator, address)}
    assert shown_key(operator.post(f"{address}add/", form))
    again = operator.post(f"{address}add/", form, follow=True)
    assert again.redirect_chain == [(f"{address}{model.objects.get().pk}/change/", 302)]
    text = again.content.decode()
    assert "This form was sent before" in text and 'id="key"' not in text
    assert AuditEvent.objects.filter(action="key.make").count() == 1
    # Somebody who clicks twice is as fast as no test can be.
    with pytest.raises(ServiceError, match="was made already"):
        making.make(
            model, "shop", ["face:manage"], collection="default", by="x",
            key_id=model.objects.get().pk,
        )  # fmt: skip
    other = FORM | {"key_id": new_id(operator, address)}
    assert shown_key(operator.post(f"{address}add/", other))
    assert model.objects.count() == 2


@pytest.mark.parametrize("key_id", ["x", "0123456789abcdef", "0123456789abcdef:sig", "a\0b"])
def test_an_id_that_no_form_had(operator: Client, key_id: str) -> None:
    answer = operator.post(f"{KEYS}add/", FORM | {"key_id": key_id})
    assert answer.status_code == 200 and "errorlist" in answer.content.decode()
    assert not ApiKey.objects.exists()


def test_replace_and_revoke(operator: Client) -> None:
    make_user(OWNER)
    old = shown_key(operator.post(f"{KEYS}add/", FORM))
    page = f"{KEYS}{ApiKey.objects.get().pk}/change/"
    new = shown_key(operator.post(page, {"act": "rotate", "hours": "1"}))
    assert status(old) == status(new) == 200
    text = operator.get(page).content.decode()
    assert "Replaced by" in text and new[3:19] in text
    assert "Replace the key" not in text and "Revoke the key" in text
    assert operator.post(page, {"act": "revoke"}).status_code == 302
    assert (status(old), status(new)) == (401, 200)
    text = operator.get(page).content.decode()
    assert "revoked" in text and "Revoke the key" not in text
    answer = operator.post(page, {"act": "rotate", "hours": "1"}, follow=True)
    assert "not valid any more" in answer.content.decode()
    assert ApiKey.objects.count() == 2


def test_access_keys(operator: Client) -> None:
    pair = shown_key(operator.post(f"{PAIRS}add/", FORM))
    made = dict(line.split(" = ") for line in pair.splitlines())
    assert access_key(made["aws_access_key_id"])[0] == made["aws_secret_access_key"]


def test_access_keys_that_open_nothing_yet(operator: Client, settings: Settings) -> None:
    for is_on in (False, True):
        settings.FACESVC_AWS = is_on
        text = operator.post(f"{PAIRS}add/", FORM).content.decode()
        assert ("<code>FACESVC_AWS</code> is not true" in text) is not is_on
    assert "FACESVC_AWS" not in operator.post(f"{KEYS}add/", FORM).content.decode()


def test_access_keys_without_a_key_to_seal(operator: Client, settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS = []
    assert "set FACESVC_CROP_KEYS" in operator.post(f"{PAIRS}add/", FORM).content.decode()
    assert not AccessKey.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"service": "two words"},
        {"service": str(OWNER)},
        {"service": ""},
        {"service": "a\0b"},
        {"scopes": []},
        {"scopes": ["face:fly"]},
        {"days": "0"},
        {"days": "99999999999"},
        {"days": "soon"},
        {"calls_per_minute": "0"},
        {"calls_per_minute": "99999999999"},
    ],
)
def test_what_the_form_refuses(operator: Client, change: dict[str, object]) -> None:
    answer = operator.post(f"{KEYS}add/", FORM | change)
    assert answer.status_code == 200 and "errorlist" in answer.content.decode()
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("hours", ["", "-1", "99999", "x"])
def test_an_overlap_that_makes_no_sense(operator: Client, hours: str) -> None:
    operator.post(f"{KEYS}add/", FORM)
    page = f"{KEYS}{ApiKey.objects.get().pk}/change/"
    answer = operator.post(page, {"act": "rotate", "hours": hours})
    assert answer.status_code == 200 and "errorlist" in answer.content.decode()
    assert ApiKey.objects.count() == 1


def test_keys_of_other_collections_are_not_there(operator: Client) -> None:
    other = Collection.objects.create(name="shop")
    key = ApiKey(collection=other, service="app", scopes=["face:verify"], created_by="system")
    key.hash = b"0"
    key.save()
    assert key.pk not in operator.get(KEYS).content.decode()
    page = f"{KEYS}{key.pk}/change/"
    assert operator.get(page).status_code == 302
    assert operator.post(page, {"act": "revoke"}).status_code == 302
    key.refresh_from_db()
    assert key.revoked_at is None


@pytest.mark.parametrize("group", ["viewer", "moderator", "administrator"])
def test_who_may_make_keys(client: Client, settings: Settings, group: str) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    account = User.objects.create_user("tom", is_staff=True)
    account.groups.add(Group.objects.get(name=group))
    client.force_login(account)
    key = making.make(ApiKey, "app", ["face:verify"], collection="default", by="x")[0]
    page = f"{KEYS}{key.pk}/change/"
    may = group == "administrator"
    assert client.get(KEYS).status_code == client.get(page).status_code == 200
    assert ("Revoke the key" in client.get(page).content.decode()) == may
    assert client.get(f"{KEYS}add/").status_code == (200 if may else 403)
    assert client.post(f"{KEYS}add/", FORM).status_code == (200 if may else 403)
    assert client.post(page, {"act": "revoke"}).status_code == (302 if may else 403)


@pytest.mark.parametrize("page", ["change", "history", "delete"])
def test_an_id_that_the_database_cannot_take(operator: Client, page: str) -> None:
    operator.raise_request_exception = False
    assert operator.get(f"/admin/collections/apikey/%00/{page}/").status_code == 400
