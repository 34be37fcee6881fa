"""IndexFaces, ListFaces and DeleteFaces, by boto3."""

from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from management import erasure
from recognition.models import AuditEvent, Face, NewFace, User
from tests.facesvc.aws.clients import HERE, index
from tests.support.builders import (
    OWNER,
    PICTURE,
    FakePipeline,
    face_of,
    make_face,
    make_user,
    misread,
    row_counts,
    vector,
)

pytestmark = pytest.mark.django_db
UNKNOWN = "facefac3-0000-8000-8000-ffffffffffff"


def test_it_works(aws: Any, fake: FakePipeline) -> None:
    fake.show(vector(1))
    answer = aws.index_faces(
        **HERE, Image={"Bytes": PICTURE}, ExternalImageId="ann_1.jpg", DetectionAttributes=["ALL"]
    )
    (record,) = answer["FaceRecords"]
    assert record["Face"]["ExternalImageId"] == "ann_1.jpg"
    assert record["Face"]["Confidence"] == 100
    # The picture has 64 x 48 pixels, and the face 40 x 40 at (4, 4).
    box = {"Left": 4 / 64, "Top": 4 / 48, "Width": 40 / 64, "Height": 40 / 48}
    assert record["Face"]["BoundingBox"] == pytest.approx(box, abs=1e-5)
    assert record["FaceDetail"]["BoundingBox"] == record["Face"]["BoundingBox"]
    assert answer["UnindexedFaces"] == []
    assert answer["FaceModelVersion"] == "dlib_v1"
    assert aws.list_faces(**HERE)["Faces"] == [record["Face"]]


def test_a_face_has_a_user_of_its_own_whom_everybody_may_find(aws: Any, fake: FakePipeline) -> None:
    index(aws, fake, vector(1), vector(2))
    users = User.objects.all()
    assert {(user.is_nameless, user.privacy_level) for user in users} == {(True, "public")}
    assert len(users) == 2
    assert not NewFace.objects.exists()  # nobody asks whether two of them are one person
    event = AuditEvent.objects.filter(action="face.register").first()
    assert event is not None and event.actor == "service:shop"


def test_the_same_photo_is_a_face_each_time(aws: Any, fake: FakePipeline) -> None:
    """As Rekognition has it."""
    (one,), (two,) = index(aws, fake, vector(1)), index(aws, fake, vector(1))
    assert one["FaceId"] != two["FaceId"]


def test_the_largest_faces_are_taken(aws: Any, fake: FakePipeline) -> None:
    small, large = face_of(vector(1), side=10), face_of(vector(2), side=30)
    fake.show([small, large])
    answer = aws.index_faces(**HERE, Image={"Bytes": PICTURE}, MaxFaces=1)
    (record,) = answer["FaceRecords"]
    assert record["Face"]["BoundingBox"]["Width"] == pytest.approx(30 / 64, abs=1e-5)
    (left,) = answer["UnindexedFaces"]
    assert left["Reasons"] == ["EXCEEDS_MAX_FACES"]
    assert left["FaceDetail"]["BoundingBox"]["Width"] == pytest.approx(10 / 64, abs=1e-5)


def test_a_bad_face_leaves_its_place_to_another(aws: Any, fake: FakePipeline) -> None:
    fake.show([face_of(vector(1), side=40, quality=0.3), face_of(vector(2), side=30)])
    answer = aws.index_faces(**HERE, Image={"Bytes": PICTURE}, MaxFaces=1)
    assert len(answer["FaceRecords"]) == 1
    assert "LOW_SHARPNESS" in answer["UnindexedFaces"][0]["Reasons"]


@pytest.mark.parametrize(
    ("quality_filter", "stored"), [("NONE", 4), ("LOW", 3), ("AUTO", 2), ("MEDIUM", 2), ("HIGH", 1)]
)
def test_a_quality_filter(aws: Any, fake: FakePipeline, quality_filter: str, stored: int) -> None:
    qualities = [0.3, 0.55, 0.7, 0.9]
    fake.show([face_of(vector(n), quality=each) for n, each in enumerate(qualities)])
    answer = aws.index_faces(**HERE, Image={"Bytes": PICTURE}, QualityFilter=quality_filter)
    assert len(answer["FaceRecords"]) == stored
    assert len(answer["UnindexedFaces"]) == 4 - stored


