"""Users, and the faces that they get, by boto3."""

from typing import Any

import pytest

from management import naming
from recognition.enrolment import lookalikes
from recognition.models import AuditEvent, Face, IdempotencyKey, NewFace, PossibleDuplicate, User
from tests.facesvc.aws.clients import HERE, index
from tests.support.builders import OWNER, FakePipeline, make_user, near, row_counts, vector

pytestmark = pytest.mark.django_db
UNKNOWN = "facefac3-0000-8000-8000-ffffffffffff"


def give(aws: Any, user: str, *faces: dict[str, Any], **options: Any) -> dict[str, Any]:
    ids = [face["FaceId"] for face in faces]
    answer: dict[str, Any] = aws.associate_faces(**HERE, UserId=user, FaceIds=ids, **options)
    return answer


def owner_of(aws: Any, face: dict[str, Any]) -> str | None:
    (found,) = aws.list_faces(**HERE, FaceIds=[face["FaceId"]])["Faces"]
    return str(found["UserId"]) if "UserId" in found else None


def test_it_works(aws: Any, fake: FakePipeline) -> None:
    aws.create_user(**HERE, UserId="ann:1")
    one, two = index(aws, fake, vector(1), near(vector(1), 0.98))
    answer = give(aws, "ann:1", one, two)
    assert answer["AssociatedFaces"] == [{"FaceId": one["FaceId"]}, {"FaceId": two["FaceId"]}]
    assert answer["UserStatus"] == "ACTIVE"
    assert owner_of(aws, one) == owner_of(aws, two) == "ann:1"
    assert aws.list_users(**HERE)["Users"] == [{"UserId": "ann:1", "UserStatus": "ACTIVE"}]
    # The users that stood for the faces are gone.
    assert User.objects.count() == 1


def test_a_user_is_public_and_noted(aws: Any) -> None:
    aws.create_user(**HERE, UserId="ann")
    assert User.objects.get().privacy_level == "public"
    assert AuditEvent.objects.get().actor == "service:shop"


def test_a_person_who_gets_a_face_is_compared_with_others(aws: Any, fake: FakePipeline) -> None:
    """Only people can be duplicates, so the search waited for a name."""
    (face,) = index(aws, fake, vector(1))
    assert not NewFace.objects.exists()
    aws.create_user(**HERE, UserId="ann")
    give(aws, "ann", face)
    assert NewFace.objects.count() == 1
    aws.disassociate_faces(**HERE, UserId="ann", FaceIds=[face["FaceId"]])
    give(aws, "ann", face)  # it waits already
    assert NewFace.objects.count() == 1


def test_all_pages_of_users(aws: Any, fake: FakePipeline) -> None:
    index(aws, fake, vector(1))
    names = {f"user{number}" for number in range(5)}
    for name in names:
        aws.create_user(**HERE, UserId=name)
    pages = aws.get_paginator("list_users").paginate(**HERE, PaginationConfig={"PageSize": 2})
    found = [[user["UserId"] for user in page["Users"]] for page in pages]
    assert [len(page) for page in found] == [2, 2, 1]
    assert {name for page in found for name in page} == names


def test_a_user_twice(aws: Any) -> None:
    aws.create_user(**HERE, UserId="ann")
    with pytest.raises(aws.exceptions.ConflictException):
        aws.create_user(**HERE, UserId="ann")


def test_a_user_of_the_api_stays_as_they_are(aws: Any) -> None:
    make_user(OWNER, "private")
    with pytest.raises(aws.exceptions.ConflictException):
        aws.create_user(**HERE, UserId=str(OWNER))
    assert User.objects.get().privacy_level == "private"


@pytest.mark.parametrize("name", ["", "a b", "x" * 129, "face|1"])
def test_a_name_that_is_none(aws: Any, name: str) -> None:
    with pytest.raises(Exception, match=r"[Uu]serId"):
        aws.create_user(**HERE, UserId=name)
    assert row_counts() == {}


# --- repeated requests ----------------------------------------------------------------------------


def test_a_repeated_request_has_the_first_answer(aws: Any, fake: FakePipeline) -> None:
    token = {"ClientRequestToken": "one-2-three"}
    assert aws.create_user(**HERE, UserId="ann", **token)
    assert aws.create_user(**HERE, UserId="ann", **token)
    (face,) = index(aws, fake, vector(1))
    one = give(aws, "ann", face, **token)  # another operation
    assert one["AssociatedFaces"] == give(aws, "ann", face, **token)["AssociatedFaces"] != []
    assert give(aws, "ann", face)["AssociatedFaces"] == []
    assert aws.delete_user(**HERE, UserId="ann", **token)
    assert aws.delete_user(**HERE, UserId="ann", **token)
    assert IdempotencyKey.objects.count() == 1  # the erasure dropped the others


