"""The rolling state of a live session: votes of frames to one state that does not flicker."""

from collections.abc import Sequence

from recognition.models.sessions import State

# What one frame says: it is the user, it is somebody else or a fake, or it tells nothing.
MATCH, OTHER, NOTHING = "match", "other", "nothing"
_STATES = {MATCH: State.VERIFIED, OTHER: State.MISMATCH, NOTHING: State.LOST}
# From this size of the window on, one frame that disagrees is overlooked.
_FORGIVING = 5
# Matches that verify a user at least, in a short window, too: two could be two photos in turn.
_MATCHES = 3


def advance(state: str, votes: Sequence[str], size: int) -> str:
    """The state after the last of the votes, of a window of `size` frames.

    It changes to what the last frame says when more than half a window of frames said so in a row
    (at least three of matches), or all of a whole window but one. So a single frame changes
    nothing, and neither do two views that alternate; until then the state stays.
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
    """The state when the frames before say nothing any more."""
    return State.VERIFYING if state == State.VERIFYING else State.LOST
