"""Django's PostgreSQL backend; without DATABASE_URL on the embedded server.

That server starts with the first connection. Importing the settings, as mypy's plugin and
`manage.py check` do, therefore starts nothing.
"""

from collections.abc import Iterable
from typing import Any

import psycopg
from django.conf import settings
from django.db.backends.postgresql import client, operations

from facesvc.postgres import database
from facesvc.postgres.placing import PlacedWrapper


class DatabaseOperations(operations.DatabaseOperations):
    def last_executed_query(self, cursor: Any, sql: Any, params: Any) -> str:
        """What Django logs. It is without its values where only the binary format has these."""
        return super().last_executed_query(cursor, sql, params) or str(sql)


class DatabaseClient(client.DatabaseClient):
    """What `manage.py dbshell` runs: psql."""

    def runshell(self, parameters: Iterable[str]) -> None:
        if not settings.DATABASE_URL:
            to = database.connect_parameters(settings.DATA_DIR)
            self.connection.settings_dict |= {name.upper(): str(to[name]) for name in to}
        super().runshell(parameters)


class DatabaseWrapper(PlacedWrapper):
    client_class = DatabaseClient
    ops_class = DatabaseOperations

    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        if settings.DATABASE_URL:
            return params
        return {**params, **database.connect_parameters(settings.DATA_DIR)}

    def is_usable(self) -> bool:
        """Whether the server answers and takes writes.

        Django asks at the beginning of a request, and after an error, and closes what is not
        usable. So a connection to a server that has become a standby is dropped like a broken one:
        the next connection goes to the server that takes writes now.
        """
        if self.connection is None:
            return False
        try:
            row = self.connection.execute("SELECT current_setting('transaction_read_only')")
            return bool(row.fetchone() == ("off",))
        except psycopg.Error:
            return False
