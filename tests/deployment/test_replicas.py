"""Replicas of Compose and Kubernetes. docker/replica.sh runs here, on the embedded PostgreSQL."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
import yaml
from psycopg.errors import ReadOnlySqlTransaction

from facesvc.home import BASE_DIR
from facesvc.postgres import cluster, database
from tests.support.patience import PATIENCE, wait_until
from tests.support.servers import schemas

DOCKER, DEPLOYMENT = BASE_DIR / "docker", BASE_DIR / "deployment"
COMPOSE = yaml.safe_load((DOCKER / "docker-compose.yml").read_text())
BINARIES = cluster.program("postgres").parent
PASSWORD = "a-password"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def compose_service(name: str) -> dict[str, Any]:
    service: dict[str, Any] = COMPOSE["services"][name]
    return service


# --- the script -----------------------------------------------------------------------------------


class Servers:
    """A primary with the options of Compose, and what docker/replica.sh makes of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.replica_port = folder, free_port(), free_port()
        database.join(folder)
        with schemas.connect(database.embedded_url(folder), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE facesvc SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
            connection.execute("CREATE TABLE note AS SELECT 1 AS number")
        database.release(folder)
        self.owner = cluster.owner(folder)
        self.files = folder / "files"  # of the image
        for each in (self.files, folder / "copy"):
            each.mkdir()
            if self.owner:
                os.chown(each, *self.owner)
        for name in ("replica.sh", "pg_hba.conf"):
            copy(DOCKER / name, self.files)

    def options(self, port: int) -> list[str]:
        """Those of Compose, but for its sizes; on a port of this machine."""
        given = dict(re.findall(r"-c (\w+)=(\S+)", compose_service("replica")["command"]))
        there = {"hba_file": self.files / "pg_hba.conf", "unix_socket_directories": ""}
        names = ("max_connections", "wal_keep_size", "wal_compression")
        kept = {name: given[name] for name in names} | there
        return ["-p", str(port), *(f"-c{name}={value}" for name, value in kept.items())]

    @contextmanager
    def running(self, command: list[str], password: str) -> Iterator[subprocess.Popen[bytes]]:
        uid, gid = self.owner or (None, None)
        process = subprocess.Popen(
            command,
            env={"PATH": f"{BINARIES}:/usr/bin:/bin", "PGPASSWORD": password},
            user=uid,
            group=gid,
            extra_groups=None if gid is None else [],
            cwd="/",
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)

    @contextmanager
    def primary(self) -> Iterator[None]:
        folder = cluster.folder(self.folder)
        with self.running(["postgres", "-D", str(folder), *self.options(self.port)], ""):
            wait_until(lambda: is_up(self.port))
            yield

    def replica(self, password: str = PASSWORD) -> Any:
        """As Compose starts it, with another host."""
        _, volume, address = compose_service("replica")["entrypoint"]
        assert volume in compose_service("replica")["volumes"][0]
        address = address.replace("host=database", f"host=127.0.0.1 port={self.port}")
        script = [str(self.files / "replica.sh"), str(self.folder / "copy"), address]
        return self.running([*script, "postgres", *self.options(self.replica_port)], password)

    def wait_for(self, *numbers: int) -> None:
        wait_until(lambda: is_up(self.replica_port))
        wait_until(lambda: self.ask(self.replica_port, "SELECT number FROM note") == [*numbers])

    def ask(self, port: int, statement: str) -> list[Any]:
        with schemas.connect(address_of(port), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return [value for (value,) in cursor.fetchall()] if cursor.description else []


def address_of(port: int) -> str:
    return f"host=127.0.0.1 port={port} user=facesvc dbname=facesvc password={PASSWORD}"


def is_up(port: int) -> bool:
    program = [str(BINARIES / "pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={port}"]
    return subprocess.run(program).returncode == 0


@pytest.fixture
def servers(tmp_path: Path) -> Servers:
    return Servers(tmp_path / "servers")


@pytest.mark.slow
def test_it_works(servers: Servers) -> None:
    with servers.primary():
        with servers.replica():
            servers.wait_for(1)
            with pytest.raises(ReadOnlySqlTransaction):
                servers.ask(servers.replica_port, "INSERT INTO note VALUES (2)")
            assert servers.ask(servers.replica_port, "SHOW hot_standby_feedback") == ["on"]
            servers.ask(servers.port, "INSERT INTO note VALUES (2)")
            servers.wait_for(1, 2)
        servers.ask(servers.port, "INSERT INTO note VALUES (3)")
        before = (servers.folder / "copy" / "standby").stat().st_ino
        with servers.replica():  # it goes on with its copy
            servers.wait_for(1, 2, 3)
        assert (servers.folder / "copy" / "standby").stat().st_ino == before


@pytest.mark.slow
def test_a_copy_that_was_interrupted_begins_again(servers: Servers) -> None:
    unfinished = servers.folder / "copy" / "unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    if servers.owner:
        os.chown(unfinished, *servers.owner)
    with servers.primary(), servers.replica():
        servers.wait_for(1)
        assert not unfinished.exists()


@pytest.mark.slow
def test_a_wrong_password_leaves_no_copy(servers: Servers) -> None:
    with servers.primary(), servers.replica("another") as process:
        assert process.wait(PATIENCE) == 1
    assert not (servers.folder / "copy" / "standby").exists()


@pytest.mark.slow
def test_a_password_that_is_changed_later(servers: Servers) -> None:
    """The copy has the address with the former one."""
    with servers.primary():
        with servers.replica():
            servers.wait_for(1)
        with schemas.connect(address_of(servers.port), autocommit=True) as connection:
            connection.execute("ALTER ROLE facesvc PASSWORD 'another'")
            with servers.replica("another"):
                connection.execute("INSERT INTO note VALUES (2)")
                sent = "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'replica'"
                wait_until(lambda: connection.execute(sent).fetchone() == (1,))


# --- Compose --------------------------------------------------------------------------------------


def test_a_replica_is_as_its_primary() -> None:
    """A standby refuses to start with fewer max_connections, or another PostgreSQL."""
    primary, replica = compose_service("database"), compose_service("replica")
    for name in ("image", "command", "healthcheck", "networks"):
        assert primary[name] == replica[name]
    mounted = "./pg_hba.conf:/etc/postgresql/pg_hba.conf:ro,z"
    assert mounted in primary["volumes"] and mounted in replica["volumes"]
    assert "hba_file=/etc/postgresql/pg_hba.conf" in primary["command"]
    assert replica["profiles"] == ["replica"] and "profiles" not in primary
    assert os.access(DOCKER / "replica.sh", os.X_OK)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ""),
        ({"COMPOSE_PROFILES": "replica"}, "postgresql://facesvc:abc@replica/facesvc"),
        ({"FACESVC_SEARCH_DATABASE_URL": "postgresql://of-ours"}, "postgresql://of-ours"),
    ],
)
@pytest.mark.parametrize("name", ["web", "worker"])
def test_the_address_that_searches_get(name: str, given: dict[str, str], expected: str) -> None:
    """Compose fills in what a shell would."""
    text = compose_service(name)["environment"]["FACESVC_SEARCH_DATABASE_URL"]
    shell = ["/bin/sh", "-c", f'printf %s "{text}"']
    environment = {"POSTGRES_PASSWORD": "abc", **given}
    assert subprocess.run(shell, env=environment, capture_output=True, text=True).stdout == expected


