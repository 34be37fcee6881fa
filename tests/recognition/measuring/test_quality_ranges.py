"""What calibrate --quality fits, on made-up faces whose flaws are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from recognition.inference.arrays import Floats
from recognition.inference.flaws import FIGURES, along, unpacked
from recognition.inference.pack.schema import build
from recognition.inference.pack.specs import CAUTIOUS, QualityRanges
from recognition.inference.quality import LIMIT
from recognition.measuring.photos import Photo, PhotosError
from recognition.measuring.quality.fitting import Fitted, Meaning, fit
from recognition.measuring.quality.looking import PLAIN, Sighting
from recognition.measuring.quality.measuring import described, replaced
from recognition.measuring.quality.spoiling import LIGHTS, SIZES, barred, coarse, masked, moved

DIMENSIONS = 16
PEOPLE = 120
# The figure that shows each flaw.
SHOWN_BY = {"level": 0, "stillness": 1, "detail": 2, "mouth": 3, "eyes": 4}
RECOGNISED = {("size", 62), ("size", 45), ("light", 0.5)}


def alike(a: Floats, b: Floats) -> Floats:
    products: Floats = (a * b).sum(axis=1)
    return products


MEANS = Meaning(alike, match=0.6, stranger=0.4)


def unit(vector: Floats) -> Floats:
    length: Floats = vector / np.linalg.norm(vector)
    return length


def faces(people: int = PEOPLE) -> list[Sighting]:
    """Two photos of each, and what was made of them: a flaw moves one figure by 4 deviations."""
    lot = np.random.default_rng(1)
    seen = []
    for person in range(people):
        who = unit(lot.normal(size=DIMENSIONS))
        for number in range(2):
            photo = Photo(Path(f"{person}/{number}.jpg"), str(person))
            plain = Sighting(
                photo, PLAIN, 0, who, lot.normal(size=DIMENSIONS + FIGURES), 0.99, 60, 100, 40
            )
            made = [plain]
            for name, figure in SHOWN_BY.items():
                values = lot.normal(size=DIMENSIONS + FIGURES)
                values[figure] += 4
                nobody = unit(lot.normal(size=DIMENSIONS))
                made.append(replace(plain, kind=name, figures=values, embedding=nobody))
            for kind, rungs in (("size", SIZES), ("light", LIGHTS)):
                for rung in rungs:
                    found = who if (kind, rung) in RECOGNISED else unit(lot.normal(size=DIMENSIONS))
                    values = lot.normal(size=DIMENSIONS + FIGURES)
                    size = {"eyes": rung / 2} if kind == "size" else {"light": 100 * rung}
                    made.append(
                        replace(
                            plain, kind=kind, rung=rung, figures=values, embedding=found, **size
                        )
                    )
            seen += made
    return seen


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return fit(faces(), MEANS, data="made up")


def test_it_works(fitted: Fitted) -> None:
    assert fitted.ranges.photos == 2 * PEOPLE
    assert [flaw.name for flaw in fitted.flaws] == list(SHOWN_BY)
    for flaw in fitted.flaws:
        assert flaw.caught > 0.7, flaw
        assert flaw.refused <= 0.006, flaw


def test_a_line_finds_the_figure_that_shows_the_flaw(fitted: Fitted) -> None:
    for flaw in fitted.ranges.flaws:
        line = unpacked(flaw.line)
        assert np.argmax(np.abs(line[:-1])) == SHOWN_BY[flaw.name]
        assert flaw.range[1] < flaw.range[0]  # the component falls along the line
        flawed = [face.figures for face in faces(30) if face.kind == flaw.name]
        assert np.median(along(np.array(flawed), line)) == pytest.approx(0.5, abs=0.15)


def test_the_limit_is_where_the_score_of_a_good_photo_falls_below_the_gate(fitted: Fitted) -> None:
    zero, one = fitted.ranges.mirror or (0, 0)
    assert one == 0.99
    assert zero + LIMIT * (one - zero) == pytest.approx(0.99)  # all agree as much


def test_what_is_recognised_passes(fitted: Fitted) -> None:
    kept = {(rung.kind, rung.rung): rung.kept for rung in fitted.ladder}
    assert {rung for rung, share in kept.items() if share > 0.9} == RECOGNISED
    zero, one = fitted.ranges.size
    assert one == CAUTIOUS.size[1]
    assert np.log(45 / 2 / zero) / np.log(one / zero) == pytest.approx(0.45, abs=0.01)
    assert fitted.ranges.light[0] == pytest.approx((50 / 75**0.45) ** (1 / 0.55), abs=0.01)


def test_a_pack_that_recognises_nothing_worse_keeps_the_cautious_ramps() -> None:
    worse = [face for face in faces() if (face.kind, face.rung) not in RECOGNISED]
    found = fit(worse, MEANS, data="made up").ranges
    assert (found.size, found.light) == (CAUTIOUS.size, CAUTIOUS.light)


def test_a_face_that_is_read_rightly_lying_on_its_side_has_no_flaw() -> None:
    upright = {face.photo: face.embedding for face in faces() if face.kind == PLAIN}
    seen = [
        replace(face, embedding=upright[face.photo]) if face.kind == "level" else face
        for face in faces()
    ]
    found = fit(seen, MEANS, data="made up")
    assert "level" not in [flaw.name for flaw in found.flaws]
    assert "too few faces to judge: level" in "\n".join(described(found))


def test_too_few_faces() -> None:
    with pytest.raises(PhotosError, match="Only 60 faces"):
        fit(faces(30), MEANS, data="made up")


# --- pack.yaml ------------------------------------------------------------------------------------

PACK = "name: x\n\ncalibration:\n  data: old\n"


def test_the_block_comes_before_the_calibration(fitted: Fitted) -> None:
    once = replaced(PACK, fitted.ranges)
    assert once.startswith("name: x\n\nquality_ranges:\n")
    assert once.endswith("\n\ncalibration:\n  data: old\n")
    read = build(QualityRanges, yaml.safe_load(once)["quality_ranges"], "quality_ranges")
    assert read == fitted.ranges


def test_the_block_is_replaced(fitted: Fitted) -> None:
    other = replace(fitted.ranges, data="newer", flaws=())
    assert replaced(replaced(PACK, fitted.ranges), other) == replaced(PACK, other)


def test_a_pack_without_a_calibration(fitted: Fitted) -> None:
    assert yaml.safe_load(replaced("name: x\n", fitted.ranges))["name"] == "x"


# --- spoiling -------------------------------------------------------------------------------------


def test_pictures_are_made_worse_where_it_is_said() -> None:
    image = np.random.default_rng(1).integers(0, 256, (200, 200, 3), np.uint8)
    eyes = np.array([[70.0, 60], [130, 60]])
    lot = np.random.default_rng(2)
    mask, bar = masked(image, eyes, lot), barred(image, eyes, lot)
    assert (mask[:60] == image[:60]).all()
    assert (mask[120:130, 95:105] != image[120:130, 95:105]).any()
    assert (bar[100:] == image[100:]).all()
    assert (bar[55:65, 70:130].reshape(-1, 3) == bar[60, 100]).all()
    assert moved(image, 31, 0).std() < image.std() / 2
    assert len(np.unique(coarse(image, 0.05, 0).reshape(-1, 3), axis=0)) <= 100
