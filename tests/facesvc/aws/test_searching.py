"""Searches by boto3. The scores are those of the pack's calibration."""

from typing import Any

import pytest

from recognition.packs import engine
from tests.facesvc.aws.clients import HERE, index
from tests.support.builders import (
    OWNER,
    PICTURE,
    FakePipeline,
    face_of,
    make_face,
    make_user,
    misread,
    near,
    vector,
)

pytestmark = pytest.mark.django_db
PHOTO = {"Bytes": PICTURE}
UNKNOWN = "facefac3-0000-8000-8000-ffffffffffff"


def cosine_of(similarity: float) -> float:
    return engine.current().scores.cosine_of_confidence(similarity / 100)


def alike(similarity: float, *, toward: int = 127) -> Any:
    """An embedding that has this similarity to person 1."""
    return near(vector(1), cosine_of(similarity) + 1e-4, toward=toward)


def by_image(aws: Any, fake: FakePipeline, **options: Any) -> list[tuple[str, float]]:
    fake.show(vector(1))
    answer = aws.search_faces_by_image(**HERE, Image=PHOTO, **options)
    return [(each["Face"]["FaceId"], each["Similarity"]) for each in answer["FaceMatches"]]


def test_it_works(aws: Any, fake: FakePipeline) -> None:
    stored = index(aws, fake, alike(85), alike(95, toward=20), vector(2))
    fake.show([face_of(vector(1), side=40), face_of(vector(2), side=20)])
    answer = aws.search_faces_by_image(**HERE, Image=PHOTO)
    # The smaller face of the picture is not searched.
    assert [each["Face"] for each in answer["FaceMatches"]] == [stored[1], stored[0]]
    similarities = [each["Similarity"] for each in answer["FaceMatches"]]
    assert similarities == pytest.approx([95, 85], abs=0.1)
    assert answer["SearchedFaceConfidence"] == 100
    assert answer["SearchedFaceBoundingBox"]["Width"] == pytest.approx(40 / 64, abs=1e-5)
    assert answer["FaceModelVersion"] == "dlib_v1"


def test_a_threshold(aws: Any, fake: FakePipeline) -> None:
    """The default is 80, which one stranger in a thousand reaches."""
    faces = index(aws, fake, alike(79), alike(81, toward=20))
    low, high = (face["FaceId"] for face in faces)
    assert [face for face, _ in by_image(aws, fake)] == [high]
    assert [face for face, _ in by_image(aws, fake, FaceMatchThreshold=78)] == [high, low]
    assert by_image(aws, fake, FaceMatchThreshold=82) == []
    assert by_image(aws, fake, FaceMatchThreshold=100) == []


def test_a_threshold_of_0_finds_everybody(aws: Any, fake: FakePipeline) -> None:
    index(aws, fake, *(vector(n) for n in range(3)))
    assert len(by_image(aws, fake, FaceMatchThreshold=0)) == 3


def test_the_best_faces_are_answered(aws: Any, fake: FakePipeline) -> None:
    faces = index(aws, fake, *(alike(95 - n, toward=20 + n) for n in range(5)))
    found = by_image(aws, fake, MaxFaces=2)
    assert [face for face, _ in found] == [face["FaceId"] for face in faces[:2]]


def test_each_face_of_a_user_is_found(aws: Any, fake: FakePipeline) -> None:
    """`identify` would answer the person once. The similarities are those of each pair."""
    faces = index(aws, fake, alike(95), alike(90, toward=20), alike(85, toward=30))
    aws.create_user(**HERE, UserId="ann")
    ids = [face["FaceId"] for face in faces]
    aws.associate_faces(**HERE, UserId="ann", FaceIds=ids, UserMatchThreshold=0)
    fake.show(vector(1))
    answer = aws.search_faces_by_image(**HERE, Image=PHOTO)["FaceMatches"]
    assert [each["Face"]["FaceId"] for each in answer] == ids
    assert {each["Face"]["UserId"] for each in answer} == {"ann"}
    similarities = [each["Similarity"] for each in answer]
    assert similarities == pytest.approx([95, 90, 85], abs=0.1)


def test_people_who_are_not_public_are_not_found(aws: Any, fake: FakePipeline) -> None:
    """The rule of privacy holds here, too."""
    make_face(make_user(OWNER, "friends"), vector(1))
    assert by_image(aws, fake) == []


def test_a_face_that_is_stored(aws: Any, fake: FakePipeline) -> None:
    one, two, _ = index(aws, fake, vector(1), alike(90), vector(2))
    answer = aws.search_faces(**HERE, FaceId=one["FaceId"])
    assert answer["SearchedFaceId"] == one["FaceId"]
    ((match),) = answer["FaceMatches"]  # not itself
    assert match["Face"] == two
    assert match["Similarity"] == pytest.approx(90, abs=0.1)
    assert len(aws.search_faces(**HERE, FaceId=one["FaceId"], MaxFaces=1)["FaceMatches"]) == 1


