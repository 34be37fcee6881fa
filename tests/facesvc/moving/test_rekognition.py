"""People of Amazon Rekognition, from lists as `aws rekognition list-faces` writes them."""

import json
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from facesvc.moving import rekognition as reading
from recognition.models import Face, User
from recognition.models.user_ids import UserId
from tests.facesvc.client.conftest import Here
from tests.facesvc.moving.conftest import Interrupted, picture, rows, run
from tests.support.builders import FakePipeline, face_of, vector

Printed = pytest.CaptureFixture[str]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]
# In shares of the 64 x 48 pixels of `picture`: where face_of has a face by default.
BOX = {"Left": 4 / 64, "Top": 4 / 48, "Width": 40 / 64, "Height": 40 / 48}


def record(external: str | None = None, **fields: Any) -> dict[str, Any]:
    named = {"ExternalImageId": external} if external else {}
    return {
        "FaceId": str(uuid.uuid4()),
        "BoundingBox": BOX,
        "ImageId": str(uuid.uuid4()),
        **named,
        "Confidence": 99.99739837646484,
        "IndexFacesModelVersion": "7.0",
        **fields,
    }


class Collection:
    """`photos` is the folder of the photos, and `file` the list."""

    def __init__(self, folder: Path) -> None:
        self.photos, self.file = folder / "photos", folder / "faces.json"
        self.report = folder / "report.jsonl"
        self.photos.mkdir()

    def lists(self, *records: dict[str, Any], **fields: Any) -> None:
        page = {"Faces": records, "FaceModelVersion": "7.0", **fields}
        self.file.write_text(json.dumps(page))

    def photo(self, name: str, number: int = 0) -> None:
        (self.photos / name).parent.mkdir(parents=True, exist_ok=True)
        (self.photos / name).write_bytes(picture(number))

    def move(self, *words: object, lists: Sequence[Path] = ()) -> int:
        files = lists or [self.file]
        return run(
            *("rekognition", *files, "--photos", self.photos, "--report", self.report, *words)
        )

    def outcomes(self) -> list[tuple[str, str]]:
        return [(row["user_id"], row["reason"] or row["state"]) for row in rows(self.report)]

    def map(self, text: str) -> Path:
        path = self.report.parent / "people.csv"
        path.write_text(text)
        return path


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    return Collection(tmp_path)


def users() -> set[UserId]:
    return {face.user_id for face in Face.objects.all()}


def test_it_works(collection: Collection) -> None:
    collection.lists(record("user-17"), record("ann.jpg"), record("x_9.png", UserId="demoUser2"))
    for number, name in enumerate(["user-17.jpeg", "ann.jpg", "x_9.png"]):
        collection.photo(name, number)
    assert collection.move() == 0
    assert users() == {UserId("user-17"), UserId("ann"), UserId("demoUser2")}
    face = Face.objects.get(user=UserId("ann"))
    assert face.metadata["source"] == "rekognition"
    assert str(uuid.UUID(face.metadata["source_id"])) == face.metadata["source_id"]
    assert collection.move() == 0 and Face.objects.count() == 3


@pytest.mark.parametrize("after", [1, 2])
def test_a_killed_move_goes_on(
    collection: Collection, here: Callable[[Here], None], after: int
) -> None:
    collection.lists(*(record(f"user-{number}") for number in range(3)))
    for number in range(3):
        collection.photo(f"user-{number}.jpg", number)
    here(Interrupted(after))
    assert collection.move() == 130 and Face.objects.count() == after
    here(Here())
    assert collection.move() == 0 and Face.objects.count() == 3


def test_photos_that_are_missing_are_reported(collection: Collection, capsys: Printed) -> None:
    collection.lists(record("ann"), record("joe"), record())
    collection.photo("ann.jpg")
    assert collection.move() == 1
    assert collection.outcomes() == [
        ("ann", "enrolled"),
        ("joe", "no_photo"),
        ("", "no_user"),
    ]
    assert "The folder has no photo joe." in capsys.readouterr().out
    assert User.objects.count() == 1


