"""The management commands on real photos."""

import io
import shutil
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from recognition.access import SCOPES
from recognition.api.callers import tokens
from recognition.enrolment import enrolling
from recognition.enrolment.enrolling import EnrolmentRequest
from recognition.inference.arrays import Image
from recognition.inference.pack.declaration import load_pack
from recognition.models import AuditEvent, Face, Template, User
from tests.support.builders import OWNER, enrol_face, make_user, row_counts
from tests.support.photos import (
    SHARED,
    astronaut,
    coffee,
    encode,
    jpeg,
    needs_shared,
    resized,
    six_people,
    tom_hanks,
)

PACKS = Path(__file__).parents[3] / "ml_models"


def run(name: str, *arguments: object, **options: Any) -> str:
    output = io.StringIO()
    call_command(name, *map(str, arguments), stdout=output, stderr=io.StringIO(), **options)
    return output.getvalue()


# --- issue_token ----------------------------------------------------------------------------------


class TestIssueToken:
    def test_it_works(self) -> None:
        output = run("issue_token", "--user", OWNER)
        assert output.count("\n") == 1
        caller = tokens.read(output.strip())
        assert caller.user_id == OWNER
        assert caller.scopes == {"face:register", "face:verify", "face:identify", "face:manage"}

    def test_a_service(self) -> None:
        output = run("issue_token", "--service", "app", "--scope", "face:admin face:identify")
        caller = tokens.read(output.strip())
        assert (caller.subject, caller.is_service) == ("app", True)
        assert caller.scopes == {"face:admin", "face:identify"}

    def test_all_scopes(self) -> None:
        output = run("issue_token", "--service", "app", "--scope", "all")
        assert tokens.read(output.strip()).scopes == set(SCOPES)

    def test_not_where_an_identity_provider_issues_them(self, settings: Settings) -> None:
        settings.JWT_JWKS_URL = "https://login.example/jwks.json"
        with pytest.raises(CommandError, match="identity provider"):
            run("issue_token", "--user", OWNER)

    def test_the_time_it_lasts(self) -> None:
        output = run("issue_token", "--user", OWNER, "--minutes", 5)
        claims = tokens.jwt.decode(output.strip(), options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == 300

    def test_its_own_limit(self) -> None:
        output = run("issue_token", "--user", OWNER, "--calls-per-minute", 600)
        assert tokens.read(output.strip()).calls_per_minute == 600

    def test_half_an_hour_by_default(self) -> None:
        claims = tokens.jwt.decode(
            run("issue_token", "--user", OWNER).strip(), options={"verify_signature": False}
        )
        assert claims["exp"] - claims["iat"] == 1800

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["--user", " me"],
            ["--user", str(OWNER), "--service", "app"],
            ["--service", "two words"],
            ["--service", str(OWNER)],
            ["--service", ""],
            ["--user", str(OWNER), "--scope", "face:all"],
            ["--user", str(OWNER), "--minutes", "0"],
            ["--user", str(OWNER), "--calls-per-minute", "0"],
        ],
    )
    def test_what_makes_no_token(self, arguments: list[str]) -> None:
        with pytest.raises(CommandError):
            run("issue_token", *arguments)


# --- enrol_folder ---------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two people, one of them with two photos, and a cup."""
    for person, name, image in (
        ("Eileen_Collins", "a.png", astronaut()),
        ("Eileen_Collins", "b.JPG", astronaut()[:, ::-1]),
        ("Tom Hanks", "1.png", resized(tom_hanks(), 2)),
        ("Nobody", "cup.jpg", coffee()),
    ):
        path = tmp_path / "people" / person / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(np.ascontiguousarray(image), path.suffix.lower()))
    (tmp_path / "people" / "Tom Hanks" / "notes.txt").write_text("not a photo")
    (tmp_path / "people" / ".hidden").mkdir()
    (tmp_path / "people" / ".hidden" / "x.png").write_bytes(b"hidden")
    return tmp_path / "people"


def two_of_each() -> list[Image]:
    first, second = astronaut(), resized(tom_hanks(), 2)
    return [first, second, first[:, ::-1].copy(), second[:, ::-1].copy()]


