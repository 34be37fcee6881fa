"""The version stands in one place, and everything that names it agrees."""

import re
import subprocess
import sys
import tomllib

from setuptools.config.pyprojecttoml import read_configuration

from facesvc import __version__
from facesvc.home import BASE_DIR

# `facesvc:0.2.0` is an image, `facesvc/0.2.0` the User-Agent of callbacks.
TAG = re.compile(r"(?:\bfacesvc[:/ ]|newTag: |\bversion\W{1,4})(\d+\.\d+\.\d+)\b")
KINDS = ["Added", "Changed", "Fixed", "Security"]
PLACES = [
    path
    for folder in ("docker", "deployment", "docs")
    for path in sorted((BASE_DIR / folder).rglob("*"))
    if path.suffix not in {".png", ".pyc", ""} or path.name == "Dockerfile"
]


def test_it_works() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "facesvc", "--version"], cwd=BASE_DIR, capture_output=True, text=True
    )
    assert (shown.stdout, shown.returncode) == (f"facesvc {__version__}\n", 0)


def test_the_package_has_it_from_the_code() -> None:
    project = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]
    assert "version" not in project
    assert read_configuration(BASE_DIR / "pyproject.toml")["project"]["version"] == __version__


def test_images_and_pages_name_it() -> None:
    named = {path: set(TAG.findall(path.read_text())) for path in PLACES}
    assert {path.name: found for path, found in named.items() if found - {__version__}} == {}
    assert {"Dockerfile", "docker-compose.yml", "kustomization.yaml", "deploy.sh"} <= {
        path.name for path, found in named.items() if found
    }


def test_the_changelog_goes_by_version() -> None:
    """Each version is sorted by kind: a merge that brings another part back is seen here."""
    text = (BASE_DIR / "CHANGELOG.md").read_text()
    assert re.findall(r"^## (\S+)", text, re.MULTILINE)[:2] == ["Unreleased", __version__]
    for version in text.split("\n## ")[1:]:
        kinds = re.findall(r"^### (.+)", version, re.MULTILINE)
        assert kinds == [kind for kind in KINDS if kind in kinds], version.splitlines()[0]
