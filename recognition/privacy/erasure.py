"""Erasing a person: all that is kept goes, in one order, wherever the deletion began."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from recognition.models import AuditEvent, Face, User, locks
from recognition.privacy.keeping import KEEPS, Erasure, Person

ERASED = "user.erase"


class _Erased(QuerySet[User]):
    """Users of whom only the row and its foreign keys are left: the receivers leave them alone."""


@transaction.atomic
def erase(user_id: UUID) -> Erasure:
    """Remove a user with all that is kept of the person. The user need not have a row.

    A worker has an item of a batch when it comes to its user. So the locks of the apps come first,
    and the user after them.
    """
    erasure = Erasure(Person.of(user_id))
    for keeps in KEEPS:
        keeps.lock(erasure)
    # Waits for those who are storing a row that names the user; later ones find nobody.
    locks.lock_entirely(user_id)
    # Faces were enrolled while this waited, or another user was merged into this one.
    erasure.person = Person.of(user_id)
    for keeps in KEEPS:
        keeps.forget(erasure)
    erasure.delete(_Erased(User).filter(pk=user_id))  # with all that foreign keys lead to
    _forget_in_audit(erasure)
    return erasure


def _forget_in_audit(erasure: Erasure) -> None:
    """The log keeps the id of people who are gone, and when who did what.

    The names of groups, the faces and who was merged go. The database allows just this change, and
    only when the user is gone.
    """
    ids = erasure.person.ids
    about = Q(user_id__in=ids) | Q(other_user_id__in=ids)
    rows = AuditEvent.objects.filter(about).exclude(action=ERASED)
    rows = rows.exclude(face_id="", details={}, other_user_id=None)
    rows.update(face_id="", details={}, other_user_id=None)


def before_user(sender: type[User], instance: User, origin: Any, **kwargs: Any) -> None:
    """The receiver of pre_delete: a user who is deleted from anywhere is erased.

    Django finds nothing left then of what it had collected.
    """
    if not isinstance(origin, _Erased):
        erase(instance.pk)


def before_face(sender: type[Face], instance: Face, origin: Any, **kwargs: Any) -> None:
    """The receiver of pre_delete of faces. With the user, `erase` does more than this."""
    if isinstance(origin, User) or (isinstance(origin, QuerySet) and origin.model is User):
        return
    for keeps in KEEPS:
        keeps.forget_face(instance)
