"""A collection goes as a file from one installation to another, which has other keys."""

import io
import random
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from batch.models import Job, Kind, WebhookSecret
from facesvc.collection_files import exporting, importing, sealed, tables
from recognition.collections import schemas
from recognition.collections.current import DEFAULT, Entered, entered, here
from recognition.collections.models import Collection
from recognition.collections.schemas import SHARED_APPS
from recognition.gallery import indexes
from recognition.gallery.scope import Scope
from recognition.identification import by_face
from recognition.identification.identifying import IdentificationRequest
from recognition.inference.pack.declaration import PackError
from recognition.models import (
    ActiveModel,
    Attempt,
    AuditEvent,
    Face,
    FaceCrop,
    FailureCount,
    Friendship,
    Group,
    Membership,
    Template,
    User,
)
from recognition.packs import engine, protection
from recognition.privacy import sealing

pytestmark = pytest.mark.django_db(transaction=True)
PASSPHRASE = "correct horse battery staple"
RULES = {"FACESVC_SESSION_RETENTION_DAYS": 7}
NAME, PICTURE, HOOK = "Zoë Quirkington", b"a picture of a face", b"a secret of callbacks"


def _key() -> str:
    return Fernet.generate_key().decode()


@dataclass
class Installation:
    """The keys of one, to which the settings can change over."""

    settings: Settings
    template_key: str = field(default_factory=_key)
    crop_key: str = field(default_factory=_key)

    def enter(self) -> None:
        self.settings.FACESVC_TEMPLATE_KEYS = (self.template_key,)
        self.settings.FACESVC_CROP_KEYS = [self.crop_key]


@pytest.fixture
def here_and_there(settings: Settings) -> Iterator[tuple[Installation, Installation]]:
    yield Installation(settings), Installation(settings)
    for row in Collection.objects.filter(pk__gt=DEFAULT.number):
        schemas.drop(row.entered)


@pytest.fixture
def shop(here_and_there: tuple[Installation, Installation]) -> Entered:
    """30 people, of whom some are friends, or in a group, or alike."""
    here_and_there[0].enter()
    key = protection.newest_key()
    made = Collection.objects.create(name="shop", made_by="service:app", rules=RULES).entered
    schemas.make(made)
    with entered(made):
        ActiveModel.objects.create(pack="dlib", template_key=key)
        version = engine.active_version()
        indexes.sketch(version, engine.centre_of(engine.calibration_of(engine.pack("dlib")), key))
        _people(random.Random(7), version, key)
    return made


def _people(chance: random.Random, version: str, key: str) -> None:
    pack = engine.pack("dlib")
    levels = "public", "friends", "private"
    users = [
        User.objects.create(
            pk=UUID(int=number + 1),
            privacy_level=levels[number % 3],
            display_name=f"{NAME} {number}",
        )
        for number in range(30)
    ]
    numbers = np.random.default_rng(7)
    middle = numbers.normal(size=128)
    for number, user in enumerate(users):
        vector = middle + 0.4 * numbers.normal(size=128)
        vector = (vector / np.linalg.norm(vector)).astype(np.float32)
        of = {"model_version": pack.model_version}
        face = Face.objects.create(
            user=user,
            face_id=f"face_{number:012x}",
            quality_score=0.9,
            quality_components={},
            attributes={"note": "a\ttab, a \\ and\na line"},
            embedding_version=pack.template_version,
            searchable=number % 7 != 0,
            **of,
        )
        stored = engine.templates(pack, key, vector[None])[0]
        Template.objects.create(
            face=face, user=user, embedding=stored.tolist(), embedding_version=version, **of
        )
    for a, b in {tuple(sorted(chance.sample(range(30), 2))) for _ in range(60)}:
        for one, other in ((a, b), (b, a)):
            Friendship.objects.create(user=users[one], friend=users[other])
    group = Group.objects.create(name="family")
    for user in chance.sample(users, 8):
        Membership.objects.create(group=group, user=user)
    FaceCrop.objects.create(face=Face.objects.get(user=users[0]), sealed=sealing.seal(PICTURE))
    WebhookSecret.objects.create(client="app", sealed=sealing.seal(HOOK))
    Attempt.objects.create(
        user=users[0],
        source="app",
        device="d" * 32,
        picture_hash="e" * 64,
        result="success",
        risk_level="low",
    )
    for source in ("own", f"app/{'d' * 32}"):
        FailureCount.objects.create(
            user=users[0], source=source, failures=3, last_failure_at=timezone.now()
        )
    AuditEvent.objects.create(actor="service:app", action="user.create", user_id=users[0].pk)


