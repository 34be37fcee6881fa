"""Tokens: who is calling, verified and not just decoded."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings as django_settings
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from recognition.api.callers import tokens
from tests.support.builders import OWNER, PREFIX, STRANGER, Person, make_user, refusal, user_token
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.django_db

SECRET = django_settings.JWT_SECRET
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
ED_KEY = ed25519.Ed25519PrivateKey.generate()
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def pem(key: Any) -> str:
    text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


def in_minutes(minutes: float) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=minutes)


def signed(key: Any = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    """A token that is good but for the changes; None takes a claim away."""
    claims = {"sub": str(OWNER), "scope": "face:manage", "exp": in_minutes(600), **changes}
    header = {"kid": claims.pop("kid")} if "kid" in claims else None
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, key, algorithm, headers=header)


def ask(client: Client, token: str) -> HttpResponse:
    return Person(token, client).get(f"users/{OWNER}")


@pytest.fixture(autouse=True)
def user() -> None:
    make_user(OWNER)


def test_it_works(client: Client) -> None:
    assert ask(client, signed()).status_code == 200
    assert ask(client, user_token(OWNER)).status_code == 200


def test_a_service_is_named_by_its_client(client: Client) -> None:
    name = "photo-app.eu@example:1"
    assert ask(client, signed(sub=name, client_id=name)).status_code == 200


@pytest.mark.parametrize("client_id", [None, "another", 7, "auth0|7 "])
def test_a_user_is_no_service_by_an_id(client: Client, client_id: object) -> None:
    """An app that signs for users with ids as `42` would otherwise give each of them all rights."""
    for sub in ("42", "app", "auth0|7"):
        answer = ask(client, signed(sub=sub, client_id=client_id))
        assert refusal(answer) == (404, "user_not_found")


def test_a_uuid_is_never_a_service_of_our_secret(client: Client) -> None:
    answer = ask(client, signed(sub=str(STRANGER), client_id=str(STRANGER)))
    assert refusal(answer) == (404, "user_not_found")


@pytest.mark.parametrize("header", ["", "Basic dTpw", "Token abc", "bearer"])
def test_no_token(client: Client, header: str) -> None:
    headers = {"Authorization": header} if header else {}
    answer = client.get(f"{PREFIX}users/{OWNER}", headers=headers)
    assert refusal(answer) in {(401, "not_authenticated"), (401, "invalid_token")}
    assert answer["WWW-Authenticate"] == 'Bearer realm="facesvc"'


def test_no_header_is_not_authenticated(client: Client) -> None:
    assert refusal(client.get(f"{PREFIX}users/{OWNER}")) == (401, "not_authenticated")


def test_expired(client: Client) -> None:
    assert refusal(ask(client, signed(exp=in_minutes(-1)))) == (401, "token_expired")


def tampered() -> str:
    head, claims, signature = signed(scope="").split(".")
    padded = base64.urlsafe_b64decode(claims + "==")
    more = json.dumps({**json.loads(padded), "scope": "face:manage face:admin"}).encode()
    return f"{head}.{base64.urlsafe_b64encode(more).decode().rstrip('=')}.{signature}"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(signed("x" * 64), id="signed with another secret"),
        pytest.param(signed(None, "none"), id="alg none"),
        pytest.param(signed(SECRET, "HS384"), id="another algorithm"),
        pytest.param(signed(RSA_KEY, "RS256"), id="a key where a secret is configured"),
        pytest.param(tampered(), id="claims changed"),
        pytest.param(signed()[:-4], id="signature cut"),
        pytest.param(signed(exp=None), id="without exp"),
        pytest.param(signed(sub=None), id="without sub"),
        pytest.param(signed(exp="soon"), id="exp of the wrong type"),
        pytest.param(signed(nbf=in_minutes(300)), id="not valid yet"),
        pytest.param(signed(sub="blank "), id="sub neither id nor name"),
        pytest.param(signed(sub=""), id="empty sub"),
        pytest.param(signed(sub="n" * 129), id="sub too long"),
        pytest.param(signed(sub="name\n"), id="sub with a line break"),
        pytest.param(signed(scope=7), id="scope of the wrong type"),
        pytest.param(signed(scope=["face:manage", 7]), id="scope of mixed types"),
        pytest.param(signed(scope=None, scp={"face:manage": True}), id="scp of the wrong type"),
        pytest.param("garbage", id="garbage"),
        pytest.param("a.b.c", id="three parts of nothing"),
        pytest.param("two words", id="two words"),
        pytest.param("é", id="not ASCII"),
    ],
)
def test_a_bad_token(client: Client, token: str) -> None:
    assert refusal(ask(client, token)) == (401, "invalid_token")


@pytest.mark.parametrize("sub", [7, True, ["a"], {"a": 1}])
def test_a_subject_that_is_no_text(client: Client, sub: object) -> None:
    """Which libraries refuse to make."""
    parts = [{"alg": "HS256"}, {"sub": sub, "scope": "face:manage", "exp": 4e9}]
    texts = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts]
    mac = hmac.digest(SECRET.encode(), b".".join(texts), hashlib.sha256)
    token = b".".join([*texts, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()
    assert refusal(ask(client, token)) == (401, "invalid_token")


def test_a_token_without_the_scope(client: Client) -> None:
    for scope in (None, "", "face:verify", "face:manager xface:manage"):
        assert refusal(ask(client, signed(scope=scope))) == (403, "insufficient_scope")


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": ["face:verify", "face:manage"]},
        {"scope": None, "scp": "openid face:manage"},
        {"scope": None, "scp": ["face:manage"]},
        {"scope": "openid", "scp": ["face:manage"]},
        {"scope": ["openid face:manage"]},
    ],
)
def test_scopes_as_identity_providers_write_them(client: Client, claims: dict[str, Any]) -> None:
    assert ask(client, signed(**claims)).status_code == 200


def test_commas_between_scopes_are_named(client: Client) -> None:
    answer = ask(client, signed(scope="face:verify,face:manage"))
    assert refusal(answer) == (401, "invalid_token")
    assert "blanks" in answer.json()["error"]["message"]


def test_clocks_may_differ_a_little(client: Client, settings: Settings) -> None:
    """The issuer's clock is half a minute behind ours, or before it."""
    late, early = signed(exp=in_minutes(-0.3)), signed(nbf=in_minutes(0.3))
    assert ask(client, late).status_code == ask(client, early).status_code == 200
    settings.JWT_LEEWAY_SECONDS = 0
    assert refusal(ask(client, late)) == (401, "token_expired")
    assert refusal(ask(client, early)) == (401, "invalid_token")


