"""Opening, finding and ending verification sessions."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from recognition import audit, people
from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.models import Session, locks
from recognition.models.locks import One
from recognition.models.sessions import Purpose, State
from recognition.models.user_ids import UserId
from recognition.prepared import Blank, kept, update
from recognition.verification import lockout

_OPEN = 3  # sessions that take frames, of one user by one client


@transaction.atomic
def open_session(
    *, caller: Caller, user_id: UserId, purpose: str, level: str, device: str = ""
) -> Session:
    """Open a session. Only the newest few that take frames stay open.

    Raises not_your_user, user_not_found, user_merged, user_suspended.
    """
    caller.require_own(user_id)
    if not locks.hold_users([user_id]):
        raise people.not_found(user_id)
    if people.is_hidden(user_id, is_told=caller.is_service):
        raise people.unknown()
    lifetime = timedelta(minutes=settings.FACESVC_LIVE_SESSION_MINUTES)
    if purpose == Purpose.LOGIN:
        lifetime = timedelta(seconds=settings.FACESVC_LOGIN_SESSION_SECONDS)
    session = Session.objects.create(
        user_id=user_id,
        purpose=purpose,
        level=level,
        client=caller.name,
        device=lockout.device_key(device),
        expires_at=timezone.now() + lifetime,
    )
    if not session.is_single_use:
        _end_oldest(session)
    return session


def _end_oldest(newest: Session) -> None:
    """End all but the newest that take frames: each has a frame rate of its own."""
    # One at a time, so that the second sees the session of the first.
    locks.wait_for(One.OPENING, newest.user_id, newest.client)
    open_ones = Session.objects.filter(
        user=newest.user_id, client=newest.client, ended_at=None, expires_at__gt=timezone.now()
    ).exclude(purpose=Purpose.LOGIN)
    old = [row.pk for row in open_ones.order_by("-created_at", "-pk")[_OPEN:]]
    _end(Session.objects.filter(pk__in=old))


def session_of(caller: Caller, session_id: str, *, lock: bool = False) -> Session:
    """A session that the caller may see. Raises session_not_found, also to end users for a session
    of another user or of a suspended one: that it exists is private.
    """
    try:
        (session,) = _sessions({"session": UUID(session_id)}, lock=lock)
    except ValueError:  # no id, or none of a session
        raise not_found() from None
    is_hidden = session.user_suspended_at and not caller.is_service
    if is_hidden or not caller.speaks_for(session.user_id):
        raise not_found()
    session.user_id = UserId.of_row(session.user_id, session.user_given_id)
    return session  # type: ignore[no-any-return]


@kept
def _sessions(*, lock: bool) -> QuerySet[Any]:
    sessions = Session.objects.filter(pk=Blank("session"))
    sessions = sessions.annotate(
        user_suspended_at=F("user__suspended_at"), user_given_id=F("user__given_id")
    )
    return sessions.select_for_update(no_key=True, of=("self",)) if lock else sessions


def open_session_of(
    caller: Caller, session_id: str, *, user_id: UUID | None = None, lock: bool = False
) -> Session:
    """The same, if it is open. Raises session_ended, and session_not_found if not of `user_id`."""
    session = session_of(caller, session_id, lock=lock)
    if user_id is not None and session.user_id != user_id:
        raise not_found()
    if not session.is_open:
        raise ServiceError(
            "session_ended", "The session is over; open another.", {"state": session.shown_state}
        )
    return session


def not_found() -> ServiceError:
    return ServiceError("session_not_found", "There is no such session.")


@transaction.atomic
def end_session(*, caller: Caller, session_id: str) -> Session:
    """End a session for good. To end it again changes nothing."""
    session = session_of(caller, session_id, lock=True)
    if session.is_open:
        session.state, session.ended_at = State.ENDED, timezone.now()
        update(session, ("state", "ended_at"))
        audit.note(caller.name, "session.end", user_id=session.user_id)
    return session


def end_all(user_id: UUID) -> None:
    """End a user's sessions in the caller's transaction."""
    _end(Session.objects.filter(user=user_id, ended_at=None))


def _end(sessions: QuerySet[Session]) -> None:
    """End several sessions, locked in the order of their keys."""
    rows = list(sessions.order_by("pk").select_for_update(no_key=True))
    ids = [row.pk for row in rows if row.is_open]
    Session.objects.filter(pk__in=ids).update(state=State.ENDED, ended_at=timezone.now())
