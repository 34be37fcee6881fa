"""The calls about users and faces.

Made of the API description by `make docs`: to change it, change the API.
"""

from facesvc.client import answers
from facesvc.client.call import Call, Id, Json, PagedCall, Time, id_or_none, part


def list_users(
    *,
    cursor: str | None = None,
    page_size: int | None = None,
    q: str | None = None,
) -> PagedCall[answers.UserList, answers.User]:
    """List all users."""
    return PagedCall(
        method="GET",
        path="users",
        is_repeatable=True,
        items="users",
        query={
            "cursor": cursor,
            "page_size": page_size,
            "q": q,
        },
    )


def erase_user(
    user_id: Id,
) -> Call[answers.Erased]:
    """Erase all data about a user."""
    return Call(
        method="DELETE",
        path=f"users/{part(user_id)}",
        is_repeatable=True,
    )


def get_user(
    user_id: Id,
) -> Call[answers.User]:
    """Show a user."""
    return Call(
        method="GET",
        path=f"users/{part(user_id)}",
        is_repeatable=True,
    )


def put_user(
    user_id: Id,
    *,
    display_name: str | None = None,
    profile_image: str | None = None,
    privacy_level: answers.PrivacyLevelEnum | None = None,
) -> Call[answers.User]:
    """Create or change a user."""
    return Call(
        method="PUT",
        path=f"users/{part(user_id)}",
        is_repeatable=True,
        body={
            "display_name": display_name,
            "profile_image": profile_image,
            "privacy_level": privacy_level,
        },
    )


def list_faces(
    user_id: Id,
    *,
    cursor: str | None = None,
    page_size: int | None = None,
) -> PagedCall[answers.FaceList, answers.Face]:
    """List the faces of a user."""
    return PagedCall(
        method="GET",
        path=f"users/{part(user_id)}/faces",
        is_repeatable=True,
        items="faces",
        query={
            "cursor": cursor,
            "page_size": page_size,
        },
    )


def list_all_faces(
    *,
    user_id: Id | None = None,
    created_before: Time | None = None,
    created_since: Time | None = None,
    cursor: str | None = None,
    face_group: str | None = None,
    page_size: int | None = None,
    source: str | None = None,
) -> PagedCall[answers.FaceList, answers.Face]:
    """List faces of all users."""
    return PagedCall(
        method="GET",
        path="faces",
        is_repeatable=True,
        items="faces",
        query={
            "user_id": id_or_none(user_id),
            "created_before": created_before,
            "created_since": created_since,
            "cursor": cursor,
            "face_group": face_group,
            "page_size": page_size,
            "source": source,
        },
    )


def delete_face(
    face_id: Id,
) -> Call[answers.Deleted]:
    """Delete a face."""
    return Call(
        method="DELETE",
        path=f"faces/{part(face_id)}",
        is_repeatable=True,
    )


def get_face(
    face_id: Id,
) -> Call[answers.Face]:
    """Show a face."""
    return Call(
        method="GET",
        path=f"faces/{part(face_id)}",
        is_repeatable=True,
    )


def patch_face(
    face_id: Id,
    *,
    face_group: str | None = None,
    metadata: Json | None = None,
    privacy_settings: answers.PrivacySettings | None = None,
) -> Call[answers.Face]:
    """Change the settings of a face, as PUT does."""
    return Call(
        method="PATCH",
        path=f"faces/{part(face_id)}",
        is_repeatable=True,
        body={
            "face_group": face_group,
            "metadata": metadata,
            "privacy_settings": privacy_settings,
        },
    )


def put_face(
    face_id: Id,
    *,
    face_group: str | None = None,
    metadata: Json | None = None,
    privacy_settings: answers.PrivacySettings | None = None,
) -> Call[answers.Face]:
    """Change the settings of a face."""
    return Call(
        method="PUT",
        path=f"faces/{part(face_id)}",
        is_repeatable=True,
        body={
            "face_group": face_group,
            "metadata": metadata,
            "privacy_settings": privacy_settings,
        },
    )


def get_crop(
    face_id: Id,
) -> Call[bytes]:
    """Show the kept picture of a face."""
    return Call(
        method="GET",
        path=f"faces/{part(face_id)}/crop",
        is_repeatable=True,
    )
