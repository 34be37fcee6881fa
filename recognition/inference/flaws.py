"""Flaws that make strangers alike: a cover, motion, few pixels, landmarks of a turned face.

A recogniser gives all faces with such a flaw similar embeddings. So the embedding itself shows the
flaw, and a few figures of the aligned crop show what the embedding does not. `calibrate --quality`
fits a line for each flaw (recognition/measuring/quality/fitting.py); a pack without them judges
none.
"""

import base64
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from recognition.inference.arrays import Floats, Image
from recognition.inference.pack.specs import FlawSpec

# Pixels of the crop that is looked at, of the coarse picture in it, and of its patches.
_SIDE, _COARSE, _PATCHES = 96, 8, 6
FIGURES = _COARSE**2 + 3 * _PATCHES**2
# What the groups of figures count beside each other. With other weights within a factor of 3, as
# many flaws were found among 240 people of LFW.
_EMBEDDING, _COLOUR, _DETAIL = 0.3, 2.0, 0.7


class Flaws:
    """Judges faces by what a pack declares of their flaws."""

    def __init__(self, specs: Sequence[FlawSpec], dimensions: int) -> None:
        """Raises ValueError when a line is not one for embeddings of these dimensions."""
        self._specs = specs
        lines = [unpacked(spec.line) for spec in specs]
        if wrong := [len(line) for line in lines if len(line) != dimensions + FIGURES + 1]:
            raise ValueError(f"quality_ranges.flaws has a line of {wrong[0]} numbers")
        # With these no face would count as flawed.
        if not all(np.isfinite(line).all() for line in lines):
            raise ValueError("quality_ranges.flaws has a line with numbers that are not finite")
        if rising := [spec.name for spec in specs if spec.range[0] <= spec.range[1]]:
            raise ValueError(f"quality_ranges.flaws has a range of {rising[0]} that does not fall")
        self._lines = np.array(lines)

    def components(self, crops: Sequence[Image], embeddings: Floats) -> list[dict[str, float]]:
        """For each of N > 0 faces with embeddings (N, D), each flaw from 0 (sure) to 1 (none)."""
        if not self._specs:
            return [{} for _ in crops]
        found = along(figures(crops, embeddings), self._lines.T)
        return [
            {
                spec.name: float(np.clip(np.interp(value, *_falling(spec.range)), 0, 1))
                for spec, value in zip(self._specs, values, strict=True)
            }
            for values in found
        ]


def figures(crops: Sequence[Image], embeddings: Floats) -> Floats:
    """(N, D + FIGURES) what the lines are fitted to."""
    scaled = embeddings * (_EMBEDDING * np.sqrt(embeddings.shape[1]))
    return np.concatenate([scaled, [_figures(crop) for crop in crops]], axis=1)


def along(values: Floats, lines: Floats) -> Floats:
    """The place of (N, F) figures on lines (F + 1, ...): 0.5 is flawed, -0.5 is not."""
    places: Floats = values @ lines[:-1] + lines[-1]
    return places


def packed(line: Floats) -> str:
    """A line as text: half precision in base64."""
    return base64.b64encode(line.astype("<f2").tobytes()).decode()


def unpacked(text: str) -> Floats:
    """Raises ValueError."""
    return np.frombuffer(base64.b64decode(text, validate=True), "<f2").astype(np.float64)


def _figures(crop: Image) -> Floats:
    """(FIGURES,) light and shade, colour and fine detail, whatever the exposure."""
    small = cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)
    grey = (grey - grey.mean()) / (grey.std() + 1)
    blue, green, red = np.moveaxis(_patches(small), 2, 0)
    light = (blue + green + red) / 3 + 10
    detail = np.log(_patches(np.abs(cv2.Laplacian(grey, cv2.CV_32F))) + 0.02)
    return np.concatenate(
        [
            cv2.resize(grey, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA).ravel(),
            _COLOUR * ((red - green) / light).ravel(),
            _COLOUR * ((blue - green) / light).ravel(),
            _DETAIL * detail.ravel(),
        ]
    )


def _patches(values: npt.NDArray[Any]) -> Floats:
    means = cv2.resize(values, (_PATCHES, _PATCHES), interpolation=cv2.INTER_AREA)
    return means.astype(np.float32, copy=False)


def _falling(limits: tuple[float, float]) -> tuple[tuple[float, float], tuple[float, float]]:
    """The places and components of a ramp for np.interp; the component falls along the line."""
    zero, one = limits
    return (one, zero), (1.0, 0.0)
