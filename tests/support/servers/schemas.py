"""The tables of collections: for a connection that a test makes itself, and of another one."""

from typing import Any

import psycopg

from recognition.collections import current, schemas
from recognition.collections.current import Entered, entered
from recognition.collections.models import Collection
from recognition.models import ActiveModel
from recognition.packs import engine


def connect(*args: Any, **kwargs: Any) -> "psycopg.Connection[Any]":
    """As psycopg.connect; it looks into the schema of `default`."""
    options = f"-c search_path={current.DEFAULT.search_path.replace(' ', '')}"
    return psycopg.connect(*args, **{**kwargs, "options": options})


def make_collection(name: str) -> Entered:
    """A collection whose model is that of `default`."""
    active = engine.active_model()
    made = Collection.objects.create(name=name, made_by="service:test").entered
    schemas.make(made)
    with entered(made):
        ActiveModel.objects.create(pack=active.pack, template_key=active.template_key)
    return made
