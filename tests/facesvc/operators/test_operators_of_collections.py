"""The admin pages of several collections: the choice, and what an operator who is bound sees."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.contrib.auth.models import User as Account
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from recognition.collections.current import DEFAULT, Entered, entered
from recognition.collections.models import ApiKey, Collection, OperatorOf
from recognition.models import Measurement, User
from tests.support.builders import (
    FRIEND,
    OWNER,
    PICTURE,
    FakePipeline,
    make_face,
    make_user,
    vector,
)
from tests.support.servers.schemas import make_collection

pytestmark = pytest.mark.django_db
PEOPLE = "/admin/recognition/user/"
OPERATORS = "/admin/auth/user/"
# What all collections share.
INSTALLATION = (
    OPERATORS,
    "/admin/auth/group/",
    "/admin/collections/collection/",
)


@pytest.fixture(autouse=True)
def over_http(settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False


@pytest.fixture
def shop() -> Entered:
    """A collection with a person whose id somebody else has in `default`."""
    make_user(OWNER, display_name="Ann of default")
    made = make_collection("shop")
    with entered(made):
        make_face(make_user(OWNER, display_name="Bob of the shop"), vector(1))
    return made


def operator(client: Client, role: str, *bound: Entered | None) -> Account:
    account = Account.objects.create_user("vera", is_staff=True)
    account.groups.add(Group.objects.get(name=role))
    for each in bound:
        OperatorOf.objects.create(operator=account, collection_id=each and each.number)
    client.force_login(account)
    return account


@pytest.fixture
def superuser(client: Client) -> Client:
    client.force_login(Account.objects.create_superuser("mia"))
    return client


def choose(client: Client, number: int) -> None:
    client.post("/admin/collection/", {"collection": number})


def read(client: Client, address: str) -> str:
    answer = client.get(address, follow=True)
    assert answer.status_code == 200, address
    return answer.content.decode()


# --- the choice -----------------------------------------------------------------------------------


def test_it_works(superuser: Client, shop: Entered) -> None:
    before = read(superuser, PEOPLE)
    assert "Ann of default" in before and "Bob of the shop" not in before
    choose(superuser, shop.number)
    after = read(superuser, PEOPLE)
    assert "Bob of the shop" in after and "Ann of default" not in after
    assert re.search(rf'<option value="{shop.number}" selected>shop<', after)


def test_every_page_has_the_choice(superuser: Client, shop: Entered) -> None:
    for address in ("/admin/", PEOPLE, f"{PEOPLE}{OWNER}/change/", *INSTALLATION):
        assert 'id="collection-choice"' in read(superuser, address), address


def test_with_default_alone_nothing_is_shown(superuser: Client) -> None:
    page = read(superuser, PEOPLE) + read(superuser, "/admin/")
    assert 'class="collection"' not in page and "_collection" not in page
    account = Account.objects.get()
    assert "sees collections" not in read(superuser, OPERATORS)
    assert "bound_to" not in read(superuser, f"{OPERATORS}add/")
    assert "bound_to" not in read(superuser, f"{OPERATORS}{account.pk}/change/")


def test_a_choice_of_nothing_changes_nothing(superuser: Client, shop: Entered) -> None:
    for wanted in ("0", "99", "shop", ""):
        answer = superuser.post("/admin/collection/", {"collection": wanted}, follow=True)
        assert "There is no such collection" in answer.content.decode()
    assert "Ann of default" in read(superuser, PEOPLE)
    assert superuser.get("/admin/collection/").status_code == 405


def test_a_form_of_another_collection_changes_nothing(superuser: Client, shop: Entered) -> None:
    """The same id is somebody else's there: an operator changed the collection in another tab."""
    erase = f"{PEOPLE}{OWNER}/erase/"
    page = read(superuser, erase)
    (given,) = set(re.findall(r'name="_collection" value="(\d+)"', page))
    assert given == "1"
    choose(superuser, shop.number)
    for fields in ({"_collection": given}, {}):
        answer = superuser.post(erase, {**fields, "confirm": "yes"}, follow=True)
        assert "Nothing was done" in answer.content.decode()
    with entered(shop):
        assert User.objects.filter(pk=OWNER).exists()
    assert User.objects.filter(pk=OWNER).exists()


