"""Erases a person: all that is kept is deleted in one order, wherever the deletion began."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from recognition.models import AuditEvent, Face, User, locks
from recognition.privacy.keeping import KEEPS, Erasure, Person

ERASED = "user.erase"


class NoUserError(Exception):
    """Another erasure was first. Without the row nobody who creates the user has to wait."""


class _Erased(QuerySet[User]):
    """Users who are erased but for the row and its foreign keys: the receivers ignore them."""


@transaction.atomic
def erase(user_id: UUID, *others: UUID) -> Erasure:
    """Remove a user with all that is kept of the person; or several users. Raises NoUserError.

    The locks of the apps come before that of the user, since a worker that stores a result locks
    the item of the batch first.
    """
    user_ids = [user_id, *others]
    erasure = Erasure(Person.of(*user_ids))
    for keeps in KEEPS:
        keeps.lock(erasure)
    # Waits for transactions that store a row with the user. Later ones find no user.
    if locks.lock_entirely(*user_ids).keys() != {*user_ids}:
        raise NoUserError
    # While this waited, faces may have been enrolled, or another user merged into this one.
    erasure.person = Person.of(*user_ids)
    for keeps in KEEPS:
        keeps.forget(erasure)
    erasure.delete(_Erased(User).filter(pk__in=user_ids))  # with all that foreign keys lead to
    _forget_in_audit(erasure)
    return erasure


def _forget_in_audit(erasure: Erasure) -> None:
    """Forget the names of groups, the faces, and who was merged. The ids of people who are gone
    stay, and when somebody did something to them.

    The database allows only this change, and only when the user is gone.
    """
    ids = erasure.person.ids
    about = Q(user_id__in=ids) | Q(other_user_id__in=ids)
    rows = AuditEvent.objects.filter(about).exclude(action=ERASED)
    rows = rows.exclude(face_id="", details={}, other_user_id=None)
    rows.update(face_id="", details={}, other_user_id=None)


def before_user(sender: type[User], instance: User, origin: Any, **kwargs: Any) -> None:
    """The receiver of pre_delete: a user who is deleted from anywhere is erased.

    Nothing is left then of what Django wanted to delete. So `user.delete()` returns
    counts of 0, and only `erase` says what was removed.
    """
    if not isinstance(origin, _Erased):
        with suppress(NoUserError):
            erase(instance.pk)


def before_face(sender: type[Face], instance: Face, origin: Any, **kwargs: Any) -> None:
    """The receiver of pre_delete of faces. If the user is deleted as well, `erase` does it all."""
    if isinstance(origin, User) or (isinstance(origin, QuerySet) and origin.model is User):
        return
    for keeps in KEEPS:
        keeps.forget_face(instance)
