"""People of CompreFace, from a server that answers as its REST API describes itself."""

import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from facesvc.moving import compreface as reading
from facesvc.moving import source
from recognition.models import Face, User
from recognition.models.user_ids import UserId
from tests.facesvc.client.conftest import Here
from tests.facesvc.moving.conftest import Interrupted, picture, rows, run
from tests.support.builders import FakePipeline, face_of, service_token, vector
from tests.support.servers.compreface import CompreFaceServer

Use = Callable[[Here], None]
Printed = pytest.CaptureFixture[str]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("here")]


def faces_by_user() -> dict[str, int]:
    return dict(Counter(str(UserId(str(face.user))) for face in Face.objects.all()))


def test_it_works(server: CompreFaceServer, capsys: Printed) -> None:
    ids = [server.add(name, picture(n)) for n, name in enumerate(["Ann Lee", "Ann Lee", "แอน"])]
    assert run("compreface", server.url, "--privacy", "public") == 0
    assert capsys.readouterr().out == "3 faces: 3 enrolled. They are of 2 users.\n"
    stored = {face.metadata["source_id"]: face for face in Face.objects.select_related("user")}
    assert set(stored) == set(ids)
    assert all(face.metadata["source"] == "compreface" for face in stored.values())
    users = {user.display_name: user for user in User.objects.all()}
    assert set(users) == {"Ann Lee", "แอน"}
    assert users["Ann Lee"].pk == UserId("Ann Lee") and users["แอน"].privacy_level == "public"
    assert users["Ann Lee"].faces.count() == 2


def test_a_second_run_doubles_nothing_and_fetches_nothing(
    server: CompreFaceServer, capsys: Printed
) -> None:
    for number in range(3):
        server.add("Ann", picture(number))
    assert run("compreface", server.url) == 0
    server.asked.clear()
    capsys.readouterr()
    assert run("compreface", server.url) == 0
    assert capsys.readouterr().out.startswith("3 faces: 3 enrolled before.")
    assert Face.objects.count() == 3 and len(server.asked) == 1


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_killed_move_goes_on(
    server: CompreFaceServer, here: Use, after: int, capsys: Printed
) -> None:
    for number in range(4):
        server.add(f"user-{number % 2}", picture(number))
    here(Interrupted(after))
    assert run("compreface", server.url) == 130
    assert Face.objects.count() == after
    here(Here())
    assert run("compreface", server.url) == 0
    assert f"{4 - after} enrolled" in capsys.readouterr().out.splitlines()[-1]
    assert Face.objects.count() == 4 and User.objects.exclude(display_name="").count() == 2


