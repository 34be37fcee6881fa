"""What is done with one picture of a batch: a verb of recognition, as a result item.

The options are JSON as a job keeps it, checked when the job was accepted.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError

from batch.jobs import unknown_faces
from batch.models import ItemState, Kind, UnknownFaces
from recognition import daily_counts
from recognition.access import Caller
from recognition.api import answers
from recognition.enrolment import enrolling
from recognition.enrolment.enrolling import EnrolmentRequest
from recognition.errors import ServiceError
from recognition.identification import identifying
from recognition.identification.identifying import IdentificationRequest
from recognition.inference.images import ImageError
from recognition.inference.pack.declaration import PackError
from recognition.models import CountedKind
from recognition.processes.slots import OverloadedError

logger = logging.getLogger(__name__)

Json = dict[str, Any]


@dataclass(frozen=True)
class ItemResult:
    """A result item's state and content, the users and faces that it names, and those of nobody."""

    state: ItemState
    result: Json
    user_ids: list[UUID] = field(default_factory=list)
    face_ids: list[str] = field(default_factory=list)
    unknown_faces: UnknownFaces | None = None  # to be stored with it

    @classmethod
    def refused(cls, error: ServiceError | ImageError) -> "ItemResult":
        details = error.details if isinstance(error, ServiceError) else {}
        return cls.failed(error.code, str(error), details)

    @classmethod
    def failed(
        cls, code: str, message: str, details: Mapping[str, Any] | None = None
    ) -> "ItemResult":
        body = {"code": code, "message": message, "details": dict(details or {})}
        return cls(ItemState.ERROR, body)


def outcome_of(kind: str, caller: Caller, options: Json, image: bytes) -> ItemResult:
    """Run the verb on one picture. An error that is not about the picture is raised: try again."""
    try:
        return _VERBS[Kind(kind)](caller, options, image)
    except OverloadedError:
        raise
    except (ServiceError, ImageError) as error:
        daily_counts.note(CountedKind.REFUSAL, error.code)
        return ItemResult.refused(error)
    except (DatabaseError, InterfaceError, PackError, ImproperlyConfigured):
        raise
    except Exception:
        # A single request would answer 500. The other pictures go on.
        logger.exception("a picture of a batch failed")
        daily_counts.note(CountedKind.REFUSAL, "internal_error")
        return ItemResult.failed("internal_error", "Something went wrong on our side.")


def _identify(caller: Caller, options: Json, image: bytes) -> ItemResult:
    result = identifying.identify(image, IdentificationRequest.of(caller, options))
    found = [candidate for face in result.faces for candidate in face.candidates]
    users = sorted({candidate.user_id for candidate in found})
    faces = sorted({candidate.face_id for candidate in found})
    answer = answers.Identified.of(result)
    # The same for all pictures, and an erased viewer's id must stand in no result.
    del answer["search_stats"]["scope"]["viewer"]
    unknown = unknown_faces.of(result) if options.get("group_unknown") else None
    return ItemResult(ItemState.SUCCESS, answer, users, faces, unknown)


def _register(caller: Caller, options: Json, image: bytes) -> ItemResult:
    face = enrolling.enrol(image, EnrolmentRequest.of(caller, options))
    answer = answers.Registered.of(face)
    return ItemResult(ItemState.SUCCESS, answer, [face.user_id], [face.face_id])


_VERBS = {Kind.IDENTIFY: _identify, Kind.REGISTER: _register}