@pytest.mark.django_db
class TestEnrolFolder:
    def test_it_works(self, folder: Path) -> None:
        lines = run("enrol_folder", folder).splitlines()
        assert len(lines) == 6
        outcomes = dict(line.split(": ", 1) for line in lines[:4])
        assert outcomes["Eileen_Collins/a.png"].startswith("enrolled: face_")
        assert outcomes["Tom Hanks/1.png"].startswith("enrolled: face_")
        assert outcomes["Nobody/cup.jpg"].startswith("refused: no_face. No face was found in")
        assert lines[4].startswith("4 photos: ")
        assert "1 refused" in lines[4]
        assert lines[5].startswith("New users are friends")
        names = set(User.objects.values_list("display_name", flat=True))
        assert names == {"Eileen Collins", "Tom Hanks"}
        assert set(User.objects.values_list("privacy_level", flat=True)) == {"friends"}
        assert Template.objects.count() == Face.objects.count()
        assert set(AuditEvent.objects.values_list("actor", flat=True)) == {"command:enrol_folder"}

    def test_the_name_of_a_folder_is_the_id_of_the_app(self, tmp_path: Path) -> None:
        make_user(OWNER, "private", display_name="Ann")
        names = ["user_42", "auth0|64f1", str(OWNER).upper(), unicodedata.normalize("NFD", "Zoë")]
        for name, image in zip(names, two_of_each(), strict=True):
            (tmp_path / name).mkdir()
            (tmp_path / name / "1.png").write_bytes(encode(image))
        assert "4 photos: 4 enrolled." in run("enrol_folder", tmp_path)
        users = {user.app_id: user for user in User.objects.all()}
        assert users.keys() == {"user_42", "auth0|64f1", str(OWNER), "Zoë"}
        assert users["user_42"].display_name == "user 42"
        assert (users[str(OWNER)].display_name, users[str(OWNER)].privacy_level) == (
            "Ann",
            "private",
        )

    def test_a_folder_whose_name_is_no_user_id(self, tmp_path: Path) -> None:
        for name in ("x" * 129, "a\tb"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "1.png").write_bytes(encode(astronaut()))
        output = run("enrol_folder", tmp_path)
        assert output.count("refused: invalid_request. A user id has") == 2
        assert not User.objects.exists()

    def test_a_second_run_changes_nothing(self, folder: Path) -> None:
        run("enrol_folder", folder)
        before = row_counts()
        output = run("enrol_folder", folder)
        assert row_counts() == before
        assert "\nEileen_Collins/a.png: already enrolled: face_" in f"\n{output}"
        assert " enrolled," not in output.splitlines()[-1].replace("already enrolled", "")

    def test_new_photos_join_their_person(self, folder: Path) -> None:
        run("enrol_folder", folder)
        darker = (resized(tom_hanks(), 3)[:, ::-1] * 0.7).astype(np.uint8)
        (folder / "Tom Hanks" / "2.png").write_bytes(encode(np.ascontiguousarray(darker)))
        run("enrol_folder", folder)
        assert User.objects.count() == 2

    def test_an_interrupted_run_goes_on(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        enrol = enrolling.enrol

        def interrupted(image: bytes, request: EnrolmentRequest) -> Face:
            if "1.png" in str(request.metadata):
                raise KeyboardInterrupt
            return enrol(image, request)

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(enrolling, "enrol", interrupted)
            run("enrol_folder", folder)
        assert set(User.objects.values_list("display_name", flat=True)) == {"Eileen Collins"}
        output = run("enrol_folder", folder)
        assert "Eileen_Collins/a.png: already enrolled" in output
        assert "Tom Hanks/1.png: enrolled" in output

    def test_a_photo_of_several_people(self, tmp_path: Path) -> None:
        """Refused, unless the main one is asked for."""
        (tmp_path / "Ann_1.png").write_bytes(encode(six_people()))
        refused = run("enrol_folder", tmp_path)
        assert "refused: multiple_faces. --largest enrols the main person" in refused
        assert "Ann_1.png: enrolled" in run("enrol_folder", tmp_path, "--largest")
        assert Face.objects.count() == 1

    def test_names_in_the_file_names(self, tmp_path: Path) -> None:
        (tmp_path / "Eileen_Collins_0001.png").write_bytes(encode(astronaut()))
        (tmp_path / "Tom-Hanks (2).jpg").write_bytes(jpeg(resized(tom_hanks(), 2)))
        run("enrol_folder", tmp_path)
        names = set(User.objects.values_list("display_name", flat=True))
        assert names == {"Eileen Collins", "Tom-Hanks"}

    def test_both_layouts_name_the_same_person(self, tmp_path: Path) -> None:
        (tmp_path / "Tom_Hanks").mkdir()
        (tmp_path / "Tom_Hanks" / "x.png").write_bytes(encode(resized(tom_hanks(), 2)))
        (tmp_path / "Tom_Hanks_7.png").write_bytes(encode(resized(tom_hanks(), 3)))
        run("enrol_folder", tmp_path)
        assert User.objects.count() == 1

    def test_privacy(self, folder: Path) -> None:
        run("enrol_folder", folder, "--privacy", "public")
        assert set(User.objects.values_list("privacy_level", flat=True)) == {"public"}

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"", "empty_image"),
            (b"text", "unsupported_format"),
            (encode(astronaut())[:-500], "truncated_image"),
            (encode(six_people()), "multiple_faces"),
            (encode(cv2.GaussianBlur(astronaut(), (0, 0), 4).astype(np.uint8)), "low_quality"),
        ],
        ids=["empty", "text", "truncated", "six people", "blurred"],
    )
    def test_a_refused_photo_says_why(self, tmp_path: Path, data: bytes, reason: str) -> None:
        (tmp_path / "Somebody.png").write_bytes(data)
        output = run("enrol_folder", tmp_path)
        assert output.startswith(f"Somebody.png: refused: {reason}")
        assert output.endswith("1 photos: 1 refused.\n")
        assert not row_counts()

    @pytest.mark.parametrize("name", ["IMG_1234.png", "DSC0001.png", "20240101_120000.png"])
    def test_a_file_name_that_names_nobody(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_bytes(encode(astronaut()))
        assert run("enrol_folder", tmp_path).startswith(f"{name}: refused: no_name")
        assert not User.objects.exists()

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        assert run("enrol_folder", tmp_path) == "0 photos: nothing to do.\n"

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="is not a folder"):
            run("enrol_folder", tmp_path / "none")


