"""Access keys: made by an operator, shown once, counted at once."""

from datetime import timedelta
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from facesvc.aws import keys
from recognition.collections.models import AccessKey
from recognition.models import AuditEvent
from recognition.privacy import sealing
from tests.facesvc.aws.clients import HERE, rekognition

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def crop_keys(settings: Settings) -> None:
    settings.FACESVC_AWS = True
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("api_keys", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def made(*arguments: str) -> tuple[str, str]:
    lines = run("make", "shop", "--aws", *arguments).splitlines()
    key_id, secret = (line.partition(" = ")[2] for line in lines)
    return key_id, secret


def refused(web: Client, key_id: str, secret: str) -> str:
    with pytest.raises(Exception) as error:
        rekognition(web, key_id, secret).list_users(**HERE)
    return str(error.value.response["Error"]["Code"])  # type: ignore[attr-defined]


def test_it_works(client: Client) -> None:
    key_id, secret = made()
    assert key_id.startswith("FKIA") and len(key_id) == 20 and len(secret) == 40
    rekognition(client, key_id, secret).create_user(**HERE, UserId="ann")
    assert AuditEvent.objects.get(action="user.create").actor == "service:shop"
    assert AccessKey.objects.get().last_used_at is not None


def test_a_stolen_table_opens_nothing(client: Client, settings: Settings) -> None:
    key_id, secret = made()
    with connection.cursor() as cursor:
        cursor.execute("SELECT collections_accesskey::text FROM collections_accesskey")
        ((row,),) = cursor.fetchall()
    assert secret not in row and secret.encode().hex() not in row
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    assert refused(client, key_id, secret) == "InternalServerError"


def test_a_revoked_key_is_refused_by_the_next_request(client: Client) -> None:
    key_id, secret = made()
    rekognition(client, key_id, secret).list_users(**HERE)
    run("revoke", key_id)
    assert refused(client, key_id, secret) == "UnrecognizedClientException"
    assert "revoked" in run("list")


def test_a_key_that_has_expired(client: Client) -> None:
    key_id, secret = made("--days", "1")
    rekognition(client, key_id, secret).list_users(**HERE)
    AccessKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert refused(client, key_id, secret) == "UnrecognizedClientException"


def test_two_keys_overlap(client: Client) -> None:
    """So that a service changes over without a pause."""
    one = made()
    lines = run("rotate", one[0]).splitlines()
    for key_id, secret in (one, [line.partition(" = ")[2] for line in lines]):
        rekognition(client, key_id, secret).list_users(**HERE)
    run("revoke", one[0])
    assert refused(client, *one) == "UnrecognizedClientException"


def test_keys_are_sealed_again_with_a_new_key(client: Client, settings: Settings) -> None:
    key_id, secret = made()
    new = Fernet.generate_key().decode()
    settings.FACESVC_CROP_KEYS = [new, *settings.FACESVC_CROP_KEYS]
    assert list(sealing.rotate(AccessKey)) == [True]
    settings.FACESVC_CROP_KEYS = [new]
    rekognition(client, key_id, secret).list_users(**HERE)


def test_a_limit_of_its_own(client: Client) -> None:
    key_id, secret = made("--calls-per-minute", "1")
    aws = rekognition(client, key_id, secret)
    aws.list_users(**HERE)
    with pytest.raises(aws.exceptions.ProvisionedThroughputExceededException):
        aws.list_users(**HERE)


def test_the_list_shows_no_secret() -> None:
    key_id, secret = made("--scope", "face:identify", "--days", "30")
    listed = run("list")
    assert key_id in listed and secret not in listed
    assert all(each in listed for each in ("shop", "face:identify", "never", "valid until"))


def test_a_forged_signature_leaves_no_use(client: Client) -> None:
    key_id, _ = made()
    assert refused(client, key_id, "guessed") == "InvalidSignatureException"
    assert AccessKey.objects.get().last_used_at is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["make", "--aws", "no name!"], "A service's name"),
        (["make", "shop", "--scope", "face:all"], "Unknown scope"),
        (["make", "shop", "--days", "0"], "--days"),
        (["make", "shop", "--calls-per-minute", "0"], "calls per minute"),
        (["revoke", "AKIANOBODY"], "There is no key"),
    ],
)
def test_what_the_command_refuses(arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(*arguments)
    assert not AccessKey.objects.exists()


def test_no_key_without_encryption(settings: Settings) -> None:
    settings.FACESVC_CROP_KEYS = []
    with pytest.raises(CommandError, match="FACESVC_CROP_KEYS"):
        made()


def test_an_unknown_id_is_no_key() -> None:
    assert keys.find("AKIANOBODY") is None
