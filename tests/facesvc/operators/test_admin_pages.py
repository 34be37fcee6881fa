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
from recognition.collections.models import AccessKey, ApiKey, Collection
from recognition.models import (
    ActiveModel,
    Attempt,
    AuditEvent,
    Face,
    FailureCount,
    PossibleDuplicate,
    Session,
)
from recognition.models import User as Person
from recognition.packs import engine
from tests.support.builders import FRIEND, OWNER, make_face, make_user, service_token, vector

pytestmark = pytest.mark.django_db

# What a superuser may do beside looking: everything, or nothing, since the API or a command does.
READ_ONLY, ALL = set[str](), {"add", "change", "delete"}
MODELS: dict[type[Model], set[str]] = {
    User: ALL,
    Group: ALL,
    Person: READ_ONLY,
    Face: READ_ONLY,
    PossibleDuplicate: READ_ONLY,
    Session: READ_ONLY,
    Attempt: READ_ONLY,
    FailureCount: READ_ONLY,
    Job: READ_ONLY,
    WebhookDelivery: READ_ONLY,
    WebhookEndpoint: READ_ONLY,
    AuditEvent: READ_ONLY,
    ActiveModel: READ_ONLY,
    ApiKey: {"add", "change"},
    AccessKey: {"add", "change"},
    Collection: READ_ONLY,
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
    "collection": 405,  # by POST only
}
# Pages of ours beside Django's: what a viewer, a moderator and an administrator get.
NOT_VIEWERS = (403, 200, 200)
OWN: dict[str, tuple[int, int, int]] = {
    **{f"recognition_user_{act}": NOT_VIEWERS for act in ("suspend", "unsuspend", "unlock")},
    **{f"recognition_user_{act}": NOT_VIEWERS for act in ("merge", "erase")},
    "recognition_user_receipt": (403, 404, 404),  # nobody was erased
    **{f"recognition_face_{act}": NOT_VIEWERS for act in ("suspend", "unsuspend", "move")},
    "recognition_face_find_by_photo": NOT_VIEWERS,
    "recognition_face_picture": (403, 404, 404),  # the address is made for another operator
    "recognition_possibleduplicate_decide": (403, 302, 302),  # by POST only
    "recognition_activemodel_measure": (403, 403, 302),  # there is no pack of that name
    "recognition_activemodel_measurement": (302, 302, 302),  # there is none
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
    other = make_user(FRIEND)
    made: list[Model] = [
        user,
        make_face(user, vector(1)),
        PossibleDuplicate.objects.create(user_a=user, user_b=other, confidence=0.97),
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
        AuditEvent.objects.create(actor="operator:mia", action="user.unlock", user_id=user.pk),
        engine.active_model(),
        Collection.objects.get(),
        *(
            key(collection_id=1, service="app", scopes=["face:verify"], created_by="system")
            for key in (ApiKey, AccessKey)
        ),
    ]
    for key in made[-2:]:
        key.save()
    return {type(row): row for row in made}


def log_in(client: Client, *permissions: str, **fields: Any) -> Client:
    account = User.objects.create_user(f"operator{User.objects.count()}", **fields)
    for permission in permissions:
        label, _, codename = permission.partition(".")
        found = Permission.objects.filter(content_type__app_label=label, codename=codename)
        account.user_permissions.add(*found)
    client.force_login(account)
    return client


def permission(verb: str, model: type[Model]) -> str:
    return f"{model._meta.app_label}.{verb}_{model._meta.model_name}"


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
    names = {each.name for one in admin.site._registry.values() for each in one.get_urls()}
    usual = {f"{m._meta.app_label}_{m._meta.model_name}_{page}" for m in MODELS for page in PAGES}
    assert names - usual - {None, "auth_user_password_change"} == set(OWN)


STRANGERS = {"nobody": None, "an account that is not staff": {}, "a token of the API": {}}


@pytest.mark.parametrize("case", STRANGERS)
def test_strangers_get_the_login(client: Client, case: str, rows: dict[type[Model], Model]) -> None:
    if case == "an account that is not staff":
        log_in(client, is_staff=False)
        User.objects.get(is_staff=False, username__startswith="operator").user_permissions.set(
            Permission.objects.all()
        )
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
    log_in(client, permission("view", model), is_staff=True)
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
        log_in(client, *(permission(verb, model) for verb in allowed), is_staff=True)
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


def own_address(name: str, rows: dict[type[Model], Model]) -> str:
    models = {f"{m._meta.app_label}_{m._meta.model_name}": m for m in MODELS}
    row = next(rows[model] for label, model in models.items() if name.startswith(f"{label}_"))
    argument: list[Any] = {"find_by_photo": [], "picture": ["1-1:abc:def"]}.get(
        name.split("_", 2)[2], [row.pk]
    )
    return reverse(f"admin:{name}", args=argument)


ROLES = ("viewer", "moderator", "administrator")


@pytest.mark.parametrize("role", ROLES)
def test_what_each_role_may_open(client: Client, role: str, rows: dict[type[Model], Model]) -> None:
    log_in(client, is_staff=True)
    User.objects.get(is_staff=True).groups.add(Group.objects.get(name=role))
    for name, statuses in OWN.items():
        expected = statuses[ROLES.index(role)]
        assert ask(client, "get", own_address(name, rows)).status_code == expected, name
        if expected == 403:
            assert ask(client, "post", own_address(name, rows)).status_code == 403, name
    for model, row in rows.items():
        is_theirs = model in (User, Group, Collection)
        may_look = role == "administrator" or not is_theirs
        for page in ("changelist", "history", "change"):
            answer = ask(client, "get", address(model, page, row))
            assert answer.status_code == (200 if may_look else 403), (model, page)


def test_an_operator_without_rights_sees_none_of_ours(
    client: Client, rows: dict[type[Model], Model]
) -> None:
    log_in(client, is_staff=True)
    for name in OWN:
        for method in ("get", "post"):
            assert ask(client, method, own_address(name, rows)).status_code == 403, name


@pytest.mark.parametrize(
    "query",
    ["?q=%00", "?state=%00", "?at__year=99999999999", "?at__year=-5", "?p=%00", "?id__exact=%00"],
)
def test_an_address_that_means_nothing_is_no_failure_of_ours(
    client: Client, rows: dict[type[Model], Model], query: str
) -> None:
    log_in(client, is_staff=True, is_superuser=True)
    client.raise_request_exception = False
    for model, row in rows.items():
        answer = client.get(address(model, "changelist", row) + query)
        assert answer.status_code in (200, 302, 400), model
        if answer.status_code == 400:
            assert "<html" in answer.content.decode()
