"""This machine, which can be looked at without a database."""

import shutil
import time
from contextlib import suppress

from django.conf import settings
from django.core import checks as django_checks
from django.db import Error

from facesvc import machine
from facesvc.doctor.examining import CheckState, Finding, failure, ok, warning
from facesvc.postgres.cluster import DatabaseError
from recognition.collections.current import CollectionGoneError, entered
from recognition.collections.visiting import all_collections
from recognition.inference import providers
from recognition.inference.pack import weights
from recognition.inference.pack.declaration import ModelPack
from recognition.inference.providers import ProviderError
from recognition.models import ActiveModel
from recognition.packs import calibrations, engine, first_pack
from recognition.packs.engine import Engine
from recognition.packs.scores import ScoreScale
from recognition.processes.connections import first_line

_MB = 1024**2


def configuration() -> Finding:
    """Reports what `manage.py check` finds. Every command ends at a missing or weak SECRET_KEY."""
    found = [
        each
        for each in django_checks.run_checks()
        if each.level >= django_checks.WARNING and not each.is_silenced()
    ]
    if not found:
        return ok("SECRET_KEY is strong, and `manage.py check` finds nothing")
    worst = max(found, key=lambda each: each.level)
    all_of_it = f"`manage.py check` has all {len(found)}." if len(found) > 1 else ""
    advice = " ".join(filter(None, (worst.hint, all_of_it))) or "See docs/settings.md."
    return (failure if worst.level >= django_checks.ERROR else warning)(worst.msg, advice)


def models() -> Finding:
    """Compares each file of the packs that serve with its SHA-256."""
    names = dict.fromkeys([_active()[0], *_in_other_collections()])
    found = [_files_of(engine.pack(name)) for name in names]
    return next((each for each in found if each.state is not CheckState.OK), found[0])


def _files_of(pack: ModelPack) -> Finding:
    verdicts = weights.verify(pack, settings.MODELS_DIR)
    for file, verdict in verdicts.items():
        if verdict != weights.GOOD and not verdict.startswith(weights.UNCHECKED):
            folder = settings.MODELS_DIR / pack.name
            advice = f"Remove it from {folder}, and run `manage.py models pull {pack.name}`."
            return failure(f"{pack.name}: {file} is {verdict}", advice)
    good = [*verdicts.values()].count(weights.GOOD)
    text = f"{pack.name}: {good} files are as the pack names them"
    for file, verdict in verdicts.items():
        if verdict != weights.GOOD:
            text = f"{text}; {file} is {verdict}"
    lacking = weights.without(pack, settings.MODELS_DIR)
    return ok(f"{text}; {lacking}" if lacking else text)


def inference() -> Finding:
    """Loads the networks and runs them on a picture that is made in memory."""
    name, key = _active()
    pack = engine.pack(name)
    calibration = calibrations.in_use(pack) or engine.calibration_of(pack)
    try:
        loaded = Engine(engine.pipeline(pack), ScoreScale(calibration), key)
    except ProviderError as error:
        return failure(first_line(error), "See FACESVC_INFERENCE_PROVIDER in docs/deployment.md.")
    began = time.monotonic()
    if not loaded.self_test():
        advice = "Have another pack serve: `manage.py models activate`."
        return failure("the networks return impossible values", advice)
    spent = f"{1000 * (time.monotonic() - began):.0f} ms for a small picture"
    text = f"the networks run: {spent}{loaded.pipeline.arithmetic()}"
    if len(found := providers.installed()) > 1:
        advice = "Uninstall all of them and install one: see docs/deployment.md."
        return warning(f"{text}; {' and '.join(found)} are both installed", advice)
    return ok(text)


def _active() -> tuple[str, str]:
    """The active pack and its key; without a database, what a new one would begin with."""
    try:
        row = ActiveModel.objects.first()
    except (Error, DatabaseError):
        row = None
    return (row.pack, row.template_key) if row else (first_pack.choose().pack, "")


def _in_other_collections() -> list[str]:
    """The packs of other collections: one that was imported has brought its own."""
    found: list[str] = []
    try:
        for collection in all_collections()[1:]:
            with suppress(CollectionGoneError), entered(collection):
                found += ActiveModel.objects.values_list("pack", flat=True)
    except (Error, DatabaseError):
        return []  # the check of the database says so
    return found


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