Answers = dict[tuple[int, str], dict[int, float]]


def answers() -> Answers:
    """For each viewer and group, and the viewer's face: everybody who is found, and how alike."""
    found: Answers = {}
    for face in Face.objects.select_related("user"):
        for groups in ({"public"}, {"public", "friends"}, {"family"}):
            scope = Scope(viewer=face.user_id, groups=frozenset(groups))
            request = IdentificationRequest(
                scope, 0.0, max_candidates=50, max_false_positive_rate=None
            )
            seen = by_face.identify(face.face_id, request).candidates
            name = face.user_id.int, " ".join(sorted(groups))
            found[name] = {each.user_id.int: each.cosine for each in seen}
    return found


def allowed() -> dict[tuple[int, str], set[int]]:
    """Who each may find, by the rule and nothing else."""
    people = {user.pk: user for user in User.objects.all()}
    friends = set(Friendship.objects.values_list("user_id", "friend_id"))
    family = set(Membership.objects.values_list("user_id", flat=True))
    shown = set(Face.objects.filter(searchable=True).values_list("user_id", flat=True))
    may: dict[tuple[int, str], set[int]] = {}
    for viewer in people:
        for groups in ("public", "friends public", "family"):
            may[viewer.int, groups] = {
                pk.int
                for pk, user in people.items()
                if pk in shown
                and pk != viewer
                and (
                    ("public" in groups and user.privacy_level == "public")
                    or (
                        user.privacy_level != "private"
                        and (
                            ("friends" in groups and (viewer, pk) in friends)
                            or (groups == "family" and {viewer, pk} <= family)
                        )
                    )
                )
            }
    return may


def passphrase_in(folder: Path) -> str:
    file = folder / "passphrase"
    file.write_text(PASSPHRASE)
    return str(file)


def take(tmp_path: Path) -> Path:
    file = tmp_path / "shop.collection"
    call_command("export_collection", "shop", file, passphrase=Path(passphrase_in(tmp_path)))
    return file


def bring(file: Path, tmp_path: Path, name: str = "copy") -> Entered:
    passphrase, said = Path(passphrase_in(tmp_path)), io.StringIO()
    call_command("import_collection", file, name=name, passphrase=passphrase, stdout=said)
    assert f"`manage.py api_keys make APP --collection {name}`" in said.getvalue()
    return Collection.objects.get(name=name).entered


# --- there and back -------------------------------------------------------------------------------


def test_it_works(
    here_and_there: tuple[Installation, Installation], shop: Entered, tmp_path: Path
) -> None:
    target = here_and_there[1]
    with entered(shop):
        before, rule = answers(), allowed()
        templates = dict(Template.objects.values_list("face__face_id", "embedding"))
    file = take(tmp_path)
    target.enter()
    copy = bring(file, tmp_path)
    with entered(copy):
        after = answers()
        assert allowed() == rule
        others = dict(Template.objects.values_list("face__face_id", "embedding"))
    for asked, expected in before.items():
        assert {*after[asked]} == {*expected} == rule[asked], asked
        for user, cosine in expected.items():
            # The numbers are stored with 11 bits, and were turned by another key.
            assert after[asked][user] == pytest.approx(cosine, abs=2e-4)
    # Nothing links the two.
    for face, vector in templates.items():
        one, other = (np.array(each) for each in (vector, others[face]))
        assert abs(one @ other) < 0.5


def test_what_is_sealed_is_opened_with_the_keys_there(
    here_and_there: tuple[Installation, Installation], shop: Entered, tmp_path: Path
) -> None:
    file = take(tmp_path)
    here_and_there[1].enter()
    with entered(bring(file, tmp_path)):
        assert sealing.unseal(bytes(FaceCrop.objects.get().sealed)) == PICTURE
        assert sealing.unseal(bytes(WebhookSecret.objects.get().sealed)) == HOOK


