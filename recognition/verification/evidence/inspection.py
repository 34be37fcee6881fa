"""What there is to know of a picture besides whose face it shows: seen before, alive, genuine."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from django.utils.crypto import salted_hmac

from recognition.inference.arrays import Image
from recognition.inference.pipeline import DetectedFace
from recognition.packs.engine import Engine
from recognition.processes.capacity import stage
from recognition.verification.evidence import providers
from recognition.verification.evidence.providers import UNCONFIGURED, Look, Outcome

_SALT = "recognition.inspection"


@dataclass
class Inspection:
    """The inspection of one picture. `begin` starts the checks, which run beside other work; `wait`
    has the `outcomes` of those that were begun.
    """

    encoded: bytes
    user: str = ""  # for whose verification it is
    pixels_hash: str = ""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    _pending: dict[str, Callable[[], Outcome]] = field(default_factory=dict)

    @property
    def picture_hash(self) -> str:
        return _keyed(hashlib.sha256(self.encoded).digest())

    def begin(self, active: Engine, picture: Image, face: DetectedFace) -> None:
        self._pending = providers.begin(Look(active, picture, face, self.user))

    def see(self, picture: Image) -> None:
        """Only the pixels, which stay the same in another file format or with other metadata."""
        digest = hashlib.sha256(str(picture.shape).encode())
        digest.update(picture.data if picture.flags.c_contiguous else picture.tobytes())
        self.pixels_hash = _keyed(digest.digest())

    @stage("checks")
    def wait(self) -> None:
        """For the checks, for as long as the setting says at most."""
        self.outcomes = {check: wait() for check, wait in self._pending.items()}


def _keyed(digest: bytes) -> str:
    """A reader of the table cannot find out whether it holds a picture that they have."""
    return salted_hmac(_SALT, digest, algorithm="sha256").hexdigest()


def outcome_of(json: dict[str, object] | None) -> Outcome:
    return Outcome(**json) if json else UNCONFIGURED  # type: ignore[arg-type]
