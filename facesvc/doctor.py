"""What `manage.py doctor` looks at: whether the service has what it needs, and what to do if not.

No check changes anything, and none shows a secret or a person.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from django.conf import settings
from django.core import checks as django_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from batch.apps import SWEEP
from batch.models import DeliveryState, WebhookDelivery, WebhookEndpoint
from facesvc import machine
from facesvc.postgres import former
from facesvc.postgres.cluster import DatabaseError
from recognition.gallery import indexes
from recognition.inference.pack import weights
from recognition.inference.pack.declaration import PackError
from recognition.models import ActiveModel, Face, FaceCrop
from recognition.packs import calibrations, catalogue, engine, first_pack, protection, versions
from recognition.packs.engine import Engine
from recognition.packs.scores import ScoreScale
from recognition.privacy import sealing
from recognition.processes.connections import first_line

LEAST_POSTGRESQL = 14  # Django's
CLOCK_SECONDS = 2.0
# A cluster looks at its schedule every half minute, and the sweep is due every minute.
SILENCE = timedelta(minutes=3)
LONG_WAIT = timedelta(minutes=10)
A_KEY = "python -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'"
_MB = 1024**2


class CheckState(StrEnum):
    OK = "ok"
    WARNING = "warning"  # it works, but needs attention
    FAILURE = "failure"  # something does not work
    UNKNOWN = "unknown"  # skipped, because a check that it needs failed


@dataclass(frozen=True)
class Finding:
    state: CheckState
    text: str
    advice: str = ""  # what to do


def ok(text: str) -> Finding:
    return Finding(CheckState.OK, text)


def warning(text: str, advice: str) -> Finding:
    return Finding(CheckState.WARNING, text, advice)


def failure(text: str, advice: str) -> Finding:
    return Finding(CheckState.FAILURE, text, advice)


@dataclass(frozen=True)
class Check:
    name: str
    look: Callable[[], Finding]
    needs: tuple[str, ...] = ()  # names of checks before it


def examine(checks: Sequence[Check]) -> Iterator[tuple[str, Finding]]:
    """Yields each check's name and finding. A check is skipped when one that it needs failed."""
    failed: set[str] = set()
    for check in checks:
        if missing := [need for need in check.needs if need in failed]:
            finding = Finding(CheckState.UNKNOWN, f"skipped, because these failed: {missing[0]}")
        else:
            finding = _looked(check)
        if finding.state in (CheckState.FAILURE, CheckState.UNKNOWN):
            failed.add(check.name)
        yield check.name, finding


def _looked(check: Check) -> Finding:
    try:
        return check.look()
    except (OperationalError, DatabaseError) as error:
        text = f"it does not answer: {first_line(error)}"
        return failure(text, "Start the database, or see DATABASE_URL.")
    except (Error, PackError, ImproperlyConfigured, OSError) as error:
        return failure(first_line(error), "See the log of the service.")


# --- The database ---------------------------------------------------------------------------------


