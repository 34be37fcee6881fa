"""Loading a social graph: all of it or nothing, in one transaction.

1. The lines are validated, and copied into a temporary table as they arrive.
2. Users and groups are created and changed.
3. All users and groups that a friendship or membership names must exist now.
4. Friendships and memberships are removed and created.

The result is as if the lines were applied one after the other. If several lines are about one
thing, the last counts; for a user, the last value of each field. Rows that do not change are not
touched.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from management.graph import ndjson
from management.graph.ndjson import Line, invalid_lines
from recognition import audit
from recognition.models import PrivacyLevel, locks
from recognition.models.locks import One

# How many lines with unknown users or groups to report.
_ERRORS_SHOWN = 10
# Links stored by one statement: until it ends, PostgreSQL remembers each row for the checks of
# foreign keys, in memory.
_CHUNK = 200_000

# The statements, in the order of their use; the ORM cannot express them. All lock rows in the order
# of their unique keys, as management.relations does.
_LINES = """
CREATE TEMPORARY TABLE graph_line (
    number bigint, kind text, removed boolean, user_id uuid, user_given_id text,
    friend_id uuid, friend_given_id text, group_name text, display_name text,
    profile_image text, privacy_level text
) ON COMMIT DROP
"""
# One row for each user, with the last value given for each field.
_MERGE_USERS = """
CREATE TEMPORARY TABLE graph_user ON COMMIT DROP AS
SELECT user_id AS id, min(user_given_id) AS given_id,
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
    (id, given_id, display_name, profile_image, privacy_level, created_at, updated_at)
SELECT id, given_id, coalesce(display_name, ''), coalesce(profile_image, ''),
    coalesce(privacy_level, %(privacy_level)s), now(), now()
FROM graph_user ORDER BY id
ON CONFLICT (id) DO NOTHING
"""
# Users that were just created do not differ.
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
# Locked as foreign keys lock them, so that no user found here is erased before the end.
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
    SELECT id, min(given_id) AS given_id, min(number) AS number FROM (
        SELECT user_id AS id, user_given_id AS given_id, number FROM graph_line
        WHERE kind IN ('friendship', 'membership') AND NOT removed
        UNION ALL
        SELECT friend_id, friend_given_id, number FROM graph_line
        WHERE kind = 'friendship' AND NOT removed
    ) mentioned GROUP BY id
), known AS MATERIALIZED (
    SELECT u.id FROM recognition_user u JOIN named n ON n.id = u.id
    ORDER BY u.id FOR KEY SHARE OF u
)
SELECT number, coalesce(given_id, id::text) FROM named n
WHERE NOT EXISTS (SELECT FROM known k WHERE k.id = n.id)
ORDER BY number LIMIT %(limit)s
"""
_MERGED_USERS = """
SELECT min(number), coalesce(min(named.given_id), id::text) FROM (
    SELECT user_id AS id, user_given_id AS given_id, number FROM graph_line WHERE NOT removed
    UNION ALL
    SELECT friend_id, friend_given_id, number FROM graph_line WHERE NOT removed
) named
JOIN recognition_mergeduser USING (id) GROUP BY id ORDER BY 1 LIMIT %(limit)s
"""


class Links(NamedTuple):
    """One kind of links: what the statements below say of it."""

    kind: str
    a: str  # the two columns of a line that name the link
    b: str
    key: str  # the unique key of the stored rows
    stored: str  # the keys of the rows that store a link `g`
    rows: int  # how many these are


_FRIENDSHIPS = Links(
    *("friendship", "user_id", "friend_id", "user_id, friend_id"),
    *("VALUES (g.a, g.b), (g.b, g.a)", 2),
)
_MEMBERSHIPS = Links(
    *("membership", "group_name", "user_id", "group_id, user_id"),
    *("SELECT id, g.b FROM recognition_group WHERE name = g.a", 1),
)
# The last line about each link, in places from 1.
_LAST_LINES = """
CREATE TEMPORARY TABLE graph_{kind} ON COMMIT DROP AS
SELECT row_number() OVER () AS place, * FROM (
    SELECT DISTINCT ON ({a}, {b}) {a} AS a, {b} AS b, removed
    FROM graph_line WHERE kind = '{kind}' ORDER BY {a}, {b}, number DESC
) last_lines
"""
_REMOVE_LINKS = """
WITH gone AS MATERIALIZED (
    SELECT link.id FROM graph_{kind} g CROSS JOIN LATERAL ({stored}) AS r ({key})
    JOIN recognition_{kind} link USING ({key})
    WHERE g.removed AND g.place BETWEEN %(first)s AND %(last)s
    ORDER BY {key} FOR UPDATE OF link
)
DELETE FROM recognition_{kind} link USING gone WHERE link.id = gone.id
"""
_CREATE_LINKS = """
INSERT INTO recognition_{kind} ({key}, created_at)
SELECT {key}, now() FROM graph_{kind} g CROSS JOIN LATERAL ({stored}) AS r ({key})
WHERE NOT g.removed AND g.place BETWEEN %(first)s AND %(last)s
ORDER BY {key}
ON CONFLICT ({key}) DO NOTHING
"""

