"""Who computes the networks: the same faces from each provider, and none in place of another."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from pytest_django import Settings

from facesvc.settings.table import declared
from recognition import checks
from recognition.inference import processor, providers
from recognition.inference.arrays import Image
from recognition.inference.pack.declaration import ModelPack
from recognition.inference.pack.files import ConvertedFile
from recognition.inference.pipeline import DetectedFace, FacePipeline
from recognition.inference.providers import Provider, ProviderError
from recognition.packs import downloads, engine
from tests.support.drawn_face import drawing
from tests.support.photos import needs_shared, six_people
from tests.support.real_packs import MODELS, permissive_pack

Patch = pytest.MonkeyPatch
OTHERS = [each for each in Provider if each is not Provider.CPU]


def dlib() -> ModelPack:
    return engine.pack("dlib")


def permissive() -> ModelPack:
    pack = permissive_pack()
    downloads.pull(pack, settings.MODELS_DIR, str(MODELS / "permissive"))
    return pack


def having(monkeypatch: Patch, *names: str) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(names))


@pytest.fixture
def network() -> Path:
    pack = dlib()
    (path,) = settings.MODELS_DIR.joinpath("dlib").glob("embedder-*.onnx")
    assert pack.name == "dlib"
    return path


def open_with(provider: Provider, network: Path) -> onnxruntime.InferenceSession:
    return providers.open_session(network, onnxruntime.SessionOptions(), provider, 1)


def computed_by(provider: Provider, pack: ModelPack, picture: Image) -> list[DetectedFace]:
    pipeline = FacePipeline(pack, settings.MODELS_DIR, provider=provider)
    faces = pipeline.detect(picture)
    return pipeline.embed(pipeline.describe(picture, faces))


def check_same(found: list[DetectedFace], wanted: list[DetectedFace]) -> None:
    assert len(found) == len(wanted) > 0
    for one, other in zip(found, wanted, strict=True):
        assert np.abs(one.box - other.box).max() < 0.5
        assert np.abs(one.landmarks - other.landmarks).max() < 0.5
        assert abs(one.detection_score - other.detection_score) < 1e-3
        assert one.embedding is not None and other.embedding is not None
        assert one.embedding @ other.embedding > 0.9999
        for name in ("age", "liveness", "eyes_open"):
            value = getattr(other, name)
            assert getattr(one, name) == (value and pytest.approx(value, abs=0.01)), name
        assert one.gender == other.gender
        assert one.quality.score == pytest.approx(other.quality.score, abs=0.01)


@pytest.mark.parametrize("provider", OTHERS)
@pytest.mark.parametrize("opened", [dlib, pytest.param(permissive, marks=needs_shared)])
def test_it_works(provider: Provider, opened: Callable[[], ModelPack], monkeypatch: Patch) -> None:
    """The faces of each provider that is here are those of the processor."""
    if not provider.is_here:
        pytest.skip(f"{provider.package} is not installed")
    monkeypatch.setattr(processor, "multiplies_integers", lambda: False)
    pack = opened()
    pictures = [drawing()] if opened is dlib else [six_people()]
    for picture in pictures:
        check_same(computed_by(provider, pack, picture), computed_by(Provider.CPU, pack, picture))


def test_a_difference_is_found() -> None:
    """Two pictures of different sizes, where the comparison has to fail."""
    small = np.ascontiguousarray(drawing()[::2, ::2])
    with pytest.raises(AssertionError):
        check_same(
            computed_by(Provider.CPU, dlib(), drawing()), computed_by(Provider.CPU, dlib(), small)
        )


@pytest.mark.parametrize("provider", OTHERS)
def test_a_build_without_the_provider(
    provider: Provider, monkeypatch: Patch, network: Path
) -> None:
    having(monkeypatch, "CPUExecutionProvider")
    with pytest.raises(ProviderError, match=f"{provider} needs {provider.package}, and onnxrun"):
        open_with(provider, network)


def test_a_provider_that_does_not_start(monkeypatch: Patch, network: Path) -> None:
    """onnxruntime goes on with the processor, and only its log says so."""
    having(monkeypatch, "CUDAExecutionProvider", "CPUExecutionProvider")
    monkeypatch.setattr(providers, "_load_libraries", lambda: None)
    started = SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *a, **k: started)
    with pytest.raises(ProviderError, match="cuda does not start"):
        open_with(Provider.CUDA, network)


def test_a_provider_that_fails(monkeypatch: Patch, network: Path) -> None:
    """Nothing is computed by the processor in its place, when a network is opened or later."""
    given = {}

    def failing(*args: object, **options: object) -> None:
        given.update(options)
        raise RuntimeError("no device")

    having(monkeypatch, "CUDAExecutionProvider", "CPUExecutionProvider")
    monkeypatch.setattr(providers, "_load_libraries", lambda: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", failing)
    with pytest.raises(ProviderError, match=r"cuda cannot compute embedder-\S+: no device"):
        open_with(Provider.CUDA, network)
    assert given == {"enable_fallback": 0}


def test_integers_are_for_the_processor_alone(monkeypatch: Patch) -> None:
    weights = dlib().detector.weights
    assert isinstance(weights, ConvertedFile)
    monkeypatch.setattr(processor, "multiplies_integers", lambda: True)
    assert Provider.CPU.network(weights) == weights.in_eight_bits
    assert all(each.network(weights) is weights for each in OTHERS)
    assert Provider.CUDA.arithmetic(weights) == ", on cuda"


def test_the_setting_has_each_provider_and_asks_for_its_package(settings: Settings) -> None:
    assert settings.FACESVC_INFERENCE_PROVIDER == "cpu" and not list(checks.inference())
    for provider in Provider:
        settings.FACESVC_INFERENCE_PROVIDER = provider.value
        found = [each.id for each in checks.inference()]
        assert found == ([] if provider.is_here else ["facesvc.E011"])
    (text,) = (each.text for each in declared if each.name == "FACESVC_INFERENCE_PROVIDER")
    assert all(f"`{provider}`" in text for provider in Provider)


def test_a_pack_is_opened_with_the_provider_of_the_setting(
    settings: Settings, monkeypatch: Patch
) -> None:
    having(monkeypatch, "CPUExecutionProvider")
    settings.FACESVC_INFERENCE_PROVIDER = "cuda"
    with pytest.raises(ProviderError, match="cuda needs onnxruntime-gpu"):
        engine.open_pipeline(dlib())


def test_a_start_without_the_provider_is_refused(settings: Settings, monkeypatch: Patch) -> None:
    """`facesvc run` begins with this command."""
    having(monkeypatch, "CPUExecutionProvider")
    settings.FACESVC_INFERENCE_PROVIDER = "openvino"
    with pytest.raises(CommandError, match="openvino needs onnxruntime-openvino"):
        call_command("prepare")


def test_what_is_installed(monkeypatch: Patch) -> None:
    assert len(providers.installed()) == 1
    monkeypatch.setattr(providers, "version", lambda package: "1.2.3")
    assert providers.installed() == {each.package: "1.2.3" for each in Provider}
