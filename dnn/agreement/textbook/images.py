"""Augmentation of images, written out in plain NumPy for ``training``."""

from math import pi, sqrt, tan

import numpy as np

from dnn.layers import Layer, RandomElastic, RandomRotation, RandomTranslation


def interpolate(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return images (B, H, W, C) at positions (B, H, W) between pixels; outside of the image is 0."""
    shares = [
        np.maximum(1.0 - np.abs(place[..., None] - np.arange(n)), 0.0)
        for place, n in zip((rows, columns), images.shape[1:3], strict=True)
    ]
    return np.asarray(np.einsum("bhwi,bhwj,bijc->bhwc", *shares, images))


def smooth(layer: RandomElastic, noise: np.ndarray) -> np.ndarray:
    """Return noise (..., n) smoothed along its last axis by a Gaussian, in integers that sum to 4096."""
    far = np.subtract.outer(*[np.arange(noise.shape[-1])] * 2) / layer.sigma
    weights = np.floor(4096.0 / max(1.0, layer.sigma * sqrt(2.0 * pi)) * np.exp(-0.5 * far * far))
    return noise @ weights


def elastic_moves(layer: RandomElastic, bits: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the distances (B, 2, H, W) by which the noise moves each pixel, down and across."""
    bytes_ = np.concatenate([(bits >> (8 * i)) & 255 for i in range(7)], axis=1)[:, : 2 * height * width]
    noise = (2.0 * bytes_ - 255.0).reshape(-1, 2, width, height)
    down = np.floor(smooth(layer, noise) / 512.0 + 0.5).swapaxes(2, 3)
    return smooth(layer, down) * layer.strength * 2.0**-23


def augment(layer: Layer, u: np.ndarray, bits: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return augmented images (B, H, W, C), given 4 random numbers u (4, B) in [0, 1).

    Args:
        bits: (B, n) random integers of 63 bits, seven bytes of noise each; of RandomElastic.
    """
    _, height, width, _ = images.shape
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    down, across = y - middle_y, x - middle_x
    spread = (2.0 * u - 1.0)[..., None, None]
    moves = np.zeros((len(images), 2, 1, 1))
    angle = 0.0 * spread[0]
    if isinstance(layer, RandomTranslation):
        moves[..., 0, 0] = (layer.pixels - np.floor(u[:2] * (2 * layer.pixels + 1))).T
    elif isinstance(layer, RandomElastic):
        moves = elastic_moves(layer, bits, height, width)
        angle = 2.0 * np.arctan(spread[0] * tan(layer.degrees * pi / 360.0))
        across = (1.0 + layer.scale * spread[2]) * across + layer.shear * spread[3] * down
        down = (1.0 + layer.scale * spread[1]) * down
    elif isinstance(layer, RandomRotation):
        angle = spread[2] * layer.degrees * pi / 180.0
    rows = np.cos(angle) * down - np.sin(angle) * across + middle_y + moves[:, 0]
    columns = np.sin(angle) * down + np.cos(angle) * across + middle_x + moves[:, 1]
    return interpolate(images, rows, columns)
