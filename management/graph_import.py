"""Loading a social graph: all of it or nothing, in one transaction.

1. The lines are validated and copied, as they come, into a temporary table.
2. Users and groups are created and changed.
3. Everybody whom a friendship or membership names must exist now.
4. Friendships and memberships are removed and created.

The result is that of the lines one after the other: of several lines about one thing, the last
counts, and of a user each field by itself. What stays as it is, is not touched.

The statements are SQL, which the ORM cannot say. All of them lock rows in the order of their
unique keys, as management.friendships does.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from management import graph_lines
from management.graph_lines import Line, invalid_lines
from recognition.models import AuditEvent, PrivacyLevel

# Of lines that name somebody unknown, so many are told.
_ERRORS_SHOWN = 10
# Links stored by one statement. PostgreSQL keeps 50 bytes a row for the checks of foreign keys
# until the statement ends.
_CHUNK = 200_000
_LOCK = 0x67726170  # of imports: "grap"

Counts = dict[str, int]
Watch = Callable[[str, int, int], None]  # what is stored, how much of it is, and how much there is

_TABLE = """
CREATE TEMPORARY TABLE graph_line (
    number bigint, kind text, removed boolean, user_id uuid, friend_id uuid, group_name text,
    display_name text, profile_image text, privacy_level text
) ON COMMIT DROP
"""

# --- users and groups -----------------------------------------------------------------------------

# One row for each user, with the last value given for each field.
_MERGE_USERS = """
CREATE TEMPORARY TABLE graph_user ON COMMIT DROP AS
SELECT user_id AS id,
    (array_agg(display_name ORDER BY number DESC) FILTER (WHERE display_name IS NOT NULL))[1]
        AS display_name,
    (array_agg(profile_image ORDER BY number DESC) FILTER (WHERE profile_image IS NOT NULL))[1]
        AS profile_image,
    (array_agg(privacy_level ORDER BY number DESC) FILTER (WHERE privacy_level IS NOT NULL))[1]
        AS privacy_level
FROM graph_line WHERE kind = 'user' GROUP BY user_id
"""
_CREATE_USERS = """
INSERT INTO recognition_user
    (id, display_name, profile_image, privacy_level, created_at, updated_at)
SELECT id, coalesce(display_name, ''), coalesce(profile_image, ''),
    coalesce(privacy_level, %(privacy_level)s), now(), now()
FROM graph_user ORDER BY id
ON CONFLICT (id) DO NOTHING
"""
# Those just created do not differ.
_CHANGE_USERS = """
WITH changed AS MATERIALIZED (
    SELECT u.id, coalesce(g.display_name, u.display_name) AS display_name,
        coalesce(g.profile_image, u.profile_image) AS profile_image,
        coalesce(g.privacy_level, u.privacy_level) AS privacy_level
    FROM graph_user g JOIN recognition_user u ON u.id = g.id
    WHERE g.display_name <> u.display_name OR g.profile_image <> u.profile_image
        OR g.privacy_level <> u.privacy_level
    ORDER BY u.id FOR NO KEY UPDATE OF u
)
UPDATE recognition_user u SET display_name = c.display_name, profile_image = c.profile_image,
    privacy_level = c.privacy_level, updated_at = now()
