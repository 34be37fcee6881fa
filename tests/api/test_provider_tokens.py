"""Tokens of identity providers: claims that each documents, and the settings of our page."""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from django.conf import settings as django_settings
from django.http import HttpResponse
from django.test import Client
from jwt.algorithms import RSAAlgorithm
from pytest_django import Settings

from recognition import checks
from recognition.api.callers import tokens
from recognition.models.user_ids import UserId
from tests.support.builders import Person, data_of, make_user, refusal

pytestmark = pytest.mark.django_db

KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = rsa.generate_private_key(65537, 2048)
PAGE = Path(django_settings.BASE_DIR) / "docs" / "tokens.md"
GOOGLE = "1234-web.apps.googleusercontent.com"
UUID_OF_SOMEBODY = "5f4c9c52-6f0b-4f35-9d36-0d9b6bd0a001"
Claims = dict[str, Any]


@dataclass(frozen=True)
class Provider:
    """`user` are the claims of a token of the user `id`, `service` those of a service's."""

    id: str
    user: Claims
    service: Claims | None = None
    jwk: Claims = field(default_factory=lambda: {"use": "sig", "alg": "RS256"})
    more_keys: tuple[Claims, ...] = ()


PROVIDERS = {
    "Auth0": Provider(
        "auth0|64f1c0ffee64f1c0ffee64f1",
        {
            "iss": "https://your-tenant.eu.auth0.com/",
            "sub": "auth0|64f1c0ffee64f1c0ffee64f1",
            "aud": ["https://faces.example", "https://your-tenant.eu.auth0.com/userinfo"],
            "azp": "sPaApp0123456789",
            "scope": "openid profile email",
            "permissions": ["face:verify", "face:identify"],
        },
        {
            "iss": "https://your-tenant.eu.auth0.com/",
            "sub": "your-client-id@clients",
            "aud": "https://faces.example",
            "azp": "your-client-id",
            "scope": "face:verify",
            "gty": "client-credentials",
        },
    ),
    "Google": Provider(
        "107691503500065150042",
        {
            "iss": "https://accounts.google.com",
            "azp": GOOGLE,
            "aud": GOOGLE,
            "sub": "107691503500065150042",
            "email": "ann@example.com",
            "email_verified": True,
            "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q",
            "name": "Ann",
        },
    ),
    "Firebase": Provider(
        "V7xq3mXb0cRk1fQw9uYt2sHn5pL8",
        {
            "iss": "https://securetoken.google.com/your-project",
            "aud": "your-project",
            "user_id": "V7xq3mXb0cRk1fQw9uYt2sHn5pL8",
            "sub": "V7xq3mXb0cRk1fQw9uYt2sHn5pL8",
            "auth_time": 1700000000,
            "firebase": {"identities": {}, "sign_in_provider": "password"},
        },
    ),
    "Amazon Cognito": Provider(
        "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
        {
            "sub": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
            "iss": "https://cognito-idp.eu-west-1.amazonaws.com/pool",
            "client_id": "your-client-id",
            "token_use": "access",
            "scope": "openid facesvc/face:verify facesvc/face:identify",
            "username": "ann",
        },
        {
            "sub": "id-of-your-backend",
            "iss": "https://cognito-idp.eu-west-1.amazonaws.com/pool",
            "client_id": "id-of-your-backend",
            "token_use": "access",
            "scope": "facesvc/face:verify",
        },
    ),
    "Keycloak": Provider(
        UUID_OF_SOMEBODY,
        {
            "iss": "https://login.example/realms/app",
            "aud": ["facesvc", "account"],
            "sub": UUID_OF_SOMEBODY,
            "typ": "Bearer",
            "azp": "web",
            "realm_access": {"roles": ["offline_access", "face:verify"]},
            "resource_access": {"account": {"roles": ["manage-account"]}},
            "scope": "openid email profile",
            "preferred_username": "ann",
        },
        {
            "iss": "https://login.example/realms/app",
            "aud": ["facesvc", "account"],
            "sub": "4c9d0f0e-4b57-4a76-8f0e-2f1c9c5f7c11",
            "azp": "backend",
            "client_id": "backend",
            "realm_access": {"roles": ["face:verify"]},
            "preferred_username": "service-account-backend",
        },
        more_keys=({"kid": "enc", "use": "enc", "alg": "RSA-OAEP"},),
    ),
    "Microsoft Entra ID": Provider(
        UUID_OF_SOMEBODY,
        {
            "aud": "id-of-the-api",
            "iss": "https://login.microsoftonline.com/tenant/v2.0",
            "azp": "00000000-1111-4222-8333-444444444444",
            "oid": UUID_OF_SOMEBODY,
            "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
            "scp": "face:verify face:identify",
            "tid": "tenant",
            "ver": "2.0",
        },
        {
            "aud": "id-of-the-api",
            "iss": "https://login.microsoftonline.com/tenant/v2.0",
            "azp": "99999999-1111-4222-8333-444444444444",
            "oid": "sub-of-your-backend",
            "sub": "sub-of-your-backend",
            "roles": ["face:verify"],
            "tid": "tenant",
            "ver": "2.0",
        },
        jwk={"use": "sig"},
    ),
}