# --- identify_photo -------------------------------------------------------------------------------


@pytest.mark.django_db
class TestIdentifyPhoto:
    def test_it_works(self, tmp_path: Path) -> None:
        User.objects.create(pk=OWNER, display_name="Eileen", privacy_level="private")
        face = enrol_face(OWNER, encode(astronaut()))
        photo = tmp_path / "photo.jpg"
        photo.write_bytes(jpeg(resized(astronaut(), 0.9)))
        first, second = run("identify_photo", photo).splitlines()
        assert f": Eileen, {face.face_id}, confidence 0.9" in first
        assert second == "1 face found."
        event = AuditEvent.objects.get(action="identify.everyone")
        assert event.actor == "command:identify_photo"

    def test_people_who_are_not_enrolled(self, tmp_path: Path) -> None:
        photo = tmp_path / "six.png"
        photo.write_bytes(encode(six_people()))
        lines = run("identify_photo", photo).splitlines()
        assert lines[-1] == "6 faces found."
        assert all(line.endswith("nobody who is enrolled") for line in lines[:6])

    def test_nobody(self, tmp_path: Path) -> None:
        photo = tmp_path / "cup.png"
        photo.write_bytes(encode(coffee()))
        assert run("identify_photo", photo) == "0 faces found.\n"

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="No such file"):
            run("identify_photo", tmp_path / "none.jpg")

    def test_no_picture(self, tmp_path: Path) -> None:
        (tmp_path / "x.jpg").write_text("text")
        with pytest.raises(CommandError, match="is not JPEG"):
            run("identify_photo", tmp_path / "x.jpg")


# --- calibrate ------------------------------------------------------------------------------------


@pytest.fixture
def own_pack(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    """A copy of the default pack, to write into."""
    shutil.copytree(PACKS / "dlib", tmp_path / "packs" / "dlib")
    settings.PACK_FOLDERS = [tmp_path / "packs"]
    yield tmp_path / "packs" / "dlib"


@pytest.fixture(scope="module")
def some_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 people of lfw-a, 60 of them with two photos."""
    folder = tmp_path_factory.mktemp("lfw")
    people = sorted(path for path in (SHARED / "lfw-a").iterdir() if path.is_dir())
    several = [person for person in people if len(list(person.iterdir())) > 1][:60]
    single = [person for person in people if person not in several][:140]
    for person in (*several, *single):
        (folder / person.name).mkdir()
        for photo in sorted(person.iterdir())[: 2 if person in several else 1]:
            (folder / person.name / photo.name).symlink_to(photo)
    return folder


class TestCalibrate:
    @pytest.mark.slow
    @pytest.mark.django_db
    @needs_shared
    def test_it_works(self, own_pack: Path, some_people: Path) -> None:
        before = (own_pack / "pack.yaml").read_text()
        output = run("calibrate", some_people, "--data", "a part of lfw-a")
        assert "260 photos of 200 people, 1 without a face" in output  # which is misread
        text = (own_pack / "pack.yaml").read_text()
        assert text.partition("\ncalibration:\n")[0] == before.partition("\ncalibration:\n")[0]
        pack = load_pack(own_pack)
        assert pack.calibration is not None
        assert pack.calibration.data == "a part of lfw-a"
        assert (pack.calibration.identities, pack.calibration.mated_pairs) == (199, 60)
        assert pack.calibration.zero_cosine == pytest.approx(1.087, abs=0.01)

    def test_a_folder_that_is_too_small(self, own_pack: Path, tmp_path: Path) -> None:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "Eileen.png").write_bytes(encode(astronaut()))
        before = (own_pack / "pack.yaml").read_text()
        with pytest.raises(CommandError, match="is too small: 0 pairs"):
            run("calibrate", tmp_path / "photos")
        assert (own_pack / "pack.yaml").read_text() == before

    def test_a_folder_without_faces(self, own_pack: Path, tmp_path: Path) -> None:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "Cup.png").write_bytes(encode(coffee()))
        with pytest.raises(CommandError, match="No face was found"):
            run("calibrate", tmp_path / "photos")

    def test_a_broken_photo_is_named(self, own_pack: Path, tmp_path: Path) -> None:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "Cup.png").write_bytes(b"text")
        with pytest.raises(CommandError, match=r"Cup\.png"):
            run("calibrate", tmp_path / "photos")

    def test_an_unknown_pack(self, own_pack: Path, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="no pack 'none'"):
            run("calibrate", tmp_path, "--pack", "none")
