"""Group photos whose faces are known, of 2 to 24 megapixels, out of portraits of one face each.

The portraits are square, with a face of FACE of their PORTRAIT pixels in the middle, as in Labeled
Faces in the Wild. Each is cut out as an oval with a soft edge and put on a background of photos
without people, in and out of focus, with light that changes from side to side and a camera's noise.
The size of a face is the side of its box.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from recognition.inference.arrays import Floats, Image
from tests.support.photos import package_file

# Pixels of a portrait: its side, its face's width, and the half axes of the oval that is cut out.
PORTRAIT, FACE, OVAL = 250, 100, (68, 100)
# A box shows a face if its middle is nearer than this share of the face's width.
NEAR = 0.4
# Photos of scikit-image's that show nobody.
SCENES = (
    "coffee.png",
    "rocket.jpg",
    "gravel.png",
    "grass.png",
    "brick.png",
    "motorcycle_left.png",
    "hubble_deep_field.jpg",
)
SIZES = {2: (1920, 1080), 12: (4000, 3000), 24: (6000, 4000)}


@dataclass(frozen=True)
class GroupPhoto:
    image: Image
    middles: Floats  # (N, 2) x, y of the faces
    face: float  # their width

    def hits(self, boxes: Floats) -> tuple[int, int, int]:
        """How many faces have a box, how many boxes show none, how many show a face again."""
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2
        away = np.abs(middles[:, None] - self.middles[None]).max(axis=2, initial=0)
        is_near = away < NEAR * self.face
        found = int(is_near.any(axis=0).sum())
        false = int((~is_near.any(axis=1)).sum())
        return found, false, len(boxes) - false - found


def photographed(
    portraits: list[Image], size: tuple[int, int], face: float, seed: int
) -> GroupPhoto:
    """As many people as there are portraits, in rows, with faces of `face` pixels."""
    random = np.random.default_rng(seed)
    image = _background(size, random)
    middles = _places(len(portraits), size, face, random)
    for portrait, middle in zip(portraits, middles, strict=True):
        _put(image, portrait, middle, face / FACE)
    return GroupPhoto(_exposed(image, random), middles, face)


def empty(size: tuple[int, int], seed: int) -> Image:
    """A photo with nobody on it."""
    random = np.random.default_rng(seed)
    return _exposed(_background(size, random), random)


def _background(size: tuple[int, int], random: np.random.Generator) -> Image:
    """(rows, columns, 3) of this (width, height), without light and noise."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    tile = max(height // 3, 1)
    for top in range(0, height, tile):
        left = 0
        while left < width:
            scene = _scene(SCENES[random.integers(len(SCENES))], tile, random)
            part = image[top : top + tile, left : left + scene.shape[1]]
            part[:] = scene[: part.shape[0], : part.shape[1]]
            left += scene.shape[1]
    return image


def _scene(name: str, height: int, random: np.random.Generator) -> Image:
    """A photo at this height, in focus or not."""
    scene = cv2.imread(str(package_file("skimage", f"data/{name}")))
    assert scene is not None
    scale = height / scene.shape[0]
    scene = cv2.resize(scene, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    if random.random() < 0.5:
        scene = scene[:, ::-1]
    blur = float(random.choice([0, 0, 3, 8])) * height / 1000
    return cv2.GaussianBlur(scene, None, blur).astype(np.uint8) if blur else scene.astype(np.uint8)


def _places(count: int, size: tuple[int, int], face: float, random: np.random.Generator) -> Floats:
    """(count, 2) the middles of faces: in rows, every second one shifted, none quite in line."""
    width, height = size
    across = max(1, round(np.sqrt(count * width / height)))
    rows = -(-count // across)
    if width / across < 1.7 * face or height / rows < 2.1 * face:
        raise ValueError(f"{count} faces of {face} pixels do not fit into {width} x {height}")
    places = [
        (
            (column + 0.5) * width / across + random.uniform(-0.12, 0.12) * face,
            (row + 0.5) * height / rows + random.uniform(-0.2, 0.2) * face,
        )
        for row in range(rows)
        for column in range(across)
    ]
    return np.array(places[:count])


def _put(image: Image, portrait: Image, middle: Floats, scale: float) -> None:
    """Draw an oval of the portrait over the picture."""
    side = round(PORTRAIT * scale)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    person = cv2.resize(portrait, (side, side), interpolation=way).astype(np.float32)
    oval = np.zeros((side, side), np.float32)
    axes = (round(OVAL[0] * scale), round(OVAL[1] * scale))
    cv2.ellipse(oval, (side // 2, side // 2), axes, 0, 0, 360, (1.0,), -1)
    oval = np.asarray(cv2.GaussianBlur(oval, None, max(0.5, 4 * scale)), np.float32)[..., None]
    left, top = (round(float(value) - side / 2) for value in middle)
    cut = (
        slice(max(0, -top), min(side, image.shape[0] - top)),
        slice(max(0, -left), min(side, image.shape[1] - left)),
    )
    part = image[top + cut[0].start : top + cut[0].stop, left + cut[1].start : left + cut[1].stop]
    part[:] = (person[cut] * oval[cut] + part * (1 - oval[cut])).round().astype(np.uint8)


def _exposed(image: Image, random: np.random.Generator) -> Image:
    """The picture with light that changes from side to side, and with a camera's noise."""
    light = np.linspace(0.8, 1.1, image.shape[1], dtype=np.float32)[:, None]
    for top in range(0, len(image), 256):
        rows = image[top : top + 256] * light
        rows += random.normal(0, 3, rows.shape).astype(np.float32)
        image[top : top + 256] = np.clip(rows, 0, 255).astype(np.uint8)
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def portraits(folder: Path, count: int, seed: int = 0) -> list[Image]:
    """One photo of each of `count` people of a folder with a subfolder for each."""
    people = sorted(path for path in folder.iterdir() if path.is_dir())
    chosen = np.random.default_rng(seed).permutation(len(people))[:count]
    if len(chosen) < count:
        raise ValueError(f"{folder} has {len(people)} people, and {count} are needed")
    found = [cv2.imread(str(min(people[index].glob("*.jpg")))) for index in chosen]
    return [np.asarray(each, np.uint8) for each in found]
