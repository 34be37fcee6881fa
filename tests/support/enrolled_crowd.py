"""Many made-up people with kept pictures, whose embeddings a test decides."""

from collections.abc import Iterator, Sequence
from uuid import UUID

import numpy as np

from recognition.inference.arrays import Floats
from recognition.measuring.here import enrolled
from recognition.measuring.here.enrolled import Seen
from recognition.models import Face, FaceCrop, User
from tests.support.builders import make_templates

# As `enrolled` needs, and one who has two faces.
PEOPLE = enrolled.PEOPLE_NEEDED + 4


class Crowd:
    """What a pack sees in the kept pictures. Its networks are not there."""

    def __init__(self) -> None:
        self.embeddings: dict[int, Floats] = {}  # by the keys of the faces
        self.looks = 0  # batches that were looked at
        self.users: list[User] = []

    def enrol(self, people: int, *, several: int = 10) -> None:
        """The first of the people have two faces."""
        random = np.random.default_rng(3)
        self.users = User.objects.bulk_create(
            User(pk=UUID(int=number + 1)) for number in range(people)
        )
        owners = [*self.users, *self.users[:several]]
        centres = random.normal(size=(people, 128))
        raw = (
            centres[[*range(people), *range(several)]] + random.normal(size=(len(owners), 128)) / 3
        )
        unit = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
        rows = zip(owners, unit, strict=True)
        faces = make_templates([(owner, each, "") for owner, each in rows])
        FaceCrop.objects.bulk_create(FaceCrop(face=face, sealed=b"x") for face in faces)
        self.embeddings = {face.pk: each for face, each in zip(faces, unit, strict=True)}

    def make_alike(self, a: User, b: User) -> None:
        """Two people with one face."""
        one, other = (Face.objects.filter(user=user).order_by("pk")[0].pk for user in (a, b))
        self.embeddings[other] = self.embeddings[one]

    def look(self, faces: Sequence[int], pack: str, *, workers: int = 1) -> Iterator[list[Seen]]:
        for at in range(0, len(faces), 50):
            self.looks += 1
            some = FaceCrop.objects.filter(face__in=faces[at : at + 50])
            keys = some.values_list("face_id", flat=True)
            yield [Seen(key, self.embeddings[key], 0.9) for key in keys]
