"""Opens the detector that a pack declares."""

from collections.abc import Callable
from pathlib import Path

from recognition.inference.detection.anchors import AnchorDetector
from recognition.inference.detection.decoders import decode_retinaface, decode_scrfd, decode_yunet
from recognition.inference.detection.mmod import MmodDetector
from recognition.inference.detection.results import Detector
from recognition.inference.landmarks import LandmarkCascade
from recognition.inference.pack.files import WeightFile
from recognition.inference.pack.specs import DetectorSpec, MmodSpec, RetinaFaceSpec, ScrfdSpec
from recognition.inference.sessions import Model


def open_detector(
    spec: DetectorSpec, path: Callable[[WeightFile], Path], *, threads: int
) -> Detector:
    """Loads the networks; `path` finds a file. Raises ValueError if an output is missing."""
    file = path(spec.weights)
    if isinstance(spec, MmodSpec):
        cascade = LandmarkCascade(path(spec.landmark_weights))
        return MmodDetector(spec, Model(file, threads=threads), cascade)
    model = Model(file, threads=threads, outputs=spec.outputs.names())
    if isinstance(spec, ScrfdSpec):
        return AnchorDetector(spec, model, decode_scrfd)
    if isinstance(spec, RetinaFaceSpec):
        return AnchorDetector(spec, model, decode_retinaface)
    return AnchorDetector(spec, model, decode_yunet)