def test_listed_services_count_for_our_secret_as_well(client: Client, settings: Settings) -> None:
    settings.JWT_SERVICE_CLIENTS = ["photo-app"]
    assert ask(client, signed(sub="photo-app")).status_code == 200
    other = signed(sub="another-app", client_id="another-app")
    assert refusal(ask(client, other)) == (404, "user_not_found")


# --- audience and issuer --------------------------------------------------------------------------


def test_the_audience_must_be_ours(client: Client, settings: Settings) -> None:
    settings.JWT_AUDIENCE = ["facesvc"]
    assert ask(client, signed(aud="facesvc")).status_code == 200
    assert ask(client, signed(aud=["other", "facesvc"])).status_code == 200
    assert refusal(ask(client, signed(aud="other"))) == (401, "invalid_token")
    assert refusal(ask(client, signed())) == (401, "invalid_token")


def test_the_issuer_must_be_ours(client: Client, settings: Settings) -> None:
    settings.JWT_ISSUER = ["https://login.example"]
    assert ask(client, signed(iss="https://login.example")).status_code == 200
    assert refusal(ask(client, signed(iss="https://evil.example"))) == (401, "invalid_token")
    assert refusal(ask(client, signed())) == (401, "invalid_token")


def test_our_own_tokens_name_both(client: Client, settings: Settings) -> None:
    settings.JWT_AUDIENCE = ["facesvc"]
    settings.JWT_ISSUER = ["https://login.example"]
    assert ask(client, user_token(OWNER)).status_code == 200


