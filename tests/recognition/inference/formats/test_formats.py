"""The formats before decoding: linear work whatever the bytes, honest oddities, transparency."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from recognition.inference import images
from recognition.inference.formats import jpeg, png, webp
from recognition.inference.formats.header import ImageError, refusal
from recognition.inference.images import orientation, upright
from tests.fuzz import hard_pictures as hard
from tests.fuzz.webp_bits import predicted
from tests.recognition.inference.test_images import (
    LOSSLESS,
    LOSSY,
    PHOTO,
    UPRIGHT,
    code_of,
    extended,
    open_picture,
    with_orientation,
)
from tests.support.photos import astronaut, encode, resized

SEQUENTIAL = ["jpeg", "jpeg with restarts"]
SAMSUNG = b"\0\0\x01\x0a\x0e\0\0\0Image_UTC_Data1700000000000SEFH" + bytes(24) + b"SEFT"


def test_it_works() -> None:
    header = jpeg.read(LOSSY["jpeg"])
    assert (header.width, header.height, header.has_end) == (128, 96, True)


# --- bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", range(256))
def test_the_walk_over_a_jpeg_has_few_steps(kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0

    class Counted:
        def search(self, data: bytes, at: int) -> object:
            nonlocal steps
            steps += 1
            return pattern.search(data, at)

    pattern = jpeg._MARKER
    monkeypatch.setattr(jpeg, "_MARKER", Counted())
    body = b"\xff\xd8" + bytes([0xFF, kind, 0, 2]) * 50_000
    assert code_of(body) in {"invalid_image", "truncated_image", "unsupported_format"}
    assert steps <= 1001


@pytest.mark.parametrize("scans", [1, 60, 61])
def test_the_scans_of_a_jpeg_are_bounded(scans: int) -> None:
    """10 of its own; so many pixels may be looked at 60 times, as long as there are 100 scans."""
    data = hard.more_scans(scans - 10, 4000, 2500, which=-1) if scans > 1 else LOSSY["jpeg"]
    assert outcome(data) == ("invalid_image" if scans > 60 else "decoded")


def outcome(data: bytes) -> str:
    try:
        open_picture(data)
    except ImageError as error:
        return error.code
    return "decoded"


def test_a_small_jpeg_of_101_scans() -> None:
    assert outcome(hard.more_scans(90, 64, 64, which=-1)) == "decoded"
    assert outcome(hard.more_scans(91, 64, 64, which=-1)) == "invalid_image"


@pytest.mark.parametrize("kind", [0xC3, 0xC5, 0xC9, 0xCA, 0xCF])
def test_kinds_of_jpeg_that_browsers_do_not_know(kind: int) -> None:
    data = LOSSY["jpeg"].replace(b"\xff\xc0", bytes([0xFF, kind]))
    assert code_of(data) == "unsupported_format"


@pytest.mark.parametrize("kind", [0x01, 0x02, 0xBF, 0xD8])
def test_segments_of_which_decoders_think_otherwise(kind: int) -> None:
    """What this walk jumps over, a decoder might look at."""
    odd = bytes([0xFF, kind, 0, 4, 1, 1])
    assert code_of(LOSSY["jpeg"][:2] + odd + LOSSY["jpeg"][2:]) == "invalid_image"


ROWS = b"".join(b"\0" + row.tobytes() for row in PHOTO[..., ::-1])


def png_of(pixels: bytes, *more: bytes) -> bytes:
    return hard.png(128, 96, *more, hard.png_chunk(b"IDAT", pixels))


def test_a_png_with_more_behind_its_pixels() -> None:
    assert np.array_equal(open_picture(png_of(zlib.compress(ROWS + bytes(60_000)))), PHOTO)
    assert code_of(png_of(zlib.compress(ROWS + bytes(70_000)))) == "invalid_image"


def test_a_png_with_less_than_its_pixels() -> None:
    """The file is whole, and rows are missing: decoders leave them black."""
    assert code_of(png_of(zlib.compress(ROWS[:-400]))) == "truncated_image"
    assert code_of(png_of(zlib.compress(ROWS)[:-600])) == "truncated_image"


def test_a_png_whose_pixels_are_not_packed() -> None:
    assert code_of(png_of(b"x" * 1000)) == "invalid_image"


def test_the_decoder_gets_the_picture_alone() -> None:
    text = hard.png_chunk(b"zTXt", b"a\0\0" + zlib.compress(b"b"))
    profile = hard.png_chunk(b"iCCP", b"a\0\0" + zlib.compress(b"b"))
    plain = png_of(zlib.compress(ROWS))
    assert png.for_decoder(png_of(zlib.compress(ROWS), text, profile) + b"more") == plain
    assert bytes(jpeg.for_decoder(LOSSY["jpeg"] + SAMSUNG)) == LOSSY["jpeg"]
    assert bytes(webp.for_decoder(LOSSY["webp"] + b"more")) == LOSSY["webp"]


@pytest.mark.parametrize("kind", [(1, 0, 1), (2, 0, 0), (16, 0, 1), (8, 4, 1), (16, 6, 1)])
@pytest.mark.parametrize("size", [(24, 24), (25, 31), (127, 96)])
def test_the_bytes_of_the_rows_of_a_png(kind: tuple[int, int, int], size: tuple[int, int]) -> None:
    """The decoder agrees on how many there are: of one less it lacks a row."""
    needed = png.bytes_of_rows(hard.png(*size, kind=kind))
    chunk = hard.png_chunk(b"IDAT", zlib.compress(bytes(needed)))
    assert open_picture(hard.png(*size, chunk, kind=kind)).shape[:2] == size[::-1]


def test_a_png_of_16_bits_counts_twice() -> None:
    deep = encode(PHOTO.astype(np.uint16) * 257)
    assert open_picture(deep, max_pixels=2 * 128 * 96).shape == PHOTO.shape
    assert code_of(deep, max_pixels=2 * 128 * 96 - 1) == "too_many_pixels"


def test_a_bmp_whose_pixels_are_missing() -> None:
    assert code_of(LOSSLESS["bmp"][:-1]) == "truncated_image"


@pytest.mark.parametrize("data", [hard.packed_bmp, lambda: predicted(1000, 1000)])
def test_odd_pictures_are_decoded(data: object) -> None:
    assert callable(data)
    assert outcome(data()) == "decoded"


# --- what honest cameras write --------------------------------------------------------------------


@pytest.mark.parametrize("name", SEQUENTIAL)
@pytest.mark.parametrize("behind", [b"", SAMSUNG, b"\xff\xe1\0\x20" + SAMSUNG, b"\xff" * 50])
def test_a_jpeg_without_its_end_marker(name: str, behind: bytes) -> None:
    whole = open_picture(LOSSY[name])
    assert np.array_equal(open_picture(LOSSY[name][:-2] + behind), whole)


@pytest.mark.parametrize("name", SEQUENTIAL)
@pytest.mark.parametrize("missing", [100, 500, 2000])
@pytest.mark.parametrize("behind", [b"", b"\xff\xe1\0\x20" + SAMSUNG])
def test_a_jpeg_without_its_end(name: str, missing: int, behind: bytes) -> None:
    assert code_of(LOSSY[name][: -2 - missing] + behind) == "truncated_image"


def test_a_progressive_jpeg_without_its_end_marker() -> None:
    """Nobody can tell whether scans are missing."""
    assert code_of(LOSSY["progressive jpeg"][:-2]) == "truncated_image"


# --- transparency ---------------------------------------------------------------------------------

ALPHA = np.zeros(PHOTO.shape[:2], np.uint8)
ALPHA[:40], ALPHA[40:60] = 255, 128


def transparent(suffix: str, depth: type = np.uint8) -> bytes:
    picture = np.dstack([PHOTO, ALPHA])
    scaled = picture.astype(np.uint16) * 257 if depth is np.uint16 else picture
    quality = (cv2.IMWRITE_WEBP_QUALITY, 101) if suffix == ".webp" else ()
    return encode(scaled, suffix, *quality)  # type: ignore[arg-type]


@pytest.mark.parametrize(("suffix", "depth"), [(".png", np.uint8), (".png", np.uint16)])
def test_what_is_transparent_is_not_seen(suffix: str, depth: type) -> None:
    seen = open_picture(transparent(suffix, depth)).astype(int)
    assert np.abs(seen[:40] - PHOTO[:40]).max() <= 1
    half = PHOTO[40:60] * (128 / 255) + 127
    assert np.abs(seen[40:60] - half).max() <= 2
    assert (seen[60:] == 255).all()


def test_a_transparent_webp() -> None:
    seen = open_picture(transparent(".webp"))
    assert np.array_equal(seen[:40], PHOTO[:40])
    assert (seen[60:] == 255).all()


def test_a_palette_with_a_transparent_colour() -> None:
    chunks = [
        hard.png_chunk(b"PLTE", b"\xff\0\0\0\0\xff"),
        hard.png_chunk(b"tRNS", b"\0"),
        hard.png_chunk(b"IDAT", zlib.compress((b"\0" + b"\0\1" * 16) * 32)),
    ]
    seen = open_picture(hard.png(32, 32, *chunks, kind=(8, 3, 0)))
    assert seen[0, :2].tolist() == [[255, 255, 255], [255, 0, 0]]


def test_grey_with_a_transparent_value() -> None:
    rows = b"".join(b"\0" + row.tobytes() for row in PHOTO[..., 0])
    chunks = [hard.png_chunk(b"tRNS", b"\0\7"), hard.png_chunk(b"IDAT", zlib.compress(rows))]
    seen = open_picture(hard.png(128, 96, *chunks, kind=(8, 0, 0)))
    assert np.array_equal(seen, np.repeat(PHOTO[..., :1], 3, axis=2))


def exif(value: int) -> bytes:
    data = with_orientation(LOSSY["jpeg"], value, "<")
    return data[12 : data.index(LOSSY["jpeg"][2:8])]


@pytest.mark.parametrize("value", UPRIGHT)
def test_a_transparent_picture_is_turned_upright_too(value: int) -> None:
    plain = transparent(".png")
    wanted = UPRIGHT[value](open_picture(plain))
    turned = plain[:33] + hard.png_chunk(b"eXIf", exif(value)) + plain[33:]
    assert np.array_equal(open_picture(turned), wanted)
    flat = transparent(".webp")
    inner = flat[12:] if flat[12:16] == b"VP8L" else flat[30:]
    body = extended(b"RIFF\0\0\0\0WEBP" + inner)
    size = body[24:30]
    chunk = b"EXIF" + struct.pack("<I", len(exif(value))) + exif(value)
    whole = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x18\0\0\0" + size + inner + chunk
    data = b"RIFF" + struct.pack("<I", len(whole)) + whole
    assert np.array_equal(open_picture(data), UPRIGHT[value](open_picture(flat)))


@pytest.mark.parametrize(
    "data",
    [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0", exif(9)],
)
def test_an_orientation_that_is_none(data: bytes) -> None:
    assert orientation(data) == 1


def test_an_opaque_picture_is_left_as_it_is() -> None:
    assert np.array_equal(upright(PHOTO, 1), PHOTO)


# --- other formats, by name -----------------------------------------------------------------------


def box(*brands: bytes) -> bytes:
    body = b"ftyp" + brands[0] + bytes(4) + b"".join(brands)
    return struct.pack(">I", len(body) + 4) + body + bytes(100)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (box(b"heic", b"mif1"), "HEIC"),
        (box(b"mif1", b"heic"), "HEIC"),
        (box(b"mif1", b"avif"), "AVIF"),
        (box(b"avif"), "AVIF"),
        (box(b"isom"), "a film"),
        (b"GIF89a" + bytes(100), "GIF"),
        (b"II*\0" + bytes(100), "TIFF"),
        (b"MM\0*" + bytes(100), "TIFF"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    ],
)
def test_a_refusal_names_the_format_and_what_to_do(data: bytes, name: str) -> None:
    assert code_of(data) == "unsupported_format"
    message = str(refusal(data))
    assert name in message
    assert "JPEG, PNG, WebP or BMP" in message


def test_the_size_that_an_avif_says_is_not_the_one_that_is_decoded() -> None:
    """Why AVIF is refused although OpenCV reads it: docs/decisions/0007."""
    try:
        whole = encode(resized(astronaut(), 0.5), ".avif")
    except cv2.error:
        pytest.skip("this OpenCV writes no AVIF")
    at = whole.index(b"ispe") + 8
    lying = whole[:at] + struct.pack(">II", 32, 32) + whole[at + 8 :]
    decoded = cv2.imdecode(np.frombuffer(lying, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (32, 32, 3)
    with pytest.raises(ImageError):
        images.read_header(lying)