# --- Kubernetes -----------------------------------------------------------------------------------


def test_the_services_of_the_example_are_those_of_the_page() -> None:
    made = yaml.safe_load((DEPLOYMENT / "postgres" / "cluster.yaml").read_text())
    name, namespace = made["metadata"]["name"], made["metadata"]["namespace"]
    page = (BASE_DIR / "docs" / "deployment.md").read_text()
    stored = made["spec"]["bootstrap"]["initdb"]["database"]
    for service in ("rw", "ro"):
        assert f"@{name}-{service}.{namespace}/{stored}" in page
    policies = (DEPLOYMENT / "k8s" / "network-policy.yaml").read_text()
    assert f"kubernetes.io/metadata.name: {namespace}" in policies
    # As the PostgreSQL of the service itself.
    assert made["spec"]["postgresql"]["parameters"]["wal_compression"] == "pglz"
    # One standby may be away without stopping all writes.
    assert made["spec"]["instances"] > 1 + made["spec"]["postgresql"]["synchronous"]["number"]


def test_the_commented_line_is_a_setting() -> None:
    text = (DEPLOYMENT / "k8s" / "config.yaml").read_text()
    data = yaml.safe_load(text.replace("# FACESVC_SEARCH", "FACESVC_SEARCH"))["data"]
    assert data["FACESVC_SEARCH_DATABASE_URL_FILE"].startswith("/run/secrets/facesvc/")