FIND = "/admin/recognition/face/find-by-photo/"


def test_a_photo_is_searched_in_the_collection_that_its_form_was_of(
    superuser: Client, shop: Entered, fake: FakePipeline
) -> None:
    fake.show(vector(1), vector(1))
    choose(superuser, shop.number)
    (query,) = re.findall(r'action="(\?_collection=\d+)"', read(superuser, FIND))

    def searched() -> str:
        photo = SimpleUploadedFile("photo.png", PICTURE)
        return superuser.post(FIND + query, {"photo": photo}, follow=True).content.decode()

    assert "Bob of the shop" in searched()
    choose(superuser, DEFAULT.number)
    assert "Nothing was done" in searched()


def test_a_photo_is_not_read_before_it_is_known_who_sends_it(client: Client, shop: Entered) -> None:
    class Unread:
        def read(self, *size: int) -> bytes:
            raise AssertionError("it is read")

        readline = read

    operator(client, "viewer", shop, DEFAULT)
    kind = "multipart/form-data; boundary=b"
    for query, status in ((f"?_collection={DEFAULT.number}", 403), ("", 302)):
        answer = client.generic("POST", FIND + query, b"-" * 999, kind, **{"wsgi.input": Unread()})
        assert answer.status_code == status


def test_a_suspended_collection_is_shown_and_one_being_erased_is_not(
    superuser: Client, shop: Entered
) -> None:
    choose(superuser, shop.number)
    Collection.objects.filter(pk=shop.number).update(suspended_at=timezone.now())
    assert "Bob of the shop" in read(superuser, PEOPLE)
    Collection.objects.filter(pk=shop.number).update(erasing_at=timezone.now())
    assert "Ann of default" in read(superuser, PEOPLE)


def test_history_is_that_of_the_collection(superuser: Client, shop: Entered) -> None:
    choose(superuser, shop.number)
    form = {"username": "tom", "usable_password": "false", "_collection": shop.number}
    form |= {"bound_to-TOTAL_FORMS": 0, "bound_to-INITIAL_FORMS": 0}
    assert superuser.post(f"{OPERATORS}add/", form).status_code == 302
    with entered(shop):
        assert not LogEntry.objects.exists()
    assert LogEntry.objects.get().object_repr == "tom"
    # The database lets the operator go: what is noted of what is shared is in `default`.
    tom = Account.objects.get(username="tom")
    answer = superuser.post(
        f"{OPERATORS}{tom.pk}/delete/", {"post": "yes", "_collection": shop.number}
    )
    assert answer.status_code == 302 and not Account.objects.filter(username="tom").exists()


# --- operators who are bound ----------------------------------------------------------------------


def test_an_operator_of_a_collection_sees_no_other(client: Client, shop: Entered) -> None:
    operator(client, "moderator", shop)
    page = read(client, PEOPLE)
    assert "Bob of the shop" in page and "Ann of default" not in page
    assert "<strong>shop</strong>" in page and "collection-choice" not in page
    choose(client, DEFAULT.number)
    assert "Ann of default" not in read(client, PEOPLE)
    assert "Ann of default" not in read(client, f"{PEOPLE}?q=Ann")
    assert client.get(f"{PEOPLE}{FRIEND}/change/").status_code == 302  # there is no such person
    erased = client.post(f"{PEOPLE}{OWNER}/erase/", {"confirm": "yes", "_collection": 1})
    assert erased.status_code < 400
    assert User.objects.filter(pk=OWNER).exists()


def test_an_operator_bound_to_nothing_sees_default_alone(client: Client, shop: Entered) -> None:
    operator(client, "moderator")
    choose(client, shop.number)
    page = read(client, PEOPLE)
    assert "Ann of default" in page and "Bob of the shop" not in page and "shop" not in page


def test_an_operator_of_two_may_choose_between_them(client: Client, shop: Entered) -> None:
    third = make_collection("third")
    operator(client, "viewer", shop, third)
    for number, is_shop in ((third.number, False), (1, False), (shop.number, True)):
        choose(client, number)
        page = read(client, PEOPLE)
        assert ("Bob of the shop" in page) == is_shop and "Ann of default" not in page


