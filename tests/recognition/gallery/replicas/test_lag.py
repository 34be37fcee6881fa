"""By how many seconds a replica is behind, from what it says and what earlier searches knew."""

import time

import pytest
from pytest_django import Settings

from recognition.gallery.replicas import fitness
from recognition.gallery.replicas.fitness import Moment, Replica, ServedModel


@pytest.mark.parametrize(
    ("replayed", "lag"), [(9, 3600), (10, 30), (29, 20), (30, 10), (39, 10), (40, 0)]
)
def test_how_late_it_is(
    replayed: int, lag: float, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last commit is an hour old. What earlier searches of this process knew says more: after
    idle seconds the replay may take its time, and the replica is not that far behind."""
    now, log = 100.0, (1, "one")
    earlier = [Moment(at, at, *log, taken) for at, taken in ((10, 70.0), (20, 80.0), (30, 90.0))]
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(fitness, "_seen", earlier)
    monkeypatch.setattr(fitness, "fetched", lambda *asked: [(True, replayed, 3600.0, True)])
    settings.FACESVC_REPLICA_MAX_LAG = 40
    found = fitness._state(Moment(50, 40, *log, 95.0), ServedModel("pack", "key", "version"))
    assert found == Replica(has_all=False, lag=lag)


def test_moments_are_kept(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitness, "_seen", [])
    now = 100.0
    settings.FACESVC_REPLICA_MAX_LAG = 5
    monkeypatch.setattr(time, "monotonic", lambda: now)
    for _ in range(100):
        now += 0.2
        kept = fitness._moments(Moment(1, 1, 1, "one", now))
    assert len(kept) <= 10 and 115 < kept[0].taken < 116
    # A promoted primary has a log of its own, and so has another one at the same address.
    for other in (kept[0]._replace(timeline=2), kept[0]._replace(system="other")):
        assert fitness._moments(other) == [other]
