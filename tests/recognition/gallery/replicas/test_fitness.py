"""What a replica knows: of which log, of which version of templates, and how late it is."""

from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from pytest_django import Settings

from facesvc.monitoring import stored_metrics
from recognition.gallery import indexes
from recognition.gallery.probe import SearchProbe
from recognition.gallery.replicas import asking, fitness
from recognition.gallery.replicas.fitness import ALIAS, Moment, Reason
from recognition.gallery.replicas.pauses import Pauses
from recognition.gallery.scope import Scope
from recognition.identification.searching import PictureSearch
from recognition.inference.pack.declaration import PackError
from recognition.packs import engine
from recognition.packs.engine import Engine
from tests.recognition.gallery.test_search_rule import padded
from tests.support.builders import make_face, make_user, vector
from tests.support.patience import wait_until
from tests.support.servers.standby import Standby, fallbacks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True, databases=["default", "search"]),
]


def test_what_the_primary_has_not_sent_yet_is_no_lag(
    active: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searches write hint bits. While nobody commits, they stay in its buffers for seconds."""
    monkeypatch.setattr(fitness, "_WAIT", 0)
    settings.FACESVC_REPLICA_MAX_LAG = 0

    def lags_not() -> bool:
        monkeypatch.setattr(asking, "_pauses", Pauses())
        found = asking.look(active, Moment.now()._replace(position=2**62))
        return found is not None and not found.has_all and found.lag == 0

    wait_until(lags_not)  # other tests write to the same primary


def test_it_follows_a_former_log(replica: Standby, active: Engine, settings: Settings) -> None:
    """As after a failover that it missed: it is past any position, and knows nothing new."""
    settings.FACESVC_REPLICA_MAX_LAG = 3600
    since = Moment.now()._replace(position=0, flushed=0)
    found = asking.look(active, since)
    assert found and found.has_all
    later = since._replace(timeline=since.timeline + 1)
    found = asking.look(active, later)
    assert found and not found.has_all
    settings.FACESVC_REPLICA_MAX_LAG = 0
    assert asking.look(active, later) is None


def test_it_lacks_the_version_of_the_templates(
    replica: Standby, active: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade whose pack has another cohort: the model and its key are the same."""
    replica.pause()
    monkeypatch.setattr(Engine, "template_version", "dlib_v1~5e1b60c2")
    indexes.sketch(active.template_version, active.sketches.centre)
    for number in range(40):  # so many that a search looks at the sketches
        user = make_user(UUID(int=number), "public")
        make_face(user, vector(number), version=active.template_version)
    before = fallbacks(Reason.OUTDATED)
    search = PictureSearch(
        active, [SearchProbe(padded(vector(7)))], Scope(None), 0.5, None, 3, False
    )
    assert len(search.answered(asking.moment()).found[0]) == 1
    assert fallbacks(Reason.OUTDATED) == before + 1


def test_a_migration_that_it_lacked_arrives(
    active: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections[ALIAS].close()
    with monkeypatch.context() as before:
        before.setattr(fitness, "_migrations", lambda: ["recognition.9999_to_come"])
        assert asking.look(active, Moment.now()) is None
    monkeypatch.setattr(asking, "_pauses", Pauses())  # the pause is over
    assert asking.look(active, Moment.now())


def test_metrics_where_the_folder_of_the_pack_is_missing(
    active: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(name: str) -> None:
        raise PackError(f"there is no pack {name!r}")

    def samples() -> list[Any]:
        return [sample for metric in stored_metrics._replicas() for sample in metric.samples]

    assert samples()
    monkeypatch.setattr(engine, "pack", gone)
    assert samples() == []
