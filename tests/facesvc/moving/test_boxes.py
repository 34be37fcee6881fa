"""The size of a picture as its first bytes say it, and which face is at a place."""

import io

import pytest
from PIL import Image

from facesvc.moving.boxes import Place, index_at, upright_size

_ORIENTATION = 0x0112
LEFT, RIGHT = ({"x": x, "y": 20, "width": 30, "height": 40} for x in (10, 150))


def encoded(kind: str, orientation: int = 1, *, progressive: bool = False) -> bytes:
    image = Image.new("RGB", (200, 100))
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    image.save(file := io.BytesIO(), kind, exif=exif, progressive=progressive)
    return file.getvalue()


def test_it_works() -> None:
    picture = encoded("JPEG")
    assert index_at(Place(0.05, 0.2, 0.15, 0.4), [RIGHT, LEFT], picture) == 1
    assert index_at(Place(0.74, 0.15, 0.18, 0.5), [RIGHT, LEFT], picture) == 0
    assert index_at(Place(0.4, 0.2, 0.15, 0.4), [RIGHT, LEFT], picture) is None
    assert index_at(Place(0.05, 0.2, 0.15, 0.4), [], picture) is None
    assert index_at(Place(0.05, 0.2, 0.15, 0.4), [LEFT], b"GIF89a") is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("progressive", [False, True])
def test_the_size_of_a_jpeg(orientation: int, progressive: bool) -> None:
    size = (200, 100) if orientation < 5 else (100, 200)
    assert upright_size(encoded("JPEG", orientation, progressive=progressive)) == size


def test_the_size_of_a_png() -> None:
    assert upright_size(encoded("PNG")) == (200, 100)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_no_damage_breaks_it(kind: str) -> None:
    whole = encoded(kind, 6)
    for end in range(min(len(whole), 700)):
        upright_size(whole[:end])
        upright_size(whole[:end] + bytes([whole[end] ^ 0xFF]) + whole[end + 1 :])


def test_a_box_without_an_area() -> None:
    assert index_at(Place(0, 0, 0, 0), [LEFT], encoded("PNG")) is None
