"""Searches: SearchFaces, SearchFacesByImage, SearchUsers, SearchUsersByImage."""

from facesvc.aws.errors import AwsError, invalid, not_found
from facesvc.aws.operations import shapes, shown
from facesvc.aws.operations.calls import Answer, AwsCall, Shapes, operation
from facesvc.aws.operations.faces import least_quality
from management import naming
from recognition.errors import ServiceError
from recognition.identification import matches
from recognition.identification.matches import FoundFaces, FoundPeople, MatchRequest, SeenPicture
from recognition.models.user_ids import UserId
from recognition.packs.engine import Engine

_IN_COLLECTION: Shapes = {"CollectionId": shapes.COLLECTION_ID}
_FACES: Shapes = {"MaxFaces": shapes.Whole(1, 4096), "FaceMatchThreshold": shapes.PERCENT}
_USERS: Shapes = {"MaxUsers": shapes.Whole(1, 500), "UserMatchThreshold": shapes.PERCENT}
_BY_IMAGE: Shapes = {**_IN_COLLECTION, "Image": shapes.PictureShape()}
_FILTER: Shapes = {"QualityFilter": shapes.QUALITY_FILTER}
_USUAL_THRESHOLD, _USUAL_MOST = 80.0, 80
# No comparison reaches a confidence of 1.
_HIGHEST = 0.9999


@operation("face:identify", {**_IN_COLLECTION, "FaceId": shapes.FACE_ID}, _FACES)
def search_faces(call: AwsCall) -> Answer:
    try:
        face_id = shown.own_face_id(call.fields["FaceId"])
        found = matches.faces_like_face(face_id, _for_faces(call))
    except ServiceError as error:
        raise _face_refused(error, call) from error
    return {"SearchedFaceId": call.fields["FaceId"], **_face_matches(found)}


@operation("face:identify", _BY_IMAGE, {**_FACES, **_FILTER})
def search_faces_by_image(call: AwsCall) -> Answer:
    seen, found = matches.faces_like_picture(
        call.fields["Image"], _for_faces(call), least_quality=least_quality(call, "NONE")
    )
    return {
        "SearchedFaceBoundingBox": shown.bounding_box(seen.faces[0], seen.picture),
        "SearchedFaceConfidence": shown.confidence(seen.faces[0]),
        **_face_matches(found),
    }


@operation(
    "face:identify",
    _IN_COLLECTION,
    {"FaceId": shapes.FACE_ID, "UserId": shapes.USER_ID, **_USERS},
)
def search_users(call: AwsCall) -> Answer:
    face_id, user_id = call.fields.get("FaceId"), call.fields.get("UserId")
    if (face_id is None) == (user_id is None):
        raise invalid("Give either a FaceId or a UserId.")
    try:
        if user_id is not None:
            if not naming.has_user(UserId(user_id)):
                raise not_found(f"There is no user {user_id} in the collection.")
            found = matches.people_like_person(UserId(user_id), _for_users(call))
            return {"SearchedUser": {"UserId": user_id}, **_user_matches(found)}
        found = matches.people_like_face(shown.own_face_id(str(face_id)), _for_users(call))
        return {"SearchedFace": {"FaceId": face_id}, **_user_matches(found)}
    except ServiceError as error:
        raise _face_refused(error, call) from error


@operation("face:identify", _BY_IMAGE, {**_USERS, **_FILTER})
def search_users_by_image(call: AwsCall) -> Answer:
    seen, found = matches.people_like_picture(
        call.fields["Image"], _for_users(call), least_quality=least_quality(call, "NONE")
    )
    return {
        "SearchedFace": {"FaceDetail": _detail(seen, 0)},
        "UnsearchedFaces": [
            {"FaceDetails": _detail(seen, place), "Reasons": ["FACE_NOT_LARGEST"]}
            for place in range(1, len(seen.faces))
        ],
        **_user_matches(found),
    }


def _for_faces(call: AwsCall) -> MatchRequest:
    return _request(call, "Face")


def _for_users(call: AwsCall) -> MatchRequest:
    return _request(call, "User")


def _request(call: AwsCall, what: str) -> MatchRequest:
    threshold = call.fields.get(f"{what}MatchThreshold", _USUAL_THRESHOLD)
    return MatchRequest(_least(threshold), call.fields.get(f"Max{what}s", _USUAL_MOST))


def _least(threshold: float) -> float:
    return min(threshold / 100, _HIGHEST)


def _face_refused(error: ServiceError, call: AwsCall) -> AwsError:
    if error.code == "face_not_found":
        # AWS says so of a face, and ResourceNotFoundException of a collection or a user.
        return invalid(f"faceId was not found in the collection: {call.fields.get('FaceId')}.")
    return invalid(str(error))


def _detail(seen: SeenPicture, place: int) -> Answer:
    return shown.face_detail(seen.by, seen.faces[place], seen.picture)


def _face_matches(found: FoundFaces) -> Answer:
    pairs = [(each.cosine, shown.stored_face(each.face)) for each in found.faces]
    return _matches("Face", found.by, pairs)


def _user_matches(found: FoundPeople) -> Answer:
    pairs = [(each.cosine, shown.user(each.user)) for each in found.people]
    return _matches("User", found.by, pairs)


def _matches(what: str, by: Engine, found: list[tuple[float, Answer]]) -> Answer:
    """What is alike, with how much, as the searches for faces and those for users answer it."""
    return {
        f"{what}Matches": [
            {"Similarity": shown.similarity(by, cosine), what: answer} for cosine, answer in found
        ],
        "FaceModelVersion": by.pack.template_version,
    }
