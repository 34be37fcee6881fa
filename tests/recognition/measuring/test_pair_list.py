"""Lists of pairs as people write them, and who is who in them."""

from pathlib import Path

import pytest

from recognition.measuring.photos import PhotosError, people_of, photos_of, read_pairs

FILES = ["Ann/Ann_01.jpg", "Ann/Ann_02.jpg", "Bob/Bob_01.jpg", "Bob/Bob_02.jpg", "x1.jpg", "x2.jpg"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "pairs.csv"
    path.write_bytes(text.encode())
    return path


def numbers(folder: Path, text: str) -> tuple[list[int], int | None]:
    """The persons in the photos of a list, and the line that contradicts the folders."""
    pairs = read_pairs(written(folder, text), folder)
    people = people_of(photos_of(pairs, folder), pairs)
    return people.numbers.tolist(), people.contradiction and people.contradiction.line


def test_it_works(folder: Path) -> None:
    text = "path_a,path_b,same\nAnn/Ann_01.jpg,Ann/Ann_02.jpg,1\nAnn/Ann_01.jpg,Bob/Bob_01.jpg,0\n"
    first, second = read_pairs(written(folder, text), folder)
    assert (first.path_a, first.path_b) == (folder / FILES[0], folder / FILES[1])
    assert (first.same, first.line, second.same, second.line) == (True, 2, False, 3)


@pytest.mark.parametrize(
    "text",
    [
        "Ann/Ann_01.jpg,Ann/Ann_02.jpg,1\n",
        "\ufeffPath_A, Path_B, Same\r\nAnn/Ann_01.jpg, Ann/Ann_02.jpg, TRUE\r\n\r\n",
        "left,right,label\nAnn/../Ann/Ann_01.jpg,./Ann/Ann_02.jpg,true",
        '"Ann/Ann_01.jpg","Ann/Ann_02.jpg","1"',
    ],
)
def test_ways_to_write_it(folder: Path, text: str) -> None:
    (pair,) = read_pairs(written(folder, text), folder)
    assert (pair.path_a, pair.path_b, pair.same) == (folder / FILES[0], folder / FILES[1], True)


def test_absolute_paths(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = f"{folder}/Ann/Ann_01.jpg,{folder}/Bob/Bob_01.jpg,false"
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (pair,) = read_pairs(written(folder, text), elsewhere)
    assert (pair.path_a, pair.same) == (folder / FILES[0], False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x1.jpg,x2.jpg,1\nx1.jpg,x2.jpg,maybe", "line 2: same is 'maybe'"),
        ("x1.jpg,x2.jpg,maybe", "line 1: same is 'maybe'"),
        ("path_a,path_b,same\n\nx1.jpg,x2.jpg", "line 3: 2 columns instead of 3"),
        ("x1.jpg,x2.jpg,1,0", "line 1: 4 columns instead of 3"),
        ("x1.jpg,gone.jpg,1", "line 1: there is no photo 'gone.jpg'"),
        ("x1.jpg,,1", "line 1: there is no photo ''"),
        ("x1.jpg,Ann,1", "line 1: there is no photo 'Ann'"),
        ("x1.jpg,x1.jpg,0", "line 1: 'x1.jpg' is said to differ from itself"),
        ("path_a,path_b,same\n", "has no pairs"),
        ("", "has no pairs"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(folder: Path, text: str, message: str) -> None:
    with pytest.raises(PhotosError, match=r"pairs\.csv") as caught:
        read_pairs(written(folder, text), folder)
    assert message in str(caught.value)


def test_a_list_that_is_no_text(folder: Path) -> None:
    (folder / "pairs.csv").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(PhotosError, match="UTF-8"):
        read_pairs(folder / "pairs.csv", folder)


def test_a_list_that_is_not_there(folder: Path) -> None:
    with pytest.raises(PhotosError, match="No such file"):
        read_pairs(folder / "none.csv", folder)


def test_people_are_those_of_the_folders(folder: Path) -> None:
    # The two photos of Bob are not named as a pair.
    text = (
        "Ann/Ann_01.jpg,Ann/Ann_02.jpg,1\n"
        "Ann/Ann_01.jpg,Bob/Bob_01.jpg,0\n"
        "Ann/Ann_02.jpg,Bob/Bob_02.jpg,0\n"
    )
    assert numbers(folder, text) == ([0, 0, 1, 1], None)


def test_the_list_joins_people_of_several_names(folder: Path) -> None:
    text = "Ann/Ann_01.jpg,x1.jpg,1\nAnn/Ann_02.jpg,Bob/Bob_01.jpg,0\n"
    assert numbers(folder, text) == ([0, 0, 0, 1], None)


def test_folders_that_are_not_people(folder: Path) -> None:
    # x1 and x2 look like photos 1 and 2 of a person called x.
    text = "Ann/Ann_01.jpg,Ann/Ann_02.jpg,1\nx1.jpg,x2.jpg,0\nx1.jpg,Ann/Ann_01.jpg,0\n"
    people, line = numbers(folder, text)
    assert line == 2
    assert people[0] == people[1] and len({people[0], people[2], people[3]}) == 3


def test_photos_elsewhere_are_strangers_unless_the_list_joins_them(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other") / "Ann_03.jpg"
    other.touch()
    assert numbers(folder, f"Ann/Ann_01.jpg,{other},1\nx1.jpg,{other},0\n") == ([0, 0, 1], None)


def test_photos_without_a_name_are_told_apart_by_the_list(folder: Path) -> None:
    for number in range(3):
        (folder / f"IMG_{number}.jpg").touch()
    text = "IMG_0.jpg,IMG_1.jpg,1\nIMG_1.jpg,IMG_2.jpg,0\n"
    assert numbers(folder, text) == ([0, 0, 1], None)


def test_a_folder_behind_a_link(folder: Path) -> None:
    link = folder / "link"
    link.symlink_to(folder / "Ann")
    pairs = read_pairs(written(folder, f"Ann_01.jpg,{folder}/Ann/Ann_02.jpg,1"), link)
    people = people_of(photos_of(pairs, link), pairs)
    assert people.numbers.tolist() == [0, 0]
