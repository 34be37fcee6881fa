"""What networks say of a head: its pose, and whether the eyes are open."""

import numpy as np

from recognition.inference.alignment import square_crop
from recognition.inference.arrays import Floats, Image
from recognition.inference.pack.specs import EyesSpec, HeadPoseSpec
from recognition.inference.pose import Pose, eye_centres
from recognition.inference.sessions import CropModel, Model


class HeadPoseNetwork:
    """The angles of a head, without the landmarks, which show pitch badly."""

    def __init__(self, spec: HeadPoseSpec, model: Model) -> None:
        """`model` gives the outputs that the spec names, in their order."""
        self._spec = spec
        self._model = CropModel(spec.input, model)

    def estimate(self, image: Image, boxes: Floats) -> list[Pose]:
        """The pose of each of N > 0 faces with boxes (N, 4)."""
        spec = self._spec
        crops = [square_crop(image, box, spec.crop_scale, spec.input.size) for box in boxes]
        angles = [output.reshape(len(crops)) for output in self._model.run_all(crops)]
        return [Pose(*map(float, each)) for each in zip(*angles, strict=True)]


class EyesNetwork:
    def __init__(self, spec: EyesSpec, model: Model, names: tuple[str, ...]) -> None:
        """`names` of the landmarks."""
        self._spec, self._names = spec, names
        self._model = CropModel(spec.input, model)

    def estimate(self, image: Image, landmarks: Floats) -> list[float]:
        """From 0 (closed) to 1 (open), for each of N > 0 faces with landmarks (N, 5, 2).

        The eye that is more open counts. The other one seems closed in every fifth photo: in the
        shadow, or behind glasses that reflect.
        """
        crops = [crop for points in landmarks for crop in self._crops(image, points)]
        chances = self._model.run(crops).reshape(len(landmarks), 2, -1)
        return [float(value) for value in chances[..., self._spec.open_class].max(axis=1)]

    def _crops(self, image: Image, points: Floats) -> list[Image]:
        eyes = eye_centres(points, self._names)
        half = np.linalg.norm(eyes[0] - eyes[1]) / 2
        boxes = [np.concatenate([eye - half, eye + half]) for eye in eyes]
        spec = self._spec
        return [square_crop(image, box, spec.crop_scale, spec.input.size) for box in boxes]
