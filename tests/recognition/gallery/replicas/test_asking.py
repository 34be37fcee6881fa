"""When a replica is searched, and when the primary has to do it."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from pytest_django import Settings

from facesvc.doctor import server
from facesvc.doctor.examining import CheckState
from facesvc.monitoring import stored_metrics
from facesvc.postgres import address
from facesvc.postgres.replicas import base
from recognition.collections import schemas
from recognition.collections.current import entered
from recognition.collections.models import Collection
from recognition.gallery.replicas import asking, fitness, pauses, states
from recognition.gallery.replicas.fitness import ALIAS, Moment, Reason
from recognition.gallery.replicas.pauses import Pauses
from recognition.packs.engine import Engine
from recognition.prepared import fetched
from tests.support.builders import make_user
from tests.support.patience import wait_until
from tests.support.servers.schemas import make_collection
from tests.support.servers.standby import Standby, fallbacks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True, databases=["default", "search"]),
]


@pytest.fixture
def elsewhere(replica: Standby) -> Iterator[Callable[..., None]]:
    """Has searches go to another server than the replica."""
    own = connections.settings[ALIAS]

    def move(**changes: Any) -> None:
        connections[ALIAS].close()
        del connections[ALIAS]
        connections.settings[ALIAS] = own | changes

    yield move
    move()


def look(active: Engine) -> bool:
    return asking.look(active, asking.moment()) is not None


def refused(active: Engine, reason: Reason) -> bool:
    """Whether the replica is not asked, for this reason, and is left alone from then on."""
    before = fallbacks(reason)
    is_first = not look(active) and fallbacks(reason) == before + 1
    # A new connection leads to the same server, and tells.
    return is_first and not look(active) and asking.moment() is None


def terminate(replica: Standby) -> None:
    pid = connections[ALIAS].connection.info.backend_pid
    assert replica.ask(f"SELECT pg_terminate_backend({pid}, 10000)")


def test_it_works(replica: Standby, active: Engine) -> None:
    found = asking.look(active, asking.moment())
    assert found and found.lag < 5
    assert asking.tried(lambda: fetched("SELECT pg_is_in_recovery()")) == [(True,)]
    assert fetched("SELECT pg_is_in_recovery()") == [(False,)]
    assert asking.wait_for_all(active, asking.moment())


def test_the_setting_is_not_there(active: Engine, settings: Settings) -> None:
    settings.FACESVC_SEARCH_DATABASE_URL = ""
    before = {reason: fallbacks(reason) for reason in Reason}
    assert asking.moment() is None
    assert not look(active)
    assert before == {reason: fallbacks(reason) for reason in Reason}


def test_what_it_has_not_replayed(replica: Standby, active: Engine) -> None:
    replica.pause()
    make_user(vector_id(2))
    found = asking.look(active, asking.moment())
    assert found and not found.has_all
    before = fallbacks(Reason.BEHIND)
    assert not asking.wait_for_all(active, asking.moment())
    assert fallbacks(Reason.BEHIND) == before + 1
    assert look(active)  # which is no failure


def vector_id(number: int) -> Any:
    return f"00000000-0000-4000-8000-{number:012d}"


def test_it_lags(replica: Standby, active: Engine, settings: Settings) -> None:
    settings.FACESVC_REPLICA_MAX_LAG = 0
    replica.pause()
    make_user(vector_id(2))
    assert refused(active, Reason.LAGGING)


def test_nobody_writes_and_it_does_not_lag(
    replica: Standby, active: Engine, settings: Settings
) -> None:
    settings.FACESVC_REPLICA_MAX_LAG = 0
    since = Moment.now()
    wait_until(lambda: replica.ask(f"SELECT pg_last_wal_replay_lsn() - '0/0' >= {since.position}"))
    found = asking.look(active, since)
    assert found and found.has_all and found.lag == 0


def test_the_first_search_after_idle_seconds(
    replica: Standby, active: Engine, settings: Settings
) -> None:
    """The last commit is old, and what was written since is on its way."""
    settings.FACESVC_REPLICA_MAX_LAG = 0
    replica.pause()
    make_user(vector_id(2))
    before = fallbacks(Reason.LAGGING)
    soon = threading.Timer(0.1, replica.resume)
    soon.start()
    assert look(active) and fallbacks(Reason.LAGGING) == before
    soon.join()


def test_it_was_promoted(active: Engine, elsewhere: Callable[..., None]) -> None:
    """The primary itself is as little a replica as one that was promoted."""
    info = connection.connection.info
    elsewhere(HOST=info.host, PORT=str(info.port))
    assert refused(active, Reason.PROMOTED)


def test_it_follows_another_primary(active: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Moment, "now", lambda: Moment(0, 0, 1, "4711", 0.0))
    assert refused(active, Reason.FOREIGN)


def test_it_lacks_a_migration(active: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    connections[ALIAS].close()
    monkeypatch.setattr(fitness, "_migrations", lambda: ["recognition.9999_to_come"])
    assert refused(active, Reason.OUTDATED)


def test_it_does_not_know_the_model(active: Engine) -> None:
    assert refused(Engine(active.pipeline, active.scores, "other"), Reason.OUTDATED)


def test_no_server_is_there(active: Engine, elsewhere: Callable[..., None], tmp_path: Path) -> None:
    elsewhere(HOST=str(tmp_path))
    assert refused(active, Reason.UNREACHABLE)


def test_one_of_two_servers_is_there(
    active: Engine, elsewhere: Callable[..., None], tmp_path: Path
) -> None:
    own = connections.settings[ALIAS]["HOST"]
    url = f"postgresql://postgres@{str(tmp_path).replace('/', '%2F')},{own.replace('/', '%2F')}/x"
    options = address.parse_replicas("NAME", url)["OPTIONS"]
    for _ in range(5):
        elsewhere(HOST=f"{tmp_path},{own}", PORT="5432,5432", OPTIONS=options)
        assert look(active)


def test_a_connection_that_was_lost_is_made_again(replica: Standby, active: Engine) -> None:
    assert look(active)
    before = fallbacks(Reason.BROKEN_OFF)
    terminate(replica)
    assert look(active)
    assert fallbacks(Reason.BROKEN_OFF) == before


def test_a_thread_leaves_a_server_that_lags(
    active: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread leaves the server that lags while another thread finds one that does not."""
    names, connect = iter(["one", "one", "other"]), fitness.connect

    def named(since: Moment) -> str:
        connect(since)
        database: Any = connections[ALIAS]
        database.server = next(names)
        return str(database.server)

    connections[ALIAS].close()
    monkeypatch.setattr(fitness, "connect", named)
    assert look(active)
    asking._pauses.begin("one", Reason.LAGGING, "noticed by another thread")
    assert asking.moment() is None  # no other is known, so the connection is kept
    asking._pauses.end("other")
    assert not look(active)  # the new connection is to the same one
    assert look(active)
    assert asking._connected_to() == "other"