def database() -> Finding:
    """Checks that the database takes writes, and that it and pgvector are new enough."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only')")
        if cursor.fetchone() != ("off",):
            return failure("it is read-only", "DATABASE_URL has to name the primary server.")
    version: int = connection.pg_version  # type: ignore[attr-defined]
    if version // 10_000 < LEAST_POSTGRESQL:
        return failure(f"PostgreSQL {version // 10_000}", f"It has to be {LEAST_POSTGRESQL}.")
    pgvector = indexes.pgvector_version()
    if pgvector is None or pgvector < indexes.LEAST_PGVECTOR:
        there = f"only pgvector {_dotted(pgvector)}" if pgvector else "no pgvector"
        return failure(there, f"Install pgvector {_dotted(indexes.LEAST_PGVECTOR)} or newer.")
    shown = f"{version // 10_000}.{version % 10_000}"
    return ok(f"PostgreSQL {shown}, pgvector {_dotted(pgvector)}")


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def migrations() -> Finding:
    if former.is_former(connection.alias):
        return failure(f"the database {former.WHY}", former.ADVICE)
    executor = MigrationExecutor(connection)
    if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return failure(f"{len(plan)} are missing", "Run `manage.py migrate`.")
    return ok("all are applied")


def clock() -> Finding:
    """Compares the clock of the database with the clock of this machine."""
    before = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (there,) = cursor.fetchone()
    apart = max(before - there, there - timezone.now(), timedelta(0)).total_seconds()
    if apart <= CLOCK_SECONDS:
        return ok("as the database's")
    text = f"{apart:.0f} s apart from the database's"
    advice = "Set both by NTP: tokens, sessions and locks end too early or too late."
    if apart > max(CLOCK_SECONDS, settings.JWT_LEEWAY_SECONDS):
        return failure(text, advice)
    return warning(text, advice)


def search() -> Finding:
    """Checks the sketches of the templates that are searched, and the index of a large gallery."""
    if (row := ActiveModel.objects.first()) is None:
        return failure("nothing is prepared", "Run `manage.py migrate`.")
    version = versions.version_of(engine.pack(row.pack), row.template_key)
    if not indexes.is_usable(version):
        return failure(f"what a search of {version} needs is missing", "Run `manage.py migrate`.")
    index = indexes.look(version)
    text = f"templates of {version}: {index.templates:,}; there is {index.words}"
    return warning(text, index.advice) if index.advice else ok(text)


def pack() -> Finding:
    """Says which pack serves and why, and how to change to a better one."""
    if (row := ActiveModel.objects.first()) is None:
        return failure("none is chosen", "Run `manage.py migrate`.")
    text = f"{row.pack} serves. {row.reason}".rstrip()
    if (better := catalogue.better()) is None:
        return ok(text)
    commands = ", ".join(
        f"`{command}`" for command in catalogue.commands(better, has_faces=Face.objects.exists())
    )
    advice = f"{better.pack.name} compares faces better, and is free: {commands}."
    return Finding(CheckState.OK, text, advice)


def template_key() -> Finding:
    row = ActiveModel.objects.first()
    key = row.template_key if row else protection.newest_key()
    if key not in (protection.NO_KEY, *protection.key_ids()):
        text = f"the templates are protected by the key {key}, which is missing"
        return failure(text, "FACESVC_TEMPLATE_KEYS has to have it again: see docs/operations.md.")
    if key == protection.NO_KEY:
        text = "the templates are not protected: a stolen table can be used elsewhere"
        return warning(text, f"FACESVC_TEMPLATE_KEYS, then `manage.py rotate_keys`: {A_KEY}")
    return ok(f"the templates are protected by the key {key}")


def crop_key() -> Finding:
    """Checks that the newest and the oldest kept picture can be decrypted."""
    if not sealing.is_possible():
        text = "there is none: jobs, callbacks and a change of the model do not work"
        return warning(text, f"Set FACESVC_CROP_KEYS: {A_KEY}")
    crops = FaceCrop.objects.order_by("pk")
    kept = [crop for crop in (crops.first(), crops.last()) if crop]
    if not all(sealing.can_open(bytes(crop.sealed)) for crop in kept):
        text = "no key in FACESVC_CROP_KEYS opens a picture that is kept"
        return failure(text, "The key that it was made with has to be there again.")
    return ok("it opens the pictures that are kept" if kept else "it is there")


def queue() -> Finding:
    """Checks that a worker on any machine follows the schedule and takes tasks."""
    sweep = Schedule.objects.filter(name=SWEEP).first()
    if sweep is None:
        return failure("the schedule is missing", "Run `manage.py migrate`.")
    now = timezone.now()
    if now - sweep.next_run > SILENCE:
        text = f"no worker has looked for {_minutes(now - sweep.next_run)}"
        return failure(text, "Start one: `manage.py qcluster`; `make run` has one.")
    waiting = OrmQ.objects.filter(lock__lte=now).order_by("lock").first()
    if waiting and now - waiting.lock > LONG_WAIT:
        text = f"a task has waited for {_minutes(now - waiting.lock)}"
        return warning(text, "More workers help: FACESVC_TASK_WORKERS, or another machine.")
    return ok("a worker takes what waits")


def _minutes(time: timedelta) -> str:
    return f"{time.total_seconds() // 60:.0f} minutes"


def callbacks() -> Finding:
    given_up = WebhookDelivery.objects.filter(state=DeliveryState.DEAD).count()
    stopped = WebhookEndpoint.objects.filter(disabled_at__isnull=False).count()
    if not given_up + stopped:
        return ok("none was given up")
    text = f"given up: {given_up}; addresses that answered 410 Gone: {stopped}"
    return warning(text, "The admin shows why, and sends them again (`manage.py replay_webhooks`).")


# --- This machine, without a database ------------------------------------------------------------


def configuration() -> Finding:
    """Reports what `manage.py check` finds. Every command ends at a missing or weak SECRET_KEY."""
    found = [each for each in django_checks.run_checks() if each.level >= django_checks.ERROR]
    if found:
        return failure(found[0].msg, found[0].hint or "`manage.py check` has all of it.")
    return ok("SECRET_KEY is strong, and `manage.py check` finds no error")


def models() -> Finding:
    """Compares each file of the pack that serves with its SHA-256."""
    pack = engine.pack(_active()[0])
    verdicts = weights.verify(pack, settings.MODELS_DIR)
    for file, verdict in verdicts.items():
        if verdict != weights.GOOD:
            folder = settings.MODELS_DIR / pack.name
            advice = f"Remove it from {folder}, and run `manage.py models pull {pack.name}`."
            return failure(f"{pack.name}: {file} is {verdict}", advice)
    text = f"{pack.name}: {len(verdicts)} files are as the pack names them"
    lacking = weights.without(pack, settings.MODELS_DIR)
    return ok(f"{text}; {lacking}" if lacking else text)


def inference() -> Finding:
    """Loads the networks and runs them on a picture that is made in memory."""
    name, key = _active()
    pack = engine.pack(name)
    calibration = calibrations.in_use(pack) or engine.calibration_of(pack)
    loaded = Engine(engine.pipeline(pack), ScoreScale(calibration), key)
    began = time.monotonic()
    if not loaded.self_test():
        advice = "Have another pack serve: `manage.py models activate`."
        return failure("the networks return impossible values", advice)
    return ok(f"the networks run: {1000 * (time.monotonic() - began):.0f} ms for a small picture")


def _active() -> tuple[str, str]:
    """The active pack and its key; without a database, what a new one would begin with."""
    try:
        row = ActiveModel.objects.first()
    except (Error, DatabaseError):
        row = None
    return (row.pack, row.template_key) if row else (first_pack.choose().pack, "")


def disk() -> Finding:
    free = shutil.disk_usage(settings.DATA_DIR).free // _MB
    least = settings.FACESVC_FREE_DISK_MB
    text = f"{free:,} MB are free in {settings.DATA_DIR}"
    if free < least:
        return failure(text, f"Below {least} MB batches are refused: make room.")
    if free < 4 * least:
        return warning(text, f"Below {least} MB batches are refused: make room soon.")
    return ok(text)


def memory() -> Finding:
    """Compares the memory that all processes may take with the memory of this machine."""
    web, workers = settings.WEB_WORKERS, settings.FACESVC_TASK_WORKERS
    needed = (web + workers) * settings.WORKER_BYTES // _MB
    there = machine.memory() // _MB
    text = f"{web} web and {workers} worker processes take up to {needed:,} of {there:,} MB"
    if needed > there:
        return warning(text, "Lower WEB_WORKERS, or run the workers on another machine.")
    return ok(text)
