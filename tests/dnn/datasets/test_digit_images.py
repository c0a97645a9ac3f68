"""Pictures of a digit are converted to MNIST's form; other files are rejected with one sentence."""

import numpy as np
import pytest
from helpers import input_error, shifted_correlation
from PIL import Image, ImageDraw

from dnn.datasets import load_dataset
from dnn.datasets.digits import form, image_shape_of, load_digit_image, photo
from dnn.datasets.pictures import grey_pages


def draw_page(ink=0, paper=255, mode="L"):
    """Return a page with a thick 7 in its lower right part."""
    page = Image.new("L", (200, 160), paper)
    ImageDraw.Draw(page).line([(90, 60), (150, 60), (110, 140)], ink, width=12, joint="curve")
    return page.convert(mode)


def save(image, path, **how):
    image.save(path, **how)
    return path


@pytest.fixture
def seven(tmp_path):
    """The result for the plain page, which the other forms of the page must match."""
    return load_digit_image(save(draw_page(), tmp_path / "plain.png"))


def assert_close(actual, desired, bound):
    """Compare images by the mean distance in grey levels (0 to 255)."""
    assert actual.shape == desired.shape
    assert np.abs(actual.astype(float) - desired).mean() <= bound


def centre_of_mass(image):
    rows, columns = np.indices(image.shape)
    return float((rows * image).sum() / image.sum()), float((columns * image).sum() / image.sum())


