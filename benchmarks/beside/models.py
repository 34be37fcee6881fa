"""Where the networks of the benchmarks are."""

import importlib.util
import os
from pathlib import Path

from benchmarks.service import PROJECT

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
