"""`manage.py backup` and `restore` on embedded servers of their own: saved, restored, keys lost."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.core.management import CommandError

from facesvc import backup, erasures
from facesvc.postgres import cluster, database
from tests.support.patience import PATIENCE
from tests.support.photos import astronaut, encode, tom_hanks
from tests.support.servers import schemas

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).parents[2]
ANN, BOB = UUID(int=1), UUID(int=2)

ENROL = """
import json, sys
from pathlib import Path
from recognition.enrolment import enrolling
from recognition.enrolment.enrolling import EnrolmentRequest
from recognition.models import User
from recognition.models.user_ids import UserId
for user_id, path in json.load(sys.stdin).items():
    User.objects.get_or_create(pk=user_id, defaults={"privacy_level": "public"})
    enrolling.enrol(Path(path).read_bytes(), EnrolmentRequest("test", UserId(user_id)))
"""
# Who is found with each picture, and how many kept pictures can be opened.
LOOK = """
import json, sys
from pathlib import Path
from recognition.identification import identifying
from recognition.privacy import sealing
from recognition.gallery.scope import Scope
from recognition.models import FaceCrop
scope = Scope(viewer=None, groups=frozenset({"public"}), everyone=False, tagging=False)
request = identifying.IdentificationRequest(
    scope, 0.8, max_candidates=5, max_false_positive_rate=None, largest_only=True
)
found = []
for path in json.load(sys.stdin):
    seen = identifying.identify(Path(path).read_bytes(), request)
    found.append([str(candidate.user_id) for face in seen.faces for candidate in face.candidates])
readable = sum(sealing.can_open(bytes(crop.sealed)) for crop in FaceCrop.objects.all())
print(json.dumps({"found": found, "readable": readable, "kept": FaceCrop.objects.count()}))
"""

# Somebody who may write to the file does so as soon as it was checked.
CHANGE_THEN_RESTORE = """
import json, sys
from pathlib import Path
from facesvc import backup
from facesvc.erasures import Erasures
file, other = map(Path, json.load(sys.stdin))
check = backup.problem_with
def check_and_change(copy):
    problem = check(copy)
    file.write_bytes(other.read_bytes())
    return problem
