"""The social graph and what moderators see, as the JSON of the API."""

from uuid import UUID

from management.erasure import Receipt
from recognition.api.answers import Answer
from recognition.models import AuditEvent, Friendship, Group, Membership, PossibleDuplicate


def erased(of: Receipt) -> Answer:
    return {
        "receipt_id": of.receipt_id,
        "user_id": str(of.user_id),
        "erased_at": of.erased_at,
        "removed": of.removed,
    }


def duplicate(of: PossibleDuplicate) -> Answer:
    sides = [(of.user_a_id, of.face_a), (of.user_b_id, of.face_b)]
    if of.user_b_id is None:
        sides = [(of.user_a_id, of.face_a), (of.user_a_id, of.face_b)]
    return {
        "duplicate_id": of.pk,
        "faces": [
            {"user_id": str(user_id), "face_id": face.face_id if face else None}
            for user_id, face in sides
        ],
        "confidence_score": of.confidence,
        "state": of.state,
        "found_at": of.found_at,
        "decided_by": of.decided_by or None,
        "decided_at": of.decided_at,
    }


def event(of: AuditEvent) -> Answer:
    return {
        "event_id": of.pk,
        "at": of.at,
        "actor": of.actor,
        "action": of.action,
        "user_id": _id(of.user_id),
        "other_user_id": _id(of.other_user_id),
        "face_id": of.face_id or None,
        "viewer_id": _id(of.viewer_id),
        "request_id": of.request_id or None,
        "details": of.details,
    }


def _id(of: UUID | None) -> str | None:
    return str(of) if of else None


def friend(of: Friendship) -> Answer:
    return {"user_id": str(of.friend_id), "since": of.created_at}


def group(of: Group) -> Answer:
    return {"name": of.name, "created_at": of.created_at}


def member(of: Membership) -> Answer:
    return {"user_id": str(of.user_id), "since": of.created_at}


def group_joined(of: Membership) -> Answer:
    return {"name": of.group.name, "since": of.created_at}
