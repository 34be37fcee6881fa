"""Save the database into a file, and bring it back: `manage.py backup` and `manage.py restore`.

docs/backup.md says what operators have to know. The keys (`.env`) are never in the file.

A dump is SQL with functions and triggers, which the service runs with its own rights. So its last
line says who made it, and a file is restored only if it was made with this installation's
SECRET_KEY, or if somebody says that they know where it is from. Programs of PostgreSQL do not mind
the line.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import BinaryIO

from django.core.management import CommandError, call_command
from django.db import connection
from django.utils.crypto import constant_time_compare, salted_hmac

from facesvc import erasures
from facesvc.erasures import Erasures
from facesvc.postgres import cluster, former
from facesvc.postgres.cluster import DatabaseError
from recognition.collections.current import SHARED, entered
from recognition.collections.visiting import all_collections
from recognition.gallery import indexes
from recognition.inference.pack.declaration import PackError
from recognition.models import FaceCrop
from recognition.packs import engine, protection
from recognition.privacy import sealing

# Tables that are useless elsewhere or later: counters of the last hour, and logins of operators.
# The first is in each collection.
_LEFT_OUT = ("*.recognition_ratewindow", "django_session")
_LOOKED_AT = 100  # pictures, to tell whether the keys are there
_LINE = re.compile(rb"\nfacesvc backup, HMAC-SHA256 ([0-9a-f]{64})\n")
_LENGTH = len("\nfacesvc backup, HMAC-SHA256 \n") + 64
_CHUNK = 1024**2


def save(file: Path) -> None:
    """One consistent state of the whole database. The file has its name only when it is whole."""
    if file.exists():
        raise CommandError(f"{file} exists already.")
    unfinished = file.with_name(f"{file.name}.unfinished")
    # A comment on an extension can be restored by its owner only.
    how = ["--format=custom", "--no-owner", "--no-privileges", "--no-comments"]
    how += [f"--exclude-table-data={table}" for table in _LEFT_OUT]
    try:
        unfinished.touch(mode=0o600)
        _run("pg_dump", *how, to=unfinished)
        _sign(unfinished)
        unfinished.rename(file)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    print(f"{file} has the database, {file.stat().st_size / 1e6:.1f} MB. It has no keys in it.")


def restore(file: Path, *, replace: bool, erased: Erasures, unsigned: bool) -> None:
    """All or nothing; then what a restored database needs, and the erasures since the backup."""
    with _own_copy(file) as copy:
        if not unsigned and (problem := problem_with(copy)):
            raise CommandError(
                f"{file} {problem}. Restoring a file runs the code in it. If you know where it is"
                " from, say --unsigned (make restore ARGS=--unsigned). Nothing is done."
            )
        content = _run("pg_restore", "--list", given=copy)
        rows = ("--data-only", "--table=django_migrations", "--file=-")
        if former.is_saved(_run("pg_restore", *rows, given=copy)):
            raise CommandError(f"{file} {former.WHY}. {former.ADVICE} Nothing is done.")
        if tables := _tables():
            if not replace:
                raise CommandError("The database is not empty: --replace drops what it holds.")
            _refuse_newer(tables, content)
            erased = erased.and_those(erasures.noted())
        if _is_in_use():
            raise CommandError("Somebody uses the database: stop the service first.")
        clean = ["--clean", "--if-exists"] if replace else []
        how = ["--single-transaction", "--no-owner", "--no-privileges", *clean]
        with NamedTemporaryFile("w") as wanted:
            wanted.write(_without_hnsw(content))
            wanted.flush()
            how.append(f"--use-list={wanted.name}")
            _run("pg_restore", *how, given=copy, into=True)
    print(f"{file} is restored.")
    finish(erased)


@contextmanager
def _own_copy(file: Path) -> Iterator[BinaryIO]:
    """A file without a name: nobody can change `file` between the check and the restore."""
    with TemporaryFile() as copy:
        try:
            with file.open("rb") as content:
                shutil.copyfileobj(content, copy)
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}.") from error
        yield copy


def _without_hnsw(content: str) -> str:
    """The list of contents without the indexes that a worker builds while the service runs again.

    PostgreSQL would need up to some hours for them, and a small gallery has no use for them.
    """
    lines = content.splitlines(keepends=True)
    return "".join(line for line in lines if f" {indexes.PREFIX}" not in line)


def _tables() -> set[tuple[str, str]]:
    """The schema and name of each of our tables, in every collection."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nspname, relname FROM pg_class"
            " JOIN pg_namespace ON pg_namespace.oid = relnamespace"
            " WHERE relkind IN ('r', 'p') AND (nspname = %s OR nspname ~ '^collection_[0-9]+$')",
            [SHARED],
        )
        return set(cursor.fetchall())


