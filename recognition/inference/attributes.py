"""Estimates age and gender, if the pack has a network for them."""

from collections.abc import Sequence

import numpy as np

from recognition.inference.alignment import align, square_crop
from recognition.inference.arrays import Floats, Image
from recognition.inference.pack.specs import AlignedAttributesSpec, AttributesSpec, Estimate
from recognition.inference.sessions import CropModel, Model, Tensor

# The meaning of each index of the output, in all models.
_GENDERS = ("female", "male")
_AGES = 100


class AttributeEstimator:
    def __init__(self, spec: AttributesSpec, model: Model) -> None:
        self._spec = spec
        self._model = CropModel(spec.input, model)

    def estimate(
        self, image: Image, boxes: Floats, landmarks: Floats
    ) -> dict[Estimate, Sequence[float | str]]:
        """What the pack estimates of each of N > 0 faces with boxes (N, 4), landmarks (N, 5, 2)."""
        spec, size = self._spec, self._spec.input.size
        if isinstance(spec, AlignedAttributesSpec):
            template = np.array(spec.template)
            crops = [align(image, points, template, size) for points in landmarks]
            ages, genders = decode_genderage_2018(self._model.run(crops))
        else:
            crops = [square_crop(image, box, spec.crop_scale, size) for box in boxes]
            outputs = self._model.run_all(crops)
            joined = spec.decoder == "genderage"
            ages, genders = decode_genderage(outputs[0]) if joined else decode_age_gender(outputs)
        found: dict[Estimate, Sequence[float | str]] = {"age": ages, "gender": genders}
        return {name: found[name] for name in spec.estimates}


def decode_genderage_2018(outputs: Tensor) -> tuple[list[float], list[str]]:
    """Ages and genders of (N, 202): 2 logits of gender, then for each of 100 years 2 logits.

    The age is the number of years for which the second logit ("older than that") is the higher.
    """
    years = outputs[:, 2:].reshape(len(outputs), _AGES, 2)
    ages = (years[..., 1] > years[..., 0]).sum(axis=1)
    return [float(age) for age in ages], _genders(outputs)


def decode_genderage(outputs: Tensor) -> tuple[list[float], list[str]]:
    """Ages and genders of (N, 3): 2 logits of gender, the age in centuries."""
    ages = np.round(np.maximum(outputs[:, 2], 0) * 100)
    return [float(age) for age in ages], _genders(outputs)


def decode_age_gender(outputs: list[Tensor]) -> tuple[list[float], list[str]]:
    """Ages and genders of two outputs: (N, 2, 1, 1) chances of the genders, (N, 1, 1, 1) centuries.

    Their sizes tell which is which: order and names differ between releases.
    """
    flat = {output[0].size: output.reshape(len(output), -1) for output in outputs}
    if set(flat) != {1, 2}:
        shapes = ", ".join(str(output.shape) for output in outputs)
        raise ValueError(f"the network of age and gender gave {shapes}")
    ages = np.round(np.maximum(flat[1][:, 0], 0) * 100)
    return [float(age) for age in ages], _genders(flat[2])


def _genders(outputs: Tensor) -> list[str]:
    return [_GENDERS[int(index)] for index in outputs[:, :2].argmax(axis=1)]