def test_who_tries_after_a_pause_had_a_connection(replica: Standby, active: Engine) -> None:
    """The thread that tries had its connection before the server died and came back."""
    assert look(active)
    server: str = connections[ALIAS].server  # type: ignore[attr-defined]
    asking._pauses.begin(server, Reason.BROKEN_OFF, "another thread was broken off")
    asking._pauses._until[server] = 0.0
    terminate(replica)
    assert look(active)
    assert asking._pauses.may_ask(server) and asking._pauses.may_ask(server)


def test_it_dies_in_the_middle(replica: Standby, active: Engine) -> None:
    def die() -> Any:
        terminate(replica)
        return fetched("SELECT 1")

    before = fallbacks(Reason.BROKEN_OFF)
    assert look(active)
    assert asking.tried(die) is None
    assert fallbacks(Reason.BROKEN_OFF) == before + 1
    assert fetched("SELECT pg_is_in_recovery()") == [(False,)]
    # Whoever is connected to this server leaves it alone, and so does who comes to it.
    assert not look(active) and connections[ALIAS].connection
    assert asking.moment() is None


def test_the_replay_breaks_off_a_statement(replica: Standby, active: Engine) -> None:
    replica.ask("ALTER SYSTEM SET max_standby_streaming_delay = 0")
    replica.ask("SELECT pg_reload_conf()")
    assert look(active)
    pid = connections[ALIAS].connection.info.backend_pid

    def conflict() -> None:
        asked = f"SELECT state = 'active' FROM pg_stat_activity WHERE pid = {pid}"
        wait_until(lambda: replica.ask(asked))
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE recognition_newface")
        connection.close()

    thread = threading.Thread(target=conflict)
    thread.start()
    before = fallbacks(Reason.BROKEN_OFF)
    assert (
        asking.tried(lambda: fetched("SELECT pg_sleep(4), count(*) FROM recognition_newface"))
        is None
    )
    thread.join()
    assert fallbacks(Reason.BROKEN_OFF) == before + 1