def _refuse_newer(tables: set[tuple[str, str]], content: str) -> None:
    """pg_restore drops what is in the backup only; what refers to it would be in the way, and a
    collection that the backup lacks would stay behind without its row.
    """
    lines = (line.split() for line in content.splitlines())
    known = {(words[4], words[5]) for words in lines if words[3:4] == ["TABLE"] and words[5:]}
    places = {place for place, __ in known}
    newer = sorted({name if place in places else place for place, name in tables - known})
    if newer:
        raise CommandError(
            f"The database is newer than the backup, which has no {', '.join(newer)}: restore into"
            " an empty database, as docs/backup.md says."
        )


def finish(erased: Erasures) -> None:
    """What a restored database needs before it serves."""
    call_command("migrate", verbosity=0)
    erasures.erase_collections(erased)
    for collection in all_collections():
        with entered(collection):
            # A dump of data alone comes without what the triggers write.
            indexes.list_anew()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    for collection in all_collections():
        with entered(collection):
            erasures.erase_people(erased)
            _look_at_keys("" if collection.is_default else f"{collection.name}: ")


def _look_at_keys(of: str) -> None:
    try:
        protection.require(engine.active_model().template_key)
    except PackError as error:
        print(f"{of}Nothing can be searched: {error}.")
    crops = FaceCrop.objects.order_by("?")[:_LOOKED_AT]
    unreadable = sum(not sealing.can_open(bytes(crop.sealed)) for crop in crops)
    if unreadable:
        print(f"{of}{unreadable} of {len(crops)} kept pictures cannot be opened: a key is missing.")
    elif crops:
        print(f"{of}The keys open the kept pictures ({len(crops)} were tried).")


def _is_in_use() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return bool(cursor.fetchone()[0])


def _run(
    name: str,
    *arguments: str,
    to: Path | None = None,
    into: bool = False,
    given: BinaryIO | None = None,
) -> str:
    """What a program of PostgreSQL prints; the password is in no list of processes.

    It writes the database `to` a file, or writes what is `given` `into` the database.
    """
    program = _program(name)
    environment, target = dict(os.environ), []
    if to or into:
        connection.ensure_connection()
        info = connection.connection.info
        if info.password:
            environment["PGPASSWORD"] = info.password
        target = [f"--dbname={info.dsn}", *([f"--file={to}"] if to else [])]
        connection.close()  # it would stand in the way
    if given:
        given.seek(0)
    result = subprocess.run(
        [program, *target, *arguments],
        stdin=given,
        env=environment,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise CommandError(f"{name} failed; the database is as it was.\n{result.stderr.strip()}")
    return result.stdout


def _program(name: str) -> str:
    """Our own, which is as new as they come; or that of the system."""
    try:
        own = cluster.program(name)
        if own.exists():
            return str(own)
    except DatabaseError:
        pass
    if found := shutil.which(name):
        return found
    raise CommandError(f"There is no {name} here: docs/backup.md says what to do instead.")


# --- The signature --------------------------------------------------------------------------------


def _sign(file: Path) -> None:
    """Append the line."""
    with file.open("rb") as content:
        digest = _digest(content, file.stat().st_size)
    with file.open("ab") as end:
        end.write(f"\nfacesvc backup, HMAC-SHA256 {digest}\n".encode())


def problem_with(content: BinaryIO) -> str:
    """What is wrong with an open file, to be read after its name; empty if we have signed it.

    Nobody else may be able to change the file.
    """
    length = max(0, content.seek(0, os.SEEK_END) - _LENGTH)
    content.seek(length)
    line = _LINE.fullmatch(content.read())
    if not line:
        return "has no signature"
    is_ours = constant_time_compare(line[1], _digest(content, length))
    return "" if is_ours else "was changed, or made with another SECRET_KEY"


def _digest(content: BinaryIO, length: int) -> str:
    """The HMAC of the first `length` bytes, in hexadecimal digits."""
    made = salted_hmac("facesvc.backup\n", b"", algorithm="sha256")
    content.seek(0)
    while chunk := content.read(min(_CHUNK, length)):
        made.update(chunk)
        length -= len(chunk)
    return made.hexdigest()