# --- public keys ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA_KEY, "RS256"), (ED_KEY, "EdDSA"), (EC_KEY, "ES256")]
)
def test_a_public_key(client: Client, settings: Settings, key: Any, algorithm: str) -> None:
    settings.JWT_PUBLIC_KEY = pem(key)
    assert ask(client, signed(key, algorithm)).status_code == 200


def test_services_must_be_known_to_us(client: Client, settings: Settings) -> None:
    """Any account of the identity provider would otherwise act for everybody."""
    settings.JWT_PUBLIC_KEY = pem(RSA_KEY)
    token = signed(RSA_KEY, "RS256", sub="photo-app", client_id="photo-app")
    assert refusal(ask(client, token)) == (404, "user_not_found")
    settings.JWT_SERVICE_CLIENTS = ["photo-app"]
    assert ask(client, token).status_code == 200


def test_another_private_key(client: Client, settings: Settings) -> None:
    settings.JWT_PUBLIC_KEY = pem(RSA_KEY)
    assert refusal(ask(client, signed(OTHER_RSA_KEY, "RS256"))) == (401, "invalid_token")


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
def test_a_key_of_another_kind(client: Client, settings: Settings, algorithm: str) -> None:
    settings.JWT_PUBLIC_KEY = pem(RSA_KEY)
    key = {"EdDSA": ED_KEY, "ES256": EC_KEY}[algorithm]
    assert refusal(ask(client, signed(key, algorithm))) == (401, "invalid_token")


@pytest.mark.parametrize("key", ["nonsense", pem(ec.generate_private_key(ec.SECP384R1()))])
def test_a_public_key_that_cannot_be_used(client: Client, settings: Settings, key: str) -> None:
    settings.JWT_PUBLIC_KEY = key
    assert refusal(ask(client, signed(RSA_KEY, "RS256"))) == (503, "unavailable")


def test_the_secret_counts_no_longer_with_a_public_key(client: Client, settings: Settings) -> None:
    settings.JWT_PUBLIC_KEY = pem(RSA_KEY)
    assert refusal(ask(client, signed())) == (401, "invalid_token")


@pytest.mark.parametrize("key", [RSA_KEY, ED_KEY])
def test_the_public_key_is_no_secret(client: Client, settings: Settings, key: Any) -> None:
    """The confusion: HS256 with the public key, which everybody knows, as the secret."""
    settings.JWT_PUBLIC_KEY = pem(key)
    head, claims = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in (
            {"alg": "HS256", "typ": "JWT"},
            {"sub": str(OWNER), "scope": "face:manage", "exp": 4102444800},
        )
    )
    mac = hmac.digest(pem(key).encode(), head + b"." + claims, hashlib.sha256)
    token = b".".join([head, claims, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()
    assert refusal(ask(client, token)) == (401, "invalid_token")


# --- keys from the identity provider --------------------------------------------------------------


def published(key: rsa.RSAPrivateKey, kid: str) -> bytes:
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return json.dumps({"keys": [{**public, "kid": kid, "use": "sig", "alg": "RS256"}]}).encode()


class KeyServer(HTTPServer):
    """Publishes RSA_KEY under the id `first`, or what a test puts into `body`."""

    body = published(RSA_KEY, "first")
    status = 200
    asked = 0
    drips = False


@pytest.fixture
def key_server(settings: Settings) -> Iterator[KeyServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked += 1
            self.send_response(server.status)
            self.end_headers()
            with suppress(OSError):  # they hang up, as they should
                while server.drips:
                    self.wfile.write(b" ")
                    time.sleep(0.05)
            self.wfile.write(server.body)

        def log_message(self, *_: Any) -> None:
            pass

    server = KeyServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    settings.JWT_JWKS_URL = f"http://127.0.0.1:{server.server_port}/jwks.json"
    tokens._jwks.cache_clear()
    yield server
    server.shutdown()
    server.server_close()


def test_a_key_by_its_id(client: Client, key_server: KeyServer) -> None:
    assert ask(client, signed(RSA_KEY, "RS256", kid="first")).status_code == 200


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(signed(OTHER_RSA_KEY, "RS256", kid="first"), id="another key"),
        pytest.param(signed(RSA_KEY, "RS256", kid="second"), id="an unknown id"),
        pytest.param(signed(RSA_KEY, "RS256"), id="no id"),
        pytest.param(signed(kid="first"), id="our secret"),
        pytest.param(signed(ED_KEY, "EdDSA", kid="first"), id="a key of another kind"),
        pytest.param(signed(EC_KEY, "ES256", kid="first"), id="an elliptic curve, the key is RSA"),
        pytest.param(signed(RSA_KEY, "PS256", kid="first"), id="an algorithm that is not ours"),
        pytest.param(signed(RSA_KEY, "RS256", kid="f" * 5000), id="a long id"),
        pytest.param("garbage", id="garbage"),
    ],
)
def test_a_token_the_provider_did_not_make(
    client: Client, key_server: KeyServer, token: str
) -> None:
    assert refusal(ask(client, token)) == (401, "invalid_token")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"keys": []}', b'{"keys": [{}]}'])
