"""Broken pictures are rejected with one sentence; unusual ones are read as the digit that they show.

Generated inputs: 800 broken pictures, 150 headers of huge ones and 100 unusual but valid ones, 1,050 in all.
"""

import io
import struct
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from helpers import input_error, shifted_correlation
from hostile import Refusal, attempt, broken_bytes, for_each
from hypothesis import strategies as st
from PIL import Image

from dnn.datasets.digits import load_digit_image
from dnn.datasets.pictures import decode

FORMATS = {
    "L": ("PNG", "GIF", "WEBP", "BMP", "JPEG"),
    "RGB": ("PNG", "JPEG", "WEBP", "BMP"),
    "RGBA": ("PNG", "WEBP"),
    "CMYK": ("JPEG",),
    "P": ("PNG", "GIF", "BMP"),
    "1": ("PNG", "BMP"),
    "I;16": ("PNG",),
    "LA": ("PNG",),
}
KINDS = [(mode, kind) for mode, kinds in FORMATS.items() for kind in kinds]
# EXIF orientation -> the transposition that an upright picture needs to be stored with it.
EXIF_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}  # fmt: skip


def in_mode(grey, mode):
    """Convert an (h, w) uint8 picture to a mode of Pillow."""
    if mode == "I;16":
        return Image.fromarray(grey.astype(np.uint16) * 257)
    return Image.fromarray(grey).convert(mode)


def encode(image, kind, orientation=None, frames=()):
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    if orientation is not None:
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = orientation
    if frames:
        options |= {"save_all": True, "append_images": list(frames)}
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def assert_read_or_refused(path):
    """Return whether the picture was read. Neither outcome may warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = attempt(load_digit_image, path)
    if isinstance(image, Refusal):
        return False
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    assert image.max() == 255
    return True


def strokes(height, width, seed):
    """Draw a digit: a few dark strokes on white, away from the border."""
    rng = np.random.default_rng(seed)
    page = np.full((height, width), 255, np.uint8)
    for _ in range(3):
        top = rng.integers(height // 5, height // 2)
        left = rng.integers(width // 5, width // 2)
        page[top : top + height // 3, left : left + max(2, width // 10)] = 0
    return page


def small_picture(form, height, width, seed):
    """Return a picture with strokes in a mode and format, as bytes."""
    mode, kind = form
    return encode(in_mode(strokes(height, width, seed), mode), kind)


SIDES = st.integers(11, 60)
PICTURES = st.builds(small_picture, st.sampled_from(KINDS), SIDES, SIDES, st.integers(0, 2**32 - 1))


@pytest.mark.slow
def test_broken_pictures_are_rejected(tmp_path):
    """800 cases, three quarters of them with a damaged file."""
    path = tmp_path / "digit"
    read = []

    @for_each(800, PICTURES.flatmap(lambda valid: st.one_of(st.just(valid), *[broken_bytes(valid)] * 3)))
    def check(content):
        path.write_bytes(content)
        read.append(assert_read_or_refused(path))

    assert 0.05 < np.mean(read) < 0.95
    assert [p.name for p in tmp_path.iterdir()] == ["digit"]


def png(width, height, content, depth=8, colour=0):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def test_huge_pictures_are_rejected_by_their_header(tmp_path):
    """150 cases with up to 2**62 pixels, more than there are bytes. No array of that size is allocated."""
    path = tmp_path / "digit.png"
    side = st.sampled_from([1, 10_000, 2**16, 2**31 - 1]) | st.integers(1, 2**31 - 1)
    depths = st.sampled_from([(8, 0), (16, 0), (8, 2), (16, 2), (8, 6), (1, 0), (8, 4)])

    @for_each(150, side, side, depths, st.binary(max_size=50))
    def check(width, height, form, content):
        path.write_bytes(png(width, height, zlib.compress(content), *form))
        text = str(attempt(load_digit_image, path).error)
        assert "at most 50 megapixels" in text
        assert ("is too large" in text) == (50_000_000 < width * height <= 2 * Image.MAX_IMAGE_PIXELS)


@pytest.mark.slow
def test_thousands_of_dots_take_little_memory():
    page = np.full((599, 599), 255, np.uint8)
    for row, column in np.ndindex(3, 3):
        page[30 + row : 570 : 7, 30 + column : 570 : 7] = 0
    content = encode(Image.fromarray(page), "PNG")
    tracemalloc.start()
    try:
        attempt(load_digit_image, content)
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()


def test_image_modes_and_formats_are_read_alike(tmp_path):
    """100 cases: all modes and formats, 16 bits, CMYK, EXIF rotation, animation, light on dark."""
    path = tmp_path / "odd"
    plain = tmp_path / "plain.png"

    @for_each(
        100,
        st.sampled_from(KINDS),
        st.integers(30, 60),
        st.integers(30, 60),
        st.integers(0, 2**32 - 1),
        st.integers(0, 9),
        st.booleans(),
    )
    def check(form, height, width, seed, orientation, inverted):
        mode, kind = form
        grey = strokes(height, width, seed)
        if inverted:
            grey = 255 - grey
        Image.fromarray(grey).save(plain)
        turned = kind in ("JPEG", "PNG", "WEBP")
        image = Image.fromarray(grey)
        if turned and orientation in EXIF_TRANSPOSITIONS:
            image = image.transpose(EXIF_TRANSPOSITIONS[orientation])
        frames = [in_mode(strokes(*grey.shape, seed + 1), mode)] if kind == "GIF" else []
        image = in_mode(np.asarray(image), mode)
        path.write_bytes(encode(image, kind, orientation if turned else None, frames))
        got = load_digit_image(path).astype(int)
        wanted = load_digit_image(plain).astype(int)
        if kind == "JPEG":
            assert shifted_correlation(got, wanted) > 0.8
        else:
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), MemoryError()])
def test_an_unreadable_picture_is_not_called_truncated(error):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise error

    with input_error(r"^it\.png cannot be read \((Input/output error|memory is full)\)$"):
        decode(Broken(), "it.png")
