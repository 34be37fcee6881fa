"""What is measured of every face that is found: its pose, its aligned crop and its quality.

Quality is how usable it is: components from 0 to 1, reasons for the bad ones, and one score.
The first measures are analytic, and a pack's network may add its score. The figures behind the
ramps are ours, chosen on ordinary photos so that a good passport photo reaches 1; where a pack was
measured, it says from where on it recognises a face (QualityRanges). What the embedding shows joins
when a face is embedded (flaws.py). Other modules decide whether a score is good enough.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from recognition.inference.alignment import align
from recognition.inference.arrays import Floats, Image
from recognition.inference.detection.results import Detections
from recognition.inference.estimators import HeadPoseNetwork
from recognition.inference.pack.declaration import ModelPack
from recognition.inference.pack.specs import CAUTIOUS, QualityRanges, QualitySpec
from recognition.inference.pose import Pose, PoseEstimator, eye_distance
from recognition.inference.sessions import CropModel, Model

# Pixels: crops are compared at one size, so that sharpness means the same for every recogniser.
_CROP_SIDE = 112
# A component below this is named as a reason.
_BAD = 0.4
# Five landmarks show pitch badly: a laughing mouth looks like a lowered head. At full weight that
# alone refused 2% of the photos of Labeled Faces in the Wild.
_PITCH_WEIGHT = 0.75
# Standard deviations of the grey values of a face: detail below the first is as faint as its light,
# and below the second it is noise.
_FAINT, _NOISE = 25.0, 8.0
# Luminance (0-255) this close to black or white carries no detail.
_BLACK, _WHITE = 12, 248

REASONS = {
    "size": "face_too_small",
    "sharpness": "blurred",
    "exposure": "badly_exposed",
    "contrast": "low_contrast",
    "pose": "turned_away",
    "detection": "uncertain_detection",
    "border": "cut_off",
    "network": "hard_to_recognise",
    "mirror": "uneven",
    "level": "not_level",
    "stillness": "moved",
    "detail": "too_coarse",
    "mouth": "mouth_covered",
    "eyes": "eyes_covered",
}
# Those that only an embedding shows.
OF_EMBEDDINGS = ("mirror", "level", "stillness", "detail", "mouth", "eyes")
# A face at the limit of a flaw has this component: with all others at 1, its score is 0.6, which is
# the default of MIN_FACE_QUALITY.
LIMIT = 0.36

# What the person in front of the camera can do.
ADVICE = {
    "face_too_small": "Come closer.",
    "blurred": "Hold still, and wipe the lens: the picture is blurred.",
    "badly_exposed": "Change the light: it is too dark or too bright.",
    "low_contrast": "Get more light from the front: the picture is flat.",
    "turned_away": "Look straight into the camera.",
    "uncertain_detection": "Uncover the face: it can hardly be seen.",
    "cut_off": "Move to the middle: the face is cut off.",
    "hard_to_recognise": "Look straight into the camera, with even light.",
    "uneven": "Hold the camera level, and look straight into it, with even light from the front.",
    "not_level": "Hold the camera level: the face seems to lie on its side, or upside down.",
    "moved": "Hold the camera still: the picture is smeared by motion.",
    "too_coarse": "Move closer, or send the original picture: this one has too few pixels.",
    "mouth_covered": "Take the mask off, and whatever else covers mouth and nose.",
    "eyes_covered": "Uncover the eyes: take off dark glasses, and whatever else covers them.",
}


@dataclass(frozen=True)
class Quality:
    """`components` has keys of REASONS; `score` is within 0 and 1."""

    score: float
    components: dict[str, float]
    reasons: tuple[str, ...]

    @property
    def advice(self) -> tuple[str, ...]:
        """What to do about each of the reasons."""
        return tuple(ADVICE[reason] for reason in self.reasons)

    @property
    def is_misread(self) -> bool:
        """Whether the face was read as an upright one while it lies or stands on its head.

        Its embedding is nobody's, and alike to those of all others that are misread.
        """
        known = {"level": 1.0, "mirror": 1.0, **self.components}
        return known["level"] < LIMIT or known["mirror"] == 0

    def reaches(self, least: float) -> bool:
        """Whether the score is so high, and the face was not misread: those are all alike."""
        return self.score >= least and not self.is_misread

    def having(self, more: dict[str, float]) -> "Quality":
        """The quality with more components, from 0 to 1."""
        rounded = {name: round(value, 4) for name, value in more.items()}
        return combine({**self.components, **rounded}) if more else self


class QualityNetwork:
    """A pack's own quality network."""

    def __init__(self, spec: QualitySpec, model: Model) -> None:
        self._spec = spec
        self._model = CropModel(spec.input, model)

    def estimate(self, image: Image, landmarks: Floats) -> list[float]:
        """Scores from 0 to 1 for each of N > 0 faces with landmarks (N, 5, 2)."""
        spec, template = self._spec, np.array(self._spec.template)
        crops = [align(image, points, template, spec.input.size) for points in landmarks]
        values = self._model.run(crops).reshape(len(crops))
        return [ramp(float(value), *spec.range) for value in values]


