"""The admin page of a collection: who may suspend it, end that, and erase it."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.models import User as Account
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from recognition.collections import schemas
from recognition.collections.current import Entered, entered
from recognition.collections.models import Collection, OperatorOf
from recognition.models import AuditEvent, User
from tests.support.builders import FRIEND, OWNER, make_face, make_user, vector
from tests.support.servers.schemas import make_collection

pytestmark = pytest.mark.django_db
LIST = "/admin/collections/collection/"


@pytest.fixture(autouse=True)
def over_http(settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False


@pytest.fixture
def shop() -> Entered:
    made = make_collection("shop")
    with entered(made):
        make_face(make_user(OWNER), vector(1))
        make_user(FRIEND)
    return made


@pytest.fixture
def mia(client: Client) -> Client:
    client.force_login(Account.objects.create_superuser("mia"))
    return client


def act(client: Client, number: int, what: str, **fields: str) -> str:
    form = {"act": what, "_collection": "1", **fields}
    answer = client.post(f"{LIST}{number}/change/", form, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def row(collection: Entered) -> Collection:
    return Collection.objects.get(pk=collection.number)


def test_it_works(mia: Client, shop: Entered) -> None:
    page = f"{LIST}{shop.number}/change/"
    assert f'href="{page}"' in mia.get(LIST).content.decode()
    text = mia.get(page).content.decode()
    assert "<dd>2</dd>" in text and "<dd>1</dd>" in text and "Suspend the collection" in text
    said = act(mia, shop.number, "suspend")
    assert row(shop).suspended_at and "is suspended" in said
    assert "End the suspension" in said and "Suspend the collection" not in said
    assert "answers requests again" in act(mia, shop.number, "resume")
    assert row(shop).suspended_at is None
    assert "with 2 users and 1 faces" in act(mia, shop.number, "erase", name="shop")
    assert not Collection.objects.filter(name="shop").exists()
    actions = ["collection.suspend", "collection.resume", "collection.erase"]
    events = AuditEvent.objects.filter(action__startswith="collection.").order_by("pk")
    assert [each.action for each in events][-3:] == actions
    assert {each.actor for each in [*events][-3:]} == {"operator:mia"}
    noted = [(each.object_repr, each.change_message) for each in LogEntry.objects.order_by("pk")]
    assert noted == [
        ("shop", "Suspended"),
        ("shop", "No longer suspended"),
        ("A collection was erased: shop", ""),
    ]


@pytest.mark.parametrize("name", ["", "Shop", "default", "shop2", "x" * 300, "a\0b"])
def test_another_name_erases_nothing(mia: Client, shop: Entered, name: str) -> None:
    assert "errorlist" in act(mia, shop.number, "erase", name=name)
    assert row(shop).erasing_at is None
    with entered(shop):
        assert User.objects.count() == 2


@pytest.mark.parametrize("name", ["suspend", "resume", "erase"])
def test_default_stays_as_it_is(mia: Client, shop: Entered, name: str) -> None:
    text = mia.get(f"{LIST}1/change/").content.decode()
    assert "can be neither suspended nor erased" in text and 'name="act"' not in text
    said = act(mia, 1, name, name="default")
    assert "always exists, and has the service" in said
    default = Collection.objects.get(pk=1)
    assert default.suspended_at is None and default.erasing_at is None


def test_one_that_is_being_erased_has_a_page_without_acts(mia: Client, shop: Entered) -> None:
    """Its name may be that of another one, which must not be erased in its place."""
    Collection.objects.filter(pk=shop.number).update(erasing_at=timezone.now())
    other = make_collection("shop")
    text = mia.get(f"{LIST}{shop.number}/change/").content.decode()
    assert "is being erased" in text and 'name="act"' not in text
    assert "There is no such collection" in act(mia, shop.number, "erase", name="shop")
    assert row(other).erasing_at is None


def test_one_that_is_gone(mia: Client, shop: Entered) -> None:
    schemas.drop(shop)
    row(shop).delete()
    for number in (str(shop.number), "x", "99999999999999999999"):
        answer = mia.get(f"{LIST}{number}/change/", follow=True)
        assert "There is no such collection" in answer.content.decode()


def test_an_act_that_there_is_not(mia: Client, shop: Entered) -> None:
    form = {"act": "sell", "_collection": "1"}
    assert mia.post(f"{LIST}{shop.number}/change/", form).status_code == 403


def operator(client: Client, group: str) -> Account:
    account = Account.objects.create_user("tom", is_staff=True)
    account.groups.add(Group.objects.get(name=group))
    client.force_login(account)
    return account


def statuses(client: Client, collection: Entered) -> list[int]:
    """What the page, suspending and erasing answer."""
    page = f"{LIST}{collection.number}/change/"
    forms = ({"act": "suspend"}, {"act": "erase", "name": collection.name})
    posted = [client.post(page, {**form, "_collection": "1"}).status_code for form in forms]
    return [client.get(page).status_code, *posted]


def test_an_administrator_may(client: Client, shop: Entered) -> None:
    operator(client, "administrator")
    assert client.get(f"{LIST}{shop.number}/change/").status_code == 200
    assert statuses(client, shop)[1:] == [302, 302]
    assert not Collection.objects.filter(name="shop").exists()


@pytest.mark.parametrize("group", ["viewer", "moderator"])
def test_others_may_not(client: Client, shop: Entered, group: str) -> None:
    operator(client, group)
    assert statuses(client, shop) == [403, 403, 403]


def test_an_operator_who_may_only_look(client: Client, shop: Entered) -> None:
    account = operator(client, "moderator")
    account.user_permissions.add(Permission.objects.get(codename="view_collection"))
    assert statuses(client, shop) == [200, 403, 403]
    assert 'name="act"' not in client.get(f"{LIST}{shop.number}/change/").content.decode()


def test_an_administrator_who_is_bound_may_not(client: Client, shop: Entered) -> None:
    """Bound to this one or to another: suspending and erasing is for those of the installation."""
    account = operator(client, "administrator")
    OperatorOf.objects.create(operator=account, collection_id=shop.number)
    assert statuses(client, shop) == [403, 403, 403]
    assert row(shop).suspended_at is None and row(shop).erasing_at is None