def test_a_token_of_another_request(aws: Any) -> None:
    aws.create_user(**HERE, UserId="ann", ClientRequestToken="one")
    with pytest.raises(aws.exceptions.IdempotentParameterMismatchException):
        aws.create_user(**HERE, UserId="joe", ClientRequestToken="one")


# --- association ----------------------------------------------------------------------------------


def test_faces_that_cannot_be_given(aws: Any, fake: FakePipeline) -> None:
    for name in ("ann", "joe"):
        aws.create_user(**HERE, UserId=name)
    mine, theirs, stranger = index(aws, fake, vector(1), vector(2), vector(3))
    give(aws, "ann", mine)
    give(aws, "joe", theirs)
    answer = give(aws, "ann", mine, theirs, stranger, {"FaceId": UNKNOWN})
    assert answer["AssociatedFaces"] == []
    different, unlike, missing = answer["UnsuccessfulFaceAssociations"]
    assert different == {
        "FaceId": theirs["FaceId"],
        "Reasons": ["ASSOCIATED_TO_A_DIFFERENT_USER"],
    }
    assert unlike["Reasons"] == ["LOW_MATCH_CONFIDENCE"]
    assert 0 <= unlike["Confidence"] < 75
    assert missing == {"FaceId": UNKNOWN, "Reasons": ["FACE_NOT_FOUND"]}
    assert owner_of(aws, stranger) is None


def test_a_threshold_of_0_takes_every_face(aws: Any, fake: FakePipeline) -> None:
    aws.create_user(**HERE, UserId="ann")
    one, stranger = index(aws, fake, vector(1), vector(2))
    answer = give(aws, "ann", one, stranger, UserMatchThreshold=0)
    assert len(answer["AssociatedFaces"]) == 2


def test_more_faces_than_a_user_may_have(
    aws: Any, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naming, "MOST_FACES", 1)
    aws.create_user(**HERE, UserId="ann")
    one, two = index(aws, fake, vector(1), vector(1))
    with pytest.raises(aws.exceptions.ServiceQuotaExceededException):
        give(aws, "ann", one, two)
    assert owner_of(aws, one) == "ann" and owner_of(aws, two) is None


def test_a_face_that_is_taken_away_stays(aws: Any, fake: FakePipeline) -> None:
    aws.create_user(**HERE, UserId="ann")
    one, two, other = index(aws, fake, vector(1), near(vector(1), 0.98), vector(2))
    give(aws, "ann", one, two)
    ids = [one["FaceId"], other["FaceId"], UNKNOWN]
    answer = aws.disassociate_faces(**HERE, UserId="ann", FaceIds=ids)
    assert answer["DisassociatedFaces"] == [{"FaceId": one["FaceId"]}]
    assert answer["UnsuccessfulFaceDisassociations"] == [
        {"FaceId": other["FaceId"], "Reasons": ["ASSOCIATED_TO_A_DIFFERENT_USER"]},
        {"FaceId": UNKNOWN, "Reasons": ["FACE_NOT_FOUND"]},
    ]
    assert owner_of(aws, one) is None and owner_of(aws, two) == "ann"


def test_faces_of_a_deleted_user_stay(aws: Any, fake: FakePipeline) -> None:
    aws.create_user(**HERE, UserId="ann")
    faces = index(aws, fake, vector(1), near(vector(1), 0.98))
    give(aws, "ann", *faces)
    aws.delete_user(**HERE, UserId="ann")
    assert aws.list_users(**HERE)["Users"] == []
    assert [owner_of(aws, face) for face in faces] == [None, None]
    assert Face.objects.count() == 2


@pytest.mark.parametrize("operation", ["delete_user", "associate_faces", "disassociate_faces"])
def test_an_unknown_user(aws: Any, operation: str) -> None:
    faces = {} if operation == "delete_user" else {"FaceIds": [UNKNOWN]}
    with pytest.raises(aws.exceptions.ResourceNotFoundException):
        getattr(aws, operation)(**HERE, UserId="nobody", **faces)


def test_nameless_faces_are_no_duplicates_of_people(aws: Any, fake: FakePipeline) -> None:
    aws.create_user(**HERE, UserId="ann")
    one, _ = index(aws, fake, vector(1), vector(1))
    give(aws, "ann", one)
    assert lookalikes.search_next()
    assert not PossibleDuplicate.objects.exists()
    # Two people are.
    aws.create_user(**HERE, UserId="joe")
    (two,) = index(aws, fake, near(vector(1), 0.99))
    give(aws, "joe", two)
    assert lookalikes.search_next()
    assert PossibleDuplicate.objects.count() == 1