FROM changed c WHERE u.id = c.id
"""
_CREATE_GROUPS = """
INSERT INTO recognition_group (name, created_at)
SELECT DISTINCT group_name, now() FROM graph_line WHERE kind = 'group' ORDER BY group_name
ON CONFLICT (name) DO NOTHING
"""

# --- who must exist -------------------------------------------------------------------------------

# Locked as foreign keys lock them, so that nobody found here is erased before the end.
_UNKNOWN_GROUPS = """
WITH named AS MATERIALIZED (
    SELECT group_name AS name, min(number) AS number FROM graph_line
    WHERE kind = 'membership' AND NOT removed GROUP BY group_name
), known AS MATERIALIZED (
    SELECT g.name FROM recognition_group g JOIN named n ON n.name = g.name
    ORDER BY g.name FOR KEY SHARE OF g
)
SELECT number, name FROM named n WHERE NOT EXISTS (SELECT FROM known k WHERE k.name = n.name)
ORDER BY number LIMIT %(limit)s
"""
_UNKNOWN_USERS = """
WITH named AS MATERIALIZED (
    SELECT id, min(number) AS number FROM (
        SELECT user_id AS id, number FROM graph_line
        WHERE kind IN ('friendship', 'membership') AND NOT removed
        UNION ALL
        SELECT friend_id, number FROM graph_line WHERE kind = 'friendship' AND NOT removed
    ) mentioned GROUP BY id
), known AS MATERIALIZED (
    SELECT u.id FROM recognition_user u JOIN named n ON n.id = u.id
    ORDER BY u.id FOR KEY SHARE OF u
)
SELECT number, id::text FROM named n WHERE NOT EXISTS (SELECT FROM known k WHERE k.id = n.id)
ORDER BY number LIMIT %(limit)s
"""

# --- friendships and memberships ------------------------------------------------------------------


@dataclass(frozen=True)
class _Links:
    """How one kind of links is stored, from a table with the last line about each of them."""

    last_lines: str  # columns place (from 1), a, b, removed
    remove: str
    create: str
    rows: int  # of one link


_FRIENDSHIPS = _Links(
    last_lines="""
CREATE TEMPORARY TABLE graph_friendship ON COMMIT DROP AS
SELECT row_number() OVER () AS place, * FROM (
    SELECT DISTINCT ON (user_id, friend_id) user_id AS a, friend_id AS b, removed
    FROM graph_line WHERE kind = 'friendship' ORDER BY user_id, friend_id, number DESC
) last_lines
""",
    remove="""
WITH gone AS MATERIALIZED (
    SELECT f.id FROM graph_friendship g
    CROSS JOIN LATERAL (VALUES (g.a, g.b), (g.b, g.a)) AS r (user_id, friend_id)
    JOIN recognition_friendship f ON f.user_id = r.user_id AND f.friend_id = r.friend_id
    WHERE g.removed AND g.place BETWEEN %(first)s AND %(last)s
    ORDER BY f.user_id, f.friend_id FOR UPDATE OF f
)
DELETE FROM recognition_friendship f USING gone WHERE f.id = gone.id
""",
    create="""
INSERT INTO recognition_friendship (user_id, friend_id, created_at)
SELECT r.user_id, r.friend_id, now() FROM graph_friendship g
CROSS JOIN LATERAL (VALUES (g.a, g.b), (g.b, g.a)) AS r (user_id, friend_id)
WHERE NOT g.removed AND g.place BETWEEN %(first)s AND %(last)s
ORDER BY r.user_id, r.friend_id
ON CONFLICT (user_id, friend_id) DO NOTHING
""",
    rows=2,
)
_MEMBERSHIPS = _Links(
    last_lines="""
CREATE TEMPORARY TABLE graph_membership ON COMMIT DROP AS
SELECT row_number() OVER () AS place, * FROM (
    SELECT DISTINCT ON (group_name, user_id) group_name AS a, user_id AS b, removed
    FROM graph_line WHERE kind = 'membership' ORDER BY group_name, user_id, number DESC
) last_lines
""",
    remove="""
WITH gone AS MATERIALIZED (
    SELECT m.id FROM graph_membership l JOIN recognition_group g ON g.name = l.a
    JOIN recognition_membership m ON m.group_id = g.id AND m.user_id = l.b
    WHERE l.removed AND l.place BETWEEN %(first)s AND %(last)s
    ORDER BY m.group_id, m.user_id FOR UPDATE OF m
)
DELETE FROM recognition_membership m USING gone WHERE m.id = gone.id
""",
    create="""
