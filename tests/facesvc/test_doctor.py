"""`manage.py doctor`: each line in both states, and that it says so when the database is away."""

import json
import shutil
import sys
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO, StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import onnxruntime
import pytest
from cryptography.fernet import Fernet
from django.core import checks as django_checks
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from django_q.models import OrmQ, Schedule
from django_q.tasks import async_task
from pytest_django import Settings

from batch.apps import SWEEP
from batch.models import Job, Kind, WebhookDelivery, WebhookEndpoint
from facesvc import __version__, machine
from facesvc.doctor import gallery, local, server, work
from facesvc.doctor.examining import (
    Check,
    CheckState,
    Finding,
    examine,
    failure,
    in_each,
    ok,
    warning,
)
from facesvc.management.commands.doctor import CHECKS
from recognition.collections import schemas
from recognition.collections.current import entered, here
from recognition.collections.models import Collection
from recognition.gallery import indexes
from recognition.inference import pack, processor, providers
from recognition.inference.pack import weights
from recognition.inference.pack.files import ConvertedFile
from recognition.models import ActiveModel, FaceCrop, NewFace, SketchCentre
from recognition.packs import engine, protection
from recognition.privacy import sealing
from tests.support.builders import OWNER, build_index, make_face, make_user, vector
from tests.support.photos import astronaut
from tests.support.servers.schemas import make_collection

pytestmark = pytest.mark.django_db
OK, WARNING, FAILURE, UNKNOWN = (
    CheckState.OK,
    CheckState.WARNING,
    CheckState.FAILURE,
    CheckState.UNKNOWN,
)
Patch = pytest.MonkeyPatch
CONVERT_INTO = weights._convert_into


def new_key() -> str:
    return Fernet.generate_key().decode()


@pytest.fixture(autouse=True, scope="module")
def converted_once() -> Iterator[None]:
    """Each look at the models converts the default pack again, which takes two seconds."""
    made: dict[Path, bytes] = {}
    convert = weights._convert_into

    def remembered(file: IO[bytes], declared: ConvertedFile, target: Path) -> None:
        if target not in made:
            convert(again := BytesIO(), declared, target)
            made[target] = again.getvalue()
        file.write(made[target])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "_convert_into", remembered)
        yield


