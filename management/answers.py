"""The social graph as the JSON of the API."""

from management.erasure import Receipt
from recognition.answers import Answer
from recognition.models import Friendship, Group, Membership


def erased(of: Receipt) -> Answer:
    return {
        "receipt_id": of.receipt_id,
        "user_id": str(of.user_id),
        "erased_at": of.erased_at,
        "removed": of.removed,
    }


def friend(of: Friendship) -> Answer:
    return {"user_id": str(of.friend_id), "since": of.created_at}


def group(of: Group) -> Answer:
    return {"name": of.name, "created_at": of.created_at}


def member(of: Membership) -> Answer:
    return {"user_id": str(of.user_id), "since": of.created_at}


def group_joined(of: Membership) -> Answer:
    return {"name": of.group.name, "since": of.created_at}