def test_rows_are_the_same_and_hashes_are_not_there(
    here_and_there: tuple[Installation, Installation], shop: Entered, tmp_path: Path
) -> None:
    with entered(shop):
        counts = {table.name: table.model._base_manager.count() for table in tables.CARRIED}
        face = Face.objects.values().first()
    file = take(tmp_path)
    here_and_there[1].enter()
    with entered(bring(file, tmp_path)):
        counts["recognition_failurecount"] -= 1  # that of a device
        for table in tables.CARRIED:
            assert table.model._base_manager.count() == counts[table.name], table.name
        assert Face.objects.values().first() == face
        attempt = Attempt.objects.get()
        assert attempt.source == "app"
        assert attempt.device == attempt.picture_hash == attempt.pixels_hash == ""
        assert FailureCount.objects.get().source == "own"
        # New rows have numbers that no row has.
        Group.objects.create(name="another")
        assert Collection.objects.get(name="copy").rules == RULES
    noted = AuditEvent.objects.order_by("pk").values_list("action", "details__collection")
    assert [*noted] == [("collection.export", "shop"), ("collection.import", "copy")]


def test_every_table_is_carried_or_left_with_a_reason() -> None:
    owned = {
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label not in SHARED_APPS | {"admin"}
    }
    carried = {table.model for table in tables.CARRIED}
    assert owned == carried | {*tables.LEFT} | {tables.TEMPLATES}
    assert not carried & {*tables.LEFT} and all(tables.LEFT.values())
    sealed_ones = {model for model in owned if any(f.name == "sealed" for f in model._meta.fields)}
    assert sealed_ones - {*tables.LEFT} == {t.model for t in tables.CARRIED if t.sealed}


# --- the file -------------------------------------------------------------------------------------


def test_nothing_is_readable_in_the_file(shop: Entered, tmp_path: Path) -> None:
    with entered(shop):
        person, face = User.objects.all()[0], Face.objects.all()[0]
        vector = np.array(Template.objects.all()[0].embedding, "<f4").tobytes()
    content = take(tmp_path).read_bytes()
    for text in (NAME, "Quirkington", str(person.pk), face.face_id, "dlib", "recognition_user"):
        assert text.encode() not in content, text
    for data in (vector[:16], PICTURE, HOOK, PASSPHRASE.encode()):
        assert data not in content and urlsafe_b64encode(data)[:12] not in content
    assert (tmp_path / "shop.collection").stat().st_mode & 0o777 == 0o600


def written(*values: Any, passphrase: str = PASSPHRASE) -> bytes:
    file = io.BytesIO()
    writer = sealed.Writer(file, passphrase)
    for value in values:
        writer.write(value)
    writer.close()
    return file.getvalue()


def test_lines_come_back_from_many_pieces() -> None:
    values = [[number, "x" * 3000] for number in range(1000)]
    content = written(*values)
    assert len(content) > 2 * sealed._PIECE
    assert [*sealed.read(io.BytesIO(content), PASSPHRASE)] == values
    for empty in (written(), written([])):
        assert [*sealed.read(io.BytesIO(empty), PASSPHRASE)] in ([], [[]])


def test_a_file_that_was_changed_is_refused() -> None:
    content = written(*([number, "x" * 3000] for number in range(1000)))
    head, piece = 37, sealed._PIECE + 16
    first, second = content[head : head + piece], content[head + piece : head + 2 * piece]
    changed = {
        "empty": b"",
        "another kind": b"PGDMP" + content[5:],
        "cut in the head": content[:30],
        "without a piece": content[:head],
        "a bit": content[:200] + bytes([content[200] ^ 1]) + content[201:],
        "the salt": content[:25] + bytes([content[25] ^ 1]) + content[26:],
        "cut off": content[: head + piece],
        "cut in a piece": content[:-1],
        "exchanged": content[:head] + second + first + content[head + 2 * piece :],
        "longer": content + b"x",
    }
    for name, each in changed.items():
        with pytest.raises(sealed.SealedFileError):
            print(name, len([*sealed.read(io.BytesIO(each), PASSPHRASE)]))
    with pytest.raises(sealed.SealedFileError, match="another passphrase"):
        [*sealed.read(io.BytesIO(content), f"{PASSPHRASE}!")]


# --- refused --------------------------------------------------------------------------------------


def refused(file: Path, name: str = "copy", passphrase: str = PASSPHRASE) -> str:
    """What the import says; afterwards there is nothing."""
    before = {*Collection.objects.values_list("pk", flat=True)}
    with pytest.raises(CommandError) as error:
        importing.bring(file, name, passphrase)
    assert {*Collection.objects.values_list("pk", flat=True)} == before
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^collection_'")
        assert cursor.fetchone()[0] >= len(before)
    return str(error.value)


