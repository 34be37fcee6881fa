"""Faces of a collection: IndexFaces, ListFaces, DeleteFaces."""

import uuid
from collections.abc import Mapping
from typing import Any

from facesvc.aws.errors import not_found
from facesvc.aws.operations import pages, shapes, shown
from facesvc.aws.operations.calls import Answer, AwsCall, Shapes, operation
from management import naming
from management.naming import FaceOutcome
from recognition.collections.current import rule
from recognition.enrolment import every_face
from recognition.enrolment.every_face import EveryFaceRequest, RefusedFace
from recognition.inference.arrays import Image
from recognition.inference.pipeline import DetectedFace
from recognition.models import Face
from recognition.models.user_ids import UserId
from recognition.packs import engine

_IN_COLLECTION: Shapes = {"CollectionId": shapes.COLLECTION_ID}
_FACE_IDS = shapes.Several(shapes.FACE_ID, 4096)
_MOST_FACES = 100  # of a picture, as AWS has it
_USUAL_PAGE = 1000
# What a face has to reach at each filter, beside AUTO and NONE. A face at the limit of a flaw, or
# just good enough for MIN_FACE_QUALITY, has 0.6.
_BARS = {"LOW": 0.5, "MEDIUM": 0.6, "HIGH": 0.8}


def least_quality(call: AwsCall, usual: str) -> float:
    """The quality that a face needs, by the QualityFilter."""
    chosen = call.fields.get("QualityFilter", usual)
    if chosen == "AUTO":
        least: float = rule("MIN_FACE_QUALITY")
        return least
    return _BARS.get(chosen, 0.0)


@operation(
    "face:register",
    {**_IN_COLLECTION, "Image": shapes.PictureShape()},
    {
        "ExternalImageId": shapes.Text(r"[a-zA-Z0-9_.\-:]+", 255),
        "DetectionAttributes": shapes.ATTRIBUTES,
        "MaxFaces": shapes.Whole(1, 2**31 - 1),
        "QualityFilter": shapes.QUALITY_FILTER,
    },
)
def index_faces(call: AwsCall) -> Answer:
    image_id, external = uuid.uuid4(), call.fields.get("ExternalImageId")

    def metadata(face: DetectedFace, picture: Image) -> Mapping[str, Any]:
        return shown.metadata_of(face, picture, image_id, external)

    request = EveryFaceRequest(
        call.caller.name,
        metadata,
        least_quality(call, "AUTO"),
        min(_MOST_FACES, call.fields.get("MaxFaces", _MOST_FACES)),
    )
    done = every_face.enrol(call.fields["Image"], request)
    asked = call.fields.get("DetectionAttributes", ())

    def detail(face: DetectedFace) -> Answer:
        return shown.face_detail(done.by, face, done.picture, asked)

    return {
        "FaceRecords": [
            {"Face": shown.stored_face(row), "FaceDetail": detail(seen)}
            for row, seen in done.stored
        ],
        "UnindexedFaces": [
            {"Reasons": _reasons(refused), "FaceDetail": detail(refused.seen)}
            for refused in done.refused
        ],
        "FaceModelVersion": done.by.pack.template_version,
    }


def _reasons(refused: RefusedFace) -> list[str]:
    return ["EXCEEDS_MAX_FACES"] if refused.is_beyond_most else shown.reasons(refused.seen)


@operation(
    "face:manage",
    _IN_COLLECTION,
    {
        "UserId": shapes.USER_ID,
        "FaceIds": _FACE_IDS,
        "MaxResults": shapes.Whole(0, 4096),
        "NextToken": shapes.NEXT_TOKEN,
    },
)
def list_faces(call: AwsCall) -> Answer:
    user_id, wanted = call.fields.get("UserId"), call.fields.get("FaceIds")
    owner = None if user_id is None else UserId(user_id)
    if owner and not naming.has_user(owner):
        raise not_found(f"There is no user {user_id} in the collection.")
    own = None if wanted is None else [shown.own_face_id(each) for each in wanted]

    def rows_after(position: str, most: int) -> list[Face]:
        return naming.faces(after=int(position or 0), most=most, of=owner, face_ids=own)

    rows, following = pages.page(call, rows_after, lambda face: face.pk, usual=_USUAL_PAGE)
    return {
        "Faces": [shown.stored_face(row) for row in rows],
        "FaceModelVersion": engine.current().pack.template_version,
        **following,
    }


@operation("face:manage", {**_IN_COLLECTION, "FaceIds": _FACE_IDS})
def delete_faces(call: AwsCall) -> Answer:
    deleted, refused = [], []
    given = {shown.own_face_id(each): each for each in call.fields["FaceIds"]}
    done = naming.delete_faces(caller=call.caller, face_ids=[*given])
    for own_id, (outcome, face) in done:
        face_id = given[own_id]
        if outcome == FaceOutcome.DONE:
            deleted.append(face_id)
        elif face is None:
            refused.append({"FaceId": face_id, "Reasons": ["FACE_NOT_FOUND"]})
        else:
            reasons = ["ASSOCIATED_TO_AN_EXISTING_USER"]
            refused.append({"FaceId": face_id, "UserId": face.user.app_id, "Reasons": reasons})
    return {"DeletedFaces": deleted, "UnsuccessfulFaceDeletions": refused}