def settings_of(name: str) -> dict[str, str]:
    """The example of the page."""
    (block,) = re.findall(rf"## {name}\n[^#]*?```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    lines = (line.partition("=") for line in block.splitlines())
    return {key: value.strip('"') for key, _, value in lines}


def published(provider: Provider) -> bytes:
    """The keys: certificates for Firebase, JWKS for all others."""
    if provider is PROVIDERS["Firebase"]:
        return json.dumps({"first": certificate()}).encode()
    public = RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    keys = [{**public, **more} for more in (*provider.more_keys, {**provider.jwk, "kid": "first"})]
    return json.dumps({"keys": keys}).encode()


def certificate() -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "securetoken.example")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    made = made.public_key(KEY.public_key()).serial_number(7)
    made = made.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return made.sign(KEY, SHA256()).public_bytes(Encoding.PEM).decode()


def signed(claims: Claims, key: Any = KEY, **changes: Any) -> str:
    times = {"iat": datetime.now(UTC), "exp": datetime.now(UTC) + timedelta(hours=1)}
    merged = {**claims, **times, **changes}
    present = {name: value for name, value in merged.items() if value is not None}
    return jwt.encode(present, key, "RS256", headers={"kid": "first"})


@pytest.fixture(params=PROVIDERS)
def provider(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Provider:
    made = PROVIDERS[request.param]
    for name, value in settings_of(request.param).items():
        is_list = isinstance(getattr(django_settings, name), list)
        setattr(settings, name, value.split(",") if is_list else value)
    body = published(made)
    monkeypatch.setattr(tokens.exchange, "fetch", lambda address, deadline: body)
    tokens._jwks.cache_clear()
    make_user(UserId(made.id))
    make_user(UserId("another"))
    return made


def ask(client: Client, token: str, user_id: str) -> HttpResponse:
    return Person(token, client).post("sessions", user_id=user_id)


def test_it_works(client: Client, provider: Provider) -> None:
    answer = ask(client, signed(provider.user), provider.id)
    assert data_of(answer, 201)["user_id"] == provider.id
    assert list(checks.clients()) == []


def test_a_user_acts_for_nobody_else(client: Client, provider: Provider) -> None:
    answer = ask(client, signed(provider.user), "another")
    assert refusal(answer) == (403, "not_your_user")


def test_a_service_acts_for_everybody(client: Client, provider: Provider) -> None:
    if provider.service is None:
        return  # it makes tokens of people only
    for user_id in (provider.id, "another"):
        assert data_of(ask(client, signed(provider.service), user_id), 201)["user_id"] == user_id


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-app", "client_id": "another-app", "azp": "another-app"},
        {"aud": None, "client_id": None, "azp": None},
        {"aud": [7, {"a": 1}], "client_id": ["x"], "azp": None},
        {"iss": "https://evil.example"},
        {"sub": None, "oid": None},
        {"sub": "blank ", "oid": "blank "},
    ],
    ids=["another app", "no app", "nonsense", "another issuer", "nobody", "no user id"],
)
def test_a_token_for_somebody_else(
    client: Client, provider: Provider, changes: dict[str, Any]
) -> None:
    answer = ask(client, signed(provider.user, **changes), provider.id)
    assert refusal(answer) == (401, "invalid_token")


