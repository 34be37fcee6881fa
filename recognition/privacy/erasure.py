"""What every app needs to let go of a person: their traces in texts, and what was removed.

A user is erased by deleting the row: receivers of pre_delete remove what no foreign key reaches.
They note on the instance what they removed, for the receipt; see management.erasure.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import Q

from recognition.models import AuditEvent, Face, MergedUser, User

ERASED = "user.erase"


def note(user: User, removed: Mapping[str, int]) -> None:
    """Rows by the label of their model, as `delete` returns them."""
    removed_so_far(user).update(removed)


def removed_so_far(user: User) -> Counter[str]:
    counts: Counter[str] = user.__dict__.setdefault("_removed", Counter())
    return counts


def ids_of(user: User) -> list[UUID]:
    """The user's id, and then the ids of those who were merged into the user.

    All that were there whenever this was asked for: they no longer lead to whom is erased.
    """
    ids: dict[UUID, None] = user.__dict__.setdefault("_ids", {user.pk: None})
    former = MergedUser.objects.filter(into=user.pk).order_by("pk").values_list("pk", flat=True)
    ids.update(dict.fromkeys(former))
    return [*ids]


def traces_of(user: User) -> list[str]:
    """What a text that is about the user has in it: an id in both spellings, or ids of faces.

    All that were there whenever this was asked for: the faces go before the user.
    """
    traces: dict[str, None] = user.__dict__.setdefault("_traces", {})
    ids = [text for each in ids_of(user) for text in (str(each), each.hex)]
    faces = Face.objects.filter(user=user.pk).values_list("face_id", flat=True)
    traces.update(dict.fromkeys([*ids, *faces]))
    return [*traces]


def forget_faces(sender: type[User], instance: User, **kwargs: Any) -> None:
    """A receiver of pre_delete, after those that lock the user: also of faces that were enrolled
    while they waited, since Django has looked for what belongs to the user before."""
    _, removed = Face.objects.filter(user=instance.pk).delete()
    note(instance, removed)


def forget_in_audit(sender: type[User], instance: User, **kwargs: Any) -> None:
    """A receiver of post_delete: of who is gone the log keeps when, who and what, and the id.

    The names of groups, the faces and who was merged go. The database allows just this change.
    """
    ids = ids_of(instance)
    about = Q(user_id__in=ids) | Q(other_user_id__in=ids)
    rows = AuditEvent.objects.filter(about).exclude(action=ERASED)
    rows = rows.exclude(face_id="", details={}, other_user_id=None)
    rows.update(face_id="", details={}, other_user_id=None)
