"""The page that shows packs side by side, out of the files of `evaluate --json`."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from recognition.measuring import comparison
from recognition.measuring.photos import PhotosError

SVG = "{http://www.w3.org/2000/svg}"


def rate(value: float) -> dict[str, float]:
    return {"value": value, "errors": 4, "trials": 2600, "low": value / 2, "high": 2 * value}


def measured(name: str, **changes: Any) -> comparison.Report:
    """As `evaluate` writes it."""
    shares = {"1e-2": 0.99, "1e-3": 0.95, "1e-4": 0.9, "1e-5": None}
    spans = {name: share and [share - 0.01, share + 0.01] for name, share in shares.items()}
    level = {"fmr": rate(2e-3), "fnmr": rate(0.06), "target_fmr": 1e-3}
    group = {"group": "tall", "people": 20, "photos": 44, "fmr": rate(5e-3), "fnmr": rate(0.1)}
    return {
        "pack": name, "label": name, "licence": "MIT", "download_bytes": 9_400_000,
        "disk_bytes": 13_000_000, "non_mated_pairs": 3000, "tar_at_fmr": shares,
        "tar_interval": spans, "accuracy": 0.98765, "identification": {"rank1": 0.85},
        "operating_points": {"basic": level},
        "groups": {"fmr": "1e-4", "groups": [group]},
        "speed": {"milliseconds": {"detect": 20.4, "embed": 6.1}, "times_reference": 0.4321},
        "curve": {"fmr": [1e-5, 1e-3, 1e-2, 1.0], "fnmr": [0.3, 0.05, 0.01, 0.0]},
    } | changes  # fmt: skip


PUBLISHED = {
    "pack": "far", "label": "far", "licence": "research", "download_bytes": 289_000_000,
    "disk_bytes": 193_000_000,
    "published": [{"figure": "accuracy 0.99", "source": "Them", "address": "https://a.example"}],
}  # fmt: skip


def rows(block: str, *reports: comparison.Report) -> list[list[str]]:
    """The cells of a block's table, without its head."""
    page = comparison.fill(f"<!-- evaluate: {block} -->\n<!-- end -->", reports, "det.svg")
    lines = [line for line in page.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_it_works() -> None:
    near, far = rows("packs", measured("near"), PUBLISHED)
    assert near == [
        "**near**", "0.950", "0.900", "–", "0.850", "0.43", "9 MB", "13 MB", "MIT",
    ]  # fmt: skip
    assert far == ["far, not measured", *"–––––", "289 MB", "193 MB", "research"]


def test_every_block_shows_what_it_is_about() -> None:
    near, far = measured("near"), PUBLISHED
    assert rows("intervals", near, far) == [
        ["near", "0.940 to 0.960", "0.890 to 0.910", "–", "0.9877"]
    ]
    assert rows("thresholds", near, far) == [["near", "`basic`", "2 (1 to 4)", "0.940"]]
    assert rows("groups", near, far) == [
        ["tall", "20 (2,600 pairs)", "50 times (25 to 100); 0.900 accepted"]
    ]
    assert rows("speed", near, far) == [["near", "20 ms", "6 ms", "–"]]
    assert rows("published", near, far) == [["far", "accuracy 0.99", "[Them](https://a.example)"]]


def test_a_pack_that_downloads_nothing() -> None:
    assert rows("packs", measured("near", download_bytes=0))[0][6:8] == ["none", "13 MB"]


def test_a_group_that_one_pack_lacks() -> None:
    other = measured("other", groups={"fmr": "1e-4", "groups": []})
    assert rows("groups", measured("near"), other, measured("none", groups=None))[0][2:] == [
        "50 times (25 to 100); 0.900 accepted", "–",
    ]  # fmt: skip


def test_the_words_of_a_page_stay() -> None:
    page = "# Mine\n\nBefore.\n\n<!-- evaluate: det -->\nold\n<!-- end -->\n\nAfter.\n"
    made = comparison.fill(page, [measured("near")], "mine/det.svg")
    assert made.startswith("# Mine\n\nBefore.\n") and made.endswith("\nAfter.\n")
    assert "old" not in made and "(mine/det.svg)" in made
    assert comparison.fill(made, [measured("near")], "mine/det.svg") == made


def test_a_new_page_has_all_blocks() -> None:
    made = comparison.fill(comparison.new_page(), [measured("near"), PUBLISHED], "det.svg")
    assert made.count("<!-- evaluate: ") == len(comparison.BLOCKS) == made.count("<!-- end -->")


@pytest.mark.parametrize(
    ("page", "message"),
    [("# Nothing", "no marks"), ("<!-- evaluate: luck -->\n<!-- end -->", "asks for 'luck'")],
)
def test_a_page_that_cannot_be_filled(page: str, message: str) -> None:
    with pytest.raises(PhotosError, match=message):
        comparison.fill(page, [measured("near")], "det.svg")


@pytest.mark.parametrize(("text", "message"), [("{", "no JSON"), ("[]", "no report"), ("{}", "no")])
def test_a_file_that_is_no_report(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(PhotosError, match=message):
        comparison.read_reports([tmp_path / "a.json"])


def test_a_file_of_a_report(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(measured("near")))
    assert comparison.read_reports([tmp_path / "a.json"]) == [measured("near")]


# --- The picture ----------------------------------------------------------------------------------


def lines(picture: ElementTree.Element, kind: str) -> list[list[tuple[float, float]]]:
    """The places of each line of a kind that has more than the two of the legend."""
    found = [each for each in picture.iter(f"{SVG}polyline") if each.get("class") == kind]
    places = [[place.split(",") for place in each.attrib["points"].split()] for each in found]
    return [[(float(x), float(y)) for x, y in line] for line in places]


def test_the_picture_has_a_curve_for_each_pack() -> None:
    picture = ElementTree.fromstring(
        comparison.chart([measured("near"), measured("Us & you"), PUBLISHED])
    )
    words = {text.text for text in picture.iter(f"{SVG}text")}
    assert {"near", "Us & you", "basic", "standard", "10,000"} <= words and "far" not in words
    for number in range(2):
        curve, legend = lines(picture, f"curve pack{number}")
        (few,) = lines(picture, f"few pack{number}")
        assert len(legend) == 2
        # With 3,000 pairs, 30 false matches are one in a hundred.
        assert len(curve) == 1 and few[-1] == curve[0]
        heights = [y for _, y in few]
        assert heights == sorted(heights), "fewer true pairs are refused to the right"


def test_a_pack_without_errors_has_a_picture() -> None:
    perfect = measured("near", curve={"fmr": [1e-3, 1.0], "fnmr": [0.0, 0.0]})
    assert "near" in comparison.chart([perfect])
