"""`python -m facesvc.backup`: save the database into a file, and bring it back. See docs/backup.md.

The keys (`.env`) are never in the file: keep them elsewhere.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO
from uuid import UUID

import django
from django.core.management import CommandError, call_command
from django.db import connection

from facesvc import backup_signature
from facesvc.postgres import cluster, former
from facesvc.postgres.cluster import DatabaseError

# Tables that are useless elsewhere or later: counters of the last hour, and logins of operators.
_LEFT_OUT = ("recognition_ratewindow", "django_session")
_LOOKED_AT = 100  # pictures, to tell whether the keys are there


Erasures = dict[UUID, datetime]


class BackupError(Exception):
    """It cannot be done; the message says why, and that nothing is changed."""


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    options = _parser().parse_args()
    django.setup()
    try:
        options.run(options)
    except (BackupError, DatabaseError, CommandError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m facesvc.backup", description=__doc__)
    commands = parser.add_subparsers(required=True)
    saving = commands.add_parser("save", help="while the service runs")
    saving.add_argument("file", type=Path)
    saving.set_defaults(run=lambda options: save(options.file))
    restoring = commands.add_parser("restore", help="while the service is stopped")
    restoring.add_argument("file", type=Path)
    restoring.add_argument("--replace", action="store_true", help="what the database holds now")
    restoring.add_argument(
        "--erased", type=Path, metavar="LIST", help="whom to erase again, see `erasures`"
    )
    restoring.add_argument(
        "--unsigned",
        action="store_true",
        help="you know where the file is from",
    )
    restoring.set_defaults(
        run=lambda o: restore(o.file, replace=o.replace, erased=o.erased, unsigned=o.unsigned)
    )
    finishing = commands.add_parser(
        "finish", help="what a database needs that was restored by other means"
    )
    finishing.add_argument("--erased", type=Path, metavar="LIST", help="as for restore")
    finishing.set_defaults(run=lambda o: finish(_read(o.erased) if o.erased else {}))
    listing = commands.add_parser("erasures", help="print who was erased, and when")
    listing.set_defaults(run=lambda options: print_erasures())
    erasing = commands.add_parser("erase-again", help="who is back with a restored database")
    erasing.add_argument("erased", type=Path, metavar="LIST")
    erasing.set_defaults(run=lambda options: erase_again(_read(options.erased)))
    return parser


def save(file: Path) -> None:
    """One consistent state of the whole database. The file has its name only when it is whole."""
    if file.exists():
        raise BackupError(f"{file} exists already.")
    unfinished = file.with_name(f"{file.name}.unfinished")
    # A comment on an extension can be restored by its owner only.
    how = ["--format=custom", "--no-owner", "--no-privileges", "--no-comments"]
    how += [f"--exclude-table-data={table}" for table in _LEFT_OUT]
    try:
        unfinished.touch(mode=0o600)
        _run("pg_dump", *how, to=unfinished)
        backup_signature.sign(unfinished)
        unfinished.rename(file)
    except OSError as error:
        raise BackupError(f"{file}: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    print(f"{file} has the database, {file.stat().st_size / 1e6:.1f} MB. It has no keys in it.")


def restore(file: Path, *, replace: bool, erased: Path | None, unsigned: bool) -> None:
    """All or nothing; then what a restored database needs, and the erasures since the backup."""
    to_erase = _read(erased) if erased else {}
    with _own_copy(file) as copy:
        if not unsigned:
            _require_signature(copy, file)
        content = _run("pg_restore", "--list", given=copy)
        rows = ("--data-only", "--table=django_migrations", "--file=-")
        if former.is_saved(_run("pg_restore", *rows, given=copy)):
            raise BackupError(f"{file} {former.WHY}. {former.ADVICE} Nothing is done.")
        if tables := connection.introspection.table_names():
            if not replace:
                raise BackupError("The database is not empty: --replace drops what it holds.")
            _refuse_newer(tables, content)
            to_erase = _later(to_erase, erasures())
        if _is_in_use():
            raise BackupError("Somebody uses the database: stop the service first.")
        clean = ["--clean", "--if-exists"] if replace else []
        how = ["--single-transaction", "--no-owner", "--no-privileges", *clean]
        _run("pg_restore", *how, given=copy, into=True)
    print(f"{file} is restored.")
    finish(to_erase)


@contextmanager
def _own_copy(file: Path) -> Iterator[BinaryIO]:
    """A file without a name: nobody can change `file` between the check and the restore."""
    with TemporaryFile() as copy:
        try:
            with file.open("rb") as content:
                shutil.copyfileobj(content, copy)
        except OSError as error:
            raise BackupError(f"{file}: {error.strerror}.") from error
        yield copy


def _require_signature(copy: BinaryIO, file: Path) -> None:
    try:
        backup_signature.check(copy, file)
    except backup_signature.SignatureError as error:
        raise BackupError(
            f"{error} Restoring a file runs the code in it. If you know where it is from, say"
            " --unsigned (make restore ARGS=--unsigned). Nothing is done."
        ) from error


def _refuse_newer(tables: list[str], content: str) -> None:
    """pg_restore drops what is in the backup only; what refers to it would be in the way."""
    known = {words[5] for line in content.splitlines() if (words := line.split())[3:4] == ["TABLE"]}
    if newer := sorted({*tables} - known):
        raise BackupError(
            f"The database is newer than the backup, which has no {', '.join(newer)}: restore into"
            " an empty database, as docs/backup.md says."
        )


def finish(to_erase: Erasures) -> None:
    """What a restored database needs before it serves."""
    call_command("migrate", verbosity=0)
    # A dump of data alone comes without what the triggers write.
    call_command("list_anew")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    erase_again(to_erase)
    _look_at_keys()


def erasures() -> Erasures:
    """The users that the audit log says were erased, each with the last time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('recognition_auditevent') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return {}
        cursor.execute(
            "SELECT user_id, max(at) FROM recognition_auditevent WHERE action = 'user.erase'"
            " GROUP BY user_id ORDER BY user_id"
        )
        return dict(cursor.fetchall())


