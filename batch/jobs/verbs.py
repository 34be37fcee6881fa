"""What is done with one picture of a batch: a verb of recognition, as a result item.

The options are JSON as a job keeps it, checked when the job was accepted.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError

from batch.models import ItemState, Kind
from recognition import daily_counts
from recognition.access import Caller, scope_for
from recognition.api import answers
from recognition.enrolment import enrolling
from recognition.errors import ServiceError
from recognition.gallery.scope import Scope
from recognition.identification import identifying
from recognition.inference.images import ImageError
from recognition.inference.pack.declaration import PackError
from recognition.models import CountedKind
from recognition.processes.slots import OverloadedError

logger = logging.getLogger(__name__)

Json = dict[str, Any]


@dataclass(frozen=True)
class ItemResult:
    """A result item's state and content, and the users and faces that it names."""

    state: ItemState
    result: Json
    user_ids: list[UUID] = field(default_factory=list)
    face_ids: list[str] = field(default_factory=list)

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


def scope_of(caller: Caller, options: Mapping[str, Any]) -> Scope:
    """Raises not_your_user, insufficient_scope."""
    viewer = options["on_behalf_of"]
    return scope_for(
        caller,
        on_behalf_of=UUID(viewer) if viewer else None,
        groups=options["groups"],
        everyone=options["everyone"],
        tagging=options["tagging"],
        max_false_positive_rate=options["max_false_positive_rate"],
    )


def _identify(caller: Caller, options: Json, image: bytes) -> ItemResult:
    result = identifying.identify(
        scope=scope_of(caller, options),
        image=image,
        options=identifying.SearchOptions(
            max_candidates=options["max_candidates"],
            match_on=options["match_on"],
            min_confidence=options["min_confidence"],
            max_false_positive_rate=options["max_false_positive_rate"],
        ),
        largest_only=options["largest_only"],
    )
    found = [candidate for face in result.faces for candidate in face.candidates]
    users = sorted({candidate.user_id for candidate in found})
    faces = sorted({candidate.face_id for candidate in found})
    answer = answers.Identified.of(result)
    # The same for all pictures, and an erased viewer's id must stand in no result.
    del answer["search_stats"]["scope"]["viewer"]
    return ItemResult(ItemState.SUCCESS, answer, users, faces)


def _register(caller: Caller, options: Json, image: bytes) -> ItemResult:
    user_id = UUID(options["user_id"])
    caller.require_own(user_id)
    face = enrolling.enrol(
        actor=caller.name,
        user_id=user_id,
        image=image,
        face_group=options["face_group"],
        face_index=options["face_index"],
        check_quality=options["metadata"].get("quality_check", True),
        metadata=options["metadata"],
    )
    return ItemResult(ItemState.SUCCESS, answers.Registered.of(face), [user_id], [face.face_id])


_VERBS = {Kind.IDENTIFY: _identify, Kind.REGISTER: _register}


def search_options(fields: Mapping[str, Any], viewer: UUID | None) -> Json:
    """The options of identify out of a validated body."""
    wanted = fields["search_scope"]
    return {
        "on_behalf_of": str(viewer) if viewer else None,
        "groups": wanted["user_groups"],
        "everyone": wanted.get("scope") == "all",
        "tagging": identifying.is_tagging(fields["metadata"]),
        "max_candidates": wanted["max_candidates"],
        "match_on": wanted["match_on"],
        "min_confidence": wanted.get("min_confidence", settings.FACE_MATCH_THRESHOLD),
        "max_false_positive_rate": wanted["max_false_positive_rate"],
        "largest_only": fields["faces"] == "largest",
    }
