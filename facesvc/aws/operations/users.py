"""Users of a collection: CreateUser, ListUsers, DeleteUser, AssociateFaces, DisassociateFaces."""

from uuid import UUID

from facesvc.aws.errors import AwsError, not_found
from facesvc.aws.operations import pages, repeats, shapes, shown
from facesvc.aws.operations.calls import Answer, AwsCall, Shapes, operation
from management import naming
from management.naming import FaceOutcome
from recognition.models import User
from recognition.models.user_ids import UserId

_OF_USER: Shapes = {"CollectionId": shapes.COLLECTION_ID, "UserId": shapes.USER_ID}
_REPEATED: Shapes = {"ClientRequestToken": shapes.TOKEN}
_FACE_IDS = shapes.Several(shapes.FACE_ID, 100)
_USUAL_CONFIDENCE = 75.0  # of AssociateFaces
_MOST_USERS = 500  # of a page
_REASONS = {
    FaceOutcome.NOT_FOUND: "FACE_NOT_FOUND",
    FaceOutcome.OF_ANOTHER: "ASSOCIATED_TO_A_DIFFERENT_USER",
    FaceOutcome.UNLIKE: "LOW_MATCH_CONFIDENCE",
}


@operation("face:manage", _OF_USER, _REPEATED)
@repeats.once
def create_user(call: AwsCall) -> Answer:
    if not naming.create_user(caller=call.caller, user_id=_user_id(call)):
        raise AwsError("ConflictException", "A user with this UserId is in the collection.")
    return {}


@operation(
    "face:manage",
    {"CollectionId": shapes.COLLECTION_ID},
    {"MaxResults": shapes.Whole(1, _MOST_USERS), "NextToken": shapes.NEXT_TOKEN},
)
def list_users(call: AwsCall) -> Answer:
    def rows_after(position: str, most: int) -> list[User]:
        return naming.named_users(after=UUID(position) if position else None, most=most)

    rows, following = pages.page(call, rows_after, lambda row: row.pk, usual=_MOST_USERS)
    return {"Users": [shown.user(row) for row in rows], **following}


@operation("face:manage", _OF_USER, _REPEATED)
@repeats.once
def delete_user(call: AwsCall) -> Answer:
    _require_user(call)
    naming.erase_user(caller=call.caller, user_id=_user_id(call))
    return {}


@operation(
    "face:manage",
    {**_OF_USER, "FaceIds": _FACE_IDS},
    {**_REPEATED, "UserMatchThreshold": shapes.PERCENT},
)
@repeats.once
def associate_faces(call: AwsCall) -> Answer:
    _require_user(call)
    least = call.fields.get("UserMatchThreshold", _USUAL_CONFIDENCE) / 100
    done, refused = [], []
    for face_id in dict.fromkeys(call.fields["FaceIds"]):
        outcome, confidence = naming.give_face(
            caller=call.caller,
            user_id=_user_id(call),
            face_id=shown.own_face_id(face_id),
            least_confidence=least,
        )
        if outcome == FaceOutcome.TOO_MANY:
            message = f"A user has {naming.MOST_FACES} faces at most."
            raise AwsError("ServiceQuotaExceededException", message)
        if outcome == FaceOutcome.DONE:
            done.append({"FaceId": face_id})
        elif reason := _REASONS.get(outcome):
            refused.append(_refused(face_id, reason, confidence))
    return {
        "AssociatedFaces": done,
        "UnsuccessfulFaceAssociations": refused,
        "UserStatus": "ACTIVE",
    }


@operation("face:manage", {**_OF_USER, "FaceIds": _FACE_IDS}, _REPEATED)
@repeats.once
def disassociate_faces(call: AwsCall) -> Answer:
    _require_user(call)
    done, refused = [], []
    for face_id in dict.fromkeys(call.fields["FaceIds"]):
        outcome = naming.take_face(
            caller=call.caller, user_id=_user_id(call), face_id=shown.own_face_id(face_id)
        )
        if outcome == FaceOutcome.DONE:
            done.append({"FaceId": face_id})
        else:
            refused.append(_refused(face_id, _REASONS[outcome]))
    return {
        "DisassociatedFaces": done,
        "UnsuccessfulFaceDisassociations": refused,
        "UserStatus": "ACTIVE",
    }


def _refused(face_id: str, reason: str, confidence: float | None = None) -> Answer:
    """The other user of a face is not named."""
    about: Answer = {"FaceId": face_id, "Reasons": [reason]}
    return about if confidence is None else {**about, "Confidence": shown.percent(confidence)}


def _user_id(call: AwsCall) -> UserId:
    return UserId(call.fields["UserId"])


def _require_user(call: AwsCall) -> None:
    """Raises ResourceNotFoundException."""
    if not naming.has_user(_user_id(call)):
        raise not_found(f"There is no user {call.fields['UserId']} in the collection.")