def print_erasures() -> None:
    for user_id, at in erasures().items():
        print(user_id, at.isoformat())


def erase_again(erased: Erasures) -> None:
    """Erases users restored from before their erasure; users re-created later are kept.

    It includes people without a user row who have jobs.
    """
    from management import erasure
    from recognition.models import User

    known = erasures()
    missing = {pk: at for pk, at in erased.items() if pk not in known or known[pk] < at}
    found = User.objects.filter(pk__in=missing).values_list("pk", "created_at")
    anew = {pk for pk, created_at in found if created_at >= missing[pk]}
    if back := sorted(map(str, missing.keys() - anew)):
        call_command("erase_user", *back)
    # Includes users without data here: a newer backup, restored next, would bring them back.
    for user_id in missing.keys() - erasures().keys():
        erasure.note_former(user_id, missing[user_id])


def _read(file: Path) -> Erasures:
    """Lines of print_erasures, of one or several times."""
    erased: Erasures = {}
    try:
        for line in file.read_text().splitlines():
            user_id, at = line.split()
            erased = _later(erased, {UUID(user_id): datetime.fromisoformat(at)})
    except (OSError, ValueError) as error:
        raise BackupError(f"{file} is no list of erasures: {error}. Nothing is done.") from error
    return erased


def _later(one: Erasures, other: Erasures) -> Erasures:
    return one | {key: max(at, one.get(key, at)) for key, at in other.items()}


def _look_at_keys() -> None:
    from recognition.inference.pack.declaration import PackError
    from recognition.models import FaceCrop
    from recognition.packs import engine, protection
    from recognition.privacy import sealing

    try:
        protection.require(engine.active_model().template_key)
    except PackError as error:
        print(f"Nothing can be searched: {error}.")
    crops = FaceCrop.objects.order_by("?")[:_LOOKED_AT]
    unreadable = sum(not sealing.can_open(bytes(crop.sealed)) for crop in crops)
    if unreadable:
        print(f"{unreadable} of {len(crops)} kept pictures cannot be opened: a key is missing.")
    elif crops:
        print(f"The keys open the kept pictures ({len(crops)} were tried).")


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
        raise BackupError(f"{name} failed; the database is as it was.\n{result.stderr.strip()}")
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
    raise BackupError(f"There is no {name} here: docs/backup.md says what to do instead.")


if __name__ == "__main__":
    sys.exit(main())