def test_it_is_silent(replica: Standby, active: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "STATEMENT_SECONDS", 1.5)
    assert look(active)
    pid = connections[ALIAS].connection.info.backend_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        assert refused(active, Reason.BROKEN_OFF)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_the_log_says_what_changes(
    active: Engine,
    elsewhere: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(pauses, "_PAUSE", 0.0)  # tried again at once
    elsewhere(HOST=str(tmp_path))
    for _ in range(3):
        assert not look(active)
    assert len(caplog.messages) == 1
    caplog.clear()
    elsewhere()
    for _ in range(3):
        assert look(active)
    assert len(caplog.messages) == 1


# --- pauses ---------------------------------------------------------------------------------------


def test_one_thread_tries_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    own = Pauses()
    assert own.may_ask("one")
    own.begin("one", Reason.LAGGING, "words")
    assert own.is_on("one") and not own.may_ask("one") and own.may_ask("two")
    now += 5
    assert not own.is_on("one")
    assert own.may_ask("one") and not own.may_ask("one")
    own.end("one")
    assert own.may_ask("one") and own.may_ask("one")


# --- how they are, for people ---------------------------------------------------------------------


def test_doctor_and_metrics_say_how_each_is(
    replica: Standby, active: Engine, settings: Settings, tmp_path: Path
) -> None:
    own = settings.DATABASES.get(ALIAS)
    host = connections.settings[ALIAS]["HOST"]
    settings.DATABASES[ALIAS] = {"HOST": f"{host},{tmp_path}", "PORT": "5432,5432"}
    try:
        found = states.states()
        assert [each.name for each in found] == [f"{host}:5432", f"{tmp_path}:5432"]
        well, away = found
        assert not well.problem and well.lag is not None
        assert "No such file" in away.problem and away.lag is None
        finding = server.replicas()
        assert finding.state == CheckState.WARNING and str(tmp_path) in finding.text
        lags = {family.name: family for family in stored_metrics._replicas()}
        (lag,) = lags["facesvc_replica_lag_seconds"].samples
        assert lag.labels == {"replica": f"{host}:5432"}
        usable = [sample.value for sample in lags["facesvc_replica_usable"].samples]
        assert usable == [1, 0]
        replica.pause()
        settings.FACESVC_REPLICA_MAX_LAG = 0
        make_user(vector_id(2))
        lagging = states.states()[0]
        assert "behind" in lagging.problem and lagging.lag
        assert server.replicas().state == CheckState.WARNING
    finally:
        settings.DATABASES.pop(ALIAS)
        if own:
            settings.DATABASES[ALIAS] = own


def test_without_the_setting_there_is_none(active: Engine, settings: Settings) -> None:
    settings.FACESVC_SEARCH_DATABASE_URL = ""
    assert server.replicas().state == CheckState.OK
    assert not [sample for metric in stored_metrics._replicas() for sample in metric.samples]


def test_a_collection_that_it_has_not_got_yet(replica: Standby, active: Engine) -> None:
    """The primary searches there, and the replica for all others."""
    assert look(active)
    replica.pause()
    shop = make_collection("shop")
    try:
        before = fallbacks(Reason.BEHIND)
        with entered(shop):
            assert not look(active)
            assert asking.tried(lambda: fetched("SELECT FROM recognition_user")) is None
            assert fetched("SELECT FROM recognition_user") == []
        assert fallbacks(Reason.BEHIND) == before + 2
        assert look(active)
    finally:
        replica.resume()
        schemas.drop(shop)
        Collection.objects.filter(pk=shop.number).delete()


def test_it_is_lost_when_it_turns_to_another_collection(replica: Standby, active: Engine) -> None:
    shop = make_collection("shop")
    replica.catch_up()
    try:
        assert look(active)
        terminate(replica)
        with entered(shop):
            assert asking.tried(lambda: fetched("SELECT FROM recognition_user")) is None
    finally:
        schemas.drop(shop)
        Collection.objects.filter(pk=shop.number).delete()
