"""The admin as a whole: its names, its first page, the login over http, the ready groups."""

import re
from datetime import date, timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from facesvc.operators import overview, plots, roles
from recognition.collections.schemas import SHARED_APPS
from recognition.models import CountedKind, DailyCount, FailureCount
from tests.support.builders import OWNER, make_user

pytestmark = pytest.mark.django_db
LAN = "http://faces.lan:8000"


@pytest.fixture
def operator(client: Client, settings: Settings) -> Client:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    client.force_login(User.objects.create_superuser("mia", password="right"))
    return client


def text_of(answer: HttpResponse) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def permissions_of(name: str) -> set[str]:
    rows = Permission.objects.filter(group__name=name).select_related("content_type")
    return {f"{row.content_type.app_label}.{row.codename}" for row in rows}


# --- names ----------------------------------------------------------------------------------------


def test_it_works(operator: Client) -> None:
    answer = operator.get("/admin/")
    text = text_of(answer)
    assert answer.status_code == 200
    assert "How the service is | facesvc operators" in text
    assert "Django administration" not in text
    assert "Operators and their rights" in text


def test_accounts_are_operators(operator: Client) -> None:
    text = text_of(operator.get("/admin/auth/user/"))
    assert "Select operator to change" in text and "Add operator" in text
    assert isinstance(admin.site._wrapped, admin.AdminSite)  # type: ignore[attr-defined]
    assert User.objects.get().check_password("right")


def test_a_new_operator_can_log_in_and_act_at_once(operator: Client) -> None:
    form = operator.get("/admin/auth/user/add/").context["adminform"].form
    assert form.get_initial_for_field(form.fields["is_staff"], "is_staff") is True
    password = "correct horse battery staple"
    fields = {"username": "tom", "password1": password, "password2": password, "is_staff": "on"}
    chosen = {"usable_password": "true", "groups": [Group.objects.get(name="moderator").pk]}
    assert operator.post("/admin/auth/user/add/", fields | chosen).status_code == 302
    tom = User.objects.get(username="tom")
    assert tom.is_staff and tom.check_password(password)
    assert tom.has_perm("recognition.moderate_user") and not tom.is_superuser


# --- failures -------------------------------------------------------------------------------------


def test_a_page_that_is_not_there_is_said_to_people(operator: Client) -> None:
    answer = operator.get("/admin/recognition/nothing/")
    text = text_of(answer)
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")
    assert "There is no such page" in text and "Open the first page" in text


def test_what_is_forbidden_is_said_to_people(operator: Client) -> None:
    User.objects.update(is_superuser=False, is_staff=True)
    answer = operator.get("/admin/recognition/user/")
    assert answer.status_code == 403
    assert "You may not do this" in text_of(answer)


