"""The errors of groups of people, on faces whose likeness is known."""

from pathlib import Path

import numpy as np
import pytest

from recognition.inference.arrays import Floats
from recognition.measuring.folders import EmbeddedFolder
from recognition.measuring.groups import by_group, read_groups
from recognition.measuring.photos import Photo, PhotosError

CUT = 0.8


def alike(people: int, *, share: float, start: int) -> Floats:
    """(people, 64): one axis is theirs, with this much of each face, one is the person's."""
    faces = np.zeros((people, 64), np.float32)
    faces[:, start] = np.sqrt(share)
    faces[np.arange(people), start + 1 + np.arange(people)] = np.sqrt(1 - share)
    return faces


@pytest.fixture
def folder() -> EmbeddedFolder:
    """Ten twins, who are all alike, and ten people who are not; two equal photos of each."""
    faces = np.concatenate([alike(10, share=0.9, start=0), alike(10, share=0.1, start=20)])
    names = [f"twin {n}" for n in range(10)] + [f"single {n}" for n in range(10)]
    photos = tuple(Photo(Path(f"{name}/{n}.jpg"), name) for name in names for n in range(2))
    people = np.repeat(np.arange(20), 2)
    return EmbeddedFolder(photos, np.repeat(faces, 2, axis=0), np.ones(40), people)


def listed(folder: Path, text: str) -> dict[str, set[str]]:
    (folder / "groups.csv").write_text(text)
    return read_groups(folder / "groups.csv")


def test_it_works(folder: EmbeddedFolder) -> None:
    names = {photo.person for photo in folder.photos}
    twins = {name for name in names if name.startswith("twin")}
    of_twins, of_all = by_group(folder, {"twins": twins, "all": names}, CUT)
    assert (of_twins.group, of_twins.people, of_twins.photos) == ("twins", 10, 20)
    assert (of_twins.fmr.value, of_twins.fmr.trials) == (1, 180)
    assert of_all.fmr.value == pytest.approx(180 / 760)
    assert (of_twins.fnmr.value, of_twins.fnmr.trials) == (0, 10)


def test_one_person_is_no_group(folder: EmbeddedFolder) -> None:
    (found,) = by_group(folder, {"few": {"twin 1"}, "two": {"twin 1", "twin 2"}}, CUT)
    assert (found.group, found.people) == ("two", 2)


def test_a_list_of_other_people(folder: EmbeddedFolder) -> None:
    with pytest.raises(PhotosError, match="nobody in the list"):
        list(by_group(folder, {"twins": {"somebody else"}}, CUT))


def test_a_list_is_read_as_folders_are_named(tmp_path: Path) -> None:
    text = "Person,Group\nAnn_Lee, old\nBob,old\n\nBob,tall\n"
    assert listed(tmp_path, text) == {"old": {"Ann Lee", "Bob"}, "tall": {"Bob"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Ann,old\nBob\n", "line 2: not person,group"),
        ("Ann,\n", "line 1: not person,group"),
        ("person,group\n", "has no people"),
        ("", "has no people"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PhotosError, match=message):
        listed(tmp_path, text)


def test_a_list_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(PhotosError, match="UTF-8"):
        read_groups(tmp_path / "groups.csv")