def test_a_provider_that_answers_nonsense(
    client: Client, key_server: KeyServer, body: bytes
) -> None:
    key_server.body = body
    assert ask(client, signed(RSA_KEY, "RS256", kid="first")).status_code in {401, 503}


def expire_keys() -> None:
    """As if the keys that were fetched had become too old."""
    tokens._jwks(django_settings.JWT_JWKS_URL).jwk_set_cache = None


def test_a_new_key_of_the_provider(client: Client, key_server: KeyServer) -> None:
    assert ask(client, signed(RSA_KEY, "RS256", kid="first")).status_code == 200
    key_server.body = published(OTHER_RSA_KEY, "second")
    expire_keys()
    assert ask(client, signed(OTHER_RSA_KEY, "RS256", kid="second")).status_code == 200


def test_a_key_that_the_provider_withdrew(client: Client, key_server: KeyServer) -> None:
    token = signed(RSA_KEY, "RS256", kid="first")
    assert ask(client, token).status_code == 200
    key_server.body = published(OTHER_RSA_KEY, "second")
    expire_keys()
    assert refusal(ask(client, token)) == (401, "invalid_token")


def test_a_provider_that_does_not_answer(client: Client, settings: Settings) -> None:
    settings.JWT_JWKS_URL = "http://127.0.0.1:9/jwks.json"
    tokens._jwks.cache_clear()
    answer = ask(client, signed(RSA_KEY, "RS256", kid="first"))
    assert refusal(answer) == (503, "unavailable")
    assert answer["Retry-After"]
    assert "127.0.0.1" not in answer.content.decode()


def test_a_provider_that_drips(
    client: Client, key_server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody else waits for the keys as well."""
    key_server.drips = True
    monkeypatch.setattr(tokens._jwks(django_settings.JWT_JWKS_URL), "timeout", 0.3)
    in_the_end = threading.Timer(PATIENCE, setattr, [key_server, "drips", False])
    in_the_end.start()
    answer = ask(client, signed(RSA_KEY, "RS256", kid="first"))
    assert key_server.drips and refusal(answer) == (503, "unavailable")
    in_the_end.cancel()
    key_server.drips = False


def test_a_provider_that_is_away_is_asked_now_and_then(
    client: Client, key_server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each question keeps everybody waiting; who has a known key needs none."""
    good, unknown = (signed(RSA_KEY, "RS256", kid=kid) for kid in ("first", "second"))
    assert ask(client, good).status_code == 200
    keys = tokens._jwks(django_settings.JWT_JWKS_URL)
    monkeypatch.setattr(keys, "cooldown_duration", 0)
    monkeypatch.setattr(keys, "PAUSE", 3600.0)
    key_server.status, before = 503, key_server.asked
    assert [refusal(ask(client, unknown))[0] for _ in range(3)] == [503] * 3
    assert key_server.asked == before + 1
    assert ask(client, good).status_code == 200
    key_server.status, keys._asked_again_at = 200, 0.0
    assert refusal(ask(client, unknown)) == (401, "invalid_token")