backup.problem_with = check_and_change
backup.restore(file, replace=False, erased=Erasures(), unsigned=False)
"""

# The HNSW index that a large gallery has.
BUILD_INDEX = """
from recognition.gallery import indexes
from recognition.packs import engine
indexes.build(engine.active_version())
"""
LOOK_AT_INDEX = """
from recognition.gallery import indexes
from recognition.packs import engine
print(indexes.is_valid(engine.active_version()))
"""


@dataclass
class Place:
    """A machine with a data folder and keys."""

    folder: Path
    keys: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, given: object = None) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        environment |= {"FACESVC_DATA": str(self.folder), "LOG_LEVEL": "ERROR", **self.keys}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env=environment,
            input=json.dumps(given),
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
        )

    def manage(self, *arguments: object, given: object = None) -> str:
        done = self.run("manage.py", *map(str, arguments), given=given)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def look(self, *pictures: Path) -> Any:
        given = [str(picture) for picture in pictures]
        return json.loads(self.manage("shell", "--verbosity=0", "-c", LOOK, given=given))


def new_key() -> str:
    return Fernet.generate_key().decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("places")


def place(folder: Path, name: str, **keys: str) -> Place:
    made = Place(folder / name, keys)
    made.folder.mkdir()
    shutil.copytree(settings.MODELS_DIR, made.folder / "models")
    return made


@pytest.fixture(scope="module")
def home(folder: Path) -> Place:
    """With two people enrolled."""
    keys = {"FACESVC_CROP_KEYS": new_key(), "FACESVC_TEMPLATE_KEYS": new_key()}
    made = place(folder, "home", **keys)
    made.manage("migrate", "--verbosity=0")
    for name, image in (("ann", astronaut()), ("bob", tom_hanks())):
        (folder / f"{name}.png").write_bytes(encode(image))
    people = {str(ANN): str(folder / "ann.png"), str(BOB): str(folder / "bob.png")}
    made.manage("shell", "--verbosity=0", "-c", ENROL, given=people)
    return made


@pytest.fixture(scope="module")
def saved(home: Place, folder: Path) -> Path:
    file = folder / "faces.backup"
    home.manage("backup", file)
    return file


def test_with_lost_crop_keys_the_search_works(home: Place, saved: Path, folder: Path) -> None:
    photos = folder / "ann.png", folder / "bob.png"
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    for secret in home.keys.values():
        assert secret.encode() not in saved.read_bytes()
    before = home.look(*photos)
    assert before == {"found": [[str(ANN)], [str(BOB)]], "readable": 2, "kept": 2}
    elsewhere = place(folder, "elsewhere", **{**home.keys, "FACESVC_CROP_KEYS": new_key()})
    said = elsewhere.manage("restore", saved)
    assert "2 of 2 kept pictures cannot be opened" in said
    assert elsewhere.look(*photos) == {**before, "readable": 0}
    # With the key they are pictures again.
    elsewhere.keys = home.keys
    assert elsewhere.look(*photos) == before
    refused = elsewhere.run("manage.py", "restore", str(saved))
    assert refused.returncode == 1 and "--replace" in refused.stderr
    elsewhere.keys = {**home.keys, "FACESVC_TEMPLATE_KEYS": new_key()}
    assert "Nothing can be searched" in elsewhere.manage("restore", saved, "--replace")
    elsewhere.manage("rotate_keys")
    assert elsewhere.look(*photos) == before


def test_who_was_erased_since_stays_so(home: Place, saved: Path, folder: Path) -> None:
    photos = folder / "ann.png", folder / "bob.png"
    here = place(folder, "here", **home.keys)
    here.manage("restore", saved)
    here.manage("erase_user", str(ANN))
    erased = folder / "erased.txt"
    erased.write_text(here.manage("erasures"))
    assert erased.read_text().startswith(f"{ANN} 20")
    assert f"{ANN}: erased on" in here.manage("restore", saved, "--replace")
    assert here.look(*photos) == {"found": [[], [str(BOB)]], "readable": 1, "kept": 1}
    # The database is lost, and the list is not.
    new = place(folder, "new", **home.keys)
    assert f"{ANN}: erased on" in new.manage("restore", saved, "--erased", erased)
    assert new.look(*photos)["found"] == [[], [str(BOB)]]
    # Who came back is somebody new.
    new.manage("shell", "--verbosity=0", "-c", ENROL, given={str(ANN): str(photos[0])})
    assert "erased on" not in new.manage("restore", "--finish", "--erased", erased)
    assert new.look(*photos)["found"] == [[str(ANN)], [str(BOB)]]


ERASE = """
import json, sys
from django.core.management import call_command
call_command("erase_user", *json.load(sys.stdin), collection="%s")
"""

# A person who is no user, and sent a job.
JOB = """
import json, sys
from datetime import timedelta
from django.utils import timezone
from batch.models import Job, Kind
for user_id in json.load(sys.stdin):
    Job.objects.create(
        kind=Kind.IDENTIFY, subject=user_id, user_id=user_id, scopes=[], options={}, total=1,
        deadline_at=timezone.now() + timedelta(hours=1),
    )
"""


def test_who_was_no_user_is_erased_again_too(home: Place, saved: Path, folder: Path) -> None:
    """And a backup that is restored by other means is finished by one command."""
    there, carl, erased = place(folder, "carl", **home.keys), str(UUID(int=3)), folder / "carl.txt"
    there.manage("restore", saved)
    there.manage("shell", "--verbosity=0", "-c", JOB, given=[carl])
    with_job = folder / "carl.backup"
    there.manage("backup", with_job)
    there.manage("erase_user", carl)
    erased.write_text(there.manage("erasures"))
    new = place(folder, "new of carl", **home.keys)
    url = database.embedded_url(new.folder)
    subprocess.run(
        [str(cluster.program("pg_restore")), f"--dbname={url}", "--no-owner", str(with_job)],
        check=True,
    )
    database.release(new.folder.resolve())
    said = new.manage("restore", "--finish", "--erased", erased)
    assert f"{carl}: erased on" in said and "1 jobs" in said
    assert "erased on" not in new.manage("restore", "--finish", "--erased", erased)
    assert new.look(folder / "ann.png")["found"] == [[str(ANN)]]


USER = """
import json, sys
from recognition.models import User
from recognition.models.user_ids import UserId
for user_id in json.load(sys.stdin):
    User.objects.create(pk=user_id)
