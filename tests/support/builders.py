"""The cast, what they have in the database, and pictures whose faces a test decides."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection
from django.http import HttpResponse
from django.test import Client

from recognition.access import SCOPES
from recognition.api.callers import tokens
from recognition.collections.current import here
from recognition.enrolment import enrolling
from recognition.enrolment.enrolling import EnrolmentRequest
from recognition.gallery import indexes
from recognition.inference.arrays import Floats, Image
from recognition.inference.detection.tiles import FIRST_LOOK, CloserLook
from recognition.inference.pack.declaration import ModelPack
from recognition.inference.pipeline import TEMPLATE_DIMENSIONS, DetectedFace, FacesOfPicture
from recognition.inference.pose import Pose
from recognition.inference.quality import REASONS, combine
from recognition.models import (
    Attempt,
    AuditEvent,
    Face,
    FailureCount,
    Friendship,
    Group,
    Membership,
    NewFace,
    Session,
    Template,
    User,
    new_face_id,
)
from recognition.models.user_ids import UserId
from recognition.packs import engine, protection
from recognition.packs.scores import ScoreScale
from recognition.packs.versions import version_of
from tests.support.photos import encode

PREFIX = "/api/v1/face-recognition/"

OWNER = UUID("0000000a-0000-4000-8000-000000000001")
FRIEND = UUID("0000000b-0000-4000-8000-000000000002")
STRANGER = UUID("0000000c-0000-4000-8000-000000000003")
USER_SCOPES = ["face:register", "face:verify", "face:identify", "face:manage"]
# What a job that identifies stores of its request.
SEARCH = {
    "on_behalf_of": None,
    "groups": ["public"],
    "everyone": False,
    "tagging": False,
    "max_candidates": 5,
    "match_on": "face",
    "min_confidence": 0.8,
    "max_false_positive_rate": 1.0,
    "largest_only": False,
}

# A picture that the decoder takes; what is on it is up to the FakePipeline.
PICTURE = encode(np.full((48, 64, 3), 128, np.uint8))
PICTURE_BASE64 = base64.b64encode(PICTURE).decode()


@dataclass(frozen=True)
class Person:
    """One of the cast, calling the API with a token of their own."""

    token: str
    client: Client

    def send(self, method: str, path: str, data: Any = "", **options: Any) -> HttpResponse:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        options.setdefault("RAW_URI", PREFIX + path)  # as gunicorn has it
        options.setdefault("content_type", "application/json")
        if isinstance(data, bytes):  # as it is: the named methods would encode it anew
            call = partial(self.client.generic, method.upper())
        else:
            call = getattr(self.client, method)
        return call(PREFIX + path, data, headers=headers, **options)

    def get(self, path: str, **query: Any) -> HttpResponse:
        return self.send("get", path, query)

    def post(self, path: str, **fields: Any) -> HttpResponse:
        return self.send("post", path, fields)

    def put(self, path: str, **fields: Any) -> HttpResponse:
        return self.send("put", path, fields)

    def delete(self, path: str) -> HttpResponse:
        return self.send("delete", path)


def user_token(user_id: UUID, scopes: Sequence[str] = USER_SCOPES) -> str:
    return tokens.issue(id_of(user_id), list(scopes), minutes=5)


def id_of(user_id: UUID) -> UserId:
    """An id of the cast as a request has it."""
    return user_id if isinstance(user_id, UserId) else UserId(str(user_id))


def service_token(name: str = "app", scopes: Sequence[str] = SCOPES[:-1]) -> str:
    return tokens.issue(name, list(scopes), minutes=5)


def data_of(response: HttpResponse, status: int = 200) -> dict[str, Any]:
    body = response.json()
    assert response.status_code == status, body
    data: dict[str, Any] = body["data"]
    return data


def refusal(response: HttpResponse) -> tuple[int, str]:
    """Status and code of a failure."""
    return response.status_code, response.json()["error"]["code"]


def details_of(response: HttpResponse) -> dict[str, Any]:
    details: dict[str, Any] = response.json()["error"]["details"]
    return details


# --- embeddings -----------------------------------------------------------------------------------


def vector(number: int) -> Floats:
    """The embedding of person `number`; two of them have the cosine 0."""
    unit = np.zeros(engine.pack("dlib").recogniser.dimensions, np.float32)
    unit[number] = 1
    return unit


def near(base: Floats, cosine: float, *, toward: int = 127) -> Floats:
    """A unit vector with that cosine to `base`, turned toward another person's."""
    return (cosine * base + np.sqrt(1 - cosine**2) * vector(toward)).astype(np.float32)


# --- rows -----------------------------------------------------------------------------------------


def make_user(user_id: UUID, privacy_level: str = "friends", **fields: Any) -> User:
    given = id_of(user_id).given
    return User.objects.create(pk=user_id, given_id=given, privacy_level=privacy_level, **fields)


def make_face(user: User, embedding: Floats, *, version: str = "", **fields: Any) -> Face:
    (face,) = make_templates([(user, embedding, version)], **{"face_id": new_face_id(), **fields})
    return face


