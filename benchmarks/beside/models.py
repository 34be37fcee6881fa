"""Where the networks of the benchmarks are, and a service that has them."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from cryptography.fernet import Fernet

from benchmarks.service import PROJECT

# The pack of the tests without the networks that the other side does not have.
BARE = "scrfd-arcface-bare"
_BEYOND = ("quality", "attributes", "liveness")

FILES = ("scrfd_2.5g_kps.onnx", "arcface_mobilefacenet_512.onnx")
PACKAGES = ("dlib", "fastapi", "insightface", "lazy_loader", "scipy", "uvicorn")


def models_folder() -> Path:
    """FACESVC_BENCH_MODELS, or `../shared/models`."""
    named = os.environ.get("FACESVC_BENCH_MODELS")
    return Path(named) if named else PROJECT.parent / "shared" / "models"


def missing() -> str:
    """What is missing for a comparison, and what to do about it; empty if nothing is."""
    packages = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if packages:
        return f"These packages are not installed (make bench installs them): {', '.join(packages)}"
    folder = models_folder()
    files = [name for name in FILES if not (folder / name).is_file()]
    if files:
        return (
            f"There is no {' and no '.join(files)} in {folder}. They are InsightFace's SCRFD 2.5G "
            "with landmarks and an ArcFace MobileFaceNet, for research only, and no part of this "
            "repository. Name a folder that has them by FACESVC_BENCH_MODELS."
        )
    return ""


@contextmanager
def settings_with(pack: str) -> Iterator[dict[str, str]]:
    """The settings of a new service with a pack and keys; `missing` has to be empty."""
    source = models_folder() if pack == BARE else models_folder() / pack
    with tempfile.TemporaryDirectory(prefix="facesvc-packs-") as packs:
        _write_bare_pack(Path(packs))
        yield {
            "FACESVC_PACK": pack,
            "FACESVC_PACKS": os.pathsep.join([packs, str(PROJECT / "ml_models")]),
            "FACESVC_MODEL_SOURCE": str(source) if source.is_dir() else "",
            "FACESVC_CROP_KEYS": Fernet.generate_key().decode(),
            "FACESVC_TEMPLATE_KEYS": Fernet.generate_key().decode(),
            "LOG_LEVEL": "WARNING",
        }


def _write_bare_pack(folder: Path) -> None:
    declared = yaml.safe_load((PROJECT / "tests/packs/scrfd-arcface/pack.yaml").read_text())
    kept = {key: value for key, value in declared.items() if key not in _BEYOND}
    (folder / BARE).mkdir()
    (folder / BARE / "pack.yaml").write_text(yaml.safe_dump({**kept, "name": BARE}))
