"""Votes of frames to one state that does not flicker."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from recognition.verification.live import MATCH, NOTHING, OTHER, advance

VOTES = {"m": MATCH, "o": OTHER, "n": NOTHING}


def trace(frames: str, size: int = 5) -> str:
    """The first letter of the state after each frame: Verified, Mismatch, Lost or starting (s)."""
    letters = {"verifying": "s", "verified": "V", "mismatch": "M", "lost": "L"}
    state, votes, states = "verifying", [], ""
    for frame in frames:
        votes.append(VOTES[frame])
        state = advance(state, votes[-size:], size)
        states += letters[state]
    return states


@pytest.mark.parametrize(
    ("frames", "states"),
    [
        ("mmm", "ssV"),
        ("mmmnnn", "ssVVVL"),
        ("mmmooo", "ssVVVM"),
        ("mmmooonnnmmm", "ssVVVMMMLLLV"),
        ("nnnnn", "sssss"),  # who was never seen is not lost
        ("ooo", "ssM"),
        ("mmnmm", "ssssV"),  # a blink
        ("mmmnmomnm", "ssVVVVVVV"),
        ("mmmomomomom", "ssVVVVVVVVV"),
        ("mmmoomoomoo", "ssVVVVVMMMM"),  # 4 of 5 are somebody else
        ("mmmooom", "ssVVVMM"),
    ],
)
def test_it_works(frames: str, states: str) -> None:
    assert trace(frames) == states


def test_in_a_short_window_three_frames_verify() -> None:
    """Two would be two pictures in turn; for all else more than half of the window is enough."""
    assert trace("mmmoo", size=3) == "ssVVM"


@given(st.sampled_from("mon"), st.sampled_from("mon"), st.integers(3, 12))
def test_an_alternation_changes_nothing(one: str, other: str, size: int) -> None:
    assume(one != other)
    states = trace("m" * size + (one + other) * 20, size)[size:]
    assert len(set(states[5:])) == 1


@given(st.text("mon", min_size=1, max_size=60), st.integers(3, 9))
def test_a_change_is_what_most_of_the_last_frames_say(frames: str, size: int) -> None:
    states = trace(frames, size)
    for at in range(1, len(frames)):
        if states[at] != states[at - 1]:
            said = {"V": "m", "M": "o", "L": "n"}[states[at]]
            assert frames[at] == said
            assert frames[: at + 1][-size:].count(said) > size // 2
