"""An app of Rekognition, from its first key to its last face: boto3, a running service, photos.

People of lfw-a: two photos of each are indexed, and a third one of some of them is searched for.
"""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.fernet import Fernet

from facesvc.home import BASE_DIR
from tests.support.photos import SHARED, needs_shared
from tests.support.servers.whole_service import Service

pytestmark = [pytest.mark.slow, needs_shared]
PEOPLE, SEARCHED = 30, 20
HERE = {"CollectionId": "album.1"}


@pytest.fixture(scope="module")
def changes() -> dict[str, str]:
    names = ("FACESVC_CROP_KEYS", "FACESVC_TEMPLATE_KEYS")
    return {"FACESVC_AWS": "true", **{name: Fernet.generate_key().decode() for name in names}}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, changes: dict[str, str]) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("story"), **changes)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.kill()


@pytest.fixture(scope="module")
def aws(service: Service, changes: dict[str, str]) -> Any:
    """With a key that an operator has made."""
    made = subprocess.run(
        [sys.executable, "manage.py", "api_keys", "make", "album", "--aws", "--scope", "all"],
        cwd=BASE_DIR,
        env={**os.environ, **changes, "FACESVC_DATA": str(service.data_dir)},
        capture_output=True,
        text=True,
        check=True,
    )
    pairs = dict(line.split(" = ") for line in made.stdout.splitlines())
    return client(service, **pairs)


def client(service: Service, **key: str) -> Any:
    address = f"http://127.0.0.1:{service.port}/aws"
    config = Config(read_timeout=120, retries={"mode": "standard"})
    made = boto3.client(
        "rekognition", endpoint_url=address, region_name="us-east-1", config=config, **key
    )
    return made


def people() -> dict[str, list[bytes]]:
    """Three photos of each, by name."""
    folders = sorted(path for path in (SHARED / "lfw-a").iterdir() if path.is_dir())
    several = {folder.name: sorted(folder.iterdir())[:3] for folder in folders}
    whole = {name: photos for name, photos in several.items() if len(photos) == 3}
    return {name: [*map(Path.read_bytes, whole[name])] for name in sorted(whole)[:PEOPLE]}


def every(pages: Any, name: str) -> list[Any]:
    return [each for page in pages for each in page[name]]


def test_it_works(aws: Any) -> None:
    photos = people()
    aws.create_collection(**HERE)
    stored = index(aws, photos)
    listed = every(aws.get_paginator("list_faces").paginate(**HERE, MaxResults=7), "Faces")
    assert [face["FaceId"] for face in listed] == [face for face, _ in stored]
    search_faces(aws, photos)
    associate(aws, photos, stored)
    search_users(aws, photos)
    compare(aws, photos)
    delete(aws, stored)


def index(aws: Any, photos: dict[str, list[bytes]]) -> list[tuple[str, str]]:
    """Ids of faces with their people. Nearly all photos are good enough."""
    stored = []
    for name, (one, two, _) in photos.items():
        for number, photo in enumerate((one, two)):
            answer = aws.index_faces(
                **HERE, Image={"Bytes": photo}, MaxFaces=1, ExternalImageId=f"{name}:{number}"
            )
            stored += [(record["Face"]["FaceId"], name) for record in answer["FaceRecords"]]
    assert len(stored) > 1.9 * PEOPLE
    assert aws.describe_collection(**HERE)["FaceCount"] == len(stored)
    return stored


def search_faces(aws: Any, photos: dict[str, list[bytes]]) -> None:
    """Held-out photos find their people, and the first face is never a stranger's."""
    found = {}
    for name in [*photos][:SEARCHED]:
        answer = aws.search_faces_by_image(**HERE, Image={"Bytes": photos[name][2]}, MaxFaces=2)
        found[name] = [each["Face"]["ExternalImageId"] for each in answer["FaceMatches"]]
        similarities = [each["Similarity"] for each in answer["FaceMatches"]]
        assert similarities == sorted(similarities, reverse=True)
        assert all(80 <= similarity <= 100 for similarity in similarities)
    first = {name: each[0].partition(":")[0] for name, each in found.items() if each}
    assert first == {name: name for name in first}
    assert len(first) >= SEARCHED - 2


def associate(aws: Any, photos: dict[str, list[bytes]], stored: list[tuple[str, str]]) -> None:
    given = 0
    for name in photos:
        aws.create_user(**HERE, UserId=name)
        ids = [face for face, owner in stored if owner == name]
        answer = aws.associate_faces(**HERE, UserId=name, FaceIds=ids)
        given += len(answer["AssociatedFaces"])
        refused = answer["UnsuccessfulFaceAssociations"]
        assert all(each["Reasons"] == ["LOW_MATCH_CONFIDENCE"] for each in refused)
    assert given > 1.7 * PEOPLE
    users = every(aws.get_paginator("list_users").paginate(**HERE), "Users")
    assert {user["UserId"] for user in users} == photos.keys()
    with pytest.raises(aws.exceptions.ConflictException):
        aws.create_user(**HERE, UserId=next(iter(photos)))


def search_users(aws: Any, photos: dict[str, list[bytes]]) -> None:
    first = {}
    for name in [*photos][:SEARCHED]:
        answer = aws.search_users_by_image(**HERE, Image={"Bytes": photos[name][2]})
        for match in answer["UserMatches"][:1]:
            first[name] = match["User"]["UserId"]
    assert first == {name: name for name in first}
    assert len(first) >= SEARCHED - 2


def compare(aws: Any, photos: dict[str, list[bytes]]) -> None:
    """Photos of one person mostly match, and those of two never do."""
    names = [*photos][:SEARCHED]
    matched = strangers = 0
    for name, other in itertools.pairwise(names):
        for target in (name, other):
            answer = aws.compare_faces(
                SourceImage={"Bytes": photos[name][0]}, TargetImage={"Bytes": photos[target][2]}
            )
            assert answer["FaceMatches"] or answer["UnmatchedFaces"]
            matched += target == name and bool(answer["FaceMatches"])
            strangers += target != name and bool(answer["FaceMatches"])
    assert matched >= 0.7 * len(names)
    assert strangers == 0


def delete(aws: Any, stored: list[tuple[str, str]]) -> None:
    """Users first: a face of a user stays."""
    ids = [face for face, _ in stored]
    kept = aws.delete_faces(**HERE, FaceIds=ids)["UnsuccessfulFaceDeletions"]
    assert kept
    for name in {owner for _, owner in stored}:
        aws.delete_user(**HERE, UserId=name)
    left = [each["FaceId"] for each in kept]
    assert aws.delete_faces(**HERE, FaceIds=left)["DeletedFaces"] == left
    counts = aws.describe_collection(**HERE)
    assert (counts["FaceCount"], counts["UserCount"]) == (0, 0)
    aws.delete_collection(**HERE)
    assert aws.list_collections()["CollectionIds"] == ["default"]
    with pytest.raises(aws.exceptions.ResourceNotFoundException):
        aws.list_faces(**HERE)


def test_a_long_body_of_an_unknown_key_gets_its_answer(service: Service) -> None:
    """The service has not read it, and the client sends it to its end before it looks."""
    stranger = client(service, aws_access_key_id="AKIANOBODY", aws_secret_access_key="x")
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        stranger.detect_faces(Image={"Bytes": bytes(4_000_000)})