def test_a_dry_run_stores_nothing(collection: Collection, fake: FakePipeline) -> None:
    fake.show(vector(1), [])
    collection.lists(record("ann"), record("joe"), record("sue"))
    collection.photo("ann.jpg", 1)
    collection.photo("sue.jpg", 2)
    assert collection.move("--dry-run") == 1
    assert collection.outcomes() == [
        ("ann", "would_enrol"),
        ("joe", "no_photo"),
        ("sue", "no_face"),
    ]
    assert not User.objects.exists()


def test_a_map_names_users_and_photos(collection: Collection) -> None:
    first, second = record("shared"), record("shared")
    collection.lists(first, second, record("ann", UserId="a"), record("left-out"))
    for number, name in enumerate(["2024/one.jpg", "2024/two.jpg", "ann.png"]):
        collection.photo(name, number)
    rows_of_map = [
        "id,user_id,photo",
        f"{first['FaceId']},42,2024/one.jpg",
        f"{second['FaceId']},42,2024/two.jpg",
        "a,43,",
    ]
    people = collection.map("\n".join(rows_of_map))
    assert collection.move("--map", people) == 1
    assert collection.outcomes() == [
        ("42", "enrolled"),
        ("42", "enrolled"),
        ("43", "enrolled"),
        ("", "not_in_the_map"),
    ]


def test_one_id_for_several_photos_does_not_say_which_is_which(collection: Collection) -> None:
    collection.lists(record("ann"), record("ann"))
    collection.photo("ann.jpg")
    assert collection.move() == 1
    assert collection.outcomes() == [("ann", "several_photos")] * 2
    people = collection.map("id,user_id,photo\nann,ann,ann.jpg\n")
    assert collection.move("--map", people) == 1
    assert not Face.objects.exists()


# --- photos of several people ---------------------------------------------------------------------


def of_group(*, with_users: bool = True) -> list[dict[str, Any]]:
    """Two faces of one photo of 64 x 48 pixels."""
    image = str(uuid.uuid4())
    return [
        record(
            "party.jpg",
            BoundingBox=small_box(left),
            ImageId=image,
            **({"UserId": name} if with_users else {}),
        )
        for left, name in [(2, "left"), (40, "right")]
    ]


def small_box(left: float) -> dict[str, float]:
    """A box of 20 x 20 pixels, but for what two detectors do differently."""
    return {"Left": left / 64, "Top": 2 / 48, "Width": 18 / 64, "Height": 24 / 48}


def nearest_to_the_left(face: Face) -> float:
    """In pixels: which face of the photo was stored."""
    points = face.attributes["face_landmarks"].values()
    return min(point[0] for point in points if point)


def test_each_person_of_a_group_gets_the_own_face(
    collection: Collection, fake: FakePipeline
) -> None:
    fake.show([face_of(vector(1), x=40, side=20), face_of(vector(2), x=2, side=20)])
    collection.lists(*of_group())
    collection.photo("party.jpg")
    assert collection.move("--dry-run") == 0
    assert collection.move() == 0
    stored = {face.user_id: nearest_to_the_left(face) for face in Face.objects.all()}
    assert stored[UserId("left")] < 40 <= stored[UserId("right")]


def test_a_group_is_not_one_person(collection: Collection) -> None:
    """All faces of a photo have its ExternalImageId."""
    collection.lists(*of_group(with_users=False))
    collection.photo("party.jpg")
    assert collection.move() == 1
    assert collection.outcomes() == [("", "several_people")] * 2


def test_nobody_gets_the_face_of_another(collection: Collection, fake: FakePipeline) -> None:
    """One of the two is not found in the photo: the other one must not be taken instead."""
    fake.show([face_of(vector(1), x=2, side=20)])
    collection.lists(*of_group())
    collection.photo("party.jpg")
    assert collection.move() == 1
    assert collection.outcomes() == [("left", "enrolled"), ("right", "other_faces")]


def test_a_photo_with_others_in_it(collection: Collection, fake: FakePipeline) -> None:
    fake.show([face_of(vector(1), x=40, side=20), face_of(vector(2), x=2, side=20)])
    collection.lists(record("ann", BoundingBox=small_box(2)))
    collection.photo("ann.jpg")
    assert collection.move() == 0
    assert nearest_to_the_left(Face.objects.get()) < 40