def test_a_misread_face_is_never_stored(aws: Any, fake: FakePipeline) -> None:
    """Its template would be alike to those of all others that are misread."""
    fake.show(misread(vector(1)))
    answer = aws.index_faces(**HERE, Image={"Bytes": PICTURE}, QualityFilter="NONE")
    assert answer["FaceRecords"] == []
    assert len(answer["UnindexedFaces"]) == 1


def test_a_picture_without_faces(aws: Any, fake: FakePipeline) -> None:
    fake.show([])
    answer = aws.index_faces(**HERE, Image={"Bytes": PICTURE})
    assert answer["FaceRecords"] == answer["UnindexedFaces"] == []


def test_a_consent_that_is_required_cannot_be_given(
    aws: Any, fake: FakePipeline, settings: Settings
) -> None:
    settings.FACESVC_REQUIRE_CONSENT = True
    fake.show(vector(1))
    with pytest.raises(aws.exceptions.InvalidParameterException):
        aws.index_faces(**HERE, Image={"Bytes": PICTURE})
    assert row_counts() == {}


def test_a_turned_face_is_where_it_is_in_the_picture(aws: Any, fake: FakePipeline) -> None:
    """The picture of 64 x 48 was turned clockwise, so that it was upright: 48 x 64."""
    fake.show(replace(face_of(vector(1)), rotation=90, box=face_of(vector(1)).box))
    (face,) = aws.detect_faces(Image={"Bytes": PICTURE})["FaceDetails"]
    # Left in the turned picture is below in this one.
    expected = {"Left": 4 / 64, "Top": (48 - 44) / 48, "Width": 40 / 64, "Height": 40 / 48}
    assert face["BoundingBox"] == pytest.approx(expected, abs=1e-5)
    assert face["Pose"]["Roll"] == -90


# --- lists ----------------------------------------------------------------------------------------


def test_all_pages_of_a_list(aws: Any, fake: FakePipeline) -> None:
    stored = [index(aws, fake, vector(n))[0]["FaceId"] for n in range(5)]
    pages = aws.get_paginator("list_faces").paginate(**HERE, PaginationConfig={"PageSize": 2})
    found = [[face["FaceId"] for face in page["Faces"]] for page in pages]
    assert found == [stored[:2], stored[2:4], stored[4:]]


def test_a_list_of_some_faces(aws: Any, fake: FakePipeline) -> None:
    one, two, _ = index(aws, fake, vector(1), vector(2), vector(3))
    wanted = [two["FaceId"], UNKNOWN, one["FaceId"]]
    assert aws.list_faces(**HERE, FaceIds=wanted)["Faces"] == [one, two]


def test_a_face_that_was_registered_has_no_picture(aws: Any) -> None:
    """Its box and its photo are not known; what is not known is not there."""
    face = make_face(make_user(OWNER), vector(1), metadata={"rekognition": "mine"})
    (shown,) = aws.list_faces(**HERE)["Faces"]
    digits = face.face_id.removeprefix("face_")
    assert shown == {
        "FaceId": f"facefac3-0000-8000-8000-{digits}",
        "IndexFacesModelVersion": "dlib_v1",
        "UserId": str(OWNER),
    }


@pytest.mark.parametrize("token", ["x", "gAAAAA", "a" * 255])
def test_a_token_of_no_page(aws: Any, token: str) -> None:
    with pytest.raises(aws.exceptions.InvalidPaginationTokenException):
        aws.list_faces(**HERE, NextToken=token)


