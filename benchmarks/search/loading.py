"""The product's side: its rows loaded by COPY, its sizes, its enrolments."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any
from uuid import UUID

import numpy as np
from django.apps import apps
from django.core.management.color import no_style
from django.db import connection, models, transaction
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from tqdm import tqdm

from benchmarks.search.people import FRIENDS, GROUP, Case, Gallery
from benchmarks.templates import Floats
from recognition.gallery.scope import Scope
from recognition.models import (
    AuditEvent,
    Face,
    Friendship,
    Group,
    Listing,
    Membership,
    PublicSketch,
    Template,
    User,
)

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


class LoadedGallery:
    """A gallery in the database, under random ids and in random order, as people arrive."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._random = np.random.default_rng(7)
        self._viewers = self._new_ids(len(FRIENDS) + 1)
        self._ids: list[UUID] = []
        self._people: dict[UUID, int] = {}
        self._faces = 0

    def load(self, gallery: Gallery, share: float) -> None:
        """Add what the gallery has beyond the one that is loaded, with which it begins."""
        self._gallery = gallery
        if not self._faces:
            viewers = ((viewer, "private") for viewer in self._viewers)
            copy(User, ("id", "privacy_level"), viewers)
        known = len(self._ids)
        self._ids += self._new_ids(gallery.size - known)
        self._people = {user_id: person for person, user_id in enumerate(self._ids)}
        levels = gallery.privacy(share)[known:]
        copy(User, ("id", "privacy_level"), zip(self._ids[known:], levels, strict=True))
        self._load_faces()
        self._load_graph()
        _reset_sequences(Face)
        vacuum()

    def _new_ids(self, count: int) -> list[UUID]:
        return [UUID(bytes=self._random.bytes(16), version=4) for _ in range(count)]

    def _load_faces(self) -> None:
        new = len(self._gallery.people) - self._faces
        self._rows = self._faces + self._random.permutation(new)
        self._faces += new
        faces = zip(self._rows + 1, self._face_ids(), self._owners(), strict=True)
        copy(
            Face,
            ("id", "face_id", "user_id"),
            ((int(number), face_id, user) for number, face_id, user in faces),
            quality_score=0.9, quality_components={}, attributes={},
            embedding_version=self._version, model_version=self._version,
        )  # fmt: skip
        copy(
            Template,
            ("face_id", "user_id", "embedding"),
            tqdm(self._templates(), total=len(self._rows), desc="Loading", unit="face"),
            embedding_version=self._version, model_version=self._version,
        )  # fmt: skip

    def _owners(self) -> Iterable[UUID]:
        return (self._ids[person] for person in self._gallery.people[self._rows])

    def _face_ids(self) -> Iterable[str]:
        return (f"face_{self._random.bytes(6).hex()}" for _ in self._rows)

    def _templates(self) -> Iterable[tuple[int, UUID, HalfVector]]:
        for row, user_id in zip(self._rows, self._owners(), strict=True):
            yield int(row) + 1, user_id, HalfVector(self._gallery.vectors[row])

    def _load_graph(self) -> None:
        """Two rows a friendship; a group that all viewers are in. All are new in a new gallery."""
        Friendship.objects.all().delete()
        Group.objects.all().delete()
        pairs = [
            (viewer, self._ids[person])
            for count in FRIENDS
            for viewer in [self._viewer(count)]
            for person in self._gallery.friends(count)
        ]
        both = chain(pairs, ((friend, viewer) for viewer, friend in pairs))
        copy(Friendship, ("user_id", "friend_id"), both)
        club = Group.objects.create(name=GROUP)
        members = [self._ids[person] for person in self._gallery.members()]
        viewers = [self._viewer(count) for count in FRIENDS]
        rows = ((club.pk, user_id) for user_id in [*members, *viewers])
        copy(Membership, ("group_id", "user_id"), rows)

    def _viewer(self, friends: int) -> UUID:
        return self._viewers[FRIENDS.index(friends) if friends else len(FRIENDS)]

    def scope(self, case: Case) -> Scope:
        if case.everyone:
            return Scope(viewer=None, everyone=True)
        return Scope(viewer=self._viewer(case.friends), groups=case.groups)

    def people(self, users: Sequence[UUID]) -> list[int]:
        return [self._people.get(user, -1) for user in users]

    def make_public(self, share: float) -> int:
        """Change who is public; returns how many users that changes."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE wanted (id uuid, level text) ON COMMIT DROP")
            with cursor.cursor.copy("COPY wanted FROM STDIN") as stream:
                for row in zip(self._ids, self._gallery.privacy(share), strict=True):
                    stream.write_row(row)
            cursor.execute(
                "UPDATE recognition_user SET privacy_level = level FROM wanted "
                "WHERE wanted.id = recognition_user.id AND privacy_level <> level"
            )
            changed = int(cursor.rowcount)
        vacuum()
        return changed

    def enrol(self, vector: Floats) -> None:
        """A new person with a face, as a registration writes them."""
        versions = {"embedding_version": self._version, "model_version": self._version}
        with transaction.atomic():
            user = User.objects.create(id=UUID(bytes=secrets.token_bytes(16), version=4))
            face = Face.objects.create(
                # The service asks whether an id is taken. Of so many at once some might be equal.
                face_id=f"face_{secrets.token_hex(6)}",
                user=user, quality_score=0.9, quality_components={}, attributes={}, **versions,
            )  # fmt: skip
            Template.objects.create(face=face, user=user, embedding=HalfVector(vector), **versions)


def sizes() -> dict[str, int]:
    """Bytes of the product's tables and indexes, by name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, pg_table_size(oid) FROM pg_class WHERE relkind IN ('r', 'i') "
            "AND (relname LIKE 'recognition\\_%' OR oid IN (SELECT indexrelid FROM pg_index "
            "WHERE indrelid::regclass::text LIKE 'recognition\\_%')) ORDER BY 2 DESC"
        )
        return {name: size for name, size in cursor.fetchall() if size > 8192}