def test_an_unknown_face(aws: Any, fake: FakePipeline) -> None:
    for operation in (aws.search_faces, aws.search_users):
        with pytest.raises(aws.exceptions.InvalidParameterException):
            operation(**HERE, FaceId=UNKNOWN)


@pytest.mark.parametrize("operation", ["search_faces_by_image", "search_users_by_image"])
def test_a_picture_without_a_face(aws: Any, fake: FakePipeline, operation: str) -> None:
    fake.show([])
    with pytest.raises(aws.exceptions.InvalidParameterException):
        getattr(aws, operation)(**HERE, Image=PHOTO)


@pytest.mark.parametrize("operation", ["search_faces_by_image", "search_users_by_image"])
def test_a_picture_that_is_too_bad(aws: Any, fake: FakePipeline, operation: str) -> None:
    search = getattr(aws, operation)
    fake.show(face_of(vector(1), quality=0.4))
    assert search(**HERE, Image=PHOTO)
    with pytest.raises(aws.exceptions.InvalidParameterException):
        search(**HERE, Image=PHOTO, QualityFilter="AUTO")
    fake.show(misread(vector(1)))
    with pytest.raises(aws.exceptions.InvalidParameterException):
        search(**HERE, Image=PHOTO)


# --- users ----------------------------------------------------------------------------------------


@pytest.fixture
def people(aws: Any, fake: FakePipeline) -> None:
    """ann with two faces, joe with one, and five faces of ann that nobody has given to her."""
    one, two, three = index(aws, fake, alike(95), alike(93, toward=20), vector(2))
    index(aws, fake, *(near(vector(1), 0.999, toward=30 + n) for n in range(5)))
    for name, faces in (("ann", (one, two)), ("joe", (three,))):
        aws.create_user(**HERE, UserId=name)
        ids = [face["FaceId"] for face in faces]
        aws.associate_faces(**HERE, UserId=name, FaceIds=ids, UserMatchThreshold=0)


def names(answer: dict[str, Any]) -> list[str]:
    return [each["User"]["UserId"] for each in answer["UserMatches"]]


@pytest.mark.usefixtures("people")
def test_users_by_image(aws: Any, fake: FakePipeline) -> None:
    """Faces without a name are more alike, and are no users."""
    fake.show([face_of(vector(1), side=40), face_of(vector(2), side=20)])
    answer = aws.search_users_by_image(**HERE, Image=PHOTO, MaxUsers=1)
    assert names(answer) == ["ann"]
    assert answer["UserMatches"][0]["User"]["UserStatus"] == "ACTIVE"
    assert answer["UserMatches"][0]["Similarity"] > 93
    assert answer["SearchedFace"]["FaceDetail"]["Confidence"] == 100
    (other,) = answer["UnsearchedFaces"]
    assert other["Reasons"] == ["FACE_NOT_LARGEST"]
    assert names(aws.search_users_by_image(**HERE, Image=PHOTO, UserMatchThreshold=100)) == []


@pytest.mark.usefixtures("people")
def test_users_by_a_face(aws: Any) -> None:
    faces = aws.list_faces(**HERE)["Faces"]
    nameless = next(face for face in faces if "UserId" not in face)
    answer = aws.search_users(**HERE, FaceId=nameless["FaceId"])
    assert names(answer) == ["ann"]
    assert answer["SearchedFace"] == {"FaceId": nameless["FaceId"]}


@pytest.mark.usefixtures("people")
def test_users_by_a_user(aws: Any, fake: FakePipeline) -> None:
    assert names(aws.search_users(**HERE, UserId="ann")) == []  # not herself
    aws.create_user(**HERE, UserId="ann2")
    (face,) = index(aws, fake, alike(96, toward=40))
    aws.associate_faces(**HERE, UserId="ann2", FaceIds=[face["FaceId"]])
    answer = aws.search_users(**HERE, UserId="ann", MaxUsers=1)
    assert names(answer) == ["ann2"]
    assert answer["SearchedUser"] == {"UserId": "ann"}


def test_an_unknown_user(aws: Any) -> None:
    with pytest.raises(aws.exceptions.ResourceNotFoundException):
        aws.search_users(**HERE, UserId="nobody")


def test_a_user_without_faces(aws: Any) -> None:
    aws.create_user(**HERE, UserId="ann")
    with pytest.raises(aws.exceptions.InvalidParameterException):
        aws.search_users(**HERE, UserId="ann")


@pytest.mark.parametrize("wanted", [{}, {"FaceId": UNKNOWN, "UserId": "ann"}])
def test_neither_or_both_of_a_face_and_a_user(aws: Any, wanted: dict[str, str]) -> None:
    with pytest.raises(aws.exceptions.InvalidParameterException):
        aws.search_users(**HERE, **wanted)