def test_a_token_of_another_list(aws: Any, fake: FakePipeline) -> None:
    index(aws, fake, vector(1), vector(2))
    token = aws.list_faces(**HERE, MaxResults=1)["NextToken"]
    for name in "ab":
        aws.create_user(**HERE, UserId=name)
    with pytest.raises(aws.exceptions.InvalidPaginationTokenException):
        aws.list_users(**HERE, NextToken=token)
    with pytest.raises(aws.exceptions.InvalidPaginationTokenException):
        aws.list_faces(**HERE, UserId="a", NextToken=token)


def test_a_list_of_an_unknown_user(aws: Any) -> None:
    with pytest.raises(aws.exceptions.ResourceNotFoundException):
        aws.list_faces(**HERE, UserId="nobody")


# --- deletion -------------------------------------------------------------------------------------


def test_a_deleted_face_leaves_nothing(aws: Any, fake: FakePipeline) -> None:
    (face,) = index(aws, fake, vector(1))
    answer = aws.delete_faces(**HERE, FaceIds=[face["FaceId"], UNKNOWN])
    assert answer["DeletedFaces"] == [face["FaceId"]]
    assert answer["UnsuccessfulFaceDeletions"] == [
        {"FaceId": UNKNOWN, "Reasons": ["FACE_NOT_FOUND"]}
    ]
    assert not Face.objects.exists() and not User.objects.exists()


def test_many_faces_are_deleted_by_few_statements(aws: Any, fake: FakePipeline) -> None:
    """As many as for one. One of a person is kept among them."""
    faces = index(aws, fake, *(vector(number) for number in range(30)))
    ids = [face["FaceId"] for face in faces]
    with CaptureQueriesContext(connection) as for_one:
        aws.delete_faces(**HERE, FaceIds=ids[:1])
    aws.create_user(**HERE, UserId="ann")
    aws.associate_faces(**HERE, UserId="ann", FaceIds=ids[1:2])
    with CaptureQueriesContext(connection) as for_many:
        answer = aws.delete_faces(**HERE, FaceIds=[*ids, ids[5]])
    assert len(for_many) <= len(for_one)
    assert answer["DeletedFaces"] == ids[2:]
    refused = answer["UnsuccessfulFaceDeletions"]
    assert [each["FaceId"] for each in refused] == ids[:2]
    assert [face["FaceId"] for face in aws.list_faces(**HERE)["Faces"]] == ids[1:2]
    erased = AuditEvent.objects.filter(action="user.erase")
    assert erased.count() == 29 and erased.filter(details__together=28).count() == 28


def test_a_face_that_is_given_while_it_is_deleted(
    aws: Any, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of its person goes. The others are deleted all the same."""
    ids = [face["FaceId"] for face in index(aws, fake, *map(vector, range(3)))]
    aws.create_user(**HERE, UserId="ann")
    erase = erasure.erase_together

    def late(**options: Any) -> bool:
        aws.associate_faces(**HERE, UserId="ann", FaceIds=ids[1:2])
        return erase(**options)

    monkeypatch.setattr(erasure, "erase_together", late)
    answer = aws.delete_faces(**HERE, FaceIds=ids)
    assert answer["DeletedFaces"] == [ids[0], ids[2]]
    assert [each["FaceId"] for each in answer["UnsuccessfulFaceDeletions"]] == ids[1:2]
    assert Face.objects.count() == 1


def test_a_face_of_a_user_is_not_deleted(aws: Any, fake: FakePipeline) -> None:
    """It has to be disassociated first, as in Rekognition."""
    (face,) = index(aws, fake, vector(1))
    aws.create_user(**HERE, UserId="ann")
    aws.associate_faces(**HERE, UserId="ann", FaceIds=[face["FaceId"]])
    answer = aws.delete_faces(**HERE, FaceIds=[face["FaceId"]])
    assert answer["UnsuccessfulFaceDeletions"] == [
        {
            "FaceId": face["FaceId"],
            "UserId": "ann",
            "Reasons": ["ASSOCIATED_TO_AN_EXISTING_USER"],
        }
    ]
    assert Face.objects.count() == 1
