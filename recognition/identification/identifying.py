"""The verb identify: who is in a picture, of the people that the viewer may find."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self
from uuid import UUID

from django.db.models import QuerySet

from recognition import audit, daily_counts, people
from recognition.access import Caller
from recognition.collections.current import rule
from recognition.errors import ServiceError
from recognition.gallery.finding import Found
from recognition.gallery.probe import SearchProbe
from recognition.gallery.replicas import asking
from recognition.gallery.replicas.fitness import Moment
from recognition.gallery.scope import Scope
from recognition.identification import unique_people
from recognition.identification.face_budget import FaceBudget
from recognition.identification.searching import PictureSearch
from recognition.inference.pipeline import DetectedFace, FacesOfPicture
from recognition.models import CountedKind, User
from recognition.models.user_ids import UserId
from recognition.packs import engine, serving
from recognition.packs.engine import Engine
from recognition.packs.scores import Threshold
from recognition.prepared import Blank, is_any, kept
from recognition.processes.slots import stage

EVERYONE = "identify.everyone"  # in the audit log


@dataclass(frozen=True)
class IdentificationRequest:
    """What is asked about a picture. `max_false_positive_rate` None turns the second cut off."""

    scope: Scope
    min_confidence: float
    max_candidates: int = 10
    match_on: str = "face"
    max_false_positive_rate: float | None = 0.01
    largest_only: bool = False
    unique_people: bool = False  # nobody is a candidate of two faces
    is_for_user: bool = False  # an end user sees the answer, and must not learn others' templates
    budget: FaceBudget = field(default_factory=FaceBudget)  # of the faces that are looked up

    @classmethod
    def of(cls, caller: Caller, options: Mapping[str, Any]) -> Self:
        """The request of a caller, with options that `options_of` has made.

        Raises not_your_user, insufficient_scope, user_merged and, to services, user_suspended.
        """
        scope, least = _scope_of(caller, options), options["min_confidence"]
        is_for_user = scope.viewer is not None and not scope.everyone
        if is_for_user:
            # The scores of people who do not match would give away their templates.
            least = max(least, rule("FACE_MATCH_THRESHOLD"))
        return cls(
            scope=scope,
            min_confidence=least,
            max_candidates=options["max_candidates"],
            match_on=options["match_on"],
            max_false_positive_rate=options["max_false_positive_rate"],
            largest_only=options["largest_only"],
            unique_people=options.get("unique_people", False),  # which older jobs have not
            is_for_user=is_for_user,
            budget=FaceBudget(scope.viewer if is_for_user else None),
        )

    @classmethod
    def noted(cls, caller: Caller, options: Mapping[str, Any]) -> Self:
        """As `of`, for a request over HTTP. Once for each, the audit log notes that it searches
        everyone, even if it fails.
        """
        request = cls.of(caller, options)
        if request.scope.everyone:
            audit.note(caller.name, EVERYONE, viewer_id=request.scope.viewer)
        return request

    def search(self, active: Engine, probes: Sequence[SearchProbe]) -> PictureSearch:
        return PictureSearch(
            active,
            probes,
            self.scope,
            self.min_confidence,
            self.max_false_positive_rate,
            self.max_candidates,
            by_user=self.match_on == "user",
        )


def options_of(fields: Mapping[str, Any], viewer: UserId | None) -> dict[str, Any]:
    """The options of a validated body, as JSON but for the viewer: a job keeps the key alone."""
    wanted, metadata = fields["search_scope"], fields["metadata"]
    is_tagging = (
        metadata.get("source") == "auto_tagging" or metadata.get("context") == "post_upload"
    )
    return {
        "on_behalf_of": viewer,
        "groups": wanted["user_groups"],
        "everyone": wanted.get("scope") == "all",
        # Then the faces' `taggable` counts.
        "tagging": is_tagging,
        "unique_people": fields.get("unique_people", is_tagging),
        "max_candidates": wanted["max_candidates"],
        "match_on": wanted["match_on"],
        "min_confidence": wanted.get("min_confidence", rule("FACE_MATCH_THRESHOLD")),
        "max_false_positive_rate": wanted["max_false_positive_rate"],
        "largest_only": fields.get("faces") == "largest",
        "face_group": wanted.get("face_group"),
    }


def _scope_of(caller: Caller, options: Mapping[str, Any]) -> Scope:
    """Who may be found. A suspended viewer searches as an unknown one."""
    on_behalf_of = options["on_behalf_of"]
    if isinstance(on_behalf_of, str):  # of a job
        on_behalf_of = UUID(on_behalf_of)
    if on_behalf_of is not None:
        caller.require_own(on_behalf_of)
    if options["everyone"] and "face:admin" not in caller.scopes:
        raise ServiceError("insufficient_scope", "Only face:admin may search everyone.")
    if options["max_false_positive_rate"] is None and "face:admin" not in caller.scopes:
        message = "Only face:admin may search with max_false_positive_rate null; 1 is the most."
        raise ServiceError("insufficient_scope", message)
    face_group = options.get("face_group")  # which older jobs have not
    if face_group is not None:
        # The app gives these names. Users would learn which of them the faces of others have.
        caller.require_service()
    viewer = on_behalf_of or caller.user_id
    is_alone = people.is_hidden(viewer, is_told=caller.is_service) if viewer else False
    groups = frozenset(options["groups"])
    if options["everyone"]:
        groups = frozenset()
    elif viewer is None:  # then there are no friends
        groups &= {"public"}
    return Scope(
        viewer,
        groups,
        everyone=options["everyone"],
        tagging=options["tagging"],
        is_alone=is_alone,
        face_group=face_group,
    )


class IdentifiedPerson(NamedTuple):
    """Somebody who a face may be, with the most similar face; `cosine` is as in Found."""

    user_id: UUID
    face_id: str
    cosine: float
    user: User


class IdentifiedFace(NamedTuple):
    face: DetectedFace
    candidates: list[IdentifiedPerson]  # best first
    is_somebody: bool  # somebody is similar enough, even if given to another face of the picture


@dataclass(frozen=True)
class Identification:
    by: Engine
    request: IdentificationRequest
    faces: list[IdentifiedFace]  # the main face first; of several photos, their main faces
    faces_found: int  # in the pictures, with those that are beyond the limit
    smallest_face: int  # pixels from which on nearly all faces of the picture are found
    faces_searched: int
    threshold: Threshold
    search_seconds: float


@serving.once_more
def identify(image: bytes, request: IdentificationRequest) -> Identification:
    """Who is in the picture, of the people in the scope. Raises ImageError, rate_limited."""
    since = asking.moment()
    active, faces = engine.look(image, most=1 if request.largest_only else None)
    request.budget.take(len(faces))
    most, asked = request.max_candidates, request
    if request.unique_people:
        asked = replace(request, max_candidates=unique_people.needed(most, len(faces)))
    probes = [SearchProbe(active.template(face)) for face in faces]
    searched = search(active, asked, probes, since)
    # A misread face is nobody's.
    people = [
        [] if face.quality.is_misread else each
        for face, each in zip(faces, searched.people, strict=True)
    ]
    given = people
    if request.unique_people:
        given = unique_people.apart(people, active.scores, searched.threshold)
        given = [each[:most] for each in given]
    seen = [
        IdentifiedFace(face, own, bool(found))
        for face, own, found in zip(faces, given, people, strict=True)
    ]
    return identification(active, request, faces, seen, searched)


class Searched(NamedTuple):
    """Who was found for each probe, best first, among how many faces, and with which threshold."""

    people: list[list[IdentifiedPerson]]
    faces: int
    threshold: Threshold
    seconds: float


def search(
    active: Engine,
    request: IdentificationRequest,
    probes: Sequence[SearchProbe],
    since: Moment | None,
) -> Searched:
    """Raises ModelChangedError if another model serves now."""
    started = time.perf_counter()
    with stage("search"):
        answered = request.search(active, probes).answered(since)
        if not answered.searched:
            serving.require(active)
        users = _users(each for nearest in answered.found for each in nearest)
        people = [_people(nearest, users) for nearest in answered.found]
    seconds = time.perf_counter() - started
    return Searched(people, answered.searched, answered.threshold, seconds)


def identification(
    active: Engine,
    request: IdentificationRequest,
    faces: FacesOfPicture,
    seen: list[IdentifiedFace],
    searched: Searched,
) -> Identification:
    """What is answered, and counted, with what was `seen` of each of the faces."""
    is_found = any(each.candidates for each in seen)
    outcome = "found" if is_found else "not_found" if faces else "no_face"
    daily_counts.note(CountedKind.SEARCH, outcome)
    return Identification(
        active,
        request,
        seen,
        faces.found,
        faces.smallest_face,
        searched.faces,
        searched.threshold,
        searched.seconds,
    )


def people_of(found: list[Found]) -> list[IdentifiedPerson]:
    return _people(found, _users(found))


def _users(found: Iterable[Found]) -> dict[UUID, User]:
    ids = {each.user_id for each in found}
    return {user.pk: user for user in _of_ids({"users": [*ids]})} if ids else {}


@kept
def _of_ids() -> QuerySet[Any]:
    return User.objects.filter(is_any("id", Blank("users")))


def _people(found: list[Found], users: Mapping[UUID, User]) -> list[IdentifiedPerson]:
    """A user who was erased between the two queries is gone."""
    return [
        IdentifiedPerson(each.user_id, each.face_id, each.cosine, users[each.user_id])
        for each in found
        if each.user_id in users
    ]
