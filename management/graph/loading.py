"""Loading a social graph: all of it or nothing, in one transaction.

1. The lines are validated, and copied into a temporary table as they arrive.
2. Users and groups are created and changed.
3. All users and groups that a friendship or membership names must exist now.
4. Friendships and memberships are removed and created.

The result is as if the lines were applied one after the other. If several lines are about one
thing, the last counts; for a user, the last value of each field. Rows that do not change are not
touched.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from management.graph import ndjson, statements
from management.graph.ndjson import Line, invalid_lines
from management.graph.statements import Links
from recognition import audit
from recognition.models import PrivacyLevel, locks
from recognition.models.locks import One

# How many lines with unknown users or groups to report.
_ERRORS_SHOWN = 10
# Links stored by one statement: until it ends, PostgreSQL remembers each row for the checks of
# foreign keys, in memory.
_CHUNK = 200_000

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
        _require(cursor, "user_merged", statements.MERGED_USERS, "User {} was merged into another.")
        counts["users"] = _store_users(cursor)
        counts["groups"] = _store_groups(cursor)
        _require(cursor, "group_not_found", statements.UNKNOWN_GROUPS, "There is no group {}.")
        _require(cursor, "user_not_found", statements.UNKNOWN_USERS, "There is no user {}.")
        # Check foreign keys after each statement; checks at the end would pile up in the server's
        # memory.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        counts["friendships"] = _store_links(cursor, "friendship", statements.FRIENDSHIPS, watch)
        counts["memberships"] = _store_links(cursor, "membership", statements.MEMBERSHIPS, watch)
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        # The caller's transaction may be a longer one.
        cursor.execute("DROP TABLE graph_line, graph_user, graph_friendship, graph_membership")
        audit.note(actor, "graph.import", **counts)
    return counts


def _copy(cursor: CursorWrapper, lines: Iterable[bytes]) -> int:
    """Copy the lines into their table; returns how many."""
    cursor.execute(statements.LINES)
    count = 0
    with cursor.copy(f"COPY graph_line ({', '.join(Line._fields)}) FROM STDIN") as copy:
        for line in _parsed(lines):
            copy.write_row(line)
            count += 1
    cursor.execute("ANALYZE graph_line")
    return count


def _parsed(lines: Iterable[bytes]) -> Iterator[Line]:
    for number, text in enumerate(lines, start=1):
        if not text.isspace():
            yield ndjson.parse(number, text)


def _store_users(cursor: CursorWrapper) -> Counts:
    cursor.execute(statements.MERGE_USERS)
    total = cursor.rowcount
    cursor.execute("ANALYZE graph_user")
    cursor.execute(statements.CREATE_USERS, {"privacy_level": PrivacyLevel.FRIENDS.value})
    created = cursor.rowcount
    cursor.execute(statements.CHANGE_USERS)
    changed = cursor.rowcount
    return {"created": created, "changed": changed, "unchanged": total - created - changed}


def _store_groups(cursor: CursorWrapper) -> Counts:
    cursor.execute("SELECT count(DISTINCT group_name) FROM graph_line WHERE kind = 'group'")
    (total,) = cursor.fetchone()
    cursor.execute(statements.CREATE_GROUPS)
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


def _store_links(cursor: CursorWrapper, kind: str, links: Links, watch: Watch) -> Counts:
    cursor.execute(links.last_lines)
    total = cursor.rowcount
    # Without it each chunk would read the whole table.
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
