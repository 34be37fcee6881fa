"""deployment/scripts/release.py, dry: what a release would publish; nothing of the tree changes."""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from facesvc.home import BASE_DIR
from tests.facesvc.test_version import TAG

SCRIPT = "deployment/scripts/release.py"
TREE = ("facesvc", "recognition", "management", "batch", "ml_models", "docs", "docker")
NAMED_ELSEWHERE = ("deployment", "requirements", "pyproject.toml", "README.md", "CHANGELOG.md")
REST = ("README.th.md", "LICENSE")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a release is made of."""
    folder = tmp_path_factory.mktemp("release") / "tree"
    folder.mkdir()
    for name in (*TREE, *NAMED_ELSEWHERE, *REST):
        source = BASE_DIR / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns(".*", "*.pyc"))
        else:
            shutil.copy(source, folder)
    return folder


def release(tree: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments], cwd=tree, capture_output=True, text=True
    )


def called(tree: Path, call: str) -> str:
    """What a function of the script returns, in that tree."""
    imports = "import sys; sys.path[:0] = ['deployment/scripts']; import release"
    program = f"{imports}; from pathlib import Path; print(release.{call})"
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=True).stdout


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_it_works(tree: Path, tmp_path: Path) -> None:
    before, output = contents(tree), tmp_path / "dist"
    done = release(tree, "9.8.7", "--dry-run", "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert contents(tree) == before
    made = {path.name: path.read_bytes() for path in output.iterdir()}
    assert set(made) == {
        "SHA256SUMS",
        "facesvc-9.8.7-notes.md",
        "facesvc-9.8.7-py3-none-any.whl",
        "facesvc-9.8.7-requirements.txt",
        "facesvc_client-9.8.7-py3-none-any.whl",
    }
    sums = dict(reversed(line.split("  ")) for line in made["SHA256SUMS"].decode().splitlines())
    assert sums == {
        name: hashlib.sha256(data).hexdigest()
        for name, data in made.items()
        if name != "SHA256SUMS"
    }
    notes = made["facesvc-9.8.7-notes.md"].decode()
    assert re.match(r"## 9\.8\.7 \(\d{4}-\d\d-\d\d\)\n\n- ", notes) and "\n## " not in notes
    assert "Not run: docker build --file docker/Dockerfile --tag facesvc:9.8.7 ." in done.stdout
    assert "git tag --annotate v9.8.7" in done.stdout


@pytest.fixture
def changed(tree: Path, tmp_path: Path) -> Path:
    """A tree with a release that wrote its changes, and built nothing."""
    copy = tmp_path / "copy"
    shutil.copytree(tree, copy)
    called(copy, "_changelog(Path('CHANGELOG.md'), '9.8.7')")
    called(copy, "_name_version(Path(), '9.8.7')")
    return copy


def test_everything_that_names_the_version_is_changed(changed: Path) -> None:
    named = {
        version
        for folder in ("docker", "deployment", "docs", "facesvc")
        for path in (changed / folder).rglob("*")
        if path.suffix in {".md", ".yaml", ".yml", ".sh", ".toml"} or path.name == "Dockerfile"
        for version in TAG.findall(path.read_text())
    }
    assert named == {"9.8.7"}
    assert '__version__ = "9.8.7"' in (changed / "facesvc" / "__init__.py").read_text()
    assert "facesvc-9.8.7-py3-none-any.whl" in (changed / "docs" / "install.md").read_text()


def test_the_changelog_has_the_version_and_loses_nothing(tree: Path, changed: Path) -> None:
    before, after = ((each / "CHANGELOG.md").read_text() for each in (tree, changed))
    assert re.findall(r"^## (\S+)", after, re.MULTILINE)[:2] == ["Unreleased", "9.8.7"]
    items = re.compile(r"^- .*", re.MULTILINE)
    assert items.findall(after) == items.findall(before)


def test_a_version_under_its_own_heading_takes_both(tree: Path, tmp_path: Path) -> None:
    file = tmp_path / "CHANGELOG.md"
    file.write_text(
        "# Changelog\n\n## Unreleased\n\n- One\n\n## 1.0.0 (not released yet)\n\n- Two\n"
        "\n## 0.9.0 (2026-01-01)\n\n- Three\n"
    )
    notes = called(tree, f"_changelog(Path({str(file)!r}), '1.0.0')")
    assert re.sub(r"\(.*\)", "(now)", notes) == "## 1.0.0 (now)\n\n- One\n\n- Two\n\n"
    headings = re.findall(r"^## (\S+)", file.read_text(), re.MULTILINE)
    assert headings == ["Unreleased", "1.0.0", "0.9.0"]


@pytest.mark.parametrize(
    ("version", "said"), [("next", "'next' is no version"), ("1.2", "'1.2' is no version")]
)
def test_what_is_no_version_is_refused(tree: Path, version: str, said: str) -> None:
    done = release(tree, version, "--dry-run")
    assert done.returncode == 1 and said in done.stderr


def test_an_output_with_something_in_it_is_refused(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "old.whl").touch()
    done = release(tree, "9.8.7", "--dry-run", "--output", str(tmp_path))
    assert done.returncode == 1 and "is not empty" in done.stderr


def test_changes_that_are_not_committed_are_refused(tree: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tree, copy)
    subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
    done = release(copy, "9.8.7", "--output", str(tmp_path / "dist"))
    assert done.returncode == 1 and "not committed" in done.stderr
    assert not (tmp_path / "dist").exists()