def test_many_pages_whose_order_changes(
    server: CompreFaceServer, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setattr(reading, "_PAGE", 3)
    for number in range(8):
        server.add(f"user-{number}", picture(number))
    assert run("compreface", server.url, "--dry-run") == 0
    assert len([path for path in server.asked if "?" in path]) == 3
    server.overlap = 1  # the last example is on no page
    assert run("compreface", server.url, "--dry-run") == 1
    assert "change while they are read" in capsys.readouterr().err


def test_a_dry_run_stores_nothing_and_sees_what_would_be_refused(
    server: CompreFaceServer, fake: FakePipeline, capsys: Printed, tmp_path: Path
) -> None:
    fake.show(vector(1), [], [vector(2), vector(3)])
    subjects = ["ann", "nobody", "two", " blank", "x" * 129, "..", "ghost"]
    pictures = [picture(n) for n in range(6)] + [b""]
    for subject, each in zip(subjects, pictures, strict=True):
        server.add(subject, each)
    report = tmp_path / "report.jsonl"
    report.touch()
    report.chmod(0o644)  # as an earlier program left it
    assert run("compreface", server.url, "--dry-run", "--report", report) == 1
    reasons = [(row["user_id"], row["state"], row["reason"]) for row in rows(report)]
    assert reasons == [
        ("ann", "would_enrol", ""),
        ("nobody", "refused", "no_face"),
        ("two", "refused", "multiple_faces"),
        *((subject, "refused", "invalid_request") for subject in subjects[3:6]),
        ("ghost", "refused", "no_picture"),
    ]
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert "Refused: invalid_request 3," in capsys.readouterr().out
    assert not Face.objects.exists() and not User.objects.exists()


def test_what_is_refused_is_named_and_the_others_go_on(
    server: CompreFaceServer, fake: FakePipeline, capsys: Printed
) -> None:
    fake.show(face_of(vector(1), quality=0.2), vector(2))
    ids = [server.add("ann", picture(1)), server.add("b\x1b[31m", b"GIF89a..")]
    ids.append(server.add("joe", picture(2)))
    assert run("compreface", server.url) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{ids[0]} (ann): refused: low_quality. ")
    assert lines[1].startswith(f"{ids[1]} (b\ufffd[31m): refused: invalid_request.")
    assert lines[2].startswith("3 faces: 2 refused, 1 enrolled.")
    assert [face.user_id for face in Face.objects.all()] == [UserId("joe")]


def test_files_that_are_no_pictures(server: CompreFaceServer, tmp_path: Path) -> None:
    server.add("gif", b"GIF89a" + bytes(40))
    server.add("text", b"hello")
    server.add("cut", picture(1)[:2000])
    report = tmp_path / "report.jsonl"
    assert run("compreface", server.url, "--report", report) == 1
    assert [row["reason"] for row in rows(report)] == [
        "unsupported_format",
        "unsupported_format",
        "truncated_image",
    ]


def test_a_huge_picture_is_not_read_to_its_end(
    server: CompreFaceServer, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 1000)
    assert source.MOST_BYTES == 20_000_000
    server.add("ann", bytes(2000))
    assert run("compreface", server.url) == 1
    assert "refused: too_large. The answer has over 1,000 bytes." in capsys.readouterr().out


def test_of_several_people_the_main_one_on_request(
    server: CompreFaceServer, fake: FakePipeline
) -> None:
    fake.show([vector(1), vector(2)])
    server.add("ann", picture(1))
    assert run("compreface", server.url) == 1 and not Face.objects.exists()
    assert run("compreface", server.url, "--largest") == 0
    assert Face.objects.count() == 1


def test_a_map_gives_the_ids_of_the_app(
    server: CompreFaceServer, tmp_path: Path, capsys: Printed
) -> None:
    server.add("Ann Lee", picture(1))
    server.add("Joe", picture(2))
    people = tmp_path / "people.csv"
    people.write_text("id,user_id,name\nAnn Lee,17,Ann\n")
    assert run("compreface", server.url, "--map", people) == 1
    assert "refused: not_in_the_map. people.csv gives no user_id" in capsys.readouterr().out
    assert [(user.pk, user.display_name) for user in User.objects.all()] == [(UserId("17"), "Ann")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("subject,user_id\na,b\n", "needs the columns id and user_id"),
        ("id,user_id\na,b\na,c\n", "line 3: its id is there twice"),
        ("id,user_id\na\n", "line 2: not as many cells as columns"),
        ("", "needs the columns"),
    ],
)
def test_a_wrong_map(
    server: CompreFaceServer, tmp_path: Path, capsys: Printed, text: str, said: str
) -> None:
    people = tmp_path / "people.csv"
    people.write_text(text)
    assert run("compreface", server.url, "--map", people) == 1
    assert said in capsys.readouterr().err


def test_a_user_who_is_there_stays_as_he_is(server: CompreFaceServer) -> None:
    there = User.new(UserId("ann"))
    there.display_name, there.privacy_level = "Ann of the app", "private"
    there.save()
    server.add("ann", picture(1))
    assert run("compreface", server.url, "--privacy", "public") == 0
    user = User.objects.get()
    assert (user.display_name, user.privacy_level) == ("Ann of the app", "private")


