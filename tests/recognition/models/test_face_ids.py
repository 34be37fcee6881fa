"""Face ids: random, and those of some minutes neighbours in the index."""

import re
from types import SimpleNamespace

import pytest

from recognition.models import new_face_id, people


def test_the_ids_of_some_minutes_are_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 7.0
    # The name in this module alone: other threads need the real clock.
    monkeypatch.setattr(people, "time", SimpleNamespace(monotonic=lambda: now))
    beginnings = []
    for _ in range(20):
        ids = {new_face_id() for _ in range(100)}
        assert len(ids) == 100
        assert all(re.fullmatch("face_[0-9a-f]{12}", each) for each in ids)
        (beginning,) = {each[:9] for each in ids}
        beginnings.append(beginning)
        now += 300
    # Nothing in them tells which came first.
    assert len(set(beginnings)) > 15
    assert beginnings != sorted(beginnings)
