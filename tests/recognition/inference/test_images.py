"""Bytes to an upright picture: formats, orientation, limits before decoding, damage."""

import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recognition.inference import images
from recognition.inference.arrays import Image
from recognition.inference.images import ImageError, decode, read_header
from tests.fuzz import hard_pictures as hard
from tests.support.photos import astronaut, black_png, encode, resized

MB = 1024**2
PHOTO = np.ascontiguousarray(resized(astronaut(), 0.25)[:96])  # 128 x 96
LOSSLESS = {
    "png": encode(PHOTO),
    "grey png": encode(PHOTO[..., 0]),
    "bmp": encode(PHOTO, ".bmp"),
    "lossless webp": encode(PHOTO, ".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
}
LOSSY = {
    "jpeg": encode(PHOTO, ".jpg"),
    "progressive jpeg": encode(PHOTO, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "jpeg with restarts": encode(PHOTO, ".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    "webp": encode(PHOTO, ".webp", cv2.IMWRITE_WEBP_QUALITY, 90),
}


def extended(webp: bytes) -> bytes:
    """The WebP in the extended format (VP8X), with a chunk of metadata."""
    size = (128 - 1).to_bytes(3, "little") + (96 - 1).to_bytes(3, "little")
    header = b"VP8X" + struct.pack("<I", 10) + b"\x08\0\0\0" + size
    body = b"WEBP" + header + webp[12:] + b"EXIF" + struct.pack("<I", 4) + b"II*\0"
    return b"RIFF" + struct.pack("<I", len(body)) + body


EXTENDED = {
    "extended webp": extended(LOSSY["webp"]),
    "extended lossless webp": extended(LOSSLESS["lossless webp"]),
}
ALL = {**LOSSLESS, **LOSSY, **EXTENDED}


def open_picture(data: bytes, *, max_bytes: int = 10 * MB, max_pixels: int = 40_000_000) -> Image:
    return decode(data, max_bytes=max_bytes, max_pixels=max_pixels)


def code_of(data: bytes, **limits: int) -> str:
    with pytest.raises(ImageError) as caught:
        open_picture(data, **limits)
    assert str(caught.value).endswith(".")
    return caught.value.code


def test_it_works() -> None:
    assert np.array_equal(open_picture(LOSSLESS["png"]), PHOTO)


@pytest.mark.parametrize("name", ["bmp", "lossless webp", "extended lossless webp"])
def test_lossless_formats(name: str) -> None:
    assert np.array_equal(open_picture(ALL[name]), PHOTO)


@pytest.mark.parametrize("name", [*LOSSY, "extended webp"])
def test_lossy_formats(name: str) -> None:
    image = open_picture(ALL[name])
    assert image.shape == PHOTO.shape
    assert np.abs(image.astype(int) - PHOTO).mean() < 6


def test_the_webp_files_are_of_three_kinds() -> None:
    kinds = {ALL[name][12:16] for name in ("webp", "lossless webp", "extended webp")}
    assert kinds == {b"VP8 ", b"VP8L", b"VP8X"}


@pytest.mark.parametrize("name", ALL)
def test_the_header_alone_tells_the_size(name: str) -> None:
    header = read_header(ALL[name])
    assert (header.width, header.height) == (128, 96)
    assert header.format in name


def test_grey_becomes_three_channels() -> None:
    image = open_picture(LOSSLESS["grey png"])
    assert np.array_equal(image, np.repeat(PHOTO[..., :1], 3, axis=2))


def test_transparency_is_dropped() -> None:
    alpha = np.dstack([PHOTO, np.full(PHOTO.shape[:2], 255, np.uint8)])
    assert np.array_equal(open_picture(encode(alpha)), PHOTO)


def test_16_bits_become_8() -> None:
    image = open_picture(encode(PHOTO.astype(np.uint16) * 257))
    assert (image.dtype, image.shape) == (np.uint8, PHOTO.shape)
    assert np.abs(image.astype(int) - PHOTO).max() <= 1


def test_a_palette() -> None:
    """Written by hand, as no library here writes one: two colours, 32 x 32."""
    pixels = zlib.compress((b"\0" + b"\x0f\x0f\x0f\x0f") * 32)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 32, 32, 1, 3, 0, 0, 0)),
        (b"PLTE", b"\xff\0\0\0\0\xff"),
        (b"IDAT", pixels),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    image = open_picture(data)
    assert image[0, 0].tolist() == [0, 0, 255]  # BGR
    assert image[0, 4].tolist() == [255, 0, 0]


# --- orientation ----------------------------------------------------------------------------------


def with_orientation(jpeg: bytes, value: int, order: str) -> bytes:
    """The JPEG with an EXIF segment that says how it must be turned."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, value, 0)
    tiff = mark + struct.pack(order + "IH", 8, 1) + entry + struct.pack(order + "I", 0)
    segment = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


# What makes the stored picture upright.
UPRIGHT = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(image.transpose(1, 0, 2), 2),
    8: lambda image: np.rot90(image, 1),
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", UPRIGHT)
def test_exif_orientation(value: int, order: str) -> None:
    plain = open_picture(LOSSY["jpeg"])
    turned = open_picture(with_orientation(LOSSY["jpeg"], value, order))
    assert np.array_equal(turned, UPRIGHT[value](plain))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_is_none(value: int) -> None:
    turned = open_picture(with_orientation(LOSSY["jpeg"], value, "<"))
    assert np.array_equal(turned, open_picture(LOSSY["jpeg"]))


# --- limits, before decoding ----------------------------------------------------------------------


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        pytest.fail("the picture was decoded")

    monkeypatch.setattr(images.cv2, "imdecode", refuse)


def test_a_bomb_is_not_decoded(no_decoding: None) -> None:
    bomb = black_png(10_000, 10_000)
    assert len(bomb) < 20_000
    assert code_of(bomb) == "too_many_pixels"


def claiming(name: str, width: int, height: int) -> bytes:
    """A file whose header claims another size."""
    data = bytearray(ALL[name])
    match name:
        case "png":
            data[16:24] = struct.pack(">II", width, height)
            data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        case "bmp":
            data[18:26] = struct.pack("<ii", width, height)
        case "webp":
            data[26:30] = struct.pack("<HH", width, height)
        case "lossless webp":
            (bits,) = struct.unpack_from("<I", data, 21)
            size = (width - 1) | (height - 1) << 14
            data[21:25] = struct.pack("<I", bits & 0xF0000000 | size)
        case "extended webp":
            sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
            data[24:30] = sides
        case "jpeg":
            at = data.index(b"\xff\xc0") + 5
            data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


FORMATS = ["jpeg", "png", "webp", "lossless webp", "extended webp", "bmp"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_claim_of_100_megapixels_is_not_decoded(name: str, no_decoding: None) -> None:
    assert code_of(claiming(name, 10_000, 10_000)) == "too_many_pixels"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [(23, 400), (400, 23), (1, 1)])
def test_a_claim_of_too_few_pixels(name: str, size: tuple[int, int], no_decoding: None) -> None:
    assert code_of(claiming(name, *size)) == "image_too_small"


@pytest.mark.parametrize("name", ["png", "bmp", "jpeg"])
def test_no_pixels_at_all(name: str, no_decoding: None) -> None:
    assert code_of(claiming(name, 0, 0)) == "image_too_small"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [(129, 96), (96, 128), (64, 48), (200, 200)])
def test_a_header_that_lies_never_gives_a_picture_of_another_size(
    name: str, size: tuple[int, int]
) -> None:
    try:
        image = open_picture(claiming(name, *size))
    except ImageError as error:
        assert error.code in {"invalid_image", "truncated_image"}
    else:
        assert sorted(image.shape[:2]) == sorted(size)


@pytest.mark.parametrize("sides", [(2**31 - 1, 2**31 - 1), (-(2**31), 2**31 - 1), (128, -96)])
def test_the_signs_of_a_bmp(sides: tuple[int, int]) -> None:
    data = bytearray(LOSSLESS["bmp"])
    data[18:26] = struct.pack("<ii", *sides)
    if sides == (128, -96):  # stored from the top
        assert np.array_equal(open_picture(bytes(data)), PHOTO[::-1])
    else:
        assert code_of(bytes(data)) == "too_many_pixels"


def test_an_extended_webp_whose_parts_disagree() -> None:
    """The limits must hold for what is decoded, not for the frame around it."""
    inner = bytearray(LOSSY["webp"])
    inner[26:30] = struct.pack("<HH", 10_000, 10_000)
    with pytest.raises(ImageError):
        open_picture(extended(bytes(inner)))


def test_too_many_bytes(no_decoding: None) -> None:
    data = LOSSLESS["png"]
    assert code_of(data, max_bytes=len(data) - 1) == "image_too_large"


def test_limits_are_inclusive() -> None:
    data = LOSSLESS["png"]
    assert open_picture(data, max_bytes=len(data), max_pixels=128 * 96).shape == PHOTO.shape
    assert code_of(data, max_pixels=128 * 96 - 1) == "too_many_pixels"
    assert open_picture(encode(PHOTO[:24, :24])).shape == (24, 24, 3)
    assert code_of(encode(PHOTO[:23])) == "image_too_small"


# --- what is no picture ---------------------------------------------------------------------------


def test_nothing() -> None:
    assert code_of(b"") == "empty_image"


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"GIF89a" + bytes(100),
        b"II*\0" + bytes(100),
        b"<svg/>" * 9,
        b"%PDF-1.7",
        b"RIFF\0\0\0\0WAVE" + bytes(50),
        bytes(1000),
        b"\0\0\0\x1cftypavif" + bytes(100),
    ],
)
def test_other_formats(data: bytes) -> None:
    assert code_of(data) == "unsupported_format"


@pytest.mark.parametrize("name", ALL)
def test_truncated_anywhere(name: str) -> None:
    """Decoders fill the missing rest with grey; a face must not be sought in that."""
    data = ALL[name]
    step = max(1, len(data) // 150)
    # The last few bytes of some formats are padding or check sums of pixels that are all there.
    cuts = [*range(1, 64), *range(64, len(data) - 12, step)]
    codes = {code_of(data[:cut]) for cut in cuts}
    assert codes <= {"truncated_image", "invalid_image", "unsupported_format"}
    assert name == "bmp" or code_of(data[: len(data) // 2]) == "truncated_image"


@pytest.mark.parametrize("name", ALL)
def test_what_follows_the_picture_does_not_matter(name: str) -> None:
    """Phones append films and depth maps."""
    whole = open_picture(ALL[name])
    assert np.array_equal(open_picture(ALL[name] + b"more" * 50), whole)


def test_the_end_of_a_thumbnail_is_not_the_end() -> None:
    thumbnail = b"\xff\xe1" + struct.pack(">H", len(LOSSY["jpeg"]) + 2) + LOSSY["jpeg"]
    data = LOSSY["jpeg"][:2] + thumbnail + LOSSY["jpeg"][2:]
    assert open_picture(data).shape == PHOTO.shape
    assert code_of(data[:-100]) == "truncated_image"


def test_a_jpeg_of_two_frames() -> None:
    """Decoders take the first, limits must not be checked on the second."""
    at = LOSSY["jpeg"].index(b"\xff\xc0")
    frame = LOSSY["jpeg"][at : at + 19]
    assert code_of(LOSSY["jpeg"][:at] + frame + LOSSY["jpeg"][at:]) == "invalid_image"


def never_another_error(data: bytes) -> None:
    try:
        image = open_picture(data)
    except ImageError as error:
        assert error.code
    else:
        assert (image.dtype, image.ndim, image.shape[2]) == (np.uint8, 3, 3)


SIGNATURES = [
    b"",
    b"\xff\xd8\xff",
    b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"RIFF\x64\0\0\0WEBPVP8 ",
    b"RIFF\x64\0\0\0WEBPVP8L",
    b"RIFF\x64\0\0\0WEBPVP8X",
    b"BM",
]


@hypothesis_settings(max_examples=400, deadline=None)
@given(st.sampled_from(SIGNATURES), st.binary(max_size=300))
def test_random_bytes(signature: bytes, rest: bytes) -> None:
    never_another_error(signature + rest)


@hypothesis_settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(list(ALL)),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=5),
)
def test_damaged_pictures(name: str, damage: list[tuple[float, bytes]]) -> None:
    data = bytearray(ALL[name])
    for where, values in damage:
        at = int(where**3 * (len(data) - 4))  # the headers more often
        data[at : at + len(values)] = values
    never_another_error(bytes(data))


@pytest.mark.parametrize("length", [0, 1, 2, 0xFFFF])
def test_a_jpeg_segment_of_a_strange_length(length: int) -> None:
    data = LOSSY["jpeg"][:2] + b"\xff\xe1" + struct.pack(">H", length) + LOSSY["jpeg"][2:]
    never_another_error(data)


def test_a_png_of_200_000_chunks() -> None:
    chunk = struct.pack(">I", 0) + b"tEXt" + struct.pack(">I", zlib.crc32(b"tEXt"))
    never_another_error(LOSSLESS["png"][:33] + chunk * 200_000)


# --- Fewer pixels ---------------------------------------------------------------------------------


def opened(data: bytes) -> images.EncodedPicture:
    return images.open_picture(data, max_bytes=10 * MB, max_pixels=40_000_000)


# No side is a multiple of 8.
LARGE = np.ascontiguousarray(resized(astronaut(), 2)[:765, :1003])
OF_FORMATS = {
    "jpeg": encode(LARGE, ".jpg"),
    "progressive jpeg": encode(LARGE, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "grey jpeg": encode(LARGE[..., 0], ".jpg"),
    "png": encode(LARGE),
    "transparent png": encode(np.dstack([LARGE, np.full(LARGE.shape[:2], 200, np.uint8)])),
    "webp": encode(LARGE, ".webp", cv2.IMWRITE_WEBP_QUALITY, 90),
}


@pytest.mark.parametrize("name", OF_FORMATS)
@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
def test_a_picture_with_fewer_pixels(name: str, reduction: int) -> None:
    found = opened(OF_FORMATS[name]).decode(reduction)
    size = (-(-1003 // reduction), -(-765 // reduction))
    assert found.shape == (size[1], size[0], 3) and found.dtype == np.uint8
    whole = opened(OF_FORMATS[name]).decode()
    wanted = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("value", UPRIGHT)
def test_the_orientation_of_fewer_pixels(value: int) -> None:
    plain = OF_FORMATS["jpeg"]
    found = opened(with_orientation(plain, value, "<")).decode(4)
    assert np.array_equal(found, UPRIGHT[value](opened(plain).decode(4)))


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((4000, 3000), 4), ((3000, 4000), 4), ((6000, 20), 8), ((1280, 960), 2), ((1279, 24), 1)],
)
def test_how_far_a_picture_may_be_reduced(size: tuple[int, int], wanted: int) -> None:
    picture = images.EncodedPicture(b"", images.Header("jpeg", *size))
    assert picture.reduction(640) == wanted


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("name", ["jpeg", "progressive jpeg", "png", "webp"])
def test_a_truncated_picture_of_fewer_pixels(name: str, reduction: int) -> None:
    """All of it has to be there, even where the decoder needs less."""
    data = OF_FORMATS[name]
    for length in range(200, len(data) - 2, len(data) // 8):
        with pytest.raises(ImageError) as caught:
            opened(data[:length]).decode(reduction)
        assert caught.value.code == "truncated_image"


@pytest.mark.parametrize(("name", "wanted"), [("jpeg", 2), ("png", 1), ("many scans", 1)])
def test_what_takes_long_is_decoded_once(
    monkeypatch: pytest.MonkeyPatch, name: str, wanted: int
) -> None:
    """A decoder reads all scans of a JPEG, and all of another format, for fewer pixels too."""
    many = hard.more_scans(70, 2000, 2200, which=-1)  # 80 in all: half of the limit and more
    picture, count = opened({**OF_FORMATS, "many scans": many}[name]), 0
    real = cv2.imdecode

    def decoded(data: Any, flags: int) -> Any:
        nonlocal count
        count += 1
        return real(data, flags)

    monkeypatch.setattr(cv2, "imdecode", decoded)
    sides = picture.header.height, picture.header.width
    assert picture.decode(4).shape == (*(-(-side // 4) for side in sides), 3)
    assert picture.decode().shape == (*sides, 3)
    assert count == wanted
