"""The packs of tests/packs, with the weights of ../shared/models where that exists."""

from functools import cache
from pathlib import Path

import pytest
from django.conf import settings

from recognition.inference.pack.declaration import ModelPack, load_pack
from recognition.inference.pipeline import FacePipeline
from recognition.packs import downloads

FOLDER = Path(__file__).parents[1] / "packs"
MODELS = Path(__file__).parents[3] / "shared" / "models"
NAMES = ("scrfd-arcface", "retinaface-retail", "yunet-mobilefacenet")
needs_models = pytest.mark.skipif(not MODELS.is_dir(), reason=f"there is no {MODELS}")


@cache
def open_real(name: str) -> FacePipeline:
    pack = load_pack(FOLDER / name)
    downloads.pull(pack, settings.MODELS_DIR, str(MODELS))
    return FacePipeline(pack, settings.MODELS_DIR)


def permissive_pack() -> ModelPack:
    return load_pack(FOLDER.parents[1] / "ml_models" / "permissive")


@cache
def open_permissive() -> FacePipeline:
    pack = permissive_pack()
    downloads.pull(pack, settings.MODELS_DIR, str(MODELS / "permissive"))
    return FacePipeline(pack, settings.MODELS_DIR)