def test_a_changed_file_makes_nothing(shop: Entered, tmp_path: Path) -> None:
    content = take(tmp_path).read_bytes()
    file = tmp_path / "changed"
    file.write_bytes(content[:-1])
    assert "was changed" in refused(file)
    file.write_bytes(content)
    assert "another passphrase" in refused(file, passphrase="another horse battery staple")


def test_rows_that_its_end_does_not_count(shop: Entered, tmp_path: Path) -> None:
    lines = [*sealed.read(io.BytesIO(take(tmp_path).read_bytes()), PASSPHRASE)]
    file = tmp_path / "less"
    person = next(number for number, line in enumerate(lines) if isinstance(line, list))
    file.write_bytes(written(*lines[:person], *lines[person + 1 :]))
    with pytest.raises(Exception, match=r"end says|foreign key"):
        importing.bring(file, "copy", PASSPHRASE)
    assert not Collection.objects.filter(name="copy").exists()
    file.write_bytes(written(*lines, ["more"]))
    assert "end says" in refused(file)


def test_another_version_is_refused(shop: Entered, tmp_path: Path) -> None:
    head, *lines = sealed.read(io.BytesIO(take(tmp_path).read_bytes()), PASSPHRASE)
    file = tmp_path / "other"
    for change, words in (
        ({"format": 2}, "form that this version does not know"),
        ({"migrations": head["migrations"][:-1]}, "whose tables are others"),
        ({"embedding_version": "dlib_v0"}, "makes other embeddings here"),
    ):
        file.write_bytes(written(head | change, *lines))
        assert words in refused(file)
    file.write_bytes(written(head | {"pack": "nothing"}, *lines))
    with pytest.raises(PackError, match="nothing"):
        importing.bring(file, "copy", PASSPHRASE)


def test_rules_that_could_not_be_made_here_are_refused(shop: Entered, tmp_path: Path) -> None:
    head, *lines = sealed.read(io.BytesIO(take(tmp_path).read_bytes()), PASSPHRASE)
    file = tmp_path / "rules"
    for rules in ({"FACESVC_AGE": 7}, {"FACESVC_SESSION_RETENTION_DAYS": -1}):
        file.write_bytes(written(head | {"rules": rules}, *lines))
        assert "rules: " in refused(file)


def test_what_is_lacking_here_is_said(shop: Entered, tmp_path: Path, settings: Settings) -> None:
    file = take(tmp_path)
    assert "a collection shop already" in refused(file, "shop")
    for name in ("a shop", ""):
        assert "name has 1 to 255 letters" in refused(file, name)
    settings.FACESVC_MOST_COLLECTIONS = 2
    assert "erase one, or raise FACESVC_MOST_COLLECTIONS" in refused(file)
    settings.FACESVC_MOST_COLLECTIONS = 3
    keys, settings.FACESVC_CROP_KEYS = settings.FACESVC_CROP_KEYS, []
    assert "FACESVC_CROP_KEYS" in refused(file)
    settings.FACESVC_CROP_KEYS, settings.FACESVC_TEMPLATE_KEYS = keys, ()
    assert "FACESVC_TEMPLATE_KEYS" in refused(file)


def test_an_export_says_why_not(shop: Entered, tmp_path: Path) -> None:
    phrase = Path(passphrase_in(tmp_path))
    file = tmp_path / "shop.collection"
    with pytest.raises(CommandError, match="no collection 'nothing'"):
        call_command("export_collection", "nothing", file, passphrase=phrase)
    with entered(shop):
        job = Job.objects.create(
            kind=Kind.IDENTIFY,
            subject="app",
            scopes=[],
            options={},
            total=1,
            deadline_at=timezone.now(),
        )
    with pytest.raises(CommandError, match="1 jobs are not finished"):
        call_command("export_collection", "shop", file, passphrase=phrase)
    assert [*tmp_path.iterdir()] == [phrase]
    with entered(shop):
        job.delete()
    take(tmp_path)
    with pytest.raises(CommandError, match="exists already"):
        take(tmp_path)
    with pytest.raises(CommandError, match=r"/nowhere: No such file or directory\.$"):
        call_command("export_collection", "shop", tmp_path / "b", passphrase=tmp_path / "nowhere")
    phrase.write_text("too short")
    with pytest.raises(CommandError, match="at least 20"):
        call_command("export_collection", "shop", tmp_path / "b", passphrase=phrase)
    assert here() == DEFAULT and exporting.FORMAT == 1
