"""Writes golden.json: what dlib itself and our own pipeline make of two photos.

    python -m tests.recognition.inference.make_golden

Needs dlib (requirements/bench.txt). To be run only when a result is meant to change; the tests
compare with what is committed.
"""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dlib
import numpy as np

from recognition.inference.arrays import Floats, Image
from recognition.inference.pack.declaration import load_pack
from recognition.inference.pipeline import FacePipeline
from recognition.packs.downloads import pull
from tests.support.photos import astronaut, package_file, resized, six_people, tom_hanks

PROJECT = Path(__file__).parents[3]
CACHE = Path(tempfile.gettempdir()) / "facesvc-golden"
TARGET = Path(__file__).with_name("golden.json")
# At this size the faces fill dlib's window at the first step of its pyramid, as of ours.
SCALE = 0.7


def main() -> None:
    pack = load_pack(PROJECT / "ml_models" / "dlib")
    pull(pack, CACHE)
    pipeline = FacePipeline(pack, CACHE)
    golden = {
        "provenance": (
            f"dlib-bin {version('dlib-bin')}, face_recognition_models 0.3.0, "
            f"opencv {version('opencv-python-headless')}, onnxruntime {version('onnxruntime')}; "
            "written by tests/recognition/inference/make_golden.py"
        ),
        "dlib": of_dlib(pipeline),
        "pipeline": of_pipeline(pipeline),
    }
    # One line for each entry.
    TARGET.write_text(json.dumps(golden).replace(', "', ',\n"') + "\n")


def of_dlib(pipeline: FacePipeline) -> dict[str, Any]:
    def model(name: str) -> str:
        return str(package_file("face_recognition_models", f"models/{name}.dat"))

    def rgb(image: Image) -> Image:
        return np.ascontiguousarray(image[..., ::-1])

    detector = dlib.cnn_face_detection_model_v1(model("mmod_human_face_detector"))
    predictor = dlib.shape_predictor(model("shape_predictor_5_face_landmarks"))
    embedder = dlib.face_recognition_model_v1(model("dlib_face_recognition_resnet_model_v1"))
    found = detector(rgb(resized(six_people(), SCALE)), 0)
    (face,) = pipeline.detect(astronaut())
    box = dlib.rectangle(*(int(value) for value in np.floor(face.box + 0.5)))
    points = predictor(rgb(astronaut()), box).parts()
    return {
        "six_people_scores": sorted(round(one.confidence, 6) for one in found),
        "astronaut_landmarks": [[point.x, point.y] for point in points],
        "astronaut_embedding": rounded(np.array(embedder.compute_face_descriptor(rgb(face.crop)))),
    }


def of_pipeline(pipeline: FacePipeline) -> dict[str, Any]:
    faces = sorted(pipeline.detect(six_people()), key=lambda face: face.box[0])
    return {
        "six_people": [
            {"box": rounded(face.box, 1), "landmarks": [rounded(p, 1) for p in face.landmarks]}
            for face in faces
        ],
        "astronaut_embedding": rounded(pipeline.embed(pipeline.detect(astronaut()))[0].embedding),
        "tom_hanks_embedding": rounded(pipeline.embed(pipeline.detect(tom_hanks()))[0].embedding),
    }


def rounded(values: Floats | None, digits: int = 6) -> list[float]:
    assert values is not None
    return [round(float(value), digits) for value in values]


if __name__ == "__main__":
    main()