"""


def test_two_restorations_bring_nobody_back(home: Place, saved: Path, folder: Path) -> None:
    """First a backup from before the person came, then one from before they were erased."""
    there, dan = place(folder, "dan", **home.keys), str(UUID(int=4))
    there.manage("restore", saved)
    there.manage("shell", "--verbosity=0", "-c", USER, given=[dan])
    with_dan = folder / "dan.backup"
    there.manage("backup", with_dan)
    there.manage("erase_user", dan)
    at = there.manage("erasures")
    assert at.startswith(dan)
    assert "nothing is held" in there.manage("restore", saved, "--replace")
    assert there.manage("erasures") == at
    assert f"{dan}: erased on" in there.manage("restore", with_dan, "--replace")


def test_a_newer_database_is_not_replaced(home: Place, saved: Path, folder: Path) -> None:
    newer = place(folder, "newer", **home.keys)
    newer.manage("restore", saved)
    table = "CREATE TABLE recognition_new (user_id uuid REFERENCES recognition_user)"
    with schemas.connect(database.embedded_url(newer.folder), autocommit=True) as connection:
        connection.execute(table)
    database.release(newer.folder.resolve())
    done = newer.run("manage.py", "restore", str(saved), "--replace")
    assert done.returncode == 1 and "which has no recognition_new:" in done.stderr
    assert newer.look(folder / "ann.png")["found"] == [[str(ANN)]]


def test_a_database_from_before_the_first_release(
    home: Place, saved: Path, folder: Path, tmp_path: Path
) -> None:
    """No migration leads from there: nothing is migrated, restored or dropped."""
    former = place(folder, "former", **home.keys)
    former.manage("restore", saved)
    with schemas.connect(database.embedded_url(former.folder), autocommit=True) as connection:
        connection.execute("UPDATE django_migrations SET name = '0001_jobs' WHERE app = 'batch'")
    database.release(former.folder.resolve())
    former.manage("backup", tmp_path / "former.backup")
    there = place(folder, "current", **home.keys)
    there.manage("restore", saved)
    for refused in (
        former.run("manage.py", "migrate"),
        former.run("manage.py", "restore", "--finish"),
        there.run("manage.py", "restore", str(tmp_path / "former.backup"), "--replace"),
    ):
        assert refused.returncode == 1 and "Traceback" not in refused.stderr
        assert "was made before the first release" in refused.stderr
    assert there.look(folder / "ann.png")["found"] == [[str(ANN)]]


def test_a_broken_file_changes_nothing(home: Place, saved: Path, folder: Path) -> None:
    photo = folder / "ann.png"
    there = place(folder, "there", **home.keys)
    there.manage("restore", saved)
    data = saved.read_bytes()
    for cut in (0, 100, len(data) // 2, len(data) - 1000):
        (folder / "broken.backup").write_bytes(data[:cut])
        broken = ("restore", str(folder / "broken.backup"), "--replace", "--unsigned")
        done = there.run("manage.py", *broken)
        assert done.returncode == 1 and "the database is as it was" in done.stderr
    assert there.look(photo)["found"] == [[str(ANN)]]


def test_not_while_it_is_in_use(home: Place, saved: Path) -> None:
    with schemas.connect(database.embedded_url(home.folder)):
        done = home.run("manage.py", "restore", str(saved), "--replace")
    database.release(home.folder.resolve())
    assert done.returncode == 1 and "stop the service first" in done.stderr


def test_the_index_of_a_large_gallery_is_left_to_a_worker(home: Place, folder: Path) -> None:
    """PostgreSQL would need hours for it before anybody could search."""
    shell = ("shell", "--verbosity=0", "-c")
    home.manage(*shell, BUILD_INDEX)
    assert home.manage(*shell, LOOK_AT_INDEX) == "True\n"
    home.manage("backup", folder / "large.backup")
    other = place(folder, "large", **home.keys)
    for replace in ([], ["--replace"]):
        other.manage("restore", folder / "large.backup", *replace)
        assert other.manage(*shell, LOOK_AT_INDEX) == "False\n"
        assert other.look(folder / "ann.png")["found"] == [[str(ANN)]]
        other.manage(*shell, BUILD_INDEX)


def test_data_alone_needs_list_anew(home: Place, saved: Path, folder: Path) -> None:
    """As the docs say of a restoration by hand."""
    bare = place(folder, "bare", **home.keys)
    bare.manage("migrate", "--verbosity=0")
    url = database.embedded_url(bare.folder)
    tables = (
        "collections_collection, django_content_type, auth_permission, auth_group,"
        " django_migrations, django_q_schedule,"
        " recognition_activemodel, recognition_sketchcentre"
    )
    with schemas.connect(url, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {tables} CASCADE")
    left_out = ["recognition_listing", "recognition_sketch", "recognition_gallerycount"]
    listed = subprocess.run(
        [str(cluster.program("pg_restore")), "--list", str(saved)], capture_output=True, text=True
    ).stdout
    kept = [line for line in listed.splitlines() if not any(f" {n} " in line for n in left_out)]
    (folder / "list").write_text("\n".join(kept))
    how = ["--data-only", "--disable-triggers", f"--use-list={folder / 'list'}"]
    subprocess.run(
        [str(cluster.program("pg_restore")), f"--dbname={url}", *how, str(saved)], check=True
    )
    database.release(bare.folder.resolve())
    photo = folder / "ann.png"
    assert bare.look(photo)["found"] == [[]]
    bare.manage("list_anew")
    assert bare.look(photo)["found"] == [[str(ANN)]]


def test_an_existing_file_stays(home: Place, saved: Path) -> None:
    before = saved.read_bytes()
    done = home.run("manage.py", "backup", str(saved))
    assert done.returncode == 1 and "exists already" in done.stderr
    assert saved.read_bytes() == before


# --- collections ----------------------------------------------------------------------------------

MAKE = """
import json, sys
from recognition.collections import schemas
from recognition.collections.current import entered
from recognition.collections.models import Collection
from recognition.gallery import indexes
from recognition.models import ActiveModel
from recognition.packs import engine, protection
key = protection.newest_key()
for name in json.load(sys.stdin):
    made = Collection.objects.create(name=name).entered
    schemas.make(made)
    with entered(made):
        ActiveModel.objects.create(pack="dlib", template_key=key)
        indexes.sketch(engine.active_version(), engine.current().sketches.centre)