def test_a_session_keeps_no_choice_that_is_no_longer_allowed(client: Client, shop: Entered) -> None:
    account = operator(client, "viewer", shop, DEFAULT)
    choose(client, shop.number)
    assert "Bob of the shop" in read(client, PEOPLE)
    OperatorOf.objects.filter(operator=account, collection_id=shop.number).delete()
    page = read(client, PEOPLE)
    assert "Bob of the shop" not in page and "Ann of default" in page


def test_an_operator_of_an_erased_collection_sees_nothing(client: Client, shop: Entered) -> None:
    account = operator(client, "administrator", shop)
    Collection.objects.get(pk=shop.number).delete()
    for address in ("/admin/", PEOPLE, f"{PEOPLE}{OWNER}/change/", *INSTALLATION):
        assert client.get(address).status_code == 403, address
    assert OperatorOf.objects.get(operator=account).collection is None
    assert client.post("/admin/logout/").status_code == 200
    assert client.get("/admin/").status_code == 302


def test_a_new_operator_is_bound_from_the_beginning(superuser: Client, shop: Entered) -> None:
    page = read(superuser, f"{OPERATORS}add/")
    assert "sees default alone" in page and "view_id_bound_to" not in page
    form = {"username": "tom", "usable_password": "false", "_collection": 1}
    form |= {"bound_to-TOTAL_FORMS": 1, "bound_to-INITIAL_FORMS": 0}
    form["bound_to-0-collection"] = shop.number
    assert superuser.post(f"{OPERATORS}add/", form).status_code == 302
    assert OperatorOf.objects.get().collection_id == shop.number


def test_the_list_of_operators_says_what_each_sees(superuser: Client, shop: Entered) -> None:
    gone = make_collection("gone")
    groups = {name: Group.objects.get(name=name) for name in ("moderator", "administrator")}
    for name, role, bound in (
        ("ann", "moderator", ()),
        ("bob", "moderator", (shop, DEFAULT)),
        ("cid", "administrator", ()),
        ("dan", "administrator", (shop,)),
        ("eva", "moderator", (gone,)),
    ):
        account = Account.objects.create_user(name, is_staff=True)
        account.groups.add(groups[role])
        for each in bound:
            OperatorOf.objects.create(operator=account, collection_id=each.number)
    Collection.objects.filter(pk=gone.number).update(erasing_at=timezone.now())
    rows = re.findall(
        r'field-username">.*?>(\w+)<.*?field-sees">([^<]+)<', read(superuser, OPERATORS)
    )
    assert dict(rows) == {
        "mia": "all",
        "ann": "default",
        "bob": "default, shop",
        "cid": "all",
        "dan": "shop",
        "eva": "none",
    }


def test_the_list_asks_as_often_for_many_operators(
    superuser: Client, shop: Entered, django_assert_max_num_queries: Any
) -> None:
    with CaptureQueriesContext(connection) as few:
        read(superuser, OPERATORS)
    for number in range(5):
        account = Account.objects.create_user(f"tom{number}", is_staff=True)
        OperatorOf.objects.create(operator=account, collection_id=shop.number)
    with django_assert_max_num_queries(len(few)):
        read(superuser, OPERATORS)


@pytest.mark.parametrize("address", INSTALLATION)
def test_an_administrator_who_is_bound_sees_no_page_of_the_installation(
    client: Client, shop: Entered, address: str
) -> None:
    account = operator(client, "administrator")
    assert client.get(address).status_code == 200
    assert "Bob of the shop" in (choose(client, shop.number), read(client, PEOPLE))[1]
    OperatorOf.objects.create(operator=account, collection_id=shop.number)
    assert client.get(address).status_code == 403
    assert client.get(f"{address}add/").status_code == 403
    assert f'href="{address}"' not in read(client, "/admin/")