def build_index(version: str = "dlib_v1") -> None:
    """The HNSW index that large galleries have, in the transaction of the test."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(indexes.creation_of(version, concurrently=False))


def make_templates(rows: Sequence[tuple[User, Floats, str]], **fields: Any) -> list[Face]:
    """Faces with their templates; without a `face_id` they are numbered, first from 0.

    Templates of the pack are under the key of their collection. Those of `default` have none.
    """
    pack = engine.pack("dlib")
    key = None if here().is_default else engine.active_model().template_key
    padded = np.zeros((len(rows), TEMPLATE_DIMENSIONS), np.float32)
    faces, templates = [], []
    first = 0 if "face_id" in fields else Face.objects.count()
    for number, (user, embedding, version) in enumerate(rows):
        versions = {
            "embedding_version": version or pack.embedding_version,
            "model_version": pack.model_version,
        }
        filled = {"quality_score": 0.9, "quality_components": {}, "attributes": {}, **versions}
        face = Face(user=user, **{"face_id": f"face_{first + number:012x}", **filled, **fields})
        padded[number, : len(embedding)] = embedding
        faces.append(face)
        stored = padded[number]
        if key and versions["embedding_version"] == pack.embedding_version:
            stored = protection.protect(stored, key)
            versions["embedding_version"] = version_of(pack, key)
        indexes.sketch(versions["embedding_version"], np.zeros(TEMPLATE_DIMENSIONS, np.float32))
        templates.append(Template(face=face, user=user, embedding=stored.tolist(), **versions))
    Face.objects.bulk_create(faces)
    Template.objects.bulk_create(templates)
    return faces


def enrol_face(user_id: UUID, image: bytes, **options: Any) -> Face:
    """As a command does it."""
    return enrolling.enrol(image, EnrolmentRequest("test", id_of(user_id), **options))


def befriend(user: User, *others: User) -> None:
    pairs = [pair for other in others for pair in ((user, other), (other, user))]
    Friendship.objects.bulk_create(Friendship(user=a, friend=b) for a, b in pairs)


def make_group(name: str, *members: User) -> Group:
    group = Group.objects.create(name=name)
    Membership.objects.bulk_create(Membership(group=group, user=user) for user in members)
    return group


def row_counts() -> dict[str, int]:
    """How many rows there are of each kind, without the kinds that have none."""
    kinds = (User, Face, Template, Friendship, Group, Membership, AuditEvent)
    kinds += (Session, Attempt, FailureCount, NewFace)
    counts = {kind.__name__: kind.objects.count() for kind in kinds}
    return {name: count for name, count in counts.items() if count}


# --- pictures -------------------------------------------------------------------------------------


def face_of(embedding: Floats, *, quality: float = 0.9, x: float = 4, side: float = 40) -> Any:
    """A face as a detector gives it, whose embedding is already known."""
    landmarks = x + np.array([[30, 10], [24, 10], [10, 10], [16, 10], [20, 24]], np.float64)
    return DetectedFace(
        box=np.array([x, 4, x + side, 4 + side], np.float64),
        detection_score=1.0,
        landmarks=landmarks,
        pose=Pose(0.0, None, 0.0),
        # It is upright, good or bad.
        quality=combine(dict.fromkeys(REASONS.keys() - {"level"}, quality)),
        crop=np.zeros((150, 150, 3), np.uint8),
        embedding=embedding,
    )


def misread(embedding: Floats) -> Any:
    """A face that lies on its side and was read as an upright one."""
    face = face_of(embedding)
    return replace(face, quality=face.quality.having({"level": 0.1}))


def fake_engine() -> engine.Engine:
    """The default pack and its calibration, with faces that the test decides."""
    pack = engine.pack("dlib")
    scores = ScoreScale(engine.calibration_of(pack))
    return engine.Engine(FakePipeline(pack), scores)  # type: ignore[arg-type]


class FakePipeline:
    """Stands in for FacePipeline: finds the faces that `show` was given, whatever the picture.

    With `varies` the first pixel of a picture turns the embeddings a little, as those of different
    photos differ: none is like another one's, or like the template that it was turned from.
    """

    def __init__(self, pack: ModelPack) -> None:
        self.pack = pack
        self.varies = False
        self.small: list[DetectedFace] = []  # that only a closer look finds
        self._pictures: list[list[DetectedFace]] = [[]]

    def show(self, *pictures: DetectedFace | Floats | list[Any]) -> None:
        """One picture after the other, the last for ever: a face, an embedding, or a list."""
        self._pictures = [
            [face if isinstance(face, DetectedFace) else face_of(face) for face in faces]
            for faces in (p if isinstance(p, list) else [p] for p in pictures)
        ]

    def detect(
        self,
        image: Image,
        *,
        most: int | None = None,
        only_main: bool = False,
        reduction: int = 1,
        closer: CloserLook = FIRST_LOOK,
    ) -> FacesOfPicture:
        faces = self._pictures.pop(0) if len(self._pictures) > 1 else self._pictures[0]
        if self.varies:
            toward = 20 + int(image.flat[0]) % 100
            faces = [
                replace(face, embedding=near(face.embedding, 0.985, toward=toward))
                for face in faces
            ]
        is_close = closer.needed(len(faces)) and closer.smallest_face < math.inf
        if is_close:
            faces = [*faces, *self.small]
        found = FacesOfPicture(faces[: 1 if only_main else most], found=len(faces))
        found.smallest_face = int(closer.smallest_face) if is_close else 100
        return found

    def look_again(self, image: Image, face: DetectedFace, reduction: int) -> FacesOfPicture:
        return FacesOfPicture([face])

    def describe(
        self, image: Image, faces: list[DetectedFace], *, attributes: bool = True
    ) -> list[DetectedFace]:
        return faces

    def surroundings(self, image: Image, face: DetectedFace) -> Image:
        return np.zeros((256, 256, 3), np.uint8)

    def embed(self, faces: list[DetectedFace]) -> list[DetectedFace]:
        return faces

    def embed_crops(self, crops: list[Image]) -> Floats:
        return np.stack([vector(0) for _ in crops])
