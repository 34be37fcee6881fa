"""What a cohort makes of embeddings, and the packs whose cohort cannot be right."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import yaml

from recognition.inference.arrays import Floats
from recognition.inference.pack.cohort import Cohort
from recognition.inference.pack.declaration import ModelPack, PackError, load_pack

DIMENSIONS, CENTRES = 128, 12
PACKS = Path(__file__).parents[4] / "ml_models"


def unit(count: int, *, seed: int, dimensions: int = DIMENSIONS) -> Floats:
    """Vectors that have something in common, as those of the default pack."""
    drawn = np.random.default_rng(seed).standard_normal((count, dimensions)) + 2
    vectors: Floats = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return vectors


def table_of(vectors: Floats) -> bytes:
    file = io.BytesIO()
    np.save(file, np.rint(vectors * 127 / np.abs(vectors).max()).astype(np.int8))
    return file.getvalue()


def cohort_of(table: bytes, level: float = 0.9) -> Cohort:
    digest = hashlib.sha256(table).hexdigest()
    return Cohort("cohort.npy", digest, "made up", 40, 80, 3, 0.35, level, table)


def pack_with(folder: Path, content: bytes | None, **changed: object) -> ModelPack:
    """The default pack with a cohort; None: its file is missing."""
    path = folder / "dlib"
    path.mkdir()
    raw = yaml.safe_load((PACKS / "dlib" / "pack.yaml").read_text())
    del raw["calibration"]
    digest = hashlib.sha256(content or b"").hexdigest()
    cohort = {"file": "cohort.npy", "sha256": digest, "data": "x", "people": 40, "photos": 80}
    raw["cohort"] = {**cohort, "nearest": 3, "weight": 0.35, "level": 0.9, **changed}
    (path / "pack.yaml").write_text(yaml.safe_dump(raw))
    if content is not None:
        (path / "cohort.npy").write_bytes(content)
    return load_pack(path)


def test_it_works(tmp_path: Path) -> None:
    table = table_of(unit(CENTRES, seed=1))
    pack = pack_with(tmp_path, table)
    assert pack.compared_dimensions == DIMENSIONS + 1
    assert pack.compared(unit(5, seed=2)).shape == (5, DIMENSIONS + 1)
    assert pack.cohort is not None
    assert pack.template_version == f"dlib_v1~{pack.cohort.mark}"


def test_a_product_is_the_cosine_less_what_the_cohort_says() -> None:
    cohort, faces = cohort_of(table_of(unit(CENTRES, seed=1))), unit(20, seed=2)
    near = np.sort(faces @ cohort.centres.T, axis=1)[:, -3:].mean(axis=1)
    less = 0.35 * (near - 0.9)
    wanted = faces @ faces.T - less[:, None] - less + 0.25 + 4 * np.outer(less, less)
    vectors = cohort.extended(faces)
    np.testing.assert_allclose(vectors @ vectors.T, wanted, atol=1e-5)


def test_a_face_like_many_others_scores_less() -> None:
    centres = unit(CENTRES, seed=1)
    cohort = cohort_of(table_of(centres))
    mean = centres.mean(axis=0)
    common, other = mean / np.linalg.norm(mean), unit(1, seed=3)[0]
    pair = cohort.extended(np.stack([common, other]))
    assert pair[0, -1] < pair[1, -1]


def test_all_that_changes_a_score_changes_the_mark() -> None:
    table = table_of(unit(CENTRES, seed=1))
    others = [cohort_of(table_of(unit(CENTRES, seed=2))), cohort_of(table, level=0.91)]
    marks = {cohort.mark for cohort in [cohort_of(table), *others]}
    assert len(marks) == 3


# --- refusals -------------------------------------------------------------------------------------


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"cohort\.npy cannot be read .*: restore it"):
        pack_with(tmp_path, None)


def test_a_damaged_file(tmp_path: Path) -> None:
    table = table_of(unit(CENTRES, seed=1))
    with pytest.raises(PackError, match="sha256 is not that of"):
        pack_with(tmp_path, table, sha256="0" * 64)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="no table of numpy"):
        pack_with(tmp_path, b"PK")


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(PackError, match="no table of numpy"):
        pack_with(tmp_path, file.getvalue())


def test_other_dimensions(tmp_path: Path) -> None:
    table = table_of(unit(CENTRES, seed=1, dimensions=64))
    with pytest.raises(PackError, match="do not fit"):
        pack_with(tmp_path, table)


def test_embeddings_that_fill_the_column(tmp_path: Path) -> None:
    raw = yaml.safe_load((PACKS / "buffalo_l" / "pack.yaml").read_text())
    assert raw["recogniser"]["dimensions"] == 512
    path = tmp_path / "buffalo_l"
    path.mkdir()
    table = table_of(unit(CENTRES, seed=1, dimensions=512))
    cohort = cohort_of(table)
    raw["cohort"] = {name: value for name, value in vars(cohort).items() if name != "table"}
    (path / "pack.yaml").write_text(yaml.safe_dump(raw))
    (path / "cohort.npy").write_bytes(table)
    with pytest.raises(PackError, match="dimensions below 512"):
        load_pack(path)


def test_fewer_centres_than_are_looked_at(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="do not fit"):
        pack_with(tmp_path, table_of(unit(2, seed=1)))


@pytest.mark.parametrize("weight", [0.0, 1.5])
def test_a_weight_that_makes_no_sense(tmp_path: Path, weight: float) -> None:
    with pytest.raises(PackError, match="weight"):
        pack_with(tmp_path, table_of(unit(CENTRES, seed=1)), weight=weight)


@pytest.mark.parametrize("level", [float("nan"), float("inf"), 1.5])
def test_a_level_that_makes_no_sense(tmp_path: Path, level: float) -> None:
    with pytest.raises(PackError, match="level"):
        pack_with(tmp_path, table_of(unit(CENTRES, seed=1)), level=level)


def test_a_table_of_other_numbers(tmp_path: Path) -> None:
    """Infinite ones would make templates that compare with nothing."""
    file, table = io.BytesIO(), unit(CENTRES, seed=1)
    table[0, 0] = np.inf
    np.save(file, table)
    with pytest.raises(PackError, match="not int8"):
        pack_with(tmp_path, file.getvalue())


def test_a_table_in_the_text(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="unknown keys: table"):
        pack_with(tmp_path, table_of(unit(CENTRES, seed=1)), table="x")


def test_a_folder_in_the_name(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="without folders"):
        pack_with(tmp_path, table_of(unit(CENTRES, seed=1)), file="../cohort.npy")