def assess(
    image: Image,
    crop: Image,
    box: Floats,
    *,
    eyes: float,
    pose: Pose,
    detection_score: float,
    score_range: tuple[float, float],
    ranges: QualityRanges = CAUTIOUS,
) -> Quality:
    """The quality of one face; `crop` is its aligned crop, `eyes` the pixels between its eyes."""
    face = _grey_face(crop)
    components = {
        "size": _log_ramp(eyes, ranges.size),
        "sharpness": _sharpness(face),
        "exposure": _exposure(face, ranges.light),
        "contrast": _log_ramp(float(face.std()), ranges.contrast),
        "pose": ramp(float(np.hypot(pose.yaw, _PITCH_WEIGHT * (pose.pitch or 0))), 60, 15),
        "detection": ramp(detection_score, *score_range),
        "border": ramp(_share_inside(image, box), 0.6, 1.0),
    }
    return combine({name: round(float(value), 4) for name, value in components.items()})


def combine(components: dict[str, float]) -> Quality:
    """The geometric mean of the worst component and of the mean of all.

    One fatal defect must not be hidden by six good components, and several small ones count too.
    The score never falls when a component rises.
    """
    values = list(components.values())
    score = float(np.sqrt(min(values) * np.mean(values)))
    bad = sorted((value, REASONS[name]) for name, value in components.items() if value < _BAD)
    return Quality(round(score, 4), components, tuple(reason for _, reason in bad))


def light_of(crop: Image) -> tuple[float, float]:
    """The mean grey value of the face in an aligned crop, and its standard deviation."""
    face = _grey_face(crop)
    return float(face.mean()), float(face.std())


def _grey_face(crop: Image) -> Floats:
    grey = cv2.cvtColor(
        cv2.resize(crop, (_CROP_SIDE, _CROP_SIDE), interpolation=cv2.INTER_AREA),
        cv2.COLOR_BGR2GRAY,
    )
    # The middle of the crop is face; its rim may be background or black.
    rim = _CROP_SIDE // 7
    return grey[rim:-rim, rim:-rim].astype(np.float64)


def _sharpness(face: Floats) -> float:
    """Fine detail: the spread of the Laplacian, in grey values of a face that is not faint."""
    spread = float(cv2.Laplacian(face, cv2.CV_64F, ksize=1).std())
    return _log_ramp(spread * _FAINT / float(np.clip(face.std(), _NOISE, _FAINT)), (1.5, 12.0))


def _exposure(face: Floats, light: tuple[float, float]) -> float:
    """Mean luminance, and the share of it that is not crushed to black or white."""
    mean = float(face.mean())
    middle = min(_log_ramp(mean, light), ramp(mean, 250, 200))
    lost = float(((face < _BLACK) | (face > _WHITE)).mean())
    return middle * ramp(lost, 0.8, 0.1)


def _share_inside(image: Image, box: Floats) -> float:
    """The share of the box that lies within the picture."""
    rows, columns = image.shape[:2]
    limits = np.array([columns, rows, columns, rows])
    inside = np.clip(box, 0, limits)
    area = float(np.prod(box[2:] - box[:2]))
    return float(np.prod(inside[2:] - inside[:2])) / area if area > 0 else 0.0


def ramp(value: float, zero: float, one: float) -> float:
    """0 at `zero`, 1 at `one` (which may be the smaller), linear between, clipped outside."""
    return float(min(max((value - zero) / (one - zero), 0.0), 1.0))


def _log_ramp(value: float, limits: tuple[float, float]) -> float:
    """A ramp on which doubling counts the same everywhere."""
    zero, one = np.log2(limits)
    return ramp(float(np.log2(max(value, 1e-6))), float(zero), float(one))


class Assessor:
    """Measures faces, with the networks that the pack has for it.

    What its quality network says is part of every quality score, so that one threshold means the
    same everywhere.
    """

    def __init__(self, pack: ModelPack, model: Callable[..., Model]) -> None:
        """`model` loads a file. Raises ValueError when a network lacks a declared output."""
        self._pack = pack
        head, quality = pack.head_pose, pack.quality
        self._landmark_pose = PoseEstimator(pack.template, pack.detector.landmark_names)
        self._head_pose = head and HeadPoseNetwork(head, model(head.weights, head.outputs.names()))
        self._quality = quality and QualityNetwork(quality, model(quality.weights))

    def assess(
        self, image: Image, found: Detections, reduction: int = 1
    ) -> list[tuple[Pose, Quality, Image]]:
        """The pose, quality and aligned crop of each of the faces of an upright picture.

        The size of a face is measured in pixels of the file, of which the picture may have fewer.
        """
        if not len(found):
            return []
        pack, size = self._pack, self._pack.recogniser.input.size
        poses = self._poses(image, found)
        crops = [align(image, points, pack.template, size) for points in found.landmarks]
        qualities = [
            assess(
                image,
                crop,
                box,
                eyes=reduction * eye_distance(points, pack.detector.landmark_names),
                pose=pose,
                detection_score=float(score),
                score_range=pack.detector.score_range,
                ranges=pack.quality_ranges,
            )
            for crop, pose, box, score, points in zip(
                crops, poses, found.boxes, found.scores, found.landmarks, strict=True
            )
        ]
        if self._quality:
            values = self._quality.estimate(image, found.landmarks)
            qualities = [
                q.having({"network": value}) for q, value in zip(qualities, values, strict=True)
            ]
        return list(zip(poses, qualities, crops, strict=True))

    def _poses(self, image: Image, found: Detections) -> list[Pose]:
        if self._head_pose:
            return self._head_pose.estimate(image, found.boxes)
        return [self._landmark_pose.estimate(points) for points in found.landmarks]
