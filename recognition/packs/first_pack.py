"""Which pack a new database begins with.

FACESVC_PACK names it. `auto` is PREFERRED if its files are here, or else FALLBACK. `manage.py
prepare`, with which `make run` begins, fetches those files before; nothing else asks a network for
them. The row of ActiveModel then holds the choice for all processes.
"""

from dataclasses import dataclass

from django.conf import settings

from recognition.inference.pack import weights
from recognition.inference.pack.declaration import ModelPack, PackError, load_pack, pack_file
from recognition.packs import downloads

AUTO, PREFERRED, FALLBACK = "auto", "permissive", "dlib"
# How long a start waits at most, and while nobody answers.
SECONDS, FIRST_ANSWER = 60.0, 5.0

# Why the last `fetch` of this process failed.
_failure = ""


@dataclass(frozen=True)
class Choice:
    pack: str
    reason: str  # a sentence, without any address or folder: those who use the API may read it


def choose() -> Choice:
    """The pack of a database that is made now. Asks no network."""
    if settings.FACESVC_PACK != AUTO:
        return Choice(settings.FACESVC_PACK, "FACESVC_PACK names it.")
    try:
        if weights.is_prepared(_preferred(), settings.MODELS_DIR):
            reason = f"the files of {PREFERRED} were here when the database was made"
            return Choice(PREFERRED, f"FACESVC_PACK is {AUTO}, and {reason}.")
        why = _failure or "nothing had fetched them"
        reason = f"the files of {PREFERRED} were not here when the database was made: {why}"
    except PackError:
        reason = f"there is no pack {PREFERRED} that is free and calibrated"
    return Choice(FALLBACK, f"FACESVC_PACK is {AUTO}, and {reason}.")


def fetch() -> str:
    """Bring the files of PREFERRED here, if that can be done in time. Returns why not.

    The text is for the operator and may name addresses; it is empty if the files are here.
    """
    global _failure
    _failure = ""
    try:
        downloads.pull_within(
            SECONDS,
            _preferred(),
            settings.MODELS_DIR,
            settings.FACESVC_MODEL_SOURCE,
            first_answer=FIRST_ANSWER,
        )
    except PackError as error:
        _failure = getattr(error, "why", "")
        return str(error)
    return ""


def _preferred() -> ModelPack:
    """Raises PackError; also for a pack of that name that nobody may take unasked."""
    pack = load_pack(pack_file(PREFERRED, settings.PACK_FOLDERS).parent)
    if pack.terms or not pack.calibration or pack.calibration.provisional:
        raise PackError(f"the pack {PREFERRED!r} has terms to accept, or no calibration")
    return pack