def empty() -> None:
    """Leave no row of a gallery; the audit log cannot be emptied."""
    models = set(apps.get_app_config("recognition").get_models()) - {AuditEvent}
    tables = [model._meta.db_table for model in models]
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE")


def backend_pid() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return int(pid)


def copy(
    model: type[models.Model],
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    **same: Any,
) -> None:
    """Rows of these columns; the others are `same`, or as the model creates them.

    In the binary format: to read a vector as text takes PostgreSQL 0.06 ms.
    """
    example = model(**same)
    fixed = {
        field.column: field.get_db_prep_save(_value(field, example), connection)
        for field in model._meta.concrete_fields
        if field.attname not in names and not isinstance(field, models.AutoField)
    }
    listed = ", ".join([*names, *fixed])
    table = model._meta.db_table
    with transaction.atomic(), connection.cursor() as cursor:
        register_vector(connection.connection)
        cursor.execute(f"SELECT {listed} FROM {table} LIMIT 0")
        types = [column.type_code for column in cursor.description]
        statement = f"COPY {table} ({listed}) FROM STDIN (FORMAT BINARY)"
        with cursor.cursor.copy(statement) as stream:
            stream.set_types(types)
            for row in rows:
                stream.write_row([*row, *fixed.values()])


def _value(field: models.Field[Any, Any], example: models.Model) -> Any:
    if getattr(field, "auto_now_add", False) or getattr(field, "auto_now", False):
        return _NOW
    return getattr(example, field.attname)


def _reset_sequences(*of: type[models.Model]) -> None:
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), list(of)):
            cursor.execute(statement)


def compact() -> None:
    """What privacy changes leaves no gaps."""
    tables = (model._meta.db_table for model in (Listing, PublicSketch, User))
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM (FULL, ANALYZE) {', '.join(tables)}")


def vacuum() -> None:
    """As autovacuum would do a little later."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
