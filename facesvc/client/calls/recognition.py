"""The calls about recognition.

Made of the API description by `make docs`: to change it, change the API.
"""

from collections.abc import Sequence

from facesvc.client import answers
from facesvc.client.call import Call, Id, Json, id_or_none, id_text, key_or_new, part, with_ids
from facesvc.client.pictures import Picture


def register(
    user_id: Id,
    image: Picture,
    *,
    idempotency_key: str | None = None,
    face_group: str | None = None,
    face_index: int | None = None,
    metadata: Json | None = None,
) -> Call[answers.Registered]:
    """Enrol the face of a picture for a user."""
    return Call(
        method="POST",
        path="register",
        is_repeatable=True,
        headers={
            "Idempotency-Key": key_or_new(idempotency_key),
        },
        form={
            "user_id": id_text(user_id),
            "face_group": face_group,
            "face_index": face_index,
            "metadata": metadata,
        },
        pictures={
            "image": image,
        },
    )


def register_faces(
    image: Picture,
    faces: Sequence[answers.FaceOfPhoto],
    *,
    idempotency_key: str | None = None,
) -> Call[answers.RegisteredFaces]:
    """Enrol several faces of a picture, each for a user."""
    return Call(
        method="POST",
        path="register-faces",
        is_repeatable=True,
        headers={
            "Idempotency-Key": key_or_new(idempotency_key),
        },
        form={
            "faces": with_ids(faces),
        },
        pictures={
            "image": image,
        },
    )


def verify(
    user_id: Id,
    image: Picture,
    *,
    face_id: Id | None = None,
    face_group: str | None = None,
    verification_level: answers.VerificationLevelEnum | None = None,
    match_on: answers.MatchOnEnum | None = None,
    metadata: Json | None = None,
) -> Call[answers.Verified]:
    """Say whether a face is the user's (1:1)."""
    return Call(
        method="POST",
        path="verify",
        is_repeatable=False,
        form={
            "user_id": id_text(user_id),
            "face_id": id_or_none(face_id),
            "face_group": face_group,
            "verification_level": verification_level,
            "match_on": match_on,
            "metadata": metadata,
        },
        pictures={
            "image": image,
        },
    )


def identify(
    image: Picture | None = None,
    *,
    on_behalf_of: Id | None = None,
    images: Sequence[Picture] | None = None,
    faces: answers.FacesEnum | None = None,
    unique_people: bool | None = None,
    search_scope: answers.SearchScope | None = None,
    metadata: Json | None = None,
) -> Call[answers.Identified]:
    """Find who is in a picture (1:N)."""
    return Call(
        method="POST",
        path="identify",
        is_repeatable=True,
        form={
            "on_behalf_of": id_or_none(on_behalf_of),
            "faces": faces,
            "unique_people": unique_people,
            "search_scope": search_scope,
            "metadata": metadata,
        },
        pictures={
            "image": image,
        },
        images=images,
    )


def detect(
    image: Picture,
) -> Call[answers.Detected]:
    """List the faces in a picture, with their quality."""
    return Call(
        method="POST",
        path="detect",
        is_repeatable=True,
        pictures={
            "image": image,
        },
    )


def compare(
    image_a: Picture,
    image_b: Picture,
    *,
    faces: answers.FacesEnum | None = None,
    verification_level: answers.VerificationLevelEnum | None = None,
) -> Call[answers.Compared]:
    """Compare the faces of two pictures."""
    return Call(
        method="POST",
        path="compare",
        is_repeatable=True,
        form={
            "faces": faces,
            "verification_level": verification_level,
        },
        pictures={
            "image_a": image_a,
            "image_b": image_b,
        },
    )


def identify_face(
    face_id: Id,
    *,
    on_behalf_of: Id | None = None,
    search_scope: answers.SearchScope | None = None,
    metadata: Json | None = None,
) -> Call[answers.IdentifiedByFace]:
    """Find who is like a stored face."""
    return Call(
        method="POST",
        path=f"faces/{part(face_id)}/identify",
        is_repeatable=True,
        body={
            "on_behalf_of": id_or_none(on_behalf_of),
            "search_scope": search_scope,
            "metadata": metadata,
        },
    )