"""
IN_SHOP = """
from recognition.collections.current import enter
from recognition.collections.doors import find
enter(find("shop").entered)
"""
DROP = """
from recognition.collections import schemas
from recognition.collections.models import Collection
row = Collection.objects.get(name="shop")
schemas.drop(row.entered)
row.delete()
"""
NAMES = """
from django.db import connection
from recognition.collections.models import Collection
with connection.cursor() as cursor:
    cursor.execute("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^collection_'")
    print(*Collection.objects.order_by("pk").values_list("name", flat=True), *cursor.fetchone())
"""
SHELL = ("shell", "--verbosity=0", "-c")


@pytest.fixture(scope="module")
def with_shop(home: Place, saved: Path, folder: Path) -> tuple[Place, Path]:
    """A place with Ann in `default` and Bob, under the id of Ann, in `shop`; and its backup."""
    there = place(folder, "two collections", **home.keys)
    there.manage("migrate", "--verbosity=0")
    there.manage(*SHELL, MAKE, given=["shop"])
    there.manage(*SHELL, ENROL, given={str(ANN): str(folder / "ann.png")})
    there.manage(*SHELL, IN_SHOP + ENROL, given={str(ANN): str(folder / "bob.png")})
    there.manage("backup", folder / "two.backup")
    return there, folder / "two.backup"


def in_shop(of: Place, *pictures: Path) -> Any:
    return json.loads(of.manage(*SHELL, IN_SHOP + LOOK, given=[str(each) for each in pictures]))


def test_all_collections_come_back(with_shop: tuple[Place, Path], folder: Path) -> None:
    there, file = with_shop
    new = place(folder, "two more", **there.keys)
    said = new.manage("restore", file)
    assert said.count("The keys open the kept pictures") == 2 and "shop: The keys" in said
    photos = folder / "ann.png", folder / "bob.png"
    assert new.look(*photos)["found"] == [[str(ANN)], []]
    assert in_shop(new, *photos)["found"] == [[], [str(ANN)]]
    new.manage("restore", file, "--replace")
    assert new.manage(*SHELL, NAMES) == "default shop 2\n"


def test_an_erasure_in_a_collection_is_of_that_collection(
    with_shop: tuple[Place, Path], folder: Path
) -> None:
    there, file = with_shop
    new = place(folder, "erased in shop", **there.keys)
    new.manage("restore", file)
    new.manage(*SHELL, ERASE % "shop", given=[str(ANN)])
    listed = new.manage("erasures")
    assert re.fullmatch(rf"{ANN} 20\S+ collection_2\n", listed)
    (folder / "in shop.txt").write_text(listed)
    lost = place(folder, "lost", **there.keys)
    for where, how in ((new, ["--replace"]), (lost, ["--erased", folder / "in shop.txt"])):
        assert f"{ANN}: erased on" in where.manage("restore", file, *how)
        photos = folder / "ann.png", folder / "bob.png"
        assert where.look(*photos)["found"] == [[str(ANN)], []]
        assert in_shop(where, *photos)["found"] == [[], []]


def test_an_erased_collection_is_erased_again(with_shop: tuple[Place, Path], folder: Path) -> None:
    there, file = with_shop
    new = place(folder, "without shop", **there.keys)
    new.manage("restore", file)
    new.manage(*SHELL, DROP)
    assert new.manage("erasures") == "collection_2\n"
    assert "The collection shop is erased" in new.manage("restore", file, "--replace")
    assert new.manage(*SHELL, NAMES) == "default 1\n"
    # The next one gets another number, although the backup knows of none.
    new.manage(*SHELL, MAKE, given=["shop"])
    assert new.manage("erasures") == "collection_2\n"


def test_a_collection_that_the_backup_lacks_is_not_dropped(
    with_shop: tuple[Place, Path], folder: Path
) -> None:
    there, file = with_shop
    new = place(folder, "with more", **there.keys)
    new.manage("restore", file)
    new.manage(*SHELL, MAKE, given=["third"])
    done = new.run("manage.py", "restore", str(file), "--replace")
    assert done.returncode == 1 and "which has no collection_3:" in done.stderr
    assert new.manage(*SHELL, NAMES) == "default shop third 3\n"


def test_no_list_of_erasures(tmp_path: Path) -> None:
    for text in ("collection_0", "collection_2 3 4 5", f"{ANN}", f"{ANN} 2024-01-20 shop", "x y"):
        (tmp_path / "list").write_text(text)
        with pytest.raises(CommandError, match="is no list of erasures"):
            erasures.read(tmp_path / "list")


# --- the signature --------------------------------------------------------------------------------


def test_a_file_that_we_did_not_make_is_not_run(
    home: Place, saved: Path, folder: Path, tmp_path: Path
) -> None:
    """Changed, without its signature, or of another installation. Nothing of it is restored."""
    elsewhere = place(folder, "careful", **home.keys)
    content = saved.read_bytes()
    at = len(content) // 2
    files = {
        "changed": content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :],
        "longer": content + b"x",
        "unsigned": content[: -backup._LENGTH],
        "empty": b"",
    }
    for name, changed in files.items():
        file = tmp_path / name
        file.write_bytes(changed)
        done = elsewhere.run("manage.py", "restore", str(file))
        assert (done.returncode, "--unsigned" in done.stderr) == (1, True), name
    elsewhere.keys["SECRET_KEY"] = "another-" * 8
    done = elsewhere.run("manage.py", "restore", str(saved))
    assert done.returncode == 1 and "another SECRET_KEY" in done.stderr
    assert not elsewhere.manage("showmigrations", "--plan", "recognition").count("[X]")
    # Who knows where it is from may say so.
    elsewhere.manage("restore", tmp_path / "unsigned", "--unsigned")
    assert elsewhere.look(folder / "ann.png")["found"] == [[str(ANN)]]


def test_what_was_checked_is_restored(
    home: Place, saved: Path, folder: Path, tmp_path: Path
) -> None:
    empty = place(folder, "empty", **home.keys)
    empty.manage("migrate", "--verbosity=0")
    empty.manage("backup", tmp_path / "other.backup")
    shutil.copy(saved, tmp_path / "checked.backup")
    names = [str(tmp_path / name) for name in ("checked.backup", "other.backup")]
    target = place(folder, "target", **home.keys)
    target.manage("shell", "--verbosity=0", "-c", CHANGE_THEN_RESTORE, given=names)
    assert (tmp_path / "checked.backup").read_bytes() == (tmp_path / "other.backup").read_bytes()
    assert target.look(folder / "ann.png")["found"] == [[str(ANN)]]


def test_a_missing_file_is_named(home: Place, tmp_path: Path) -> None:
    done = home.run("manage.py", "restore", str(tmp_path / "no.backup"), "--replace")
    assert done.returncode == 1 and "No such file" in done.stderr
