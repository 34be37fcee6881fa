"""The packs of tests/packs, with the weights of ../shared/models where that exists."""

from functools import cache
from pathlib import Path

import pytest
from django.conf import settings

from recognition import downloads
from recognition.inference.packs import load_pack
from recognition.inference.pipeline import FacePipeline

FOLDER = Path(__file__).parent / "packs"
MODELS = Path(__file__).parents[2] / "shared" / "models"
NAMES = ("scrfd-arcface", "retinaface-retail", "yunet-mobilefacenet")
needs_models = pytest.mark.skipif(not MODELS.is_dir(), reason=f"there is no {MODELS}")


@cache
def open_real(name: str) -> FacePipeline:
    pack = load_pack(FOLDER / name)
    downloads.pull(pack, settings.MODELS_DIR, str(MODELS))
    return FacePipeline(pack, settings.MODELS_DIR)
