"""Enrols the faces of a source, each once, over the API of this service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from facesvc.client import ApiError, Client
from facesvc.client.answers import Box, PrivacyLevelEnum
from facesvc.moving.boxes import index_at
from facesvc.moving.source import NotMovedError, SourceFace, StopError

# The next face would get the same answer.
_STOPS_ALL = {
    *("not_authenticated", "invalid_token", "token_expired"),
    *("insufficient_scope", "service_only", "not_your_user"),
    *("consent_required", "rate_limited", "unavailable", "no_json"),
}
_TOO_LARGE = 413  # also of a proxy
_PAGE = 200


@dataclass(frozen=True)
class MoveOutcome:
    """`state` is enrolled, would_enrol, already or refused; `reason` of a refusal is a code."""

    face: SourceFace
    state: str
    user_id: str = ""
    face_id: str = ""
    reason: str = ""
    message: str = ""


@dataclass
class Mover:
    """`source` is stored as metadata.source of each face, and `consent` as metadata.consent."""

    client: Client
    source: str
    privacy_level: PrivacyLevelEnum = "friends"
    consent: Mapping[str, str] | None = None
    largest: bool = False  # enrol the main face of a picture of several people
    dry_run: bool = False
    _moved: dict[str, tuple[str, str]] = field(default_factory=dict)  # user id and face id
    _unknown: set[str] = field(default_factory=set)  # users that the service does not have
    _problems: dict[str, NotMovedError | None] = field(default_factory=dict)  # of each user

    def begin(self) -> None:
        """Asks which faces an earlier run has moved. Raises ClientError."""
        for face in self.client.iter_all_faces(source=self.source, page_size=_PAGE):
            source_id = face["metadata"].get("source_id")
            if isinstance(source_id, str):
                self._moved[source_id] = (face["user_id"], face["face_id"])

    def move(self, face: SourceFace) -> MoveOutcome:
        """Raises StopError and UnreachableError if the others cannot be moved either."""
        if moved := self._moved.get(face.source_id):
            return MoveOutcome(face, "already", *moved)
        user_id = ""
        try:
            user_id = face.user()
            self._require_user(user_id)
            picture = face.picture()
            if self.dry_run:
                self._chosen(face, self._boxes(picture), picture)
                return MoveOutcome(face, "would_enrol", user_id)
            self._make_user(user_id, face.name)
            return self._enrol(face, user_id, picture)
        except NotMovedError as error:
            return MoveOutcome(face, "refused", user_id, reason=error.reason, message=str(error))
        except ApiError as error:
            if error.code in _STOPS_ALL and error.status != _TOO_LARGE:
                raise StopError(f"The service answers {error.code}: {error.message}") from error
            return MoveOutcome(face, "refused", user_id, reason=error.code, message=error.message)

    def _require_user(self, user_id: str) -> None:
        """Before a picture is fetched. Raises NotMovedError for a user who can have no face."""
        if user_id not in self._problems:
            self._problems[user_id] = self._problem_with(user_id)
        if problem := self._problems[user_id]:
            raise problem

    def _problem_with(self, user_id: str) -> NotMovedError | None:
        try:
            is_suspended = bool(self.client.get_user(user_id)["suspended_at"])
        except ValueError as error:  # an id that no path can have
            return NotMovedError("invalid_request", str(error))
        except ApiError as error:
            if error.code in _STOPS_ALL:
                raise
            if error.code != "user_not_found":
                return NotMovedError(error.code, error.message)
            self._unknown.add(user_id)
            return None
        message = "A moderator has suspended the user."
        return NotMovedError("user_suspended", message) if is_suspended else None

    def _make_user(self, user_id: str, name: str) -> None:
        """With the picture at hand, and before the face: a run that is killed in between leaves a
        user with the right name and privacy level. A user who is there stays as it is."""
        if user_id in self._unknown:
            self.client.put_user(user_id, display_name=name, privacy_level=self.privacy_level)
            self._unknown.discard(user_id)

    def _enrol(self, face: SourceFace, user_id: str, picture: bytes) -> MoveOutcome:
        index = self._chosen(face, self._boxes(picture), picture) if face.is_of_group else None
        try:
            face_id = self._register(face, user_id, picture, index)
        except ApiError as error:
            if error.code != "duplicate_face":
                raise
            face_id = error.details.get("face_id", "")
            return MoveOutcome(face, "already", user_id, face_id, error.code, error.message)
        return MoveOutcome(face, "enrolled", user_id, face_id)

    def _register(self, face: SourceFace, user_id: str, picture: bytes, index: int | None) -> str:
        """The id of the face that was stored. Chooses where the picture has several."""
        metadata: dict[str, Any] = {"source": self.source, "source_id": face.source_id}
        if self.consent:
            metadata["consent"] = dict(self.consent)
        try:
            answer = self.client.register(user_id, picture, face_index=index, metadata=metadata)
        except ApiError as error:
            if error.code != "multiple_faces":
                raise
            chosen = self._chosen(face, [each["box"] for each in error.details["faces"]], picture)
            answer = self.client.register(user_id, picture, face_index=chosen, metadata=metadata)
        return answer["face_id"]

    def _boxes(self, picture: bytes) -> list[Box]:
        return [face["box"] for face in self.client.detect(picture)["faces"]]

    def _chosen(self, face: SourceFace, boxes: Sequence[Box], picture: bytes) -> int:
        """The index of the face that is meant. Raises NotMovedError."""
        if not boxes:
            raise NotMovedError("no_face", "No face was found in the picture.")
        if len(boxes) == 1 and not face.is_of_group:
            return 0
        if face.place:
            index = index_at(face.place, boxes, picture)
            if index is None:
                raise NotMovedError("other_faces", "No face is where the other service had one.")
            return index
        if face.is_of_group or not self.largest:
            raise NotMovedError("multiple_faces", f"The picture has {len(boxes)} faces.")
        return 0  # the first is the main one
