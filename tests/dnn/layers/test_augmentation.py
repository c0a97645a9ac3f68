"""Random changes of images: equal on every backend as documented, and the identity in inference."""

import numpy as np
import pytest
from helpers import NUMPY, NUMPY64, build_network, input_error
from scipy import ndimage

from backends import get_backend
from dnn import Dense, RandomElastic, RandomRotation, RandomTranslation, Reshape
from dnn.random import random_integers, stream_key


def views(backend, layer, images, times=1):
    """Return the layer's outputs for host images (B, H, W[, C]) in ``times`` training steps."""
    layer.build(images.shape[1:], backend, "view", False, seed=3, index=0)
    state = {name: backend.from_host(a) for name, a in layer.initial_state().items()}
    layer.state.update(state)
    layer.reserve(len(images), training=True)
    x = backend.from_host(images)
    return [np.array(backend.to_host(layer.forward(x, training=True))) for _ in range(times)]


def images(*shape):
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def draw_numbers(layer, batch, pairs, step=0):
    """Return the four numbers in [0, 1) of each image (4, B), from the stream of the layer in ``views``."""
    key = stream_key(3, type(layer).__name__, 0)
    words = random_integers(NUMPY, key, step, batch * pairs).reshape(batch, pairs)[:, :2]
    return np.stack([words >> 32, words % 2**31], axis=2).reshape(batch, 4).T / 2.0**31


def turns(angle):
    return np.moveaxis(np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]), -1, 0)


@pytest.mark.parametrize("shape", [(40, 5, 6), (40, 5, 6, 3)])
def test_translations_are_those_of_the_stream(backend, shape):
    x = images(*shape)
    layer = RandomTranslation(2)
    wide = np.pad(x, [(0, 0), (2, 2), (2, 2), *[(0, 0)] * (x.ndim - 3)])
    for step, found in enumerate(views(backend, layer, x, 2)):
        moves = np.floor(5 * draw_numbers(layer, 40, 2, step)[:2].T).astype(int) - 2
        for image, view, (down, right) in zip(wide, found, moves, strict=True):
            np.testing.assert_array_equal(view, image[2 - down : 7 - down, 2 - right : 8 - right])


def test_angles_scales_and_slants_are_those_of_the_stream():
    backend, x = NUMPY64, images(40, 5, 6).astype(np.float64)
    layer = RandomRotation(30.0)
    views(backend, layer, x)
    wanted = turns(np.radians(30.0) * (2 * draw_numbers(layer, 40, 2)[2] - 1))
    np.testing.assert_allclose(layer._buffers[40].matrix, wanted, rtol=1e-13, atol=1e-15)
    layer = RandomElastic(0.0, degrees=40.0, scale=0.3, shear=0.2)
    views(backend, layer, x)
    t, high, wide, slant = 2 * draw_numbers(layer, 40, 2 + 9) - 1  # 60 bytes of noise are in 9 words
    stretch = np.moveaxis(np.array([[1 + 0.3 * high, 0 * t], [0.2 * slant, 1 + 0.3 * wide]]), -1, 0)
    wanted = turns(2 * np.arctan(t * np.tan(np.radians(20.0)))) @ stretch
    np.testing.assert_allclose(layer._buffers[40].matrix, wanted, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("shape", [(40, 11, 9), (5, 7, 12, 3)])
def test_distortions_have_the_same_bits_everywhere(backend, shape):
    """Sums are of integers below 2^24; other operations are +, -, *, / and floor, never fused."""
    x = images(*shape)
    settings = {"strength": 20.0, "sigma": 3.0, "degrees": 15.0, "scale": 0.2, "shear": 0.2}
    found = views(backend, RandomElastic(**settings), x, 2)
    expected = views(get_backend("numpy", fused=False), RandomElastic(**settings), x, 2)
    np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(*found)


@pytest.mark.parametrize("name", ["scale", "shear", "degrees", None])
def test_distortions_match_scipy(backend, name):
    """Compare with SciPy's map_coordinates (zeros outside), and its Gaussian filter for the moves."""
    x, settings = images(6, 20, 18), {name: 0.3} if name else {}
    layer = RandomElastic(0.0 if name else 60.0, 3.0, **settings)
    (found,) = views(backend, layer, x)
    keep, (height, width) = layer._buffers[6], x.shape[1:]
    bits, moves, matrix = (np.array(backend.to_host(a)) for a in (keep.bits, keep.moves, keep.matrix))
    if name is None:
        parts = np.concatenate([(bits[:, 2:] >> 8 * i) % 256 for i in range(7)], axis=1)
        noise = (parts[:, : 2 * height * width] * 2.0 - 255) / 256
        noise = noise.reshape(6, 2, width, height).transpose(0, 1, 3, 2)
        smooth = ndimage.gaussian_filter(noise, (0, 0, 3.0, 3.0), mode="constant", truncate=8.0)
        np.testing.assert_allclose(moves, 60.0 * smooth, atol=0.05)
        assert 0.5 < moves.std() / (0.16 * 60.0 / 3.0) < 1.1  # less at the borders
    else:
        np.testing.assert_array_equal(moves, 0.0)
        assert np.abs(matrix - np.eye(2)).max() < 0.31
        assert np.abs(np.linalg.det(matrix) - 1.0).max() < (0.7 if name == "scale" else 1e-6)
    middle = np.asarray([(height - 1) / 2, (width - 1) / 2])
    places = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), axis=-1) - middle
    for image, view, m, move in zip(x, found, matrix, moves, strict=True):
        at = np.einsum("ij,hwj->ihw", m, places) + middle[:, None, None] + move
        padded = np.pad(image, 2)  # SciPy does not interpolate towards pixels outside
        wanted = ndimage.map_coordinates(padded, at + 2, order=1, mode="constant")
        np.testing.assert_allclose(view, wanted, atol=2e-5)


def test_a_gaussian_narrower_than_a_pixel_does_not_smooth():
    layer = RandomElastic(2.0, 0.1)
    views(NUMPY, layer, images(3, 4, 5))
    bits, moves = layer._buffers[3].bits[:, 2:], layer._buffers[3].moves
    noise = np.concatenate([bits >> 8 * i & 255 for i in range(7)], axis=1)[:, :40] * 2.0 - 255
    np.testing.assert_array_equal(moves, 2.0 * noise.reshape(3, 2, 5, 4).transpose(0, 1, 3, 2) / 256)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: build_network([Dense(16), Reshape((4, 4)), RandomTranslation(1)]),
            "is in the wrong place, expected .* before all trained layers",
        ),
        (lambda: build_network([RandomRotation(5.0)]), "expected images .*put Reshape before it"),
        (lambda: RandomTranslation(0), "pixels is 0"),
        (lambda: RandomTranslation(height_factor=0.1), "no argument 'height_factor'; use pixels="),
        (lambda: RandomRotation(-1), "degrees is -1"),
        (lambda: RandomRotation(360.0), "degrees is 360"),
        (lambda: RandomElastic(-1), "strength is -1"),
        (lambda: RandomElastic(1.0, sigma=0), "sigma is 0"),
        (lambda: RandomElastic(1.0, degrees=180), "degrees is 180"),
        (lambda: RandomElastic(1.0, scale=1), "scale is 1"),
        (lambda: RandomElastic(1.0, scale=-0.1), "scale is -0.1"),
        (lambda: RandomElastic(1.0, shear=-0.1), "shear is -0.1"),
    ],
)
def test_rejects_invalid_positions_and_settings(make, message):
    with input_error(message):
        make()
