"""What is measured of every face that is found: its pose, its quality and its aligned crop."""

from collections.abc import Callable

import numpy as np

from recognition.inference.alignment import align
from recognition.inference.arrays import Floats, Image
from recognition.inference.detection.results import Detections
from recognition.inference.head import HeadPoseNetwork
from recognition.inference.pack.declaration import ModelPack
from recognition.inference.pose import Pose, PoseEstimator, eye_distance
from recognition.inference.quality import Quality, QualityNetwork, assess
from recognition.inference.sessions import Model

Assessed = tuple[Pose, Quality, Image]


class Assessor:
    """Measures faces, with the networks that the pack has for it.

    What its quality network says is part of every quality score, so that one threshold means the
    same everywhere.
    """

    def __init__(self, pack: ModelPack, model: Callable[..., Model]) -> None:
        """`model` loads a file. Raises ValueError when a network lacks a declared output."""
        self._pack = pack
        names = pack.detector.landmark_names
        head, quality = pack.head_pose, pack.quality
        self._landmark_pose = PoseEstimator(pack.template, names)
        self._head_pose = head and HeadPoseNetwork(head, model(head.weights, head.outputs.names()))
        self._quality = quality and QualityNetwork(quality, model(quality.weights))

    def assess(self, image: Image, found: Detections) -> list[Assessed]:
        """Each of the faces of an upright picture."""
        if not len(found):
            return []
        poses = self._poses(image, found)
        crops = [self._crop(image, points) for points in found.landmarks]
        qualities = [
            self._measured(image, found, index, pose, crop)
            for index, (pose, crop) in enumerate(zip(poses, crops, strict=True))
        ]
        if (spec := self._pack.quality) and self._quality:
            template = np.array(spec.template)
            shown = [align(image, points, template, spec.input.size) for points in found.landmarks]
            qualities = [
                quality.with_network(value)
                for quality, value in zip(qualities, self._quality.estimate(shown), strict=True)
            ]
        return list(zip(poses, qualities, crops, strict=True))

    def _poses(self, image: Image, found: Detections) -> list[Pose]:
        if self._head_pose:
            return self._head_pose.estimate(image, found.boxes)
        return [self._landmark_pose.estimate(points) for points in found.landmarks]

    def _crop(self, image: Image, landmarks: Floats) -> Image:
        return align(image, landmarks, self._pack.template, self._pack.recogniser.input.size)

    def _measured(
        self, image: Image, found: Detections, index: int, pose: Pose, crop: Image
    ) -> Quality:
        detector = self._pack.detector
        return assess(
            image,
            crop,
            found.boxes[index],
            eyes=eye_distance(found.landmarks[index], detector.landmark_names),
            pose=pose,
            detection_score=float(found.scores[index]),
            score_range=detector.score_range,
        )
