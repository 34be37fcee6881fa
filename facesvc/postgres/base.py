"""Django's PostgreSQL backend on the embedded server, which starts with the first connection.

Importing the settings, as mypy's plugin and `manage.py check` do, therefore starts nothing.
"""

from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base

from facesvc.postgres import database


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        return {**params, **database.connect_parameters(settings.DATA_DIR)}
