"""Rough head pose from five landmarks: good enough to tell a frontal face from a turned one."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recognition.inference.arrays import Floats

# Depth of each landmark behind the plane of the eye corners, in units of the distance between the
# eye centres (63 mm in adults). Proportions of an average head: Farkas, Anthropometry of the Head
# and Face, 1994.
_DEPTH = {
    "left_eye": 0.0,
    "right_eye": 0.0,
    "left_eye_outer": 0.10,
    "left_eye_inner": -0.05,
    "right_eye_outer": 0.10,
    "right_eye_inner": -0.05,
    "nose_tip": -0.60,
    "nose_base": -0.35,
    "mouth_left": -0.20,
    "mouth_right": -0.20,
}
# The distance of the camera in eye distances: about 1.3 m. The pose hardly depends on it.
_CAMERA = 20.0
_YAWS = np.arange(-80.0, 80.1, 2.0)
_PITCHES = np.arange(-50.0, 50.1, 2.0)


@dataclass(frozen=True)
class Pose:
    """Degrees; 0 is upright and facing the camera.

    Yaw is positive when the face turns to the picture's right, pitch when it looks down, roll when
    it tilts clockwise. `pitch` is None where the landmarks cannot show it: eyes and nose alone look
    the same at two pitches, about 0 and 50 degrees.
    """

    yaw: float
    pitch: float | None
    roll: float


def eye_distance(landmarks: Floats, names: tuple[str, ...]) -> float:
    """Pixels between the centres of the eyes."""
    left, right = eye_centres(landmarks, names)
    return float(np.linalg.norm(left - right))


def eye_centres(landmarks: Floats, names: tuple[str, ...]) -> list[Floats]:
    """The left and the right eye, each (2,); without a point of its own, between its corners."""
    return [
        landmarks[[name.startswith(side) for name in names]].mean(axis=0)
        for side in ("left_eye", "right_eye")
    ]


class PoseEstimator:
    """Compares landmarks with a head of average proportions, turned in steps of 2 degrees.

    The recogniser's template (5, 2) is the frontal face; `names` give each point its depth. An
    exhaustive search over 81 x 51 views (81 where pitch cannot be estimated) has no wrong local
    minimum and costs some 30 microseconds.
    """

    def __init__(self, template: Floats, names: tuple[str, ...]) -> None:
        flat = (template - template.mean(axis=0)) / eye_distance(template, names)
        head = np.column_stack([flat, [_DEPTH[name] for name in names]])
        self._has_pitch = any(name.startswith("mouth") for name in names)
        pitches = _PITCHES if self._has_pitch else np.zeros(1)
        self._angles = np.array([(yaw, pitch) for yaw in _YAWS for pitch in pitches])
        views = np.array([_project(head, *angles) for angles in np.radians(self._angles)])
        views -= views.mean(axis=1, keepdims=True)
        # (5, views), each of length 1 as complex numbers: a similarity is then one product.
        views /= np.linalg.norm(views, axis=1, keepdims=True)
        self._views = np.ascontiguousarray(views.conj().T)

    def estimate(self, landmarks: Floats) -> Pose:
        """The pose of a face. Raises ValueError when its landmarks (5, 2) all coincide."""
        points = landmarks @ np.array([1, 1j])
        points -= points.mean()
        length = np.linalg.norm(points)
        if length == 0:
            raise ValueError("the points coincide")
        # A sum in place of @, for which OpenBLAS would start threads that spin, 30 ms of CPU a
        # face.
        fit = (self._views * (points / length)[:, None]).sum(axis=0)
        best = int(np.abs(fit).argmax())
        yaw, pitch = self._angles[best]
        roll = float(np.degrees(np.angle(fit[best])))
        return Pose(float(yaw), float(pitch) if self._has_pitch else None, roll)


def _project(head: Floats, yaw: float, pitch: float) -> npt.NDArray[np.complex128]:
    """The head (5, 3) turned by pitch, then yaw (radians), as a camera in front sees it."""
    x, y, z = head.T
    y, z = y * np.cos(pitch) - z * np.sin(pitch), y * np.sin(pitch) + z * np.cos(pitch)
    x, z = x * np.cos(yaw) - z * np.sin(yaw), x * np.sin(yaw) + z * np.cos(yaw)
    view: npt.NDArray[np.complex128] = (x + 1j * y) * _CAMERA / (_CAMERA + z)
    return view