def test_a_consent_is_stored_with_each_face(server: CompreFaceServer, capsys: Printed) -> None:
    server.add("ann", picture(1))
    consent = ["--consent-given-at", "2024-01-20T10:30:00Z", "--consent-text-version", "v3"]
    assert run("compreface", server.url, *consent[:2]) == 1
    assert "belong together" in capsys.readouterr().err
    assert run("compreface", server.url, *consent) == 0
    assert Face.objects.get().metadata["consent"]["text_version"] == "v3"


# --- what stops it --------------------------------------------------------------------------------


def test_a_wrong_key(
    server: CompreFaceServer, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setenv("COMPREFACE_API_KEY", "wrong")
    assert run("compreface", server.url) == 1
    assert "answers 401 to its list of examples: Access denied" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["COMPREFACE_API_KEY", "TOKEN"])
def test_a_secret_that_is_missing(
    server: CompreFaceServer, monkeypatch: pytest.MonkeyPatch, capsys: Printed, name: str
) -> None:
    monkeypatch.delenv(name)
    assert run("compreface", server.url) == 1
    assert capsys.readouterr().err.startswith(f"Set {name}:")


def test_a_token_without_rights_stops_it(
    server: CompreFaceServer, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setenv("TOKEN", service_token("mover", ["face:manage"]))
    for number in range(3):
        server.add(f"user-{number}", picture(number))
    assert run("compreface", server.url) == 1
    assert "The service answers insufficient_scope" in capsys.readouterr().err
    assert len(server.asked) == 2  # the list, and one picture


def test_a_redirect_is_not_followed(server: CompreFaceServer, capsys: Printed) -> None:
    server.location = server.url + "/elsewhere"
    assert run("compreface", server.url) == 1
    assert "answers 302" in capsys.readouterr().err
    assert not any("elsewhere" in path for path in server.asked)


def test_a_service_that_is_busy_is_asked_again(server: CompreFaceServer, capsys: Printed) -> None:
    server.add("ann", picture(1))
    server.statuses = [503, 502]
    assert run("compreface", server.url) == 0
    server.statuses = [503] * 9
    assert run("compreface", server.url) == 1
    assert "does not answer (status 503). Run the command again" in capsys.readouterr().err


@pytest.mark.parametrize(
    "page",
    [
        {"subjects": []},
        [],
        {"faces": [{"image_id": "../../subjects", "subject": "ann"}]},
        {"faces": [{"image_id": 7, "subject": "ann"}]},
        {"faces": [{"image_id": "6b135f5b-a365-4522-b1f1-4c9ac2dd0728", "subject": None}]},
        {"faces": [], "total_pages": "many"},
    ],
)
def test_what_is_no_list_of_examples(
    server: CompreFaceServer, capsys: Printed, page: object
) -> None:
    server.page = page
    assert run("compreface", server.url) == 1
    assert "is not one of CompreFace" in capsys.readouterr().err
    assert len(server.asked) == 1


def test_a_list_without_pages(server: CompreFaceServer) -> None:
    """Versions before 0.6 answer so."""
    image_id = server.add("ann", picture(1))
    server.page = {"faces": [{"image_id": image_id, "subject": "ann"}]}
    assert run("compreface", server.url) == 0 and Face.objects.count() == 1


@pytest.mark.parametrize("url", ["http://faces.example.com", "ftp://localhost", "localhost:8000"])
def test_photos_are_not_sent_without_encryption(url: str, capsys: Printed) -> None:
    assert run("compreface", url) == 1
    assert "without encryption" in capsys.readouterr().err


def test_a_trusted_network_may_have_http(
    server: CompreFaceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesvc.moving.command._LOCAL", {"localhost"})
    server.add("ann", picture(1))
    assert run("compreface", server.url) == 1
    assert run("compreface", server.url, "--allow-http") == 0


def test_nobody_is_there(capsys: Printed) -> None:
    assert run("compreface", "http://127.0.0.1:9") == 1
    assert "CompreFace does not answer" in capsys.readouterr().err