Counts = dict[str, int]
Watch = Callable[[str, int, int], None]  # what is stored, how much so far, and how much in all


def import_graph(
    *, actor: str, lines: Iterable[bytes], watch: Watch = lambda what, done, total: None
) -> dict[str, Any]:
    """Load a graph from its lines; returns how much of each kind was created, changed and removed.

    Raises invalid_graph, and then stores nothing. An error from `lines` is passed on.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        # No time limit: the caller may send the lines slowly.
        cursor.execute("SET LOCAL work_mem = '64MB'; SET LOCAL statement_timeout = 0")
        count = _copy(cursor, lines)
        # One import at a time: two would be no faster, and could wait for each other.
        locks.wait_for(One.IMPORT)
        counts: dict[str, Any] = {"lines": count}
        _require(cursor, "user_merged", _MERGED_USERS, "User {} was merged into another.")
        counts["users"] = _store_users(cursor)
        counts["groups"] = _store_groups(cursor)
        _require(cursor, "group_not_found", _UNKNOWN_GROUPS, "There is no group {}.")
        _require(cursor, "user_not_found", _UNKNOWN_USERS, "There is no user {}.")
        # Check foreign keys after each statement; checks at the end would pile up in the server's
        # memory.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        counts["friendships"] = _store_links(cursor, _FRIENDSHIPS, watch)
        counts["memberships"] = _store_links(cursor, _MEMBERSHIPS, watch)
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        # The caller's transaction may be a longer one.
        cursor.execute("DROP TABLE graph_line, graph_user, graph_friendship, graph_membership")
        audit.note(actor, "graph.import", **counts)
    return counts


def _copy(cursor: CursorWrapper, lines: Iterable[bytes]) -> int:
    """Copy the lines into their table; returns how many."""
    cursor.execute(_LINES)
    count = 0
    with cursor.copy(f"COPY graph_line ({', '.join(Line._fields)}) FROM STDIN") as copy:
        for number, text in enumerate(lines, start=1):
            if not text.isspace():
                copy.write_row(ndjson.parse(number, text))
                count += 1
    cursor.execute("ANALYZE graph_line")
    return count


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


def _require(cursor: CursorWrapper, code: str, statement: str, message: str) -> None:
    """Raises invalid_graph if the statement finds lines with a fault."""
    cursor.execute(statement, {"limit": _ERRORS_SHOWN})
    errors = [
        {"line": number, "code": code, "message": message.format(name)}
        for number, name in cursor.fetchall()
    ]
    if errors:
        raise invalid_lines(errors)


def _store_links(cursor: CursorWrapper, links: Links, watch: Watch) -> Counts:
    names = links._asdict()
    cursor.execute(_LAST_LINES.format(**names))
    total = cursor.rowcount
    # Without it each chunk would read the whole table.
    cursor.execute(f"CREATE UNIQUE INDEX ON graph_{links.kind} (place)")
    cursor.execute(f"ANALYZE graph_{links.kind}")
    changed = {"created": 0, "removed": 0}
    for name, statement in (("removed", _REMOVE_LINKS), ("created", _CREATE_LINKS)):
        for first in range(1, total + 1, _CHUNK):
            last = first + _CHUNK - 1
            cursor.execute(statement.format(**names), {"first": first, "last": last})
            changed[name] += cursor.rowcount // links.rows
            if name == "created":
                watch(f"{links.kind}s", min(last, total), total)
    return {**changed, "unchanged": total - sum(changed.values())}