def test_result_has_the_form_of_mnist(seven):
    assert seven.shape == (28, 28)
    assert seven.dtype == np.uint8
    assert seven.flags.c_contiguous
    assert seven.max() == 255
    rows = np.flatnonzero(seven.any(1))
    columns = np.flatnonzero(seven.any(0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert np.allclose(centre_of_mass(seven), 14, atol=0.6)  # like MNIST's: average 14.0, not 13.5


@pytest.mark.parametrize(
    ("ink", "paper"), [(255, 0), (60, 190), (190, 60), (110, 150), (30, 100), (200, 140)]
)
def test_polarity_and_contrast(ink, paper, seven, tmp_path):
    assert_close(load_digit_image(save(draw_page(ink, paper), tmp_path / "a.png")), seven, 1)


def test_shadow_noise_and_dust_are_removed(seven, tmp_path):
    rng = np.random.default_rng(0)
    page = np.asarray(draw_page(50, 200), float)
    page -= np.linspace(0, 90, page.shape[1])  # the right is darker by half
    page += rng.normal(0, 6, page.shape)
    page[10:12, 20:22] = page[150:152, 10:12] = 20
    image = Image.fromarray(np.clip(page, 0, 255).astype(np.uint8))
    # Ink is paler in the dark part.
    assert_close(load_digit_image(save(image, tmp_path / "a.jpg", quality=80)), seven, 20)


def test_an_enlarged_mnist_digit_is_restored(mnist_dir, tmp_path):
    digits = load_dataset("mnist", mnist_dir, download=False).x_test[:20].reshape(-1, 28, 28)
    for digit in digits:
        big = np.kron(255 - digit, np.ones((3, 3), np.uint8))
        assert_close(load_digit_image(save(Image.fromarray(big), tmp_path / "a.png")), digit, 2)
        small = np.pad(255 - digit, ((9, 30), (20, 2)), constant_values=255)
        assert_close(load_digit_image(save(Image.fromarray(small), tmp_path / "a.png")), digit, 2)


def test_a_data_set_image_is_returned_unchanged(mnist_dir, tmp_path):
    digit = load_dataset("mnist", mnist_dir, download=False).x_train[7].reshape(28, 28)
    moved = np.roll(digit, 3, axis=1)  # scaling and centring would move it back
    for image in (digit, moved):
        assert np.array_equal(load_digit_image(save(Image.fromarray(image), tmp_path / "a.png")), image)


def test_eight_by_eight_images(tmp_path):
    data = load_dataset("digits")
    for row in data.x_test[:20]:
        digit = row.reshape(8, 8)
        page = np.kron(255 - np.pad(digit, 2), np.ones((10, 10), np.uint8))
        result = load_digit_image(save(Image.fromarray(page), tmp_path / "a.png"), data.image_shape)
        assert result.any(1).all()  # the ink fills the frame from top to bottom
        assert_close(result, np.clip(digit * (255 / digit.max()), 0, 255).astype(np.uint8), 40)


def test_a_small_data_set_image_is_unchanged_and_checked_in_mnists_form(tmp_path):
    digit = load_dataset("digits").x_test[8].reshape(8, 8)  # an 8
    path = save(Image.fromarray(digit), tmp_path / "a.png")
    assert np.array_equal(load_digit_image(path, (8, 8), only_digits=True), digit)


def test_rectangular_image_shape(tmp_path):
    result = load_digit_image(save(draw_page(), tmp_path / "a.png"), (56, 28))
    assert result.shape == (56, 28)
    rows = np.flatnonzero(result.any(1))
    columns = np.flatnonzero(result.any(0))
    assert np.ptp(columns) + 1 == 20
    assert np.ptp(rows) > 20  # aspect ratio kept: this 7 is taller than wide


@pytest.mark.parametrize("width", [1, 2, 3])
def test_thin_strokes_are_widened(width, tmp_path):
    def read(pen):
        page = Image.new("L", (280, 280), 255)
        ImageDraw.Draw(page).line([(60, 60), (200, 60), (120, 220)], 0, pen)
        return load_digit_image(save(page, tmp_path / "a.png"))

    thin = read(width)
    usual = read(18)
    assert thin.max() == 255
    assert np.ptp(np.flatnonzero(thin.any(1))) + 1 == 20
    assert 0.7 < thin.sum() / usual.sum() < 1.3
    assert np.corrcoef(thin.ravel(), usual.ravel())[0, 1] > 0.85


@pytest.mark.parametrize("slant", [-0.8, -0.3, 0.0, 0.4, 0.9])
def test_deskewing_removes_the_slant(slant, tmp_path):
    """A sheared ring is restored, but only with ``deskew``."""
    page = Image.new("L", (280, 280), 255)
    ImageDraw.Draw(page).ellipse((100, 40, 180, 240), None, 0, 18)
    ring = load_digit_image(save(page, tmp_path / "ring.png"))
    data = (1, slant, -140 * slant, 0, 1, 0)
    path = save(page.transform(page.size, Image.Transform.AFFINE, data, fillcolor=255), tmp_path / "a.png")

    assert shifted_correlation(load_digit_image(path, deskew=True), ring) > 0.9
    slanted = load_digit_image(path)
    assert (shifted_correlation(slanted, ring) > 0.9) == (abs(slant) < 0.2)
    Image.fromarray(slanted).save(path)  # an image in the data set's form is deskewed too
    assert shifted_correlation(load_digit_image(path, deskew=True), ring) > 0.8


def test_bytes_and_file_give_the_same_result(tmp_path):
    path = save(draw_page(), tmp_path / "a.png")
    np.testing.assert_array_equal(load_digit_image(path.read_bytes()), load_digit_image(path))
    for content in (b"", b"no picture", path.read_bytes()[:100]):
        with input_error(r"^the picture "):
            load_digit_image(content)


# Single steps, compared with their definitions


def test_background_plane_ignores_ink_at_the_border():
    y, x = np.mgrid[:120, :90]
    rng = np.random.default_rng(3)
    grey = 180 - 0.4 * x + 0.2 * y + rng.normal(0, 2.0, x.shape)
    border = form.border_of(grey)
    assert border.sum() == 120 * 90 - 112 * 82  # 4 % of 90, rounded, on each side
    assert border[:4].all()
    assert not border[4:-4, 4:-4].any()
    grey[:20, 30:45] = 20
    plane, noise = photo._fit_plane(grey, border)
    np.testing.assert_allclose(plane, 180 - 0.4 * x + 0.2 * y, atol=1.0)
    assert noise == pytest.approx(2.0, rel=0.1)


# Kinds of files; tests/dnn/datasets/test_hostile_pictures.py goes through all modes and formats


@pytest.mark.parametrize(
    ("level", "for_ink", "grey"),
    [(65535, True, 255), (65535, False, 255), (4095, True, 255), (4095, False, 15), (4096, True, 15)],
)
def test_12_bit_values_are_scaled_only_for_ink(level, for_ink, grey):
    page = Image.fromarray(np.full((2, 2), level, np.uint16))
    assert [np.asarray(found).tolist() for found in grey_pages(page, for_ink)] == [[[grey, grey]] * 2]


@pytest.mark.parametrize("ink", [0, 255])
def test_ink_on_a_transparent_ground(ink, seven, tmp_path):
    image = Image.new("L", (200, 160), ink).convert("LA")
    image.putalpha(draw_page(255, 0))
    assert_close(load_digit_image(save(image, tmp_path / "a.png")), seven, 1)


def test_a_palette_with_a_transparent_colour(seven, tmp_path):
    image = draw_page(mode="RGB").quantize(4)
    hidden = image.getpixel((0, 0))
    image.putpalette([200, 0, 0] * 4)  # all one colour: only the transparency shows the 7
    assert_close(load_digit_image(save(image, tmp_path / "a.png", transparency=hidden)), seven, 1)


# What is rejected


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"seven\n", "Unidentified"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "Unidentified"),
        (None, "cannot be read as an image .*, expected a complete PNG or JPEG file of at most 50 megap"),
    ],
)  # fmt: skip
def test_rejects_files_that_are_not_images(content, complaint, tmp_path):
    path = save(draw_page(), tmp_path / "digit.png")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with input_error(complaint) as caught:
        load_digit_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rejects_paths_that_are_not_files(tmp_path):
    with input_error(r"none\.png is not an existing file"):
        load_digit_image(tmp_path / "none.png")
    with input_error("is not an existing file, expected a PNG or JPEG"):
        load_digit_image(tmp_path)


@pytest.mark.parametrize("size", [(200, 160), (28, 28), (1, 1), (3000, 2), (2, 1)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_page(size, level, tmp_path):
    noise = np.random.default_rng(0).normal(180, 4, (300, 300)).astype(np.uint8)
    for page in (Image.new("L", size, level), Image.new("RGBA", size), Image.fromarray(noise)):
        with input_error(r"a\.png shows no ink"):
            load_digit_image(save(page, tmp_path / "a.png"))


# The input shape of a model


def test_image_shape_of():
    assert image_shape_of((784,)) == (28, 28)
    assert image_shape_of((64,)) == (8, 8)
    assert image_shape_of((12, 9)) == (12, 9)
    assert image_shape_of((1, 28, 28)) == image_shape_of((28, 28, 1)) == (28, 28)
    for bad in ((10,), (0,), (3, 32, 32), ()):
        with input_error("input_shape is"):
            image_shape_of(bad)


def test_image_shape_must_be_two_numbers(tmp_path):
    for bad in ((28,), (0, 28), (1, 50_000_001)):
        with input_error("image_shape is"):
            load_digit_image(tmp_path / "a.png", bad)
    with input_error("is not an existing file"):
        load_digit_image(tmp_path / "a.png", (1, 50_000_000))
