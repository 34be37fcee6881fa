"""manage.py calibrate and manage.py evaluate: what they print, write and refuse."""

import json
import shutil
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from facesvc.management.commands import calibrate
from facesvc.management.commands.calibrate import replace_measured
from recognition.inference.pack.declaration import load_pack, pack_file
from recognition.measuring import calibration, cohorts, folders
from recognition.measuring.photos import EmbeddedPhoto, Photo
from tests.support.builders import OWNER, make_face, make_user, vector
from tests.support.photos import SHARED, needs_shared

pytestmark = pytest.mark.django_db
PEOPLE, PHOTOS = 100, 3
KEYS = {
    "pack", "model_version", "photos", "people", "faces_missed", "mated_pairs", "non_mated_pairs",
    "accuracy", "accuracy_std", "accuracy_threshold", "folds", "auc", "tar_at_fmr",
    "cosine_at_fmr", "identification", "operating_points", "people_with_photos", "label", "data",
    "measured_on", "licence", "download_bytes", "disk_bytes", "calibrated_on", "provisional",
    "tar_interval", "curve", "groups", "speed",
}  # fmt: skip


def fake_embed(photos: Sequence[Photo], *args: Any, **options: Any) -> Iterator[EmbeddedPhoto]:
    """A face for each person, a little noise for each photo; none where the file's name says so."""
    for photo in photos:
        face = np.random.default_rng(list(photo.path.parent.name.encode())).normal(size=128)
        noise = np.random.default_rng(list(photo.path.name.encode())).normal(size=128)
        vector = (face + 0.5 * noise).astype(np.float32)
        if "missed" in photo.path.name:
            yield EmbeddedPhoto(photo, problem="No face was found.")
        else:
            yield EmbeddedPhoto(photo, vector / np.linalg.norm(vector), 0.9 - 0.1 * abs(noise[0]))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hundred people with three photos each, and a network that finds them easy."""
    monkeypatch.setattr(folders, "embed_photos", fake_embed)
    for person in range(PEOPLE):
        (tmp_path / "faces" / f"person{person}").mkdir(parents=True)
        for photo in range(PHOTOS):
            (tmp_path / "faces" / f"person{person}" / f"{person}_{photo}.jpg").touch()
    return tmp_path / "faces"


@pytest.fixture
def pack(tmp_path: Path, settings: Settings) -> Path:
    """A copy of the default pack that may be written to."""
    original = next(f for f in settings.PACK_FOLDERS if (f / "dlib").is_dir())
    shutil.copytree(original / "dlib", tmp_path / "packs" / "dlib")
    settings.PACK_FOLDERS = [tmp_path / "packs"]
    return tmp_path / "packs" / "dlib" / "pack.yaml"


def run(command: str, *arguments: object) -> str:
    output = StringIO()
    call_command(command, *map(str, arguments), stdout=output)
    return output.getvalue()


def evaluate(folder: Path, *arguments: object) -> tuple[str, dict[str, Any]]:
    report = folder.parent / "report.json"
    printed = run("evaluate", folder, "--json", report, *arguments)
    return printed, json.loads(report.read_text())


# --- evaluate -------------------------------------------------------------------------------------


def test_evaluate(folder: Path) -> None:
    printed, report = evaluate(folder)
    assert set(report) == KEYS
    assert (report["pack"], report["photos"], report["people"]) == ("dlib", 300, 100)
    assert (report["mated_pairs"], report["non_mated_pairs"]) == (300, 44550)
    assert (report["accuracy"], report["auc"], report["folds"]) == (pytest.approx(1), 1, 10)
    assert report["tar_at_fmr"] == {"1e-2": 1, "1e-3": 1, "1e-4": 1, "1e-5": None}
    assert report["identification"]["rank1"] == 1
    assert report["identification"]["fnir_at_fpir"] == {"0.01": 0, "0.001": None}
    assert report["faces_missed"] == []
    assert (report["label"], report["data"], report["licence"]) == ("dlib", "faces", "CC0-1.0")
    assert report["disk_bytes"] > 20e6 and report["download_bytes"] == 0
    assert 0.9 < report["tar_interval"]["1e-4"][0] <= report["tar_interval"]["1e-4"][1] == 1
    assert report["tar_interval"]["1e-5"] is None
    assert 40 < len(report["curve"]["fmr"]) == len(report["curve"]["fnmr"]) <= 60
    assert report["groups"] is None
    assert report["speed"] is None  # these photos are empty files
    assert "accuracy (LFW protocol)  1.0000 ± 0.0000, 10 folds" in printed


def test_evaluate_tells_the_rates_at_the_thresholds_of_the_service(folder: Path) -> None:
    _, report = evaluate(folder)
    points = report["operating_points"]
    assert [points[name]["confidence"] for name in ("basic", "standard", "strict")] == [
        0.8, 0.85, 0.95,
    ]  # fmt: skip
    # The default pack's thresholds are far too high for these faces.
    assert points["basic"]["fmr"]["errors"] == 0
    assert points["basic"]["fmr"]["trials"] == 44550
    assert points["basic"]["fnmr"]["value"] > 0.9
    assert points["strict"]["extrapolated"] is True


def test_evaluate_tells_the_rates_of_people_with_several_photos(folder: Path) -> None:
    printed, report = evaluate(folder)
    rows = {
        (row["photos"], row["match_on"], row["level"]): row for row in report["people_with_photos"]
    }
    assert {key[:2] for key in rows} == {(1, "face"), (3, "face"), (3, "user")}
    assert rows[1, "face", "basic"]["fmr"]["trials"] == 300 * 297
    assert rows[3, "user", "standard"]["people"] == 100
    assert "  3 user          standard     100  0 (0 to" in printed


def test_calibrate_measures_several_photos(folder: Path, pack: Path) -> None:
    printed = run("calibrate", folder)
    assert "photos  people  nearest  mean\n3       100     " in printed
    several = load_pack(pack.parent).calibration.several_photos  # type: ignore[union-attr]
    assert several and [row.photos for row in several.measured] == [3]


def test_evaluate_a_list_of_pairs(folder: Path) -> None:
    rows = ["path_a,path_b,same"]
    for person in range(20):
        rows.append(f"person{person}/{person}_0.jpg,person{person}/{person}_1.jpg,1")
        rows.append(f"person{person}/{person}_0.jpg,person{person + 1}/{person + 1}_2.jpg,0")
    # Said to be one person, and found to be two: one pair in 40 is judged wrongly.
    rows[3] = f"person1/1_0.jpg,{folder}/person2/2_1.jpg,true"
    (folder.parent / "pairs.csv").write_text("\n".join(rows))
    _, report = evaluate(folder, "--pairs", folder.parent / "pairs.csv")
    assert report["accuracy"] == pytest.approx(39 / 40)
    assert report["photos"] == 59
    assert report["mated_pairs"] > 20


def test_evaluate_counts_missed_faces_as_failures(folder: Path) -> None:
    for person in range(30):
        (folder / f"person{person}" / f"{person}_missed.jpg").touch()
    printed, report = evaluate(folder)
    assert len(report["faces_missed"]) == 30
    assert report["faces_missed"][0] == "person0/0_missed.jpg"
    assert report["tar_at_fmr"]["1e-2"] == pytest.approx(300 / 390)
    assert report["identification"]["rank1"] < 1
    assert "30 without a face" in printed
    assert "0_missed.jpg: No face was found." in printed


def test_evaluate_a_pair_with_a_missed_face_is_different(folder: Path) -> None:
    (folder / "person0" / "missed.jpg").touch()
    pair = "person0/0_0.jpg,person0/0_1.jpg,1\nperson0/0_0.jpg,person1/1_1.jpg,0\n"
    missed = "person0/0_0.jpg,person0/missed.jpg,1\nperson1/1_0.jpg,person0/missed.jpg,0\n"
    (folder.parent / "pairs.csv").write_text(pair * 5 + missed * 5)
    _, report = evaluate(folder, "--pairs", folder.parent / "pairs.csv")
    assert report["accuracy"] == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pairs", "{folder}/none.csv"], "No such file"),
        (["--pairs", "{folder}/bad.csv"], "bad.csv, line 2: there is no photo 'gone.jpg'"),
        (["--workers", "0"], "--workers must be at least 1"),
        (["--pack", "none"], "no pack 'none'"),
        (["--pack", "buffalo_l"], "models pull buffalo_l"),
        (["--json", "{folder}/none/report.json"], "No such file"),
    ],
)
def test_evaluate_refuses(folder: Path, arguments: list[str], message: str) -> None:
    good = "person0/0_0.jpg,person0/0_1.jpg,1"
    (folder / "bad.csv").write_text(f"{good}\ngone.jpg,person0/0_1.jpg,1\n")
    with pytest.raises(CommandError, match=message):
        run("evaluate", folder, *(argument.format(folder=folder) for argument in arguments))


def test_evaluate_refuses_what_is_no_folder(folder: Path) -> None:
    with pytest.raises(CommandError, match="is not a folder"):
        run("evaluate", folder / "none")


def test_evaluate_a_folder_without_photos(folder: Path) -> None:
    (folder.parent / "empty").mkdir()
    with pytest.raises(CommandError, match="has no photos"):
        run("evaluate", folder.parent / "empty")


def test_photos_that_name_nobody_are_left_out(folder: Path) -> None:
    (folder / "IMG_0001.jpg").touch()
    (folder / "IMG_0002.jpg").touch()
    printed, report = evaluate(folder)
    assert "2 photos are left out" in printed
    assert report["photos"] == 300


def test_evaluate_a_folder_without_faces(folder: Path) -> None:
    (folder.parent / "none").mkdir()
    (folder.parent / "none" / "missed.jpg").touch()
    with pytest.raises(CommandError, match="No face was found"):
        run("evaluate", folder.parent / "none")


def test_evaluate_two_photos(folder: Path) -> None:
    shutil.rmtree(folder)
    (folder / "person0").mkdir(parents=True)
    (folder / "person0" / "1.jpg").touch()
    (folder / "person0" / "2.jpg").touch()
    _, report = evaluate(folder)
    assert (report["accuracy"], report["auc"], report["identification"]["rank1"]) == (None,) * 3


@pytest.mark.slow
@needs_shared
def test_evaluate_real_photos_in_two_processes(tmp_path: Path) -> None:
    people = sorted(path for path in (SHARED / "lfw-a").iterdir() if path.is_dir())
    for person in [person for person in people if len(list(person.iterdir())) == 2][:20]:
        (tmp_path / "faces" / person.name).mkdir(parents=True)
        for photo in person.iterdir():
            (tmp_path / "faces" / person.name / photo.name).symlink_to(photo)
    _, report = evaluate(tmp_path / "faces", "--workers", 2)
    assert (report["photos"], report["people"], report["faces_missed"]) == (40, 20, [])
    assert report["accuracy"] > 0.9
    assert report["auc"] > 0.98
    assert report["tar_at_fmr"]["1e-2"] > 0.8


def test_evaluate_groups(folder: Path) -> None:
    rows = [f"person{n},{'even' if n % 2 == 0 else 'odd'}" for n in range(PEOPLE)]
    (folder.parent / "groups.csv").write_text("\n".join(rows))
    printed, report = evaluate(folder, "--groups", folder.parent / "groups.csv")
    assert report["groups"]["fmr"] == "1e-3"  # 44 false matches; at 1e-4 there are 4
    for group, name in zip(report["groups"]["groups"], ("even", "odd"), strict=True):
        assert (group["group"], group["people"], group["photos"]) == (name, 50, 150)
        assert group["fmr"]["trials"] == 11025 and 0 < group["fmr"]["value"] < 1e-2
        assert group["fnmr"]["trials"] == 150
    assert "even: 50 people" in printed


def test_groups_of_a_folder_that_is_too_small(folder: Path) -> None:
    for person in range(20, PEOPLE):
        shutil.rmtree(folder / f"person{person}")
    (folder.parent / "groups.csv").write_text("person1,odd\nperson3,odd\n")
    with pytest.raises(CommandError, match="too few pairs"):
        run("evaluate", folder, "--groups", folder.parent / "groups.csv")


def test_evaluate_makes_a_page_of_several_files(folder: Path, tmp_path: Path) -> None:
    evaluate(folder)
    run("evaluate", folder, "--label", "the same again", "--json", tmp_path / "again.json")
    files = (folder.parent / "report.json", tmp_path / "again.json")
    printed = run("evaluate", "--compare", *files, "--page", tmp_path / "mine.md")
    assert "show 2 packs" in printed
    text = (tmp_path / "mine.md").read_text()
    assert "| **dlib** |" in text and "| **the same again** |" in text
    ElementTree.parse(tmp_path / "mine" / "det.svg")
    run("evaluate", "--compare", files[0], "--page", tmp_path / "mine.md")
    assert "the same again" not in (tmp_path / "mine.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name a folder, or files to --compare"),
        (["--compare", "a.json"], "--compare needs --page"),
        (["--page", "a.md"], "--compare needs --page"),
        (["{folder}", "--compare", "a.json", "--page", "a.md"], "measures no folder"),
        (["--compare", "{folder}/none.json", "--page", "a.md"], "No such file"),
    ],
)
def test_evaluate_refuses_half_a_comparison(
    folder: Path, arguments: list[str], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        run("evaluate", *(argument.format(folder=folder) for argument in arguments))


# --- calibrate ------------------------------------------------------------------------------------


def test_calibrate_writes_the_pack(folder: Path, pack: Path) -> None:
    before = pack.read_text()
    printed = run("calibrate", folder, "--data", "made up")
    assert pack.read_text().startswith(before.split("\ncalibration:")[0])
    calibration = load_pack(pack.parent).calibration
    assert calibration and (calibration.data, calibration.photos) == ("made up", 300)
    for point in calibration.table:
        assert point.interval and 0 <= point.interval[0] <= point.interval[1] <= 1
        assert point.extrapolated or point.interval[0] <= point.fmr <= point.interval[1]
    assert any(point.extrapolated for point in calibration.table)
    assert "extrapolated" in printed and f"Written into {pack}" in printed


def test_calibrate_needs_no_tables(folder: Path, pack: Path) -> None:
    """As before the first `make run`: what was measured is not lost at the end."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE recognition_measurement CASCADE")
    assert "Written into" in run("calibrate", folder, "--data", "made up")
    calibration = load_pack(pack.parent).calibration
    assert calibration and calibration.data == "made up"