def test_a_failure_names_the_request_and_needs_no_database(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise KeyError("gone")

    monkeypatch.setattr(overview, "needs", fail)
    operator.raise_request_exception = False
    answer = operator.get("/admin/", headers={"X-Request-ID": "mia-7"})
    assert answer.status_code == 500
    assert "mia-7" in text_of(answer) and "gone" not in text_of(answer)


def test_a_database_that_is_away_is_said_to_people(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(overview, "needs", fail)
    operator.raise_request_exception = False
    answer = operator.get("/admin/")
    assert answer.status_code == 503 and answer["Retry-After"] == "5"
    assert "The service is not available" in text_of(answer) and "gone" not in text_of(answer)


def test_a_read_only_database_is_said_to_people(operator: Client) -> None:
    """A login stores a session."""
    operator.raise_request_exception = False
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL transaction_read_only = on")
        answer = Client(raise_request_exception=False).post(
            "/admin/login/", {"username": "mia", "password": "not hers"}
        )
        transaction.set_rollback(True)
    assert answer.status_code == 503 and answer["Retry-After"] == "5"
    assert answer["Content-Type"].startswith("text/html")


def test_a_form_that_is_too_long_is_said_to_people(operator: Client) -> None:
    """Before anything is read of it."""
    answer = operator.post("/admin/login/", {"username": "a" * 64 * 1024})
    assert answer.status_code == 413
    assert answer["Content-Type"].startswith("text/html")
    assert "This is too long" in text_of(answer)
    assert "default-src 'self'" in answer["Content-Security-Policy"]


def test_a_service_with_too_much_to_do_is_said_to_people(
    operator: Client, settings: Settings
) -> None:
    settings.FACESVC_INFERENCE_AT_ONCE = settings.FACESVC_INFERENCE_WAITING = 0
    settings.WEB_THREADS = 2  # which stay free for probes
    answer = operator.get("/admin/")
    assert answer.status_code == 503 and answer["Retry-After"] == "5"
    assert answer["Content-Type"].startswith("text/html")
    assert "overloaded" in text_of(answer)
    elsewhere = operator.get("/api/v1/face-recognition/users")
    assert elsewhere.status_code == 503 and elsewhere["Retry-After"] == "5"
    assert elsewhere.json()["error"]["code"] == "unavailable"


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/face-recognition/nothing", "/administrator"])
def test_elsewhere_the_api_answers(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


# --- the ready groups -----------------------------------------------------------------------------


def test_what_the_groups_may() -> None:
    viewer, moderator, administrator = map(permissions_of, ("viewer", "moderator", "administrator"))
    assert {name.partition(".")[2].partition("_")[0] for name in viewer} == {"view"}
    assert "recognition.view_pictures" not in viewer
    assert not {name for name in viewer if name.startswith("auth.")}
    assert moderator - viewer == {
        *("recognition.view_pictures", "recognition.moderate_user", "recognition.erase_user"),
        *("batch.change_webhookdelivery", "batch.change_job"),
    }
    assert {"auth.change_user", "auth.add_group"} <= administrator - moderator
    assert moderator < administrator


def test_every_page_of_ours_can_be_viewed() -> None:
    for model in admin.site._registry:
        if model._meta.app_label not in SHARED_APPS:
            wanted = f"{model._meta.app_label}.view_{model._meta.model_name}"
            assert wanted in permissions_of("viewer")


def test_migrating_again_keeps_what_an_operator_changed() -> None:
    moderator = Group.objects.get(name="moderator")
    taken = moderator.permissions.get(codename="erase_user")
    moderator.permissions.remove(taken)
    added = Permission.objects.get(content_type__app_label="auth", codename="add_group")
    moderator.permissions.add(added)
    call_command("migrate", verbosity=0)
    assert taken not in moderator.permissions.all() and added in moderator.permissions.all()


def test_a_new_permission_is_granted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    Permission.objects.get(codename="erase_user").delete()  # an older version had none
    call_command("migrate", verbosity=0)
    assert "recognition.erase_user" in permissions_of("moderator")
    assert "recognition.erase_user" not in permissions_of("viewer")


def test_a_group_that_is_gone_comes_back() -> None:
    before = permissions_of("viewer")
    Group.objects.get(name="viewer").delete()
    call_command("migrate", verbosity=0)
    assert permissions_of("viewer") == before
    assert Group.objects.count() == len(roles.groups())


# --- the login over http --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "headers", "is_warned"),
    [
        ("faces.lan:8000", {}, True),
        ("192.168.1.5:8000", {}, True),
        ("faces.lan", {}, True),
        ("localhost:8000", {}, False),
        ("127.0.0.1:8000", {}, False),
        ("127.0.0.1", {}, False),
        ("[::1]:8000", {}, False),
        ("faces.lan", {"X-Forwarded-Proto": "https"}, False),
    ],
)
def test_who_is_warned_before_the_form(
    client: Client, settings: Settings, host: str, headers: dict[str, str], is_warned: bool
) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    answer = client.get("/admin/login/", headers={"Host": host, **headers})
    assert ("You cannot log in at this address" in text_of(answer)) == is_warned


def test_over_https_nobody_is_warned(client: Client, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    answer = client.get("/admin/login/", secure=True, headers={"Host": "faces.lan"})
    assert "You cannot log in" not in text_of(answer)


def test_the_setting_allows_it(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.CSRF_COOKIE_SECURE = settings.SESSION_COOKIE_SECURE = False  # what it sets
    User.objects.create_superuser("mia", password="right")
    browser = Client(enforce_csrf_checks=True)
    page = browser.get("/admin/login/", headers={"Host": "faces.lan:8000"})
    assert "You cannot log in" not in text_of(page)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())
    assert token
    fields = {"username": "mia", "password": "right", "csrfmiddlewaretoken": token[1]}
    answer = browser.post(
        "/admin/login/?next=/admin/", fields, headers={"Host": "faces.lan:8000", "Origin": LAN}
    )
    assert answer.status_code == 302 and answer["Location"] == "/admin/"


def test_a_refused_form_says_what_to_do(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    browser = Client(enforce_csrf_checks=True)
    answer = browser.post("/admin/login/", headers={"Host": "faces.lan:8000", "Origin": LAN})
    assert answer.status_code == 403
    assert "FACESVC_ADMIN_OVER_HTTP=true" in text_of(answer)
    local = browser.post("/admin/login/", headers={"Host": "localhost:8000"})
    assert local.status_code == 403 and "Nothing was changed" in text_of(local)
    other = browser.post(
        "/admin/login/", headers={"Host": "localhost:8000", "Origin": "https://faces.example"}
    )
    assert other.status_code == 403 and "FACESVC_PUBLIC_URL" in text_of(other)


def test_a_post_to_a_page_that_has_no_form() -> None:
    """It came from no form, so no page about forms answers it."""
    answer = Client(enforce_csrf_checks=True).post("/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")


# --- the first page -------------------------------------------------------------------------------


def count(kind: CountedKind, label: str, number: int, ago: int = 0) -> None:
    day = timezone.localdate() - timedelta(days=ago)
    DailyCount.objects.create(day=day, kind=kind, label=label, count=number)


def test_what_happened(operator: Client) -> None:
    count(CountedKind.VERIFICATION, "success", 40)
    count(CountedKind.VERIFICATION, "no_match", 2)
    count(CountedKind.VERIFICATION, "success", 900, ago=29)
    count(CountedKind.VERIFICATION, "success", 5000, ago=30)  # before the 30 days
    count(CountedKind.REFUSAL, "low_quality", 7)
    text = text_of(operator.get("/admin/"))
    assert "Verifications 42 today · 942 in 30 days" in text
    assert "the right face 40 940" in text and "another face 2 2" in text
    assert "low_quality 7 7" in text
    assert "Enrolments 0 today · 0 in 30 days" in text and "None in 30 days." in text


def test_what_waits(operator: Client) -> None:
    FailureCount.objects.create(
        user=make_user(OWNER),
        source="own",
        failures=50,
        locked_at=timezone.now(),
        last_failure_at=timezone.now(),
    )
    assert "1 Locked" in text_of(operator.get("/admin/"))


def test_more_than_can_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "MOST", 1)
    assert overview.Need("Locked", 2, "", "").shown == "more than 1"


def test_nobody_sees_it_without_the_permission(client: Client, settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = False
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    text = text_of(client.get("/admin/"))
    assert "What waits" not in text and "Enrolments" not in text


def test_a_viewer_sees_it(
    client: Client, settings: Settings, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    settings.SESSION_COOKIE_SECURE = False
    viewer = User.objects.create_user("vera", is_staff=True)
    viewer.groups.add(Group.objects.get(name="viewer"))
    client.force_login(viewer)
    with django_assert_max_num_queries(15):
        text = text_of(client.get("/admin/"))
    assert "What waits for you" in text and "Operators and their rights" not in text


def test_the_page_obeys_the_policy(operator: Client) -> None:
    count(CountedKind.SEARCH, "found", 3)
    page = operator.get("/admin/").content.decode()
    assert "<svg" in page and 'role="img"' in page and "<desc" in page
    assert " style=" not in page and "<style" not in page
    assert not re.search(r"<script(?![^>]* src=)", page)


# --- the drawing ----------------------------------------------------------------------------------


def drawn(*series: list[int]) -> plots.DailyPlot:
    days = [date(2026, 1, 1) + timedelta(days=at) for at in range(len(series[0]))]
    return plots.plot("Some", days, [plots.Series(str(at), each) for at, each in enumerate(series)])


def test_bars_stand_on_each_other() -> None:
    made = drawn([2, 0], [3, 0])
    lower, upper = made.days[0].bars
    assert made.top == 5
    assert lower.y + lower.height == plots.HEIGHT and upper.y + upper.height == lower.y
    assert upper.y == 0 and made.days[1].bars == []
    assert lower.height == pytest.approx(plots.HEIGHT * 2 / 5)


def test_one_beside_a_thousand_can_be_seen() -> None:
    made = drawn([1000, 1])
    assert made.days[1].bars[0].height >= 1


@pytest.mark.parametrize(
    ("count", "top"),
    [(0, 1), (1, 1), (2, 2), (3, 3), (7, 8), (10, 10), (11, 20), (99, 100)],
)
def test_the_upper_edge_is_a_round_number(count: int, top: int) -> None:
    assert drawn([count]).top == top


def test_a_stolen_table_of_sessions_logs_nobody_in(client: Client, settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = False
    client.force_login(User.objects.create_superuser("mia"))
    assert client.get("/admin/").status_code == 200
    (row,) = Session.objects.all()
    assert row.session_key != client.cookies["sessionid"].value
    thief = Client()
    thief.cookies["sessionid"] = row.session_key
    assert thief.get("/admin/").status_code == 302
    client.post("/admin/logout/")
    assert not Session.objects.exists()
    assert client.get("/admin/").status_code == 302
