"""What every app needs to let go of a person: their traces in texts, and what was removed.

A user is erased by deleting the row: receivers of pre_delete remove what no foreign key reaches.
They note on the instance what they removed, for the receipt; see management.erasure.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.db.models import Q

from recognition.models import AuditEvent, Face, User

ERASED, MATCHES_OTHER = "user.erase", "face.matches_other_user"


def note(user: User, removed: Mapping[str, int]) -> None:
    """Rows by the label of their model, as `delete` returns them."""
    removed_so_far(user).update(removed)


def removed_so_far(user: User) -> Counter[str]:
    counts: Counter[str] = user.__dict__.setdefault("_removed", Counter())
    return counts


def traces_of(user: User) -> list[str]:
    """What a text that is about the user has in it: the id in both spellings, or ids of faces.

    As they were when first asked for: the faces go before the user.
    """
    traces: list[str] | None = user.__dict__.get("_traces")
    if traces is None:
        faces = Face.objects.filter(user=user.pk).values_list("face_id", flat=True)
        traces = user.__dict__["_traces"] = [str(user.pk), user.pk.hex, *faces]
    return traces


def forget_faces(sender: type[User], instance: User, **kwargs: Any) -> None:
    """A receiver of pre_delete, after those that lock the user: also of faces that were enrolled
    while they waited, since Django has looked for what belongs to the user before."""
    _, removed = Face.objects.filter(user=instance.pk).delete()
    note(instance, removed)


def forget_in_audit(sender: type[User], instance: User, **kwargs: Any) -> None:
    """A receiver of post_delete: of who is gone the log keeps when, who and what, and the id.

    The names of groups, the faces and who looked alike go. The database allows just this change.
    """
    rows = AuditEvent.objects.filter(user_id=instance.pk).exclude(action=ERASED)
    rows.exclude(face_id="", details={}).update(face_id="", details={})
    about = Q(action=MATCHES_OTHER, details__other_user_id=str(instance.pk))
    AuditEvent.objects.filter(about).update(details={})
