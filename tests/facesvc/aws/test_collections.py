"""Collections by boto3: what a service makes, what it may enter, and what nobody else sees."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from facesvc.monitoring.logs import RequestIdFilter
from management import own_collections
from recognition import daily_counts
from recognition.api.callers import making
from recognition.collections.current import Entered, entered
from recognition.collections.models import AccessKey, Collection
from recognition.models import AuditEvent, Face, User
from tests.facesvc.aws.clients import ALL_SCOPES, HERE, index, rekognition
from tests.support.builders import PICTURE, FakePipeline, vector

pytestmark = pytest.mark.django_db
STAGE = {"CollectionId": "staging.1"}


@pytest.fixture(autouse=True)
def settings_of_keys(settings: Settings) -> None:
    settings.FACESVC_AWS = True
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    settings.FACESVC_TEMPLATE_KEYS = (Fernet.generate_key().decode(),)


def make_key(
    service: str, scopes: Iterable[str] = ALL_SCOPES, *, collection: str = "default"
) -> tuple[str, str]:
    """As an operator makes it."""
    allowed = sorted({*scopes} & {*making.all_scopes(collection)})
    row, secret = making.make(AccessKey, service, allowed, collection=collection, by="test")
    return str(row.pk), secret


@pytest.fixture
def aws(client: Client) -> Any:
    return rekognition(client, *make_key("shop"))


@pytest.fixture
def stage(aws: Any) -> dict[str, str]:
    aws.create_collection(**STAGE)
    return STAGE


def test_it_works(aws: Any, fake: FakePipeline) -> None:
    made = aws.create_collection(**STAGE)
    assert made["StatusCode"] == 200
    assert made["FaceModelVersion"] == "dlib_v1"
    index(aws, fake, vector(1))
    fake.show(vector(1))
    aws.index_faces(**STAGE, Image={"Bytes": PICTURE}, ExternalImageId="other")
    aws.create_user(**STAGE, UserId="ann")
    described = aws.describe_collection(**STAGE)
    assert (described["FaceCount"], described["UserCount"]) == (1, 1)
    assert described["CollectionARN"] == made["CollectionArn"]
    assert described["CreationTimestamp"] <= timezone.now()
    assert aws.list_collections()["CollectionIds"] == ["default", "staging.1"]
    # The same photo finds the face of its own collection, and no other one.
    for where, external in ((HERE, None), (STAGE, "other")):
        (match,) = aws.search_faces_by_image(**where, Image={"Bytes": PICTURE})["FaceMatches"]
        assert match["Face"].get("ExternalImageId") == external
    assert aws.list_users(**HERE)["Users"] == []
    assert erase(aws, STAGE)["StatusCode"] == 200
    assert aws.list_collections()["CollectionIds"] == ["default"]
    with pytest.raises(aws.exceptions.ResourceNotFoundException):
        aws.describe_collection(**STAGE)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "FACESVC_TEMPLATE_KEYS",
            "A collection beside default needs FACESVC_TEMPLATE_KEYS: set it, and restart.",
        ),
        ("FACESVC_CROP_KEYS", "cannot read its access keys: FACESVC_CROP_KEYS has no key for"),
    ],
)
def test_what_the_service_lacks_is_said(
    aws: Any, settings: Settings, name: str, words: str
) -> None:
    setattr(settings, name, ())
    with pytest.raises(aws.exceptions.InternalServerError) as error:
        aws.create_collection(**STAGE)
    said = error.value.response["Error"]["Message"]
    assert words in said and "The operator of the service has to set that up" in said
    assert not Collection.objects.filter(name="staging.1").exists()


def test_nothing_of_an_erased_collection_stays(
    aws: Any, fake: FakePipeline, stage: dict[str, str]
) -> None:
    fake.show(vector(1))
    aws.index_faces(**stage, Image={"Bytes": PICTURE})
    number = Collection.objects.get(name="staging.1").pk
    make_key("other", collection="staging.1")
    erase(aws, stage)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_namespace WHERE nspname = %s", [f"collection_{number}"]
        )
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT count(*) FROM collections_accesskey")
        assert cursor.fetchone() == (1,)
    assert AuditEvent.objects.filter(action="collection.erase").count() == 1


def test_a_new_collection_of_an_erased_name_is_empty(
    aws: Any, fake: FakePipeline, stage: dict[str, str]
) -> None:
    fake.show(vector(1))
    aws.index_faces(**stage, Image={"Bytes": PICTURE})
    erase(aws, stage)
    aws.create_collection(**stage)
    assert aws.list_faces(**stage)["Faces"] == []


def test_a_token_of_a_page_ends_with_its_collection(aws: Any, stage: dict[str, str]) -> None:
    """Its position is a row of the one that was erased."""
    for name in ("ann", "ben"):
        aws.create_user(**stage, UserId=name)
    token = aws.list_users(**stage, MaxResults=1)["NextToken"]
    assert aws.list_users(**stage, NextToken=token)["Users"]
    erase(aws, stage)
    aws.create_collection(**stage)
    with pytest.raises(aws.exceptions.InvalidPaginationTokenException):
        aws.list_users(**stage, NextToken=token)


@pytest.mark.usefixtures("stage")
@pytest.mark.parametrize("name", ["staging.1", "default"])
def test_a_name_that_is_taken(aws: Any, name: str) -> None:
    with pytest.raises(aws.exceptions.ResourceAlreadyExistsException):
        aws.create_collection(CollectionId=name)
    assert Collection.objects.count() == 2


def test_the_own_collection_stays(aws: Any) -> None:
    with pytest.raises(aws.exceptions.InvalidParameterException):
        aws.delete_collection(**HERE)


def test_an_unknown_collection(aws: Any) -> None:
    operations = (
        aws.delete_collection,
        aws.describe_collection,
        aws.list_faces,
        aws.list_users,
    )
    for operation in operations:
        with pytest.raises(aws.exceptions.ResourceNotFoundException):
            operation(CollectionId="nowhere")


# --- other services -------------------------------------------------------------------------------


def test_another_service_sees_nothing_of_it(
    aws: Any, client: Client, stage: dict[str, str]
) -> None:
    """Neither with all scopes nor by a guess."""
    other = rekognition(client, *make_key("other"))
    assert other.list_collections()["CollectionIds"] == ["default"]
    for operation in (other.list_faces, other.describe_collection, other.delete_collection):
        with pytest.raises(other.exceptions.ResourceNotFoundException):
            operation(**stage)
    assert Collection.objects.filter(name="staging.1").exists()


def test_a_key_without_the_scope_has_its_own_collection_only(
    aws: Any, client: Client, stage: dict[str, str]
) -> None:
    same_service = rekognition(client, *make_key("shop", ["face:manage"]))
    assert same_service.list_collections()["CollectionIds"] == ["default"]
    with pytest.raises(same_service.exceptions.ResourceNotFoundException):
        same_service.list_faces(**stage)
    for operation in (same_service.create_collection, same_service.delete_collection):
        with pytest.raises(same_service.exceptions.AccessDeniedException):
            operation(**stage)


def test_a_key_of_another_collection(
    aws: Any, client: Client, fake: FakePipeline, stage: dict[str, str]
) -> None:
    """It works there, and `default` is not there for it."""
    mine = rekognition(client, *make_key("shop", collection="staging.1"))
    fake.show(vector(1))
    mine.index_faces(**stage, Image={"Bytes": PICTURE})
    assert mine.list_collections()["CollectionIds"] == ["staging.1"]
    with pytest.raises(mine.exceptions.ResourceNotFoundException):
        mine.list_faces(**HERE)
    # What needs no collection works in its own one.
    fake.show(vector(1))
    assert mine.detect_faces(Image={"Bytes": PICTURE})["FaceDetails"]
    assert not User.objects.exists()
    with inside("staging.1"):
        assert Face.objects.count() == 1


@pytest.fixture
def suspended(stage: dict[str, str]) -> Iterator[dict[str, str]]:
    Collection.objects.filter(name="staging.1").update(suspended_at=timezone.now())
    yield stage


def test_a_suspended_collection(aws: Any, suspended: dict[str, str]) -> None:
    with pytest.raises(aws.exceptions.AccessDeniedException, match="suspended"):
        aws.list_faces(**suspended)


def test_a_key_of_a_suspended_collection(aws: Any, client: Client, stage: dict[str, str]) -> None:
    key = make_key("shop", collection="staging.1")
    Collection.objects.filter(name="staging.1").update(suspended_at=timezone.now())
    mine = rekognition(client, *key)
    with pytest.raises(mine.exceptions.AccessDeniedException, match="suspended"):
        mine.list_faces(**stage)


def test_the_same_token_in_two_collections(aws: Any, stage: dict[str, str]) -> None:
    """What is repeated in one is the first request in the other."""
    for where in (HERE, stage):
        aws.create_user(**where, UserId="ann", ClientRequestToken="one")
        assert len(aws.list_users(**where)["Users"]) == 1


def test_all_pages(aws: Any) -> None:
    names = [f"c{number}" for number in range(3)]
    for name in names:
        aws.create_collection(CollectionId=name)
    pages = aws.get_paginator("list_collections").paginate(PaginationConfig={"PageSize": 3})
    found = [page["CollectionIds"] for page in pages]
    assert found == [["c0", "c1", "c2"], ["default"]]


def test_a_collection_that_is_erased_during_a_request(
    aws: Any, stage: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Collection(pk=10**6, name="staging.1", made_by="shop")
    monkeypatch.setattr(own_collections, "find_own", lambda caller, name: gone)
    with transaction.atomic():
        with pytest.raises(aws.exceptions.ResourceNotFoundException):
            aws.list_faces(**stage)
        transaction.set_rollback(True)


def test_a_refusal_is_counted_and_logged_in_the_collection(
    aws: Any, fake: FakePipeline, stage: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(RequestIdFilter())
    caplog.set_level("INFO", "facesvc.requests")
    fake.show([])
    with pytest.raises(aws.exceptions.InvalidParameterException):
        aws.search_faces_by_image(**stage, Image={"Bytes": PICTURE})
    assert vars(caplog.records[-1])["collection"] == "staging.1"
    counted = {(key[0].name, key[-1]) for key in daily_counts._counts}
    assert ("staging.1", "no_face") in counted and ("default", "no_face") not in counted


def erase(aws: Any, where: dict[str, str]) -> Any:
    """All of a test is one transaction, whose checks wait for its end otherwise."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return aws.delete_collection(**where)


def inside(name: str) -> Any:
    row = Collection.objects.get(name=name)
    collection: Entered = row.entered
    return entered(collection)