# --- paths and files ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "..", ".", "a/../../secret.jpg"])
def test_no_path_leads_out_of_the_folder(collection: Collection, name: str) -> None:
    (collection.photos.parent / "secret.jpg").write_bytes(picture(1))
    collection.lists(record(name, UserId="ann"))
    assert collection.move() == 1
    assert collection.outcomes() == [("ann", "unsafe_path")]
    face = record("x", UserId="ann")
    collection.lists(face)
    people = collection.map(f"id,user_id,photo\n{face['FaceId']},ann,{name}\n")
    assert collection.move("--map", people) == 1
    assert collection.outcomes() == [("ann", "unsafe_path")]


def test_no_link_leads_out_of_the_folder(collection: Collection) -> None:
    (collection.photos.parent / "secret.jpg").write_bytes(picture(1))
    (collection.photos / "ann.jpg").symlink_to("../secret.jpg")
    (collection.photos / "joe.jpg").symlink_to("joe.jpg")
    collection.photo("sue-2024.jpg")
    (collection.photos / "sue.jpg").symlink_to("sue-2024.jpg")
    collection.lists(record("ann.jpg"), record("joe.jpg"), record("sue.jpg"))
    assert collection.move() == 1
    assert collection.outcomes() == [
        ("ann", "unsafe_path"),
        ("joe", "unsafe_path"),
        ("sue", "enrolled"),
    ]


def test_what_is_no_file_is_not_opened(collection: Collection) -> None:
    os.mkfifo(collection.photos / "pipe.jpg")  # to open it would never end
    (collection.photos / "folder.jpg").mkdir()
    collection.lists(record("pipe.jpg"), record("folder.jpg"), record("null\0.jpg"))
    assert collection.move() == 1
    assert [reason for _, reason in collection.outcomes()][:2] == ["no_photo"] * 2
    assert not Face.objects.exists()


def test_a_huge_file_is_not_read(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 1000)
    collection.lists(record("ann.jpg"))
    collection.photo("ann.jpg")
    assert collection.move() == 1
    assert collection.outcomes() == [("ann", "too_large")]


# --- lists ----------------------------------------------------------------------------------------


def test_a_list_in_pages(collection: Collection, capsys: Printed) -> None:
    first, second = record("ann"), record("joe")
    collection.lists(first, NextToken="more")
    assert collection.move() == 1
    assert "The list is not whole, since it has a NextToken." in capsys.readouterr().err
    other = collection.file.with_name("faces2.json")
    other.write_text(json.dumps({"Faces": [second, first]}))
    collection.photo("ann.jpg", 1)
    collection.photo("joe.jpg", 2)
    assert collection.move(lists=[collection.file, other]) == 0
    assert Face.objects.count() == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON file"),
        ("[]", "is not what `aws rekognition list-faces` writes"),
        ('{"Users": []}', "is not what `aws rekognition list-faces` writes"),
        ('{"Faces": [{"FaceId": "x"}]}', "This is no face of Rekognition"),
        ('{"Faces": ["x"]}', "This is no face of Rekognition"),
    ],
)
def test_what_is_no_list(collection: Collection, capsys: Printed, text: str, said: str) -> None:
    collection.file.write_text(text)
    assert collection.move() == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [{"BoundingBox": {"Left": "0"}}, {"ExternalImageId": 7}, {"FaceId": None}]
)
def test_what_is_no_face(collection: Collection, capsys: Printed, wrong: dict[str, Any]) -> None:
    collection.lists({**record("ann"), **wrong})
    assert collection.move() == 1
    assert "This is no face of Rekognition" in capsys.readouterr().err


def test_files_that_are_not_there(collection: Collection, capsys: Printed) -> None:
    assert collection.move() == 1
    assert "faces.json: No such file or directory" in capsys.readouterr().err
    collection.lists()
    assert run("rekognition", collection.file, "--photos", collection.file) == 1
    assert "is not a folder" in capsys.readouterr().err
    assert collection.move("--map", collection.photos / "none.csv") == 1
    assert "none.csv: No such file or directory" in capsys.readouterr().err
    assert collection.move("--report", collection.photos) == 1
    assert "Is a directory" in capsys.readouterr().err
