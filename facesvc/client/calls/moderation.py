"""The calls about moderation.

Made of the API description by `make docs`: to change it, change the API.
"""

from typing import Literal

from facesvc.client import answers
from facesvc.client.call import Call, Id, PagedCall, Time, id_or_none, id_text, part


def suspend_user(
    user_id: Id,
    *,
    on_behalf_of: Id | None = None,
    reason: str | None = None,
) -> Call[answers.User]:
    """Suspend a user."""
    return Call(
        method="POST",
        path=f"users/{part(user_id)}/suspend",
        is_repeatable=False,
        headers={
            "X-On-Behalf-Of": id_or_none(on_behalf_of),
        },
        body={
            "reason": reason,
        },
    )


def unsuspend_user(
    user_id: Id,
    *,
    on_behalf_of: Id | None = None,
    reason: str | None = None,
) -> Call[answers.User]:
    """End the suspension of a user."""
    return Call(
        method="POST",
        path=f"users/{part(user_id)}/unsuspend",
        is_repeatable=False,
        headers={
            "X-On-Behalf-Of": id_or_none(on_behalf_of),
        },
        body={
            "reason": reason,
        },
    )


def unlock_user(
    user_id: Id,
    *,
    on_behalf_of: Id | None = None,
    reason: str | None = None,
) -> Call[answers.Unlocked]:
    """Forget the failed attempts of a user."""
    return Call(
        method="POST",
        path=f"users/{part(user_id)}/unlock",
        is_repeatable=False,
        headers={
            "X-On-Behalf-Of": id_or_none(on_behalf_of),
        },
        body={
            "reason": reason,
        },
    )


def merge_users(
    user_id: Id,
    into: Id,
    *,
    on_behalf_of: Id | None = None,
    reason: str | None = None,
    privacy_level: answers.PrivacyLevelEnum | None = None,
) -> Call[answers.User]:
    """Merge a user into another one."""
    return Call(
        method="POST",
        path=f"users/{part(user_id)}/merge",
        is_repeatable=False,
        headers={
            "X-On-Behalf-Of": id_or_none(on_behalf_of),
        },
        body={
            "into": id_text(into),
            "reason": reason,
            "privacy_level": privacy_level,
        },
    )


def suspend_face(
    face_id: Id,
    *,
    on_behalf_of: Id | None = None,
    reason: str | None = None,
) -> Call[answers.Face]:
    """Suspend a face."""
    return Call(
        method="POST",
        path=f"faces/{part(face_id)}/suspend",
        is_repeatable=False,
        headers={
            "X-On-Behalf-Of": id_or_none(on_behalf_of),
        },
        body={
            "reason": reason,
        },
    )


def unsuspend_face(
    face_id: Id,
    *,
    on_behalf_of: Id | None = None,
    reason: str | None = None,
) -> Call[answers.Face]:
    """End the suspension of a face."""
    return Call(
        method="POST",
        path=f"faces/{part(face_id)}/unsuspend",
        is_repeatable=False,
        headers={
            "X-On-Behalf-Of": id_or_none(on_behalf_of),
        },
        body={
            "reason": reason,
        },
    )


def move_face(
    face_id: Id,
    user_id: Id,
    *,
    on_behalf_of: Id | None = None,
    reason: str | None = None,
) -> Call[answers.Face]:
    """Give a face to another user."""
    return Call(
        method="POST",
        path=f"faces/{part(face_id)}/move",
        is_repeatable=False,
        headers={
            "X-On-Behalf-Of": id_or_none(on_behalf_of),
        },
        body={
            "user_id": id_text(user_id),
            "reason": reason,
        },
    )


def list_duplicates(
    *,
    cursor: str | None = None,
    page_size: int | None = None,
    state: Literal["different_people", "open", "same_person"] | None = None,
) -> PagedCall[answers.DuplicateList, answers.Duplicate]:
    """List possible duplicates."""
    return PagedCall(
        method="GET",
        path="duplicates",
        is_repeatable=True,
        items="duplicates",
        query={
            "cursor": cursor,
            "page_size": page_size,
            "state": state,
        },
    )


def list_audit_events(
    *,
    user_id: Id | None = None,
    action: str | None = None,
    cursor: str | None = None,
    page_size: int | None = None,
    since: Time | None = None,
) -> PagedCall[answers.AuditEventList, answers.AuditEvent]:
    """Read the audit log."""
    return PagedCall(
        method="GET",
        path="audit",
        is_repeatable=True,
        items="events",
        query={
            "user_id": id_or_none(user_id),
            "action": action,
            "cursor": cursor,
            "page_size": page_size,
            "since": since,
        },
    )


def decide_duplicate(
    duplicate_id: int,
    decision: answers.DecisionEnum,
    *,
    on_behalf_of: Id | None = None,
    into: Id | None = None,
    reason: str | None = None,
) -> Call[answers.Duplicate]:
    """Decide whether two users are one person."""
    return Call(
        method="POST",
        path=f"duplicates/{part(duplicate_id)}",
        is_repeatable=False,
        headers={
            "X-On-Behalf-Of": id_or_none(on_behalf_of),
        },
        body={
            "decision": decision,
            "into": id_or_none(into),
            "reason": reason,
        },
    )
