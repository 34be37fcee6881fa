"""The tables of a collection, for a connection that a test makes itself."""

from typing import Any

import psycopg

from recognition.collections import current


def connect(*args: Any, **kwargs: Any) -> "psycopg.Connection[Any]":
    """As psycopg.connect; it looks into the schema of `default`."""
    options = f"-c search_path={current.DEFAULT.search_path.replace(' ', '')}"
    return psycopg.connect(*args, **{**kwargs, "options": options})
