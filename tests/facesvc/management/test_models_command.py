"""manage.py models list, pull, verify, activate."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from pytest_django import Settings

from recognition.inference.pack import weights
from recognition.inference.pack.declaration import load_pack
from recognition.models import ActiveModel, AuditEvent
from recognition.packs import downloads, engine
from tests.recognition.inference.pack.test_conversion import prelu_network
from tests.support.builders import OWNER, make_face, make_user, vector
from tests.support.servers.file_server import FileServer, running

PACKS = Path(__file__).parents[3] / "ml_models"


@pytest.fixture
def folders(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    """An own folder for packs and one for their files, both empty."""
    settings.PACK_FOLDERS = [tmp_path / "packs"]
    settings.MODELS_DIR = tmp_path / "models"
    settings.FACESVC_MODEL_SOURCE = ""
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    """Packs and their models are loaded once in a process."""
    for cached in (engine._read, engine._load, engine._pipeline):
        cached.cache_clear()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    with running(monkeypatch) as server:
        yield server


def copy_pack(folders: Path, name: str, *, new_name: str = "", **replacements: str) -> None:
    text = (PACKS / name / "pack.yaml").read_text()
    new_name = new_name or name
    for old, new in {f"name: {name}\n": f"name: {new_name}\n", **replacements}.items():
        assert old in text
        text = text.replace(old, new)
    folder = folders / "packs" / new_name
    shutil.copytree(PACKS / name, folder)
    (folder / "pack.yaml").write_text(text)


def models(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    call_command("models", *arguments)
    return capsys.readouterr().out


# --- list -----------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    lines = models("list", capsys=capsys).splitlines()
    assert "dlib: active, prepared, calibrated" in lines
    assert "buffalo_l: not pulled, provisionally calibrated" in lines
    assert lines[lines.index("buffalo_l: not pulled, provisionally calibrated") + 2] == (
        "    licence: non-commercial research"
    )


@pytest.mark.django_db
def test_list_without_a_broken_pack(
    folders: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    copy_pack(folders, "opencv")
    (folders / "packs" / "broken").mkdir()
    (folders / "packs" / "broken" / "pack.yaml").write_text("name: broken")
    first = models("list", capsys=capsys).splitlines()[0]
    assert first == "opencv: not pulled, provisionally calibrated"
    assert "broken/pack.yaml: pack lacks" in caplog.text


# --- pull -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_pull_makes_the_default_pack(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy_pack(folders, "dlib")
    assert "dlib is prepared in" in models("pull", "dlib", capsys=capsys)
    assert models("pull", "dlib", capsys=capsys) == "The pack dlib is ready.\n"


@pytest.mark.django_db
def test_pull_without_a_name_takes_the_active_pack(capsys: pytest.CaptureFixture[str]) -> None:
    assert models("pull", capsys=capsys) == "The pack dlib is ready.\n"
    ActiveModel.objects.update_or_create(pk=1, defaults={"pack": "buffalo_l"})
    with pytest.raises(CommandError, match="models pull buffalo_l --accept-license"):
        models("pull", capsys=capsys)


def test_pull_of_an_unknown_pack(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="no pack 'nothing'"):
        models("pull", "nothing", capsys=capsys)


def test_terms_have_to_be_accepted(
    folders: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_pack(folders, "buffalo_l")
    monkeypatch.setattr(downloads, "pull", lambda *_: pytest.fail("it was downloaded"))
    with pytest.raises(CommandError, match="models pull buffalo_l --accept-license"):
        models("pull", "buffalo_l", capsys=capsys)
    assert "for non-commercial research purposes only" in capsys.readouterr().out


def test_pull_from_a_mirror(
    folders: Path, server: FileServer, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"det_500m.onnx": b"detector", "w600k_mbf.onnx": prelu_network()}
    original = load_pack(PACKS / "buffalo_sc")
    changes = {}
    for wanted in [part for each in original.weight_files() for part in each.parts]:
        data = files[wanted.file]
        changes[wanted.sha256] = hashlib.sha256(data).hexdigest()
        changes[f"bytes: {wanted.bytes}\n"] = f"bytes: {len(data)}\n"
        server.serve(f"/mirror/{wanted.file}", data)
    copy_pack(folders, "buffalo_sc", **changes)
    settings.FACESVC_MODEL_SOURCE = f"{server.url}/mirror"
    output = models("pull", "buffalo_sc", "--accept-license", capsys=capsys)
    assert "for non-commercial research purposes only" in output
    assert "calibrate FOLDER --pack buffalo_sc" in output
    assert server.paths == ["/mirror/det_500m.onnx", "/mirror/w600k_mbf.onnx"]
    # Accepted once is enough, and no server is asked again.
    assert models("pull", "buffalo_sc", capsys=capsys) == "The pack buffalo_sc is ready.\n"
    assert len(server.paths) == 2
    assert models("verify", "buffalo_sc", capsys=capsys).count(": good") == 3  # one is converted


@pytest.mark.django_db
def test_a_pack_serves_without_its_optional_file(
    folders: Path, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who pulls it by its name learns why; a start, which names none, does not ask for it."""
    data = {"net.onnx": b"network", "layers.xml": b"<net/>", "values.bin": b"values"}
    (tmp_path / "source").mkdir()
    for name in ("net.onnx", "layers.xml"):
        (tmp_path / "source" / name).write_bytes(data[name])
    raw = yaml.safe_load((PACKS / "permissive" / "pack.yaml").read_text())

    def declared(name: str) -> dict[str, object]:
        digest = hashlib.sha256(data[name]).hexdigest()
        return {"file": name, "licence": "MIT", "sha256": digest, "bytes": len(data[name])}

    for network in ("head_pose", "eyes", "liveness"):
        del raw[network]
    raw["detector"]["weights"] = raw["recogniser"]["weights"] = declared("net.onnx")
    source = {"xml": declared("layers.xml"), "bin": declared("values.bin")}
    raw["attributes"]["weights"]["source"] = source
    (folders / "packs" / "permissive").mkdir(parents=True)
    (folders / "packs" / "permissive" / "pack.yaml").write_text(yaml.safe_dump(raw))
    settings.FACESVC_MODEL_SOURCE = str(tmp_path / "source")
    lacking = "it estimates no age or gender: age_gender.onnx is not here"
    output = models("pull", "permissive", capsys=capsys)
    assert "values.bin could not be fetched" in output
    assert f"The pack serves all the same, but {lacking}." in output
    assert lacking in models("list", capsys=capsys)
    assert models("verify", "permissive", capsys=capsys) == "net.onnx: good\n"
    ActiveModel.objects.update_or_create(pk=1, defaults={"pack": "permissive"})
    assert models("pull", capsys=capsys) == "The pack permissive is ready.\n"


