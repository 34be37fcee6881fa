"""Django's PostgreSQL backend; without DATABASE_URL on the embedded server.

That server starts with the first connection. Importing the settings, as mypy's plugin and
`manage.py check` do, therefore starts nothing.
"""

import shutil
import time
from collections.abc import Iterable
from typing import Any

import psycopg
from django.conf import settings
from django.db.backends.postgresql import client, operations

from facesvc.postgres import cluster, database
from facesvc.postgres.placing import PlacedWrapper

# Seconds for which a connection that was usable is not asked again. Under load each of them would
# be asked many times a second.
_ASKED_AGAIN_AFTER = 1.0


class DatabaseOperations(operations.DatabaseOperations):
    def last_executed_query(self, cursor: Any, sql: Any, params: Any) -> str:
        """What Django logs. It is without its values where only the binary format has these."""
        return super().last_executed_query(cursor, sql, params) or str(sql)


class DatabaseClient(client.DatabaseClient):
    """What `manage.py dbshell` runs: the psql of the system, or else that of the package."""

    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, Any], parameters: Iterable[str]
    ) -> tuple[list[str], dict[str, str] | None]:
        (psql, *arguments), environment = super().settings_to_cmd_args_env(
            settings_dict, parameters
        )
        return [psql if shutil.which(psql) else _own(psql), *arguments], environment

    def runshell(self, parameters: Iterable[str]) -> None:
        if not settings.DATABASE_URL:
            to = database.connect_parameters(settings.DATA_DIR)
            self.connection.settings_dict |= {name.upper(): str(to[name]) for name in to}
        super().runshell(parameters)


def _own(program: str) -> str:
    """Its path, or else its name alone: Django then says that it is missing."""
    try:
        return str(cluster.program(program))
    except cluster.DatabaseError:
        return program


class DatabaseWrapper(PlacedWrapper):
    client_class = DatabaseClient
    ops_class = DatabaseOperations
    _usable_until = 0.0  # by time.monotonic

    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        if settings.DATABASE_URL:
            return params
        return {**params, **database.connect_parameters(settings.DATA_DIR)}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        self._usable_until = 0.0
        return super().get_new_connection(conn_params)

    def close_if_health_check_failed(self) -> None:
        if time.monotonic() < self._usable_until:
            self.health_check_done = True  # for this request
        super().close_if_health_check_failed()

    def is_usable(self) -> bool:
        """Whether the server answers and takes writes.

        Django asks at the beginning of a request, but not twice in a second, and after an error. It
        closes what is not usable. So a connection to a server that has become a standby is dropped
        like a broken one: the next connection goes to the server that takes writes now.
        """
        if self.connection is None:
            return False
        try:
            row = self.connection.execute("SELECT current_setting('transaction_read_only')")
            is_usable = bool(row.fetchone() == ("off",))
        except psycopg.Error:
            return False
        if is_usable:
            self._usable_until = time.monotonic() + _ASKED_AGAIN_AFTER
        return is_usable
