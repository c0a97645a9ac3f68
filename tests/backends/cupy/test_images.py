"""CuPy's convolution in blocks of images; test_overrides.py tests the other kernels."""

import array_api_compat.numpy as npx
import host_cuda
import numpy as np
from helpers import assert_close

from backends.cupy import images


def zeros(*shapes):
    return tuple(np.zeros(shape, np.float32) for shape in shapes)


def test_blocks_of_images_give_the_same_sums(monkeypatch):
    host_cuda.install(monkeypatch)
    shapes = (5, 9, 9, 2), (5, 5, 2, 3), (5, 9, 9, 3)
    x, W, dz = (np.random.default_rng(2).random(shape, np.float32) for shape in shapes)
    made = []
    for most in (images.MAX_UNFOLDED_NUMBERS, 2 * 81 * 50):
        monkeypatch.setattr(images, "MAX_UNFOLDED_NUMBERS", most)
        made.append(zeros(W.shape, 3, x.shape))
        images.CupyImages(npx).conv2d_backward(dz, x, W, (1, 1), ((2, 2), (2, 2)), (1, 1), made[-1])
    for all_at_once, few in zip(*made, strict=True):
        assert_close(few, all_at_once, 1e-6)