def test_pull_says_why_it_failed(
    folders: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_pack(folders, "opencv", **{"https://": "ftp://"})
    with pytest.raises(CommandError, match=r"face_detection_yunet_2023mar.onnx could not be"):
        models("pull", "opencv", capsys=capsys)


# --- verify ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_verify(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy_pack(folders, "dlib")
    pack = engine.pack("dlib")
    downloads.pull(pack, django_settings.MODELS_DIR)
    assert models("verify", "dlib", capsys=capsys).splitlines() == [
        "detector.onnx: good",
        "embedder.onnx: good",
        "landmarks.npz: good",
        "detector_8bit.onnx: good",
    ]
    detector, embedder, *_ = pack.weight_files()
    path = weights.weight_path(pack, detector, django_settings.MODELS_DIR)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    weights.weight_path(pack, embedder, django_settings.MODELS_DIR).unlink()
    with pytest.raises(CommandError, match="2 of 4 files are not good"):
        models("verify", "dlib", capsys=capsys)
    output = capsys.readouterr().out.splitlines()
    assert output[0] == "detector.onnx: not the file that the pack names"
    assert output[1] == "embedder.onnx: missing"


# --- activate -------------------------------------------------------------------------------------


@pytest.fixture
def second(settings: Settings, tmp_path: Path) -> Iterator[str]:
    """The default pack once more, under another name and version."""
    settings.PACK_FOLDERS = [*settings.PACK_FOLDERS, tmp_path / "packs"]
    versions = {"version: dlib_v1\n": "version: second_v1\n", "dlib_v1.0.0": "second_v1.0.0"}
    copy_pack(tmp_path, "dlib", new_name="second", **versions)
    folder = django_settings.MODELS_DIR / "second"
    shutil.copytree(django_settings.MODELS_DIR / "dlib", folder)
    forget()
    yield "second"
    shutil.rmtree(folder)
    forget()


@pytest.mark.django_db(transaction=True)
def test_activate_and_back(second: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert engine.active_model().reason == "FACESVC_PACK names it."
    output = models("activate", second, capsys=capsys)
    version = engine.pack("second").template_version
    assert output == f"second serves now, with templates {version}; before: dlib_v1.\n"
    assert engine.current().pack.name == "second"
    assert engine.active_model().reason == ""  # it is about a new database
    assert engine.model_version() == "second_v1.0.0"
    assert AuditEvent.objects.get(action="model.activate").actor == "command:models"
    models("activate", "dlib", capsys=capsys)
    assert engine.current().pack.name == "dlib"


@pytest.mark.django_db(transaction=True)
def test_activate_would_lose_faces(second: str, capsys: pytest.CaptureFixture[str]) -> None:
    make_face(make_user(OWNER), vector(1))
    with pytest.raises(CommandError, match=r"reembed --pack second.*--allow-missing 1"):
        models("activate", second, capsys=capsys)
    assert engine.current().pack.name == "dlib"
    models("activate", second, "--allow-missing", "1", capsys=capsys)
    assert engine.current().pack.name == "second"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "reason"),
    [("buffalo_l", "models pull buffalo_l"), ("nothing", "no pack 'nothing'")],
)
def test_what_cannot_serve_is_not_activated(
    name: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match=reason):
        models("activate", name, capsys=capsys)
    assert engine.current().pack.name == "dlib"


@pytest.mark.django_db(transaction=True)
def test_an_uncalibrated_pack_is_not_activated(
    second: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "packs" / second / "pack.yaml"
    path.write_text(path.read_text().partition("\ncalibration:\n")[0] + "\n")
    with pytest.raises(CommandError, match="calibrate FOLDER --pack second"):
        models("activate", second, capsys=capsys)