@pytest.fixture(autouse=True)
def well(settings: Settings, monkeypatch: Patch) -> None:
    """A worker looked just now, there is a key for pictures, and the machine is large."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1024**4))
    monkeypatch.setattr(machine, "memory", lambda: 1024**4)
    settings.FACESVC_CROP_KEYS = [new_key()]
    Schedule.objects.filter(name=SWEEP).update(next_run=timezone.now() + timedelta(minutes=1))


def run_doctor(*words: str) -> tuple[str, int]:
    output = StringIO()
    try:
        call_command("doctor", *words, stdout=output)
    except SystemExit as end:
        return output.getvalue(), int(str(end.code))
    return output.getvalue(), 0


# --- the command ----------------------------------------------------------------------------------


def test_it_works() -> None:
    """In a fresh installation only that templates are not protected."""
    text, code = run_doctor()
    assert code == 0, text
    assert text.startswith(f"facesvc {__version__}\n")
    lines = [line for line in text.splitlines() if not line.startswith(" ")]
    assert [line.split()[0] for line in lines].count("ok") == len(CHECKS) - 1, text
    assert "warning  template key" in text


def test_for_programs(monkeypatch: Patch) -> None:
    report = json.loads(run_doctor("--json")[0])
    assert report["version"] == __version__
    assert report["ok"] is True
    assert [check["name"] for check in report["checks"]] == [each.name for each in CHECKS]
    monkeypatch.setattr(
        "facesvc.management.commands.doctor.CHECKS",
        (Check("a", lambda: failure("broken", "Mend it.")), Check("b", lambda: ok(""), ("a",))),
    )
    text, code = run_doctor("--json")
    assert code == 1
    assert json.loads(text) == {
        "version": __version__,
        "ok": False,
        "checks": [
            {"name": "a", "state": "failure", "text": "broken", "advice": "Mend it."},
            {
                **{"name": "b", "state": "unknown"},
                **{"text": "skipped, because these failed: a", "advice": ""},
            },
        ],
    }


def test_no_secret_is_shown(settings: Settings) -> None:
    settings.FACESVC_TEMPLATE_KEYS = (new_key(),)
    text = run_doctor()[0] + run_doctor("--json")[0]
    for secret in (settings.SECRET_KEY, *settings.FACESVC_CROP_KEYS, settings.JWT_SECRET):
        assert secret not in text
    assert settings.FACESVC_TEMPLATE_KEYS[0] not in text


def test_without_the_database(monkeypatch: Patch) -> None:
    """It says so, and looks at the rest."""

    def refused(*_: Any) -> Any:
        raise OperationalError("connection refused\nDETAIL: not for you")

    monkeypatch.setattr(connection, "cursor", refused)
    text, code = run_doctor("--json")
    report = json.loads(text)
    states = {check["name"]: check["state"] for check in report["checks"]}
    assert code == 1
    assert states.pop("database") == "failure"
    assert [name for name, state in states.items() if state == "ok"] == [
        *("settings", "models", "inference", "disk", "memory")
    ]
    assert set(states.values()) == {"ok", "unknown"}
    assert "connection refused" in text and "not for you" not in text


def test_every_check_is_examined_with_its_needs() -> None:
    names = [check.name for check in CHECKS]
    for number, check in enumerate(CHECKS):
        assert set(check.needs) <= set(names[:number]), check.name


def test_what_cannot_be_looked_at_passes_on() -> None:
    chain = [
        Check("a", lambda: failure("no", "Mend it.")),
        Check("b", lambda: ok("yes"), needs=("a",)),
        Check("c", lambda: ok("yes"), needs=("b",)),
        Check("d", lambda: warning("hm", "Look.")),
    ]
    found = dict(examine(chain))
    assert [found[name].state for name in "abcd"] == [FAILURE, UNKNOWN, UNKNOWN, WARNING]


def test_trouble_is_a_finding_and_a_fault_is_not() -> None:
    def unreadable() -> Finding:
        return ok(Path("/nowhere/at/all").read_text())

    ((_, finding),) = examine([Check("a", unreadable)])
    assert finding.state is FAILURE and "/nowhere/at/all" in finding.text
    with pytest.raises(ZeroDivisionError):
        list(examine([Check("a", lambda: ok(str(1 // 0)))]))


def test_the_exit_code_of_a_warning(monkeypatch: Patch) -> None:
    only = (Check("a", lambda: warning("hm", "Look at it.")),)
    monkeypatch.setattr("facesvc.management.commands.doctor.CHECKS", only)
    assert run_doctor() == (
        f"facesvc {__version__}\nwarning  {'a':<13} hm\n{'':<22} -> Look at it.\n",
        0,
    )


def test_unknown_words() -> None:
    with pytest.raises(CommandError):
        call_command("doctor", "--loudly")


# --- the database ---------------------------------------------------------------------------------


def test_database(monkeypatch: Patch) -> None:
    finding = server.database()
    assert finding.state is OK and "pgvector 0.8" in finding.text
    monkeypatch.setattr(indexes, "pgvector_version", lambda: (0, 7, 4))
    assert server.database().text == "only pgvector 0.7.4"
    monkeypatch.setattr(indexes, "pgvector_version", lambda: None)
    assert server.database().state is FAILURE
    monkeypatch.undo()
    monkeypatch.setattr(server, "are_shared", lambda: True)
    assert server.database().text == "a pooler mixes the connections of this service"
    monkeypatch.setattr(server, "LEAST_POSTGRESQL", 99)
    assert server.database().advice == "It has to be 99."


def test_a_read_only_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET transaction_read_only = on")
    assert server.database().text == "it is read-only"


def test_connections(settings: Settings) -> None:
    assert server.connections().state is OK
    settings.MOST_CONNECTIONS = 100_000
    finding = server.connections()
    assert finding.state is WARNING
    assert finding.text.startswith("this machine opens up to 100000 of ")


def test_migrations(monkeypatch: Patch) -> None:
    assert server.migrations().state is OK
    monkeypatch.setattr(
        server.MigrationExecutor, "migration_plan", lambda self, targets: ["one", "two"]
    )
    assert server.migrations() == failure("2 are missing", "Run `manage.py migrate`.")


def test_a_database_from_before_the_first_release() -> None:
    MigrationRecorder(connection).record_applied("batch", "0001_jobs")
    finding = server.migrations()
    assert finding.state is FAILURE and "before the first release" in finding.text
    assert finding.advice.startswith("Start with an empty database")


@pytest.mark.parametrize(
    ("seconds", "state"), [(0, OK), (10, WARNING), (-10, WARNING), (90, FAILURE)]
)
def test_clock(monkeypatch: Patch, seconds: int, state: CheckState) -> None:
    now = timezone.now
    shifted = SimpleNamespace(now=lambda: now() + timedelta(seconds=seconds))
    monkeypatch.setattr(server, "timezone", shifted)
    assert server.clock().state is state


def test_template_key(settings: Settings) -> None:
    assert gallery.template_key().state is WARNING
    settings.FACESVC_TEMPLATE_KEYS = (new_key(),)
    key = protection.newest_key()
    ActiveModel.objects.update_or_create(pk=1, defaults={"pack": "dlib", "template_key": key})
    assert gallery.template_key().state is OK
    settings.FACESVC_TEMPLATE_KEYS = (new_key(),)
    finding = gallery.template_key()
    assert finding.state is FAILURE and key in finding.text


def test_pack(settings: Settings) -> None:
    engine.active_model()
    ActiveModel.objects.update(pack="dlib", reason="FACESVC_PACK names it.")
    assert gallery.pack() == ok("dlib serves. FACESVC_PACK names it.")
    settings.FACESVC_PACK = "auto"
    finding = gallery.pack()
    assert finding.state is OK
    assert finding.advice.startswith("permissive compares faces better")
    assert finding.advice.endswith("`manage.py models activate permissive`.")
    assert "reembed" not in finding.advice
    make_face(make_user(OWNER), vector(1))
    assert "`manage.py reembed --pack permissive`" in gallery.pack().advice
    ActiveModel.objects.update(pack="permissive")
    assert gallery.pack().advice == ""
    ActiveModel.objects.all().delete()
    assert gallery.pack().state is FAILURE


def test_crop_key(settings: Settings) -> None:
    assert gallery.crop_key() == ok("it is there")
    face = make_face(make_user(OWNER), vector(1))
    FaceCrop.objects.create(face=face, sealed=sealing.seal_picture(astronaut()))
    assert gallery.crop_key().state is OK
    settings.FACESVC_CROP_KEYS = [new_key()]
    assert gallery.crop_key().state is FAILURE
    settings.FACESVC_CROP_KEYS = []
    assert not sealing.is_possible() and gallery.crop_key().state is WARNING


def test_search() -> None:
    engine.active_model()
    none = "there is no HNSW index, which only a larger gallery needs"
    assert gallery.search() == ok(f"templates of dlib_v1: 0; {none}")
    SketchCentre.objects.all().delete()
    assert gallery.search().state is FAILURE
    ActiveModel.objects.all().delete()
    assert gallery.search().text == "nothing is prepared"


def test_search_of_a_large_gallery(settings: Settings) -> None:
    settings.FACESVC_HNSW_FROM = 1
    engine.active_model()
    make_face(make_user(OWNER), vector(1))
    finding = gallery.search()
    assert finding.state is WARNING and "within an hour" in finding.advice
    build_index()
    assert gallery.search() == ok("templates of dlib_v1: 1; there is an HNSW index")


def test_queue() -> None:
    assert work.queue().state is OK
    sweep = Schedule.objects.filter(name=SWEEP)
    sweep.update(next_run=timezone.now() - timedelta(minutes=7))
    assert work.queue().text == "no worker has looked for 7 minutes"
    sweep.delete()
    assert work.queue().state is FAILURE


def test_a_queue_that_is_long() -> None:
    async_task("math.sqrt", 4)
    assert work.queue().state is OK
    OrmQ.objects.update(lock=timezone.now() - timedelta(minutes=42))
    finding = work.queue()
    assert (finding.state, finding.text) == (WARNING, "a task has waited for 42 minutes")


def test_callbacks() -> None:
    assert work.callbacks().state is OK
    end = timezone.now() + timedelta(hours=1)
    job = Job.objects.create(
        kind=Kind.IDENTIFY, subject="app", scopes=[], options={}, total=1, deadline_at=end
    )
    endpoint = WebhookEndpoint.objects.create(client="app", url="https://app.example/secret")
    WebhookDelivery.objects.create(job=job, endpoint=endpoint, body="{}", state="dead")
    finding = work.callbacks()
    assert (
        finding.state is WARNING
        and finding.text == "given up: 1; addresses that answered 410 Gone: 0"
    )
    assert "app.example" not in finding.text
    WebhookEndpoint.objects.update(disabled_at=timezone.now())
    assert work.callbacks().text.endswith("410 Gone: 1")


def test_look_alikes() -> None:
    face = make_face(make_user(OWNER), vector(1))
    NewFace.objects.create(face=face, attempts=2)
    finding = work.look_alikes()
    assert finding == ok("new faces that wait to be compared with other users': 1")
    NewFace.objects.update(attempts=3)
    finding = work.look_alikes()
    assert (finding.state, finding.text) == (
        WARNING,
        "new faces that could not be compared with other users': 1",
    )


# --- several collections --------------------------------------------------------------------------


def test_what_is_wrong_in_a_collection_names_it() -> None:
    look = in_each(work.look_alikes)
    assert look() == ok("new faces that wait to be compared with other users': 0")
    shop = make_collection("shop")
    assert look().text.endswith(": 0; 1 more collections are well")
    with entered(shop):
        NewFace.objects.create(face=make_face(make_user(OWNER), vector(1)), attempts=3)
    finding = look()
    text = "in shop: new faces that could not be compared with other users': 1"
    assert (finding.state, finding.text) == (WARNING, text) and finding.advice


def test_a_collection_without_its_migrations() -> None:
    shop = make_collection("shop")
    with entered(shop):
        MigrationRecorder(connection).record_unapplied("batch", _last_of("batch"))
    finding = in_each(server.migrations)()
    assert (finding.state, finding.text) == (FAILURE, "in shop: 1 are missing")
    assert server.migrations().state is OK


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"FACESVC_AUDIT_RETENTION_DAYS": 1}, "FACESVC_AUDIT_RETENTION_DAYS must be from 30 to"),
        ({"FACESVC_LONG_GONE": 1}, "FACESVC_LONG_GONE is no rule"),
        ({"STORE_FACE_CROPS": True}, "STORE_FACE_CROPS needs the setting FACESVC_CROP_KEYS"),
    ],
)
def test_rules_that_the_settings_do_not_allow_any_more(
    settings: Settings, rules: dict[str, Any], words: str
) -> None:
    """They were made before a setting changed, and still count."""
    settings.FACESVC_CROP_KEYS, settings.STORE_FACE_CROPS = [], False
    shop = make_collection("shop")
    check = next(each for each in CHECKS if each.name == "rules")
    assert check.look().state is OK
    Collection.objects.filter(pk=shop.number).update(rules=rules)
    finding = check.look()
    assert finding.state is FAILURE and finding.text.startswith(f"in shop: {words}")
    assert finding.advice.startswith("`manage.py collections set shop RULE=VALUE`")


def _last_of(app: str) -> str:
    return max(
        name for label, name in MigrationRecorder(connection).applied_migrations() if label == app
    )


def test_a_database_without_tables_is_asked_for_default_alone() -> None:
    """There is no table of collections before the first migration."""
    asked: list[str] = []

    def look() -> Finding:
        asked.append(here().name)
        return failure("12 are missing", "Run `manage.py migrate`.")

    make_collection("shop")
    assert in_each(look)().text == "12 are missing" and asked == ["default"]


def test_an_erased_collection_is_passed_over() -> None:
    shop = make_collection("shop")
    connection.check_constraints()  # what waits for the end of the transaction
    schemas.drop(shop)
    assert in_each(work.look_alikes)().state is OK


# --- this machine ---------------------------------------------------------------------------------


def test_settings(monkeypatch: Patch, settings: Settings) -> None:
    assert local.configuration().state is OK
    settings.MIN_FACE_QUALITY = 7.0
    finding = local.configuration()
    assert finding.state is FAILURE and "MIN_FACE_QUALITY" in finding.text
    monkeypatch.setattr(
        django_checks, "run_checks", lambda: [django_checks.Error("No.", hint="Do this.")]
    )
    assert local.configuration() == failure("No.", "Do this.")


def test_a_warning_about_settings_is_seen(settings: Settings, monkeypatch: Patch) -> None:
    settings.JWT_JWKS_URL = "https://provider.example/keys"
    finding = local.configuration()
    assert finding.state is WARNING and finding.text.startswith("Without JWT_AUDIENCE a token")
    settings.SILENCED_SYSTEM_CHECKS = ["facesvc.W003"]
    assert local.configuration().state is OK
    found = [django_checks.Warning("Hm."), django_checks.Error("No."), django_checks.Info("So.")]
    monkeypatch.setattr(django_checks, "run_checks", lambda: found)
    assert local.configuration() == failure("No.", "`manage.py check` has all 2.")
    monkeypatch.setattr(django_checks, "run_checks", lambda: found[:1])
    assert local.configuration() == warning("Hm.", "See docs/settings.md.")


def test_models_that_the_image_cannot_convert(monkeypatch: Patch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "recognition.inference.pack.conversion", raising=False)
    monkeypatch.delattr(pack, "conversion", raising=False)
    monkeypatch.setattr(weights, "_convert_into", CONVERT_INTO)
    finding = local.models()
    assert finding.state is OK
    assert "is not to be compared: the package onnx converts it" in finding.text


def test_models(tmp_path: Path, settings: Settings) -> None:
    assert local.models().state is OK
    shutil.copytree(settings.MODELS_DIR, tmp_path / "models")
    settings.MODELS_DIR = tmp_path / "models"
    pack = engine.pack("dlib")
    broken = weights.weight_path(pack, pack.weight_files()[0], settings.MODELS_DIR)
    broken.write_bytes(b"something else")
    finding = local.models()
    assert finding.state is FAILURE and "not the file that the pack names" in finding.text
    broken.unlink()
    assert "is missing" in local.models().text


def test_models_of_another_collection(tmp_path: Path, settings: Settings) -> None:
    with entered(make_collection("shop")):
        ActiveModel.objects.update(pack="permissive")
    shutil.copytree(settings.MODELS_DIR / "dlib", tmp_path / "dlib")
    settings.MODELS_DIR = tmp_path
    finding = local.models()
    assert finding.state is FAILURE and finding.text.startswith("permissive: ")
    assert "models pull permissive" in finding.advice


@pytest.mark.parametrize(
    ("answer", "told"), [(True, "with 8-bit integers"), (False, "with floats, because")]
)
def test_what_the_detector_computes_with(monkeypatch: Patch, answer: bool, told: str) -> None:
    monkeypatch.setattr(processor, "multiplies_integers", lambda: answer)
    assert told in local.inference().text


def test_a_provider_that_is_not_here(settings: Settings, monkeypatch: Patch) -> None:
    settings.FACESVC_INFERENCE_PROVIDER = "cuda"
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    engine._pipeline.cache_clear()
    finding = local.inference()
    assert finding.state is FAILURE and "cuda needs onnxruntime-gpu" in finding.text
    assert "FACESVC_INFERENCE_PROVIDER" in finding.advice


def test_two_packages_of_onnxruntime(monkeypatch: Patch) -> None:
    both = {"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.31.1"}
    monkeypatch.setattr(providers, "installed", lambda: both)
    finding = local.inference()
    assert finding.state is WARNING
    assert "onnxruntime and onnxruntime-gpu are both installed" in finding.text


def test_inference(monkeypatch: Patch) -> None:
    assert local.inference().state is OK
    monkeypatch.setattr(engine.Engine, "self_test", lambda self: False)
    assert local.inference().state is FAILURE


@pytest.mark.parametrize(("free", "state"), [(5000, OK), (1000, WARNING), (499, FAILURE)])
def test_disk(monkeypatch: Patch, settings: Settings, free: int, state: CheckState) -> None:
    settings.FACESVC_FREE_DISK_MB = 500
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free * 1024**2))
    assert local.disk().state is state


@pytest.mark.parametrize(("memory", "state"), [(1801, OK), (1799, WARNING)])
def test_memory(monkeypatch: Patch, settings: Settings, memory: int, state: CheckState) -> None:
    settings.WEB_WORKERS = 2
    settings.FACESVC_TASK_WORKERS = 1
    monkeypatch.setattr(machine, "memory", lambda: memory * 1024**2)
    assert local.memory().state is state
