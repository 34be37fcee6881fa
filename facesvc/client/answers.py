"""The types of what calls answer, and of what some take.

Made of the API description by `make docs`: to change it, change the API.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from facesvc.client.call import Id
from facesvc.client.pictures import Picture

CollectionState = Literal["active", "suspended"]
CutEnum = Literal["min_confidence", "max_false_positive_rate"]
DecisionEnum = Literal["same_person", "different_people"]
DuplicateState = Literal["open", "same_person", "different_people"]
FacesEnum = Literal["all", "largest"]
FrameStatus = Literal["counted", "dropped"]
IdentificationResultEnum = Literal["found", "not_found", "no_face_detected"]
ItemStatus = Literal["success", "error", "skipped"]
JobStatus = Literal["queued", "processing", "completed", "cancelled", "timed_out"]
JobTypeEnum = Literal["identify", "register"]
MatchOnEnum = Literal["face", "user"]
PrivacyLevelEnum = Literal["public", "friends", "private"]
PurposeEnum = Literal["login", "video_call", "other"]
RegistrationStatusEnum = Literal["success"]
RiskLevelEnum = Literal["low", "medium", "high"]
RotationEnum = Literal[0, 90, 180, 270]
ScopeEnum = Literal["all"]
SessionState = Literal["verifying", "verified", "lost", "mismatch", "ended", "expired"]
TaggableEnum = Literal["everyone", "friends_only", "nobody"]
VerificationLevelEnum = Literal["basic", "standard", "strict"]
VerificationResultEnum = Literal[
    "success",
    "no_match",
    "no_face_detected",
    "no_registered_faces",
    "rejected",
]


AlwaysAsync = TypedDict(
    "AlwaysAsync",
    {"async": "NotRequired[bool]", "callback_url": "NotRequired[str]"},
)


class AnyItem(TypedDict):
    image_id: str
    status: ItemStatus
    error: NotRequired[ItemError]
    result: NotRequired[dict[str, Any]]


class AtOnce(TypedDict):
    status: JobStatus
    total: int
    succeeded: int
    failed: int
    skipped: int
    results: list[IdentifiedItem]


class Attempt(TypedDict):
    at: str
    verification_result: VerificationResultEnum
    risk_assessment: Risk


class Attributes(TypedDict):
    estimated_age: float | None
    estimated_gender: str | None
    face_landmarks: dict[str, Any]


class AuditEvent(TypedDict):
    event_id: int
    at: str
    actor: str
    action: str
    user_id: str | None
    other_user_id: str | None
    face_id: str | None
    viewer_id: str | None
    request_id: str | None
    details: dict[str, Any]


class AuditEventList(TypedDict):
    events: list[AuditEvent]
    next_cursor: str | None


class BatchFace(TypedDict):
    image_id: NotRequired[str]
    image: Picture
    user_id: Id
    face_group: NotRequired[str]
    face_index: NotRequired[int]
    metadata: NotRequired[dict[str, Any]]


class BatchJobEnded(TypedDict):
    type: Literal["batch.completed", "batch.cancelled", "batch.timed_out"]
    timestamp: str
    data: dict[str, Any]


class BatchPicture(TypedDict):
    image_id: NotRequired[str]
    image: Picture


class BestPair(TypedDict):
    face_index_a: int
    face_index_b: int
    is_match: bool
    similarity_score: float
    confidence_score: float


class Box(TypedDict):
    x: int
    y: int
    width: int
    height: int


class Calibration(TypedDict):
    data_set: str
    measured_on: str
    operating_points: list[OperatingPoint]
    provisional: Provisional | None


class Candidate(TypedDict):
    user_id: str
    face_id: str
    similarity_score: float
    confidence_score: float
    user_info: UserInfo


class Collection(TypedDict):
    name: str
    state: CollectionState
    made_by: str
    created_at: str
    rules: dict[str, Any]
    users: int
    faces: int


class CollectionErased(TypedDict):
    name: str
    erased: bool
    users: int
    faces: int


class CollectionList(TypedDict):
    collections: list[Collection]
    next_cursor: str | None


class Compared(TypedDict):
    is_match: bool
    similarity_score: float
    confidence_score: float
    verification_level: VerificationLevelEnum
    face_a: ComparedFace
    face_b: ComparedFace
    faces_a: list[ComparedFace]
    faces_b: list[ComparedFace]
    best_pair: BestPair


class ComparedFace(TypedDict):
    box: Box
    rotation: RotationEnum
    quality: Quality


class Deleted(TypedDict):
    face_id: str
    deleted: bool


class Detected(TypedDict):
    faces: list[DetectedFace]
    total_faces: int
    faces_found: int
    smallest_face: int


class DetectedFace(TypedDict):
    box: Box
    rotation: RotationEnum
    quality: Quality
    detection_score: float
    pose: Pose
    face_attributes: Attributes
    liveness_score: float | None
    eyes_open_score: float | None


class Duplicate(TypedDict):
    duplicate_id: int
    faces: list[DuplicateFace]
    confidence_score: float
    state: DuplicateState
    found_at: str
    decided_by: str | None
    decided_at: str | None


class DuplicateFace(TypedDict):
    user_id: str
    face_id: str | None


class DuplicateList(TypedDict):
    duplicates: list[Duplicate]
    next_cursor: str | None


class Erased(TypedDict):
    receipt_id: str
    user_id: str
    erased_at: str
    removed: dict[str, Any]


class Face(TypedDict):
    face_id: str
    user_id: str
    face_group: str
    face_quality_score: float
    quality_components: dict[str, Any]
    face_attributes: Attributes
    metadata: dict[str, Any]
    privacy_settings: Privacy
    suspended_at: str | None
    embedding_version: str | None
    model_version: str | None
    verification_count: int
    last_verified_at: str | None
    created_at: str
    updated_at: str


class FaceList(TypedDict):
    faces: list[Face]
    next_cursor: str | None


class FaceOfPhoto(TypedDict):
    face_index: int
    user_id: Id
    face_group: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]


class FrameSeen(TypedDict):
    status: FrameStatus
    verification_result: VerificationResultEnum | NullEnum


class FrameTaken(TypedDict):
    session_id: str
    user_id: str
    purpose: PurposeEnum
    verification_level: VerificationLevelEnum
    state: SessionState
    created_at: str
    expires_at: str
    ended_at: str | None
    verified_at: str | None
    frames: int
    risk_assessment: Risk
    frame: FrameSeen


class Friend(TypedDict):
    user_id: str
    since: str


class FriendList(TypedDict):
    friends: list[Friend]
    next_cursor: str | None


class GraphImported(TypedDict):
    lines: int
    users: UsersImported
    groups: GroupsImported
    friendships: LinksImported
    memberships: LinksImported


class Group(TypedDict):
    name: str
    created_at: str


class GroupDeleted(TypedDict):
    name: str
    deleted: bool


class GroupJoined(TypedDict):
    name: str
    since: str


class GroupList(TypedDict):
    groups: list[Group]
    next_cursor: str | None


class GroupsImported(TypedDict):
    created: int
    unchanged: int


class GroupsJoined(TypedDict):
    groups: list[GroupJoined]
    next_cursor: str | None


class Identified(TypedDict):
    identification_result: IdentificationResultEnum
    candidates: list[Candidate]
    total_candidates: int
    faces: list[IdentifiedFace]
    faces_found: int
    smallest_face: int
    search_stats: SearchStats


class IdentifiedByFace(TypedDict):
    identification_result: IdentificationResultEnum
    candidates: list[Candidate]
    total_candidates: int
    search_stats: SearchStats


class IdentifiedFace(TypedDict):
    box: Box
    rotation: RotationEnum
    quality: Quality
    identification_result: IdentificationResultEnum
    candidates: list[Candidate]
    total_candidates: int


class IdentifiedItem(TypedDict):
    image_id: str
    status: ItemStatus
    error: NotRequired[ItemError]
    result: NotRequired[Identified]


IdentifyProcessing = TypedDict(
    "IdentifyProcessing",
    {
        "async": "NotRequired[bool]",
        "callback_url": "NotRequired[str]",
        "group_unknown": "NotRequired[bool]",
    },
)


class ItemError(TypedDict):
    code: str
    message: str
    details: dict[str, Any]


class Job(TypedDict):
    job_id: str
    job_type: JobTypeEnum
    status: JobStatus
    total: int
    succeeded: int
    failed: int
    skipped: int
    callback_url: str | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    unknown_people: int | None


class JobList(TypedDict):
    jobs: list[Job]
    next_cursor: str | None


class LinksImported(TypedDict):
    created: int
    removed: int
    unchanged: int


class Member(TypedDict):
    user_id: str
    since: str


class MemberDeleted(TypedDict):
    user_id: str
    deleted: bool


class MemberList(TypedDict):
    members: list[Member]
    next_cursor: str | None


class Model(TypedDict):
    name: str
    description: str
    licence: str
    embedding_version: str
    model_version: str
    active: bool
    reason: str
    prepared: bool
    calibrated: bool
    calibration: Calibration | None
    smallest_face: list[SmallestFace]


class ModelList(TypedDict):
    models: list[Model]


class NullEnum(TypedDict):
    pass


class OperatingPoint(TypedDict):
    false_match_rate: float
    extrapolated: bool
    similarity_score: float
    confidence_score: float


class Pose(TypedDict):
    yaw: float
    pitch: float | None
    roll: float


class Privacy(TypedDict):
    searchable: bool
    taggable: TaggableEnum


class PrivacySettings(TypedDict):
    searchable: NotRequired[bool]
    taggable: NotRequired[TaggableEnum]


class Provisional(TypedDict):
    based_on: str
    factor: list[float]


class Quality(TypedDict):
    face_quality_score: float
    components: dict[str, Any]
    reasons: list[str]


class Registered(TypedDict):
    face_id: str
    user_id: str
    privacy_level: PrivacyLevelEnum
    registration_status: RegistrationStatusEnum
    face_quality_score: float
    embedding_version: str
    face_attributes: Attributes


class RegisteredFace(TypedDict):
    face_id: str
    user_id: str
    privacy_level: PrivacyLevelEnum
    registration_status: RegistrationStatusEnum
    face_quality_score: float
    embedding_version: str
    face_attributes: Attributes
    face_index: int


class RegisteredFaces(TypedDict):
    faces: list[RegisteredFace]


class Results(TypedDict):
    status: JobStatus
    total: int
    succeeded: int
    failed: int
    skipped: int
    results: list[AnyItem]
    next_cursor: str | None


class Risk(TypedDict):
    risk_level: RiskLevelEnum
    factors: list[str]
    explanation: NotRequired[str]


class Scores(TypedDict):
    similarity_score: float
    confidence_score: float


class SearchScope(TypedDict):
    user_groups: NotRequired[list[str]]
    scope: NotRequired[ScopeEnum]
    face_group: NotRequired[str]
    match_on: NotRequired[MatchOnEnum]
    max_candidates: NotRequired[int]
    min_confidence: NotRequired[float]
    max_false_positive_rate: NotRequired[float | None]


class SearchStats(TypedDict):
    scope: SearchedScope
    faces_searched: int
    search_time_ms: int
    threshold: Threshold


class SearchedScope(TypedDict):
    everyone: bool
    viewer: NotRequired[str | None]
    user_groups: list[str]
    face_group: str | None


class Session(TypedDict):
    session_id: str
    user_id: str
    purpose: PurposeEnum
    verification_level: VerificationLevelEnum
    state: SessionState
    created_at: str
    expires_at: str
    ended_at: str | None
    verified_at: str | None
    frames: int
    risk_assessment: Risk


class SessionWithAttempts(TypedDict):
    session_id: str
    user_id: str
    purpose: PurposeEnum
    verification_level: VerificationLevelEnum
    state: SessionState
    created_at: str
    expires_at: str
    ended_at: str | None
    verified_at: str | None
    frames: int
    risk_assessment: Risk
    attempts: list[Attempt]


class SmallestFace(TypedDict):
    width: int
    height: int
    pixels: int


class Threshold(TypedDict):
    cut: CutEnum
    similarity_score: float
    confidence_score: float
    extrapolated: bool
    provisional: bool


class Unfriended(TypedDict):
    user_id: str
    deleted: bool


class UnknownPeople(TypedDict):
    unknown_people: list[UnknownPerson]
    next_cursor: str | None


class UnknownPerson(TypedDict):
    unknown_id: str
    pictures: int
    best_image_id: str
    best_face_index: int


class Unlocked(TypedDict):
    user_id: str
    counts_forgotten: int


class User(TypedDict):
    user_id: str
    display_name: str
    profile_image: str
    privacy_level: PrivacyLevelEnum
    suspended_at: str | None
    created_at: str


class UserInfo(TypedDict):
    display_name: str
    profile_image: str
    privacy_level: PrivacyLevelEnum


class UserList(TypedDict):
    users: list[User]
    next_cursor: str | None


class UsersImported(TypedDict):
    created: int
    changed: int
    unchanged: int


class Verified(TypedDict):
    verification_result: VerificationResultEnum
    is_match: bool
    similarity_score: float
    confidence_score: float
    matched_face_id: str | None
    match_on: MatchOnEnum
    nearest_face: Scores
    mean_face: Scores
    verification_level: VerificationLevelEnum
    risk_assessment: Risk