def test_a_token_without_our_scopes(client: Client, provider: Provider) -> None:
    none = dict.fromkeys(("scope", "scp", "permissions", "realm_access", "roles"))
    clients = {"azp": "another", "aud": [*_audience(provider), "another"]}
    answer = ask(client, signed(provider.user, **none, **clients), provider.id)
    assert refusal(answer)[0] == 403 or provider is PROVIDERS["Firebase"]


def _audience(provider: Provider) -> list[str]:
    given = provider.user.get("aud") or provider.user["client_id"]
    return given if isinstance(given, list) else [given]


def test_another_key(client: Client, provider: Provider) -> None:
    answer = ask(client, signed(provider.user, OTHER_KEY), provider.id)
    assert refusal(answer) == (401, "invalid_token")


# --- claims of other names ------------------------------------------------------------------------


@pytest.fixture
def own(settings: Settings, client: Client) -> Any:
    """Signs with our secret, and says who may open a session."""
    make_user(UserId("ann@example.com"))
    make_user(UserId("42"))

    def opened(claims: Claims, user_id: str) -> HttpResponse:
        merged = {"exp": datetime.now(UTC) + timedelta(hours=1), "scope": "face:verify", **claims}
        present = {name: value for name, value in merged.items() if value is not None}
        return ask(client, jwt.encode(present, settings.JWT_SECRET, "HS256"), user_id)

    return opened


@pytest.mark.parametrize("verified", [True, "true", False, "false", None])
def test_an_address_that_is_not_verified(own: Any, settings: Settings, verified: object) -> None:
    settings.JWT_USER_CLAIM = "email"
    answer = own({"email": "ann@example.com", "email_verified": verified}, "ann@example.com")
    assert answer.status_code == (201 if verified in (True, "true") else 401)


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("uid", {"uid": "42"}),
        ("uid", {"uid": 42}),
        ("app.user.id", {"app": {"user": {"id": 42}}}),
        ("https://app.example/id", {"https://app.example/id": "42"}),
        ("https://app.example/user.id", {"https://app.example/user": {"id": "42"}}),
        ("sub", {"sub": "42"}),
    ],
)
def test_where_the_user_id_is(own: Any, settings: Settings, claim: str, claims: Claims) -> None:
    settings.JWT_USER_CLAIM = claim
    assert data_of(own(claims, "42"), 201)["user_id"] == "42"
    assert refusal(own({"sub": "42" if claim != "sub" else None}, "42")) == (401, "invalid_token")


@pytest.mark.parametrize("value", [True, 4.2, ["42"], {"id": "42"}, "", " 42"])
def test_a_claim_that_is_no_user_id(own: Any, settings: Settings, value: object) -> None:
    settings.JWT_USER_CLAIM = "uid"
    assert refusal(own({"uid": value}, "42")) == (401, "invalid_token")


def test_a_name_that_a_user_chose_is_no_service(own: Any, settings: Settings) -> None:
    settings.JWT_USER_CLAIM, settings.JWT_SERVICE_CLIENTS = "preferred_username", ["backend"]
    answer = own({"sub": "7", "preferred_username": "backend"}, "42")
    assert refusal(answer) == (403, "not_your_user")


def test_the_settings_of_a_client_stand_in_place_of_the_token(own: Any, settings: Settings) -> None:
    settings.JWT_CLIENT_SCOPES = ["web=face:identify", "my=app=face:verify face:manage"]
    assert refusal(own({"sub": "42", "azp": "web"}, "42")) == (403, "insufficient_scope")
    assert own({"sub": "42", "azp": "my=app", "scope": None}, "42").status_code == 201
    assert own({"sub": "42", "azp": "other"}, "42").status_code == 201


@pytest.mark.parametrize("entry", ["web", "web=", "=face:verify", "web=face:everything"])
def test_scopes_of_a_client_that_cannot_be_meant(settings: Settings, entry: str) -> None:
    settings.JWT_CLIENT_SCOPES = [entry]
    assert [each.id for each in checks.clients()] == ["facesvc.E010"]


def test_a_provider_without_an_audience(settings: Settings) -> None:
    settings.JWT_JWKS_URL = "https://login.example/jwks.json"
    assert [each.id for each in checks.clients()] == ["facesvc.W003"]