INSERT INTO recognition_membership (group_id, user_id, created_at)
SELECT g.id, l.b, now() FROM graph_membership l JOIN recognition_group g ON g.name = l.a
WHERE NOT l.removed AND l.place BETWEEN %(first)s AND %(last)s
ORDER BY g.id, l.b
ON CONFLICT (group_id, user_id) DO NOTHING
""",
    rows=1,
)


def import_graph(
    *, actor: str, lines: Iterable[bytes], watch: Watch = lambda what, done, total: None
) -> dict[str, Any]:
    """Load a graph from its lines; what was created, changed and removed of each kind.

    Raises invalid_graph; then nothing is stored. Whatever `lines` raises goes through.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '64MB'")
        count = _copy(cursor, lines)
        # One after the other: two at once would be no faster, and could wait for each other.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        counts: dict[str, Any] = {"lines": count}
        counts["users"] = _store_users(cursor)
        counts["groups"] = _store_groups(cursor)
        _require_known(cursor)
        # At the end of each statement; left to the end of all, the checks of foreign keys would
        # pile up in the server's memory.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        counts["friendships"] = _store_links(cursor, "friendship", _FRIENDSHIPS, watch)
        counts["memberships"] = _store_links(cursor, "membership", _MEMBERSHIPS, watch)
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        # The caller's transaction may be a longer one.
        cursor.execute("DROP TABLE graph_line, graph_user, graph_friendship, graph_membership")
        AuditEvent.objects.create(actor=actor, action="graph.import", details=counts)
    return counts


def _copy(cursor: CursorWrapper, lines: Iterable[bytes]) -> int:
    """Into the table of lines; how many."""
    cursor.execute(_TABLE)
    count = 0
    with cursor.copy(f"COPY graph_line ({', '.join(_COLUMNS)}) FROM STDIN") as copy:
        for line in _parsed(lines):
            copy.write_row(line)
            count += 1
    cursor.execute("ANALYZE graph_line")
    return count


_COLUMNS = Line._fields


def _parsed(lines: Iterable[bytes]) -> Iterator[Line]:
    for number, text in enumerate(lines, start=1):
        if not text.isspace():
            yield graph_lines.parse(number, text)


def _store_users(cursor: CursorWrapper) -> Counts:
    cursor.execute(_MERGE_USERS)
    total = cursor.rowcount
    cursor.execute("ANALYZE graph_user")
    cursor.execute(_CREATE_USERS, {"privacy_level": PrivacyLevel.FRIENDS.value})
    created = cursor.rowcount
    cursor.execute(_CHANGE_USERS)
    changed = cursor.rowcount
    return {"created": created, "changed": changed, "unchanged": total - created - changed}


def _store_groups(cursor: CursorWrapper) -> Counts:
    cursor.execute("SELECT count(DISTINCT group_name) FROM graph_line WHERE kind = 'group'")
    (total,) = cursor.fetchone()
    cursor.execute(_CREATE_GROUPS)
    return {"created": cursor.rowcount, "unchanged": total - cursor.rowcount}


def _require_known(cursor: CursorWrapper) -> None:
    for code, statement, what in (
        ("group_not_found", _UNKNOWN_GROUPS, "group"),
        ("user_not_found", _UNKNOWN_USERS, "user"),
    ):
        cursor.execute(statement, {"limit": _ERRORS_SHOWN})
        errors = [
            {"line": number, "code": code, "message": f"There is no {what} {name}."}
            for number, name in cursor.fetchall()
        ]
        if errors:
            raise invalid_lines(errors)


def _store_links(cursor: CursorWrapper, kind: str, links: _Links, watch: Watch) -> Counts:
    cursor.execute(links.last_lines)
    total = cursor.rowcount
    # Each chunk would read the whole table otherwise.
    cursor.execute(f"CREATE UNIQUE INDEX ON graph_{kind} (place)")
    cursor.execute(f"ANALYZE graph_{kind}")
    changed = {"created": 0, "removed": 0}
    for name, statement in (("removed", links.remove), ("created", links.create)):
        for first in range(1, total + 1, _CHUNK):
            cursor.execute(statement, {"first": first, "last": first + _CHUNK - 1})
            changed[name] += cursor.rowcount // links.rows
            if name == "created":
                watch(f"{kind}s", min(first + _CHUNK - 1, total), total)
    return {**changed, "unchanged": total - sum(changed.values())}
