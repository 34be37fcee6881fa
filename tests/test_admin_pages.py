"""Who may open which page of the admin: every page, every model, every kind of operator."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone
from pytest_django import Settings

from batch.models import Job, Kind, WebhookDelivery, WebhookEndpoint
from recognition.models import Attempt, FailureCount, Session
from tests.builders import OWNER, make_user, service_token

pytestmark = pytest.mark.django_db

# What a superuser may do beside looking: everything, or nothing, since the API or a command does.
READ_ONLY, ALL = set[str](), {"add", "change", "delete"}
MODELS: dict[type[Model], set[str]] = {
    User: ALL,
    Group: ALL,
    Session: READ_ONLY,
    Attempt: READ_ONLY,
    FailureCount: READ_ONLY,
    Job: READ_ONLY,
    WebhookDelivery: READ_ONLY,
    WebhookEndpoint: READ_ONLY,
}
# Pages of no model: what staff without any permission gets. None: a page that strangers get, too.
LOGGED_IN: dict[str, int | None] = {
    "index": 200,
    "login": None,
    "logout": None,
    "password_change": 200,
    "password_change_done": 200,
    "autocomplete": 403,
    "jsi18n": 200,
    "view_on_site": 404,
    "app_list": 404,
}
PAGES = ["changelist", "add", "history", "delete", "change"]


@pytest.fixture(autouse=True)
def rows(db: None, settings: Settings) -> dict[type[Model], Model]:
    """One of each model."""
    settings.SESSION_COOKIE_SECURE = False
    user, later = make_user(OWNER), timezone.now() + timedelta(hours=1)
    job = Job.objects.create(
        kind=Kind.IDENTIFY, subject="app", scopes=[], options={}, total=1, deadline_at=later
    )
    endpoint = WebhookEndpoint.objects.create(client="app", url="https://example.com/")
    made: list[Model] = [
        User.objects.create_user("somebody"),
        Group.objects.create(name="somebodies"),
        Session.objects.create(user=user, purpose="login", level="standard", expires_at=later),
        Attempt.objects.create(user=user, source="own", result="no_match", risk_level="low"),
        FailureCount.objects.create(
            user=user, source="own", failures=1, last_failure_at=timezone.now()
        ),
        job,
        endpoint,
        WebhookDelivery.objects.create(job=job, endpoint=endpoint, next_attempt_at=later),
    ]
    return {type(row): row for row in made}


def log_in(client: Client, *permissions: str, **fields: Any) -> Client:
    account = User.objects.create_user(f"operator{User.objects.count()}", **fields)
    account.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(account)
    return client


def address(model: type[Model], page: str, row: Model) -> str:
    options = model._meta
    needed = [] if page in ("changelist", "add") else [row.pk]
    return reverse(f"admin:{options.app_label}_{options.model_name}_{page}", args=needed)


def is_sent_to_the_login(answer: HttpResponse) -> bool:
    return answer.status_code == 302 and answer["Location"].startswith("/admin/login/")


def ask(client: Client, method: str, path: str) -> HttpResponse:
    with transaction.atomic():
        answer: HttpResponse = getattr(client, method)(path)
        transaction.set_rollback(True)
    return answer


def test_the_tables_have_every_page() -> None:
    patterns = get_resolver("facesvc.urls").url_patterns
    (pages,) = (each for each in patterns if getattr(each, "namespace", "") == "admin")
    names = {each.name for each in pages.url_patterns if isinstance(each, URLPattern)}
    assert names - {None} == set(LOGGED_IN)  # the one without a name catches all others
    assert set(admin.site._registry) == set(MODELS)
    for model_admin in admin.site._registry.values():
        suffixes = {(each.name or "").rpartition("_")[2] for each in model_admin.get_urls()}
        assert suffixes - {"", "change"} <= {*PAGES, "password"}, model_admin


STRANGERS = {"nobody": None, "an account that is not staff": {}, "a token of the API": {}}


@pytest.mark.parametrize("case", STRANGERS)
def test_strangers_get_the_login(client: Client, case: str, rows: dict[type[Model], Model]) -> None:
    if case == "an account that is not staff":
        every = Permission.objects.values_list("codename", flat=True)
        log_in(client, *every, is_staff=False)
    if case == "a token of the API":
        client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {service_token()}"
    paths = [address(model, page, row) for model, row in rows.items() for page in PAGES]
    paths += [path_of(name) for name, status in LOGGED_IN.items() if status]
    paths += ["/admin/nowhere/", f"/admin/auth/user/{rows[User].pk}/password/"]
    for path in paths:
        for method in ("get", "post"):
            assert is_sent_to_the_login(ask(client, method, path)), (method, path)
    assert client.get("/admin/login/").status_code == 200


def path_of(name: str) -> str:
    arguments = {"view_on_site": [1, "1"], "app_list": ["recognition"]}
    return reverse(f"admin:{name}", args=arguments.get(name, []))


def test_staff_without_a_permission_sees_nothing(
    client: Client, rows: dict[type[Model], Model]
) -> None:
    log_in(client, is_staff=True)
    for model, row in rows.items():
        for page in PAGES:
            for method in ("get", "post"):
                path = address(model, page, row)
                assert ask(client, method, path).status_code == 403, (method, path)
    for name, status in LOGGED_IN.items():
        if status:
            assert ask(client, "get", path_of(name)).status_code == status, name


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_who_may_look_at_one_model(
    client: Client, model: type[Model], rows: dict[type[Model], Model]
) -> None:
    log_in(client, f"view_{model._meta.model_name}", is_staff=True)
    looking = {"changelist", "history", "change"}
    for other, row in rows.items():
        for page in PAGES:
            expected = 200 if other is model and page in looking else 403
            assert ask(client, "get", address(other, page, row)).status_code == expected, page
    for page in ("add", "change", "delete"):
        path = address(model, page, rows[model])
        assert ask(client, "post", path).status_code == 403, page


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@pytest.mark.parametrize("kind", ["a superuser", "a moderator with all permissions of the model"])
def test_what_is_read_only_is_so_for_everybody(
    client: Client, kind: str, model: type[Model], rows: dict[type[Model], Model]
) -> None:
    if kind == "a superuser":
        log_in(client, is_staff=True, is_superuser=True)
    else:
        allowed = ["view", "add", "change", "delete"]
        log_in(client, *(f"{verb}_{model._meta.model_name}" for verb in allowed), is_staff=True)
    may, row = MODELS[model], rows[model]
    for page in ("changelist", "history", "change"):
        assert ask(client, "get", address(model, page, row)).status_code == 200, page
    for page in ("add", "delete"):
        expected = 200 if page in may else 403
        assert ask(client, "get", address(model, page, row)).status_code == expected, page
    for page in {"add", "change", "delete"} - may:
        assert ask(client, "post", address(model, page, row)).status_code == 403, page
    for action in ("delete_selected", "no_such_action") if not may else ():
        fields = {"action": action, "_selected_action": [row.pk], "post": "yes"}
        client.post(address(model, "changelist", row), fields)
        assert model._default_manager.filter(pk=row.pk).exists()