def test_calibrate_again_gives_the_same_file(folder: Path, pack: Path) -> None:
    run("calibrate", folder)
    first = pack.read_text()
    run("calibrate", folder)
    assert pack.read_text() == first
    found = load_pack(pack.parent)
    assert found.calibration and replace_measured(first, None, found.calibration) == first


def test_a_cohort_that_brings_nothing_is_not_kept(folder: Path, pack: Path) -> None:
    before = pack.read_text().partition("\ncalibration:\n")[0]
    assert "That is too little: the pack has no cohort." in run("calibrate", folder, "--cohort")
    assert pack.read_text().partition("\ncalibration:\n")[0].rstrip() == before
    assert not list(pack.parent.glob("*.npy"))


def test_a_cohort(folder: Path, pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohorts, "_LEAST_GAIN", -1.0)
    monkeypatch.setattr(calibration, "PAIRS_NEEDED", 10_000)  # half of the people have so many
    run("calibrate", folder, "--cohort")
    first = pack.read_text()
    found = load_pack(pack.parent)
    assert found.cohort and found.calibration
    assert (found.cohort.people, found.calibration.identities) == (50, 50)
    assert found.cohort.centres.shape == (12, 128)  # groups of four
    assert len(found.calibration.mean_embedding) == 129
    run("calibrate", folder, "--cohort")
    assert pack.read_text() == first
    run("calibrate", folder)  # which keeps the cohort
    again = load_pack(pack.parent)
    assert again.cohort == found.cohort
    assert again.calibration and again.calibration.identities == 100