def test_keys_are_those_of_the_collection_that_is_shown(client: Client, shop: Entered) -> None:
    """The administrator of a collection makes keys to it, and sees no others."""
    operator(client, "administrator", shop)
    row = {"service": "other", "scopes": ["face:verify"], "created_by": "system", "hash": b""}
    other = ApiKey.objects.create(collection_id=DEFAULT.number, **row)
    keys = "/admin/collections/apikey/"
    made = client.post(f"{keys}add/", {"service": "mine", "scopes": ["face:verify"]})
    assert made.status_code == 200
    assert ApiKey.objects.get(service="mine").collection_id == shop.number
    page = read(client, keys)
    assert "mine" in page and other.pk not in page
    client.post(f"{keys}{other.pk}/change/", {"act": "revoke"})
    other.refresh_from_db()
    assert other.revoked_at is None
    with entered(shop):
        assert LogEntry.objects.exists()
    assert not LogEntry.objects.exists()


def test_a_bound_operator_measures_in_their_own_collection_alone(
    client: Client, shop: Entered
) -> None:
    """The page of the model shows which packs there are. Its commands need the server."""
    operator(client, "administrator", shop)
    waits = {"pack": "dlib", "embedding_version": "dlib_v1", "asked_by": "operator:mia"}
    other = Measurement.objects.create(**waits)
    with entered(shop):
        Measurement.objects.bulk_create(Measurement(**waits, pk=other.pk + each) for each in (1, 2))
    model = "/admin/recognition/activemodel/"
    assert "Active model" in read(client, model)
    assert "no such measurement" in read(client, f"{model}measurement/{other.pk}/")
    for number in (other.pk, other.pk + 1):
        client.post(f"{model}measurement/{number}/", {"act": "cancel"})
    other.refresh_from_db()
    assert other.state == "waiting"
    with entered(shop):
        states = Measurement.objects.order_by("pk").values_list("state", flat=True)
        assert [*states] == ["cancelled", "waiting"]


def test_a_superuser_sees_all_although_bound(superuser: Client, shop: Entered) -> None:
    OperatorOf.objects.create(operator=Account.objects.get(), collection_id=shop.number)
    assert "Ann of default" in read(superuser, PEOPLE)
    assert superuser.get(OPERATORS).status_code == 200


def test_operators_are_bound_on_their_page(superuser: Client, shop: Entered) -> None:
    tom = Account.objects.create_user("tom", is_staff=True)
    address = f"{OPERATORS}{tom.pk}/change/"
    form = superuser.get(address).context
    fields: dict[str, Any] = {"username": "tom", "is_staff": "on", "_collection": 1}
    joined = timezone.localtime(tom.date_joined)
    fields |= {"date_joined_0": f"{joined:%Y-%m-%d}", "date_joined_1": f"{joined:%H:%M:%S}"}
    prefix = form["inline_admin_formsets"][0].formset.prefix
    fields |= {f"{prefix}-TOTAL_FORMS": 1, f"{prefix}-INITIAL_FORMS": 0}
    fields |= {f"{prefix}-0-collection": shop.number, f"{prefix}-0-operator": tom.pk}
    answer = superuser.post(address, fields)
    assert answer.status_code == 302, answer.context["errors"]
    assert OperatorOf.objects.get().collection_id == shop.number


# --- the list -------------------------------------------------------------------------------------


@pytest.fixture
def listed(superuser: Client, shop: Entered) -> Iterator[Any]:
    make_user(FRIEND)
    yield superuser.get("/admin/collections/collection/").context["cl"]


def test_the_list_says_what_each_collection_has(listed: Any) -> None:
    default, shop = listed.result_list
    assert (default.name, default.counts) == ("default", ("2", "0"))
    assert (shop.name, shop.counts, shop.made_by) == ("shop", ("1", "1"), "service:test")


def test_the_list_says_the_state(superuser: Client, shop: Entered) -> None:
    address = "/admin/collections/collection/"
    assert "active" in read(superuser, address)
    Collection.objects.filter(pk=shop.number).update(suspended_at=timezone.now())
    assert "suspended" in read(superuser, address)
    Collection.objects.filter(pk=shop.number).update(erasing_at=timezone.now())
    assert "is being erased" in read(superuser, address)
