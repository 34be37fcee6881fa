"""The wheel in a virtual environment of its own, without the repository: `facesvc run` and more.

The packages that it needs are those of the environment that runs the tests, so that no network is
asked; `pip check` there says whether the wheel names them all.
"""

import os
import re
import signal
import stat
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from facesvc import home
from tests.facesvc.running.test_run import free_port, get, lines_of
from tests.support.patience import PATIENCE

BUILD = home.BASE_DIR / "deployment" / "scripts" / "wheel.sh"
PRODUCT = ("facesvc", "recognition", "management", "batch", "ml_models")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([BUILD, folder], env={**os.environ, "PYTHON": sys.executable}, check=True)
    (built,) = folder.glob("facesvc-*.whl")
    return built


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`facesvc` in a virtual environment with the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    install = ["install", "--quiet", "--no-index", "--no-deps", wheel]
    subprocess.run([*pip, *install], cwd=folder, check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin" / "facesvc"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of somebody whose own packages have the names of ours."""
    for name in ("batch", "management", "recognition"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not ours')")
    return tmp_path


def environment() -> dict[str, str]:
    """Of a new terminal: neither settings nor the path of the tests."""
    return {"PATH": os.defpath, "FACESVC_PACK": "dlib", "WEB_WORKERS": "1"}


def facesvc(program: Path, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [program, *arguments], cwd=folder, env=environment(), capture_output=True, text=True
    )


def test_it_works(program: Path, folder: Path) -> None:
    port, (ours, theirs) = free_port(), os.openpty()
    process = subprocess.Popen(
        [program, "run", "--port", str(port)],
        cwd=folder,
        env=environment(),
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = []
    try:
        for line in lines_of(ours):
            shown.append(line)
            if line.startswith("Ctrl-C stops"):
                break
        text = "".join(shown)
        token = re.findall(r"^export TOKEN=(eyJ\S+)$", text, re.MULTILINE)
        assert token, text
        assert get(port, "/api/v1/face-recognition/users", token[0]) == 200
        for path in ("/", "/static/page/main.js", "/api/docs", "/admin/login/", "/favicon.ico"):
            assert get(port, path) == 200
        assert models_by_the_client(program, folder, port, token[0]) == "dlib\n"
        doctor = facesvc(program, folder, "doctor")
        assert doctor.returncode == 0, doctor.stdout
        assert "ok       models        dlib" in doctor.stdout
        assert "manage.py" not in text + doctor.stdout
    finally:
        process.send_signal(signal.SIGINT)
        shown += lines_of(ours)
        process.wait(PATIENCE)
        os.close(ours)
    assert process.returncode == 0, "".join(shown)
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600
    assert (folder / "data" / "postgres").is_dir()


def models_by_the_client(program: Path, folder: Path, port: int, token: str) -> str:
    """The pack that serves, as an app in the same environment asks for it."""
    url = f"http://127.0.0.1:{port}"
    code = f"""
from facesvc.client import Client
models = Client("{url}", "{token}").list_models()["models"]
print(*[each["name"] for each in models if each["active"]])
"""
    python = program.with_name("python")
    done = subprocess.run([python, "-c", code], cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_the_client_alone_is_a_package(wheel: Path, tmp_path: Path) -> None:
    """It holds the client, and works without anything else of the service."""
    (alone,) = wheel.parent.glob("facesvc_client-*.whl")
    with zipfile.ZipFile(alone) as archive:
        archive.extractall(tmp_path)
        code = [name for name in archive.namelist() if ".dist-info/" not in name]
        (about,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        needs = re.findall(r"^Requires-Dist: (.*)$", archive.read(about).decode(), re.MULTILINE)
    assert set(code) - {"facesvc/__init__.py", "facesvc/py.typed"} == {
        str(path.relative_to(home.BASE_DIR))
        for folder in ("client", "moving")
        for path in (home.BASE_DIR / "facesvc" / folder).rglob("*.py")
    }
    assert needs == ["httpx", "tqdm", 'pillow; extra == "images"']
    program = "import facesvc.client as made; print(made.__file__)"
    paths = f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; {program}"
    done = subprocess.run([sys.executable, "-I", "-c", paths], capture_output=True, text=True)
    assert done.stdout == f"{tmp_path}/facesvc/client/__init__.py\n", done.stderr


def test_people_can_be_moved_with_the_client_alone(wheel: Path, tmp_path: Path) -> None:
    (alone,) = wheel.parent.glob("facesvc_client-*.whl")
    with zipfile.ZipFile(alone) as archive:
        archive.extractall(tmp_path)
    program = "from facesvc.moving.command import main; main(['--help'])"
    paths = f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; {program}"
    done = subprocess.run([sys.executable, "-I", "-c", paths], capture_output=True, text=True)
    assert done.stdout.startswith("usage: facesvc move "), done.stderr


def test_a_move_needs_no_keys(program: Path, folder: Path) -> None:
    """It is a client of a service that may run elsewhere."""
    done = facesvc(program, folder, "move", "rekognition", "faces.json", "--photos", ".")
    assert done.returncode == 1
    assert done.stderr == "Set TOKEN: `facesvc move rekognition --help` says to what.\n"


def test_other_commands_need_the_keys(program: Path, tmp_path: Path) -> None:
    """`facesvc doctor` in the wrong folder must not make another installation there."""
    done = facesvc(program, tmp_path, "doctor")
    assert done.returncode == 1
    assert done.stderr.startswith("SECRET_KEY is not set. `make run` and `facesvc run` write one")
    assert list(tmp_path.iterdir()) == []


def test_the_wheel_has_every_file_of_the_product(wheel: Path) -> None:
    """All that is not a weight file; a template or a migration that is missing is seen here."""
    tracked = subprocess.run(
        ["git", "ls-files", *PRODUCT], cwd=home.BASE_DIR, capture_output=True, text=True
    ).stdout.split()
    if not tracked:
        pytest.skip("the files of the repository are not known: no git")
    held = set(zipfile.ZipFile(wheel).namelist())
    # A catalogue's .mo is in the wheel, and is made from its .po.
    wanted = {name for name in tracked if (home.BASE_DIR / name).exists() and name[-3:] != ".po"}
    assert wanted - held == set()


def test_the_manual_is_installed(program: Path, folder: Path) -> None:
    manual = program.parents[1] / "share" / "doc" / "facesvc"
    assert str(manual) in facesvc(program, folder, "--help").stdout
    assert (manual / "api.md").read_text() == (home.BASE_DIR / "docs" / "api.md").read_text()


def test_it_names_what_it_imports(program: Path) -> None:
    python = program.with_name("python")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    checked = subprocess.run([*pip, "check"], capture_output=True, text=True)
    assert "facesvc" not in checked.stdout, checked.stdout