def test_a_cohort_that_is_made_when_the_command_is_killed(
    folder: Path, pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pack keeps the former one, so that it serves, and the command can be repeated."""
    monkeypatch.setattr(cohorts, "_LEAST_GAIN", -1.0)
    monkeypatch.setattr(calibration, "PAIRS_NEEDED", 10_000)
    run("calibrate", folder, "--cohort")
    former = load_pack(pack.parent)

    def killed(*args: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(cohorts, "_SEED", 16)
        patched.setattr(calibrate.Command, "_write", killed)
        run("calibrate", folder, "--cohort")
    assert load_pack(pack.parent) == former
    run("calibrate", folder, "--cohort")


@pytest.mark.django_db
def test_a_cohort_under_templates_is_refused(folder: Path, pack: Path) -> None:
    make_face(make_user(OWNER), vector(1), version="dlib_v1")
    before = pack.read_text()
    with pytest.raises(CommandError, match="There are templates of dlib"):
        run("calibrate", folder, "--cohort")
    assert pack.read_text() == before


@pytest.mark.django_db
def test_a_copy_gets_a_cohort_beside_templates(
    folder: Path, pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the refusal advises, and then the templates are converted without pictures."""
    monkeypatch.setattr(cohorts, "_LEAST_GAIN", -1.0)
    monkeypatch.setattr(calibration, "PAIRS_NEEDED", 10_000)
    monkeypatch.setattr(folders.downloads, "pull", lambda *args: None)
    make_face(make_user(OWNER), vector(1), version="dlib_v1")
    before, copy = pack.read_text(), pack.parents[1] / "copy" / "pack.yaml"
    shutil.copytree(pack.parent, copy.parent)
    copy.write_text(before.replace("name: dlib", "name: copy", 1))
    run("calibrate", folder, "--pack", "copy", "--cohort")
    assert load_pack(copy.parent).template_version.startswith("dlib_v1~")
    assert pack.read_text() == before
    with pytest.raises(CommandError, match="There are templates of dlib"):
        run("calibrate", folder, "--cohort")


def test_calibrate_reports(folder: Path, pack: Path) -> None:
    before, target = pack.read_text(), folder.parent / "a" / "report"
    run("calibrate", folder, "--dry-run", "--report", target)
    assert pack.read_text() == before
    report = json.loads((target / "report.json").read_text())
    point = report["table"][-1]
    assert {
        "fmr",
        "cosine",
        "similarity",
        "confidence",
        "pairs",
        "extrapolated",
        "interval",
    } == set(point)
    assert set(report["operating_points"]) == {"basic", "standard", "strict"}
    steps = report["error_versus_discard"]["steps"]
    assert [step["discarded"] for step in steps] == [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]
    assert len(report["curve"]["fmr"]) == len(report["curve"]["fnmr"]) > 100
    for name, rate in (("det.svg", "False non-match rate"), ("roc.svg", "True accept rate")):
        chart = ElementTree.parse(target / name).getroot()
        words = [text.text for text in chart.iter("{http://www.w3.org/2000/svg}text")]
        assert {rate, "False match rate", "basic", "standard"} <= set(words)
        assert any("dlib on faces" in str(text) for text in words)


def test_calibrate_names_photos_with_doubtful_labels(folder: Path, pack: Path) -> None:
    other = folder / "not_person7" / "person7"
    other.mkdir(parents=True)
    (other / "again.jpg").touch()
    printed = run("calibrate", folder, "--dry-run", "--report", folder.parent)
    report = json.loads((folder.parent / "report.json").read_text())
    pairs = [{pair["photo_a"], pair["photo_b"]} for pair in report["doubtful_labels"]]
    assert pairs and all("not_person7/person7/again.jpg" in pair for pair in pairs)
    assert "the labels are doubtful" in printed


def test_the_quality_needs_faces(folder: Path, pack: Path) -> None:
    before = pack.read_text()
    with pytest.raises(CommandError, match="Only 0 faces were found; at least 100 are needed"):
        run("calibrate", folder, "--quality")  # the files are empty
    assert pack.read_text() == before


def test_calibrate_a_folder_that_is_too_small(folder: Path, pack: Path) -> None:
    for person in range(60):
        shutil.rmtree(folder / f"person{person}")
    with pytest.raises(CommandError, match="too small"):
        run("calibrate", folder)


def test_a_table_without_intervals_is_read(pack: Path, settings: Settings) -> None:
    head, _, block = pack.read_text().partition("\ncalibration:\n")
    calibration = yaml.safe_load("calibration:\n" + block)
    for point in calibration["calibration"]["table"]:
        point.pop("interval", None)
    pack.write_text(f"{head}\n{yaml.safe_dump(calibration)}")
    found = load_pack(pack_file("dlib", settings.PACK_FOLDERS).parent).calibration
    assert found and all(point.interval is None for point in found.table)
