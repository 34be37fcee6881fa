"""By the operations of AWS, too, what is in another collection is nowhere."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.db import transaction
from django.test import Client
from pytest_django import Settings

from facesvc.aws.operations.table import OPERATIONS
from recognition.api.callers import making
from recognition.collections.current import Entered
from recognition.collections.models import AccessKey
from tests.facesvc.aws.clients import rekognition
from tests.support.builders import PICTURE, FakePipeline, near, vector
from tests.support.dump import noted

pytestmark = pytest.mark.django_db

Ids = dict[str, str]
PHOTO = {"Bytes": PICTURE}
NOWHERE = {"face": "facefac3-0000-8000-8000-ffffffffffff", "user": "nobody", "collection": "bonk"}


@pytest.fixture(autouse=True)
def open_to_all(settings: Settings) -> None:
    settings.FACESVC_AWS = True


def client_of(place: Entered, service: str) -> Any:
    """With an access key that has all scopes of the collection."""
    scopes = making.all_scopes(place.name)
    key, secret = making.make(AccessKey, service, scopes, collection=place.name, by="test")
    return rekognition(Client(), str(key.pk), secret)


def fill(place: Entered, fake: FakePipeline) -> Ids:
    """A user with a face; another service did it."""
    aws, where = client_of(place, "theirs"), {"CollectionId": place.name}
    aws.create_user(**where, UserId="quirkington")
    fake.show(vector(1))
    stored = aws.index_faces(**where, Image=PHOTO, ExternalImageId="secret")
    face = stored["FaceRecords"][0]["Face"]["FaceId"]
    aws.associate_faces(**where, UserId="quirkington", FaceIds=[face])
    fake.show(near(vector(1), 0.97))
    return {"face": face, "user": "quirkington", "collection": place.name}


def requests(own: str, ids: Ids) -> dict[str, dict[str, Any]]:
    """Each operation in the collection `own`, by what its name begins with, with these ids."""
    here = {"CollectionId": own}
    user, face = {"UserId": ids["user"]}, {"FaceId": ids["face"]}
    faces = {"FaceIds": [ids["face"]]}
    return {
        "describe_collection": here,
        "list_collections": {},
        "index_faces": {**here, "Image": PHOTO},
        "list_faces": {**here, **faces},
        "list_faces of": {**here, **user},
        "delete_faces": {**here, **faces},
        "search_faces": {**here, **face},
        "search_faces_by_image": {**here, "Image": PHOTO, "FaceMatchThreshold": 0.0},
        "search_users": {**here, **user},
        "search_users of": {**here, **face},
        "search_users_by_image": {**here, "Image": PHOTO, "UserMatchThreshold": 0.0},
        "compare_faces": {"SourceImage": PHOTO, "TargetImage": PHOTO},
        "detect_faces": {"Image": PHOTO},
        "create_user": {**here, **user},
        "list_users": here,
        "delete_user": {**here, **user},
        "associate_faces": {**here, **user, **faces},
        "disassociate_faces": {**here, **user, **faces},
    }


def elsewhere(ids: Ids) -> dict[str, dict[str, Any]]:
    """Each operation in the collection that the ids name."""
    named = {
        name: {**fields, "CollectionId": ids["collection"]}
        for name, fields in requests("", ids).items()
        if "CollectionId" in fields
    }
    return {f"{name} elsewhere": fields for name, fields in named.items()} | {
        "delete_collection": {"CollectionId": ids["collection"]}
    }


_CHANGES = re.compile(r"facefac3-[0-9a-f-]{27}|[0-9a-f]{8}-[0-9a-f-]{27}")
_TIMES = re.compile(r"datetime\([^)]*\)")


def told(call: Callable[..., Any], fields: dict[str, Any], ids: Ids) -> tuple[str, list[str]]:
    """What is answered, with the names of ids in place of them, and the statements."""
    with transaction.atomic(), noted() as asked:
        try:
            answer = {**call(**fields)}
        except ClientError as error:
            answer = {**error.response}
        transaction.set_rollback(True)
    status = answer.pop("ResponseMetadata")["HTTPStatusCode"]
    text = repr((status, answer))
    for name, value in ids.items():
        text = text.replace(value, f"<{name}>")
    statements = [re.sub(r"s\d+_x\d+", "", sql) for sql in asked]
    return _TIMES.sub("-", _CHANGES.sub("-", text)), statements


@pytest.mark.parametrize(("mine", "theirs"), [(1, 2), (0, 1), (1, 0)])
def test_it_works(places: list[Entered], fake: FakePipeline, mine: int, theirs: int) -> None:
    """Neither an answer nor a statement tells whether it is there."""
    place, ids = places[mine], fill(places[theirs], fake)
    aws = client_of(place, "mine")
    assert aws.describe_collection(CollectionId=place.name)["FaceCount"] == 0
    found = requests(place.name, ids) | elsewhere(ids)
    for name, fields in (requests(place.name, NOWHERE) | elsewhere(NOWHERE)).items():
        call = getattr(aws, name.partition(" ")[0])
        told(call, fields, NOWHERE)  # so that what is kept for later is there
        there = told(call, fields, NOWHERE)
        here = told(call, found[name], ids)
        assert here == there, name
        assert "secret" not in here[0] and "quirkington" not in here[0]


def test_the_requests_are_of_every_operation() -> None:
    """A new one has to be among them; `create_collection` is said to take any name."""
    named = {name.partition(" ")[0].replace("_", "") for name in requests("", NOWHERE)}
    named |= {"createcollection", "deletecollection"}
    assert named == {name.lower() for name in OPERATIONS}


def test_a_name_that_is_taken_by_another_service(places: list[Entered]) -> None:
    """Names are those of the whole installation, so here it is told that one is taken. Who lacks
    the scope is not told."""
    aws = client_of(places[0], "mine")
    with pytest.raises(aws.exceptions.ResourceAlreadyExistsException):
        aws.create_collection(CollectionId="bank")
    other = client_of(places[1], "mine")
    for name in ("bank", "bonk"):
        with pytest.raises(other.exceptions.AccessDeniedException):
            other.create_collection(CollectionId=name)
