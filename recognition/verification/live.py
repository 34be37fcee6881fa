"""The state of a call: the votes of its frames, and whether the face moves.

The votes make one state that does not flicker. A face that does not move is a picture, so frames
are compared with those that counted before: until the user is verified, a frame that matches counts
only if its face differs from those of all matches in the window. From then on, the face that
counted last is kept, and every now and then another one has to differ from it. docs/liveness.md
says what people and stills were measured to do.
"""

from collections.abc import Sequence
from math import inf
from typing import Any

from django.conf import settings
from django.db.models import F, QuerySet
from django.utils import timezone

from recognition.gallery.statements import Vector, photo_distance
from recognition.inference.arrays import Floats
from recognition.models import RecentProbe, Session
from recognition.models.sessions import State
from recognition.packs.engine import Engine
from recognition.prepared import Blank, kept
from recognition.verification import recent_probes

# What one frame shows: the user, somebody else or a fake, or nothing that counts.
MATCH, OTHER, NOTHING = "match", "other", "nothing"
_STATES = {MATCH: State.VERIFIED, OTHER: State.MISMATCH, NOTHING: State.LOST}
# From this size of the window on, one frame may disagree.
_FORGIVING = 5
# The fewest matches that verify a user, even in a short window: two could be two photos in turn.
_MATCHES = 3


def advance(state: str, votes: Sequence[str], size: int) -> str:
    """The state after the last of the votes, of a window of `size` frames.

    It changes to what the last frame shows when more than half a window of frames showed it in a
    row (at least three matches), or all frames of a whole window but one. So a single frame changes
    nothing, and neither do two views that alternate.
    """
    last, window = votes[-1], votes[-size:]
    needed = max(size // 2 + 1, _MATCHES if last == MATCH else 0)
    run = window[-needed:]
    in_a_row = len(run) == needed and all(vote == last for vote in run)
    is_full = len(window) == size >= _FORGIVING
    if not in_a_row and not (is_full and window.count(last) >= size - 1):
        return state
    if last == NOTHING and state == State.VERIFYING:
        return state  # who was never seen is not lost
    return _STATES[last]


def without_view(state: str) -> str:
    """The state when the frames before no longer count."""
    return State.VERIFYING if state == State.VERIFYING else State.LOST


def keep_if_new(by: Engine, session: Session, template: Floats) -> int | None:
    """Keep the face of a match. Returns its id, or None if a match of the window has the same one.

    A match that cannot be compared leaves the window: its face is of another version, or gone.
    """
    distances = _distances(by, session, template)
    session.window = [
        frame
        for frame in session.window
        if frame["vote"] != MATCH or frame.get("face") in distances
    ]
    counted = {frame["face"] for frame in session.window if frame["vote"] == MATCH}
    if any(distances[face] <= by.scores.duplicate_distance for face in counted):
        return None
    return _keep(by, session, template, beside=counted)


def begin(session: Session) -> None:
    """Begin to watch: the next frames are compared with the last one, which verified the user."""
    session.moved_at = timezone.now()
    last = session.window[-1]["face"]
    RecentProbe.objects.filter(session=session).exclude(pk=last).delete()


def watch(by: Engine, session: Session, template: Floats) -> None:
    """Note whether the face of a verified user differs from the one that is kept.

    In the first half of the time nothing is compared, so that a frame seldom costs a statement.
    After a change of the model there is no face to compare with, and the time begins again.
    """
    if _seconds_still(session) < settings.FACESVC_LIVE_MOTION_SECONDS / 2:
        return
    distances = _distances(by, session, template)
    if all(distance > by.scores.duplicate_distance for distance in distances.values()):
        _keep(by, session, template, beside=set())
        session.moved_at = timezone.now()


def is_overdue(session: Session) -> bool:
    """Whether the face of a verified user has been still for too long."""
    return _seconds_still(session) > settings.FACESVC_LIVE_MOTION_SECONDS


def _seconds_still(session: Session) -> float:
    if session.moved_at is None:
        return inf  # verified before movements were noted
    return (timezone.now() - session.moved_at).total_seconds()


def _distances(by: Engine, session: Session, template: Floats) -> dict[int, float]:
    """How far a face is from those that a session keeps, by the ids of these."""
    values = {"session": session.pk, "probe": Vector.of(template)}
    return dict(_distances_of(values, version=by.template_version))


@kept
def _distances_of(*, version: str) -> QuerySet[Any, Any]:
    seen = RecentProbe.objects.filter(session=Blank("session"), embedding_version=version)
    return seen.values_list("pk", photo_distance(F("embedding")))


def _keep(by: Engine, session: Session, template: Floats, *, beside: set[int]) -> int:
    """Keep a face, and of the faces before it only those `beside` it. Returns its id."""
    RecentProbe.objects.filter(session=session).exclude(pk__in=beside).delete()
    return recent_probes.create(by, session.user_id, template, session).pk
