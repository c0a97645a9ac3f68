"""Frames and lines are removed from a page; pictures that are not digits are rejected."""

import string
from collections.abc import Callable

import numpy as np
import pytest
from helpers import input_error, shifted_correlation
from PIL import Image, ImageDraw, ImageFont

from backends.errors import InputError
from dnn.datasets import load_dataset
from dnn.datasets.digits import load_digit_image
from dnn.datasets.digits.form import components
from dnn.datasets.digits.no_digit import why_no_digit

SIDE = 240
Draw = Callable[[ImageDraw.ImageDraw], object]


def two(draw, level=30):
    """Draw a 2 of curved strokes in the middle of the page."""
    draw.arc((85, 60, 155, 120), 180, 20, level, 12)
    draw.line([(150, 100), (90, 175), (160, 175)], level, 12, joint="curve")


def page(*draws, paper=220):
    image = Image.new("L", (SIDE, SIDE), paper)
    for draw in draws:
        draw(ImageDraw.Draw(image))
    return image


def read(image, folder, **settings):
    image.save(folder / "a.png")
    return load_digit_image(folder / "a.png", **settings)


def rulings(level, slant=0.0, squared=False, thickness=2):
    def draw(d):
        for at in range(-15, SIDE + 20, 27):
            d.line((0, at, SIDE, at + slant * SIDE), level, thickness)
            if squared:
                d.line((at, 0, at - slant * SIDE, SIDE), level, thickness)

    return draw


def frame(inset, width, level=40):
    return lambda d: d.rectangle((inset, inset, SIDE - 1 - inset, SIDE - 1 - inset), None, level, width)


@pytest.mark.parametrize(
    "under",
    [
        rulings(160), rulings(60), rulings(30), rulings(60, 0.03), rulings(90, -0.04),
        rulings(60, squared=True), rulings(90, 0.02, squared=True),
        frame(0, 3), frame(0, 14), frame(3, 10), frame(8, 12), frame(10, 3), frame(20, 4, 10),
        lambda d: d.line((12, SIDE, 12, 12, SIDE, 12), 40, 3),  # a frame, partly cut off
        lambda d: d.line((30, 0, 30, SIDE), 120, 3),  # a margin
        lambda d: d.rectangle((0, 90, 14, 140), 30),  # neighbouring content, cut off by the edge
    ],
)  # fmt: skip
def test_printed_lines_and_frames_are_removed(under, tmp_path):
    wanted = read(page(two), tmp_path)
    inverted = page(under, two).point(lambda level: 255 - level)
    got = read(inverted, tmp_path, only_digits=True)
    assert shifted_correlation(got, wanted) > 0.85


def scribble(d):
    points = np.random.default_rng(2).uniform(50, 190, (30, 2))
    d.line([tuple(point) for point in points], 30, 6)


@pytest.mark.parametrize(
    ("drawn", "complaint"),
    [
        (lambda d: d.rectangle((60, 60, 180, 180), 30), "filled"),
        (lambda d: d.ellipse((100, 100, 110, 110), 30), "filled"),  # a dot
        *(
            (lambda d, sides=sides: d.rectangle([SIDE * side for side in sides], 30), "margin")
            for sides in (
                (0, 0, 1, 0.45), (0, 0, 0.45, 1), (0.9, 0, 1, 1)
            )
        ),  # partly black pages
        (lambda d: [d.text((x, 70), "3", 30, font_size=100) for x in (40, 130)], "two or more digits"),
        (lambda d: [d.text((90, y), "5", 30, font_size=100) for y in (10, 110)], "two or more digits"),
        (lambda d: d.text((20, 90), "2048", 30, font_size=80), "digits"),
        (lambda d: d.line((50, 120, 190, 130), 30, 8), "wide"),
        (lambda d: d.line((60, 50, 180, 190), 30, 10), "falls"),
        (lambda d: d.rectangle((60, 60, 180, 180), None, 30, 8), "frame"),
        (scribble, "strokes"),
    ],
)  # fmt: skip
def test_rejects_pictures_that_are_not_digits(drawn, complaint, tmp_path):
    with input_error(rf"a\.png shows no.*({complaint})"):
        read(page(drawn), tmp_path, only_digits=True)


def test_rejects_shadows_and_noise(tmp_path):
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    noise = np.random.default_rng(0).uniform(0, 255, (SIDE, SIDE))
    for levels in (120 + 90 * x, 60 + 150 * np.hypot(x, y) / 1.5, noise):
        with input_error("shows no"):
            read(Image.fromarray(levels.astype(np.uint8)), tmp_path, only_digits=True)


@pytest.mark.parametrize(
    "drawn",
    [
        two,
        lambda d: d.ellipse((80, 60, 160, 180), None, 30, 10),
        lambda d: d.line((130, 50, 115, 190), 30, 10),
    ],
)
def test_digits_are_accepted(drawn, tmp_path):
    """A 2 is accepted, a ring as a 0 and an upright line as a 1."""
    np.testing.assert_array_equal(read(page(drawn), tmp_path, only_digits=True), read(page(drawn), tmp_path))


@pytest.mark.parametrize("style", ["", "-Bold", "-Oblique", "Serif", "SansMono"])
def test_rejects_letters_with_stems_or_feet(style, tmp_path):
    """In eleven fonts about 30 % of all letters are rejected; letters without a stem or two feet are not."""
    matplotlib = pytest.importorskip("matplotlib")
    name = f"DejaVu{'' if style.startswith('S') else 'Sans'}{style}.ttf"
    font = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/{name}", 140)

    def is_rejected(text):
        try:
            read(
                page(lambda d: d.text((120, 120), text, 30, font=font, anchor="mm")),
                tmp_path,
                only_digits=True,
            )
        except InputError as error:
            return "like the letters" in str(error) or "strokes" in str(error)
        return False

    assert all(map(is_rejected, "HMNWhmnw"))
    assert not any(map(is_rejected, string.digits))


@pytest.mark.slow
def test_rejects_less_than_half_a_per_cent_of_mnist(mnist_dir):
    """Uses a third of the last 10,000 training digits and a third of the test digits, to save time."""
    data = load_dataset("mnist", mnist_dir, download=False)
    for images in (data.x_train[50_000:], data.x_test):
        refused = [why_no_digit(image) is not None for image in images[::3].reshape(-1, 28, 28)]
        assert 0 < np.mean(refused) < 0.005


def test_components_match_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (1, 9), (30, 40), (41, 17)):
        mask = rng.random(shape) < 0.55
        labels, count = ndimage.label(mask)
        parts = list(components(mask))
        assert len(parts) == count
        assert sorted(part.tobytes() for part in parts) == sorted(
            (labels == n).tobytes() for n in range(1, count + 1)
        )
        sizes = [part.sum() for part in parts]
        assert sizes == sorted(sizes, reverse=True)
