"""What people would write themselves: FastAPI around InsightFace's classes, a gallery in memory.

`make bench-service` measures the service beside it. It is as fair as it can be: the same networks
with as many threads, as many processes, the same pictures, and the same work on each, from decoding
to the comparison. It does less than the service: it checks no token, writes nothing, keeps nothing
private, and each of its processes has a gallery of its own.

FACESVC_PEER_PEOPLE names a folder with `<user id>.jpg`, which are enrolled when it starts, and
FACESVC_BENCH_MODELS one with the networks.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import onnxruntime
from fastapi import Body, FastAPI, File, Form, HTTPException
from insightface.model_zoo import SCRFD, ArcFaceONNX
from insightface.utils import face_align

DETECTOR, RECOGNISER = "scrfd_2.5g_kps.onnx", "arcface_mobilefacenet_512.onnx"
FOUND, MATCH = 0.2, 0.3  # least cosines
CANDIDATES = 10
MODELS = Path(os.environ["FACESVC_BENCH_MODELS"])


def network(name: str, kind: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = str(MODELS / name)
    return kind(path, onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"]))


detector, recogniser = network(DETECTOR, SCRFD), network(RECOGNISER, ArcFaceONNX)
detector.prepare(-1, input_size=(640, 640), det_thresh=0.5)
users: list[str] = []
gallery = np.empty((0, 512), np.float32)
app = FastAPI()


def embeddings(data: bytes, most: int = 0) -> np.ndarray:
    """(N, 512) unit vectors of the faces, the largest ones if there may be no more than `most`."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise HTTPException(400, "This is no picture.")
    _, landmarks = detector.detect(image, max_num=most, metric="max")
    crops = [face_align.norm_crop(image, each) for each in landmarks]
    if not crops:
        return np.empty((0, 512), np.float32)
    vectors = recogniser.get_feat(crops)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def enrol(user_id: str, data: bytes) -> None:
    global gallery
    vectors = embeddings(data)
    if len(vectors) != 1:
        raise HTTPException(400, f"The picture has {len(vectors)} faces.")
    users.append(user_id)
    gallery = np.vstack([gallery, vectors])


def candidates(vector: np.ndarray) -> list[dict[str, Any]]:
    cosines = gallery @ vector
    best = np.argsort(-cosines)[:CANDIDATES]
    return [{"user_id": users[i], "score": float(cosines[i])} for i in best if cosines[i] > FOUND]


for path in sorted(Path(os.environ["FACESVC_PEER_PEOPLE"]).glob("*.jpg")):
    enrol(path.stem, path.read_bytes())


@app.post("/register", status_code=201)
def register(user_id: Annotated[str, Form()], image: Annotated[bytes, File()]) -> dict[str, Any]:
    enrol(user_id, image)
    return {"user_id": user_id}


def _verify(user_id: str, image: bytes) -> dict[str, Any]:
    own = gallery[[at for at, each in enumerate(users) if each == user_id]]
    faces = embeddings(image, most=1)
    score = float((own @ faces[0]).max()) if len(faces) and len(own) else 0.0
    return {"is_match": score > MATCH, "score": score}


@app.post("/verify")
def verify(user_id: Annotated[str, Form()], image: Annotated[bytes, File()]) -> dict[str, Any]:
    return _verify(user_id, image)


@app.post("/frames")
def frames(user_id: str, image: Annotated[bytes, Body(media_type="image/jpeg")]) -> dict[str, Any]:
    return _verify(user_id, image)


@app.post("/identify")
def identify(image: Annotated[bytes, File()]) -> dict[str, Any]:
    return {"faces": [candidates(vector) for vector in embeddings(image)]}


@app.post("/batch-identify")
def batch(images: Annotated[list[bytes], File()]) -> dict[str, Any]:
    return {"results": [identify(image) for image in images]}
