#!/usr/bin/env python3
"""Make a release: version, changelog, packages, image, checksums.

    make release VERSION=0.3.0                  in a clean checkout
    make release VERSION=0.3.0 ARGS=--dry-run   changes nothing but dist/, and builds no image

It writes the version into every file that names it, and moves the changes under "Unreleased" to a
heading of the version. Then it puts the packages for pip, the notes and the image into dist/, with
their checksums, and prints what is left for you: to read the changes, commit, tag and push.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
_VERSION_FILE = Path("facesvc/__init__.py")
# Folders whose files name the version: see tests/facesvc/test_version.py.
_NAMED_IN = ("docker", "deployment", "docs")
_TEXT = {".md", ".yaml", ".yml", ".sh", ".toml", ""}
_BEFORE_VERSION = r"(facesvc(?:_client)?[:/ -]|newTag: |\bversion\W{1,4}|^__version__ = \")"
_NUMBER = re.compile(r"\d+\.\d+\.\d+")
_UNRELEASED, _PENDING = "## Unreleased\n", "(not released yet)"


class ReleaseError(Exception):
    """There is no release; the message says why."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("version", help="such as 0.3.0")
    parser.add_argument("--dry-run", action="store_true", help="in a copy, without an image")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="default: dist")
    options = parser.parse_args()
    try:
        if options.dry_run:
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / "facesvc"
                shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "data", "dist"))
                release(copy, options.version, options.output, is_dry=True)
        else:
            _check_clean()
            release(ROOT, options.version, options.output, is_dry=False)
    except (ReleaseError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def release(root: Path, version: str, output: Path, *, is_dry: bool) -> None:
    """Write the version into the tree, and everything that is published into `output`."""
    if not _NUMBER.fullmatch(version):
        raise ReleaseError(f"{version!r} is no version such as 0.3.0")
    if output.exists() and any(output.iterdir()):
        raise ReleaseError(f"{output} is not empty")
    if not (is_dry or shutil.which("docker")):
        raise ReleaseError("docker is not installed: the image cannot be built")
    notes = _changelog(root / "CHANGELOG.md", version)
    _name_version(root, version)
    output.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHON": sys.executable}
    subprocess.run([root / "deployment/scripts/wheel.sh", output], env=environment, check=True)
    (output / f"facesvc-{version}-notes.md").write_text(notes)
    shutil.copy(root / "requirements/run.txt", output / f"facesvc-{version}-requirements.txt")
    _image(root, version, output, is_dry=is_dry)
    sums = [
        f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}" for each in _made(output)
    ]
    (output / "SHA256SUMS").write_text("\n".join([*sums, ""]))
    print(f"Made {output}:", *(f"  {each.name}" for each in _made(output)), sep="\n")
    print("Left to do:", *_left(version), sep="\n  ")


def _check_clean() -> None:
    changes = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    if changes.stdout:
        raise ReleaseError(f"there are changes that are not committed:\n{changes.stdout}".rstrip())


def _changelog(file: Path, version: str) -> str:
    """Put the heading of the version over what is new. Returns the notes of the release."""
    text = file.read_text()
    before, found, rest = text.partition(_UNRELEASED)
    new, mark, older = rest.partition("\n## ")
    heading, _, body = older.partition("\n")
    if heading == f"{version} {_PENDING}":  # begun under its own heading
        pending, mark, older = body.partition("\n## ")
        new = f"{new.rstrip()}\n{pending}"
    elif heading.split()[0] == version:
        raise ReleaseError(f"{version} is released already: {heading}")
    if not found or not new.strip():
        raise ReleaseError("CHANGELOG.md has nothing under Unreleased")
    title = f"## {version} ({datetime.now(UTC):%Y-%m-%d})"
    notes = f"{title}\n\n{new.strip()}\n"
    file.write_text(f"{before}{_UNRELEASED}\n{notes}{mark}{older}")
    return notes


def _name_version(root: Path, version: str) -> None:
    source = root / _VERSION_FILE
    (old,) = re.findall(r'^__version__ = "(.*)"$', source.read_text(), re.MULTILINE)
    files = [path for folder in _NAMED_IN for path in (root / folder).rglob("*") if path.is_file()]
    for path in [source, *(path for path in files if path.suffix in _TEXT)]:
        text = path.read_text()
        if old in text:
            named = re.compile(_BEFORE_VERSION + re.escape(old) + r"\b", re.MULTILINE)
            path.write_text(named.sub(rf"\g<1>{version}", text))


def _image(root: Path, version: str, output: Path, *, is_dry: bool) -> None:
    tag = f"facesvc:{version}"
    build = ["docker", "build", "--file", "docker/Dockerfile", "--tag", tag, "."]
    save = ["docker", "save", "--output", str(output / f"facesvc-{version}-image.tar"), tag]
    for command in (build, save):
        print("Not run:" if is_dry else "Running:", *command)
        if not is_dry:
            subprocess.run(command, cwd=root, check=True)


def _made(output: Path) -> list[Path]:
    return sorted(path for path in output.iterdir() if path.name != "SHA256SUMS")


def _left(version: str) -> list[str]:
    return [
        "make check && make test-all",
        "git diff",
        f'git commit --all --message "facesvc {version}"',
        f"git tag --annotate v{version} --message 'facesvc {version}'",
        f"git push origin HEAD v{version}",
    ]


if __name__ == "__main__":
    sys.exit(main())
