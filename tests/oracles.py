"""Helpers shared by the comparisons of the reference kernels with PyTorch and SciPy."""

from math import sqrt

import numpy as np
import torch

from dnn.agreement import bounds

TIGHT = 1e-12
"""Largest eta of a reference in float64."""


def T(a):
    """Return a tensor with a copy of the array."""
    return torch.from_numpy(np.array(a))


def gradient_bound(inner, outer, index, batch, kappa):
    """Return the bound of eta of dW and db of layer l = ``index`` in float32.

    u [kappa (sum_i sqrt(n_in_i) + 10) + sum_{i > l} sqrt(n_out_i) + sqrt(B) + sum_{i < l} sqrt(n_in_i)]

    The terms are the error of the outputs P, magnified by kappa = norm(P) / norm(P - Y) since P - Y cancels;
    the error of the backward products; of the sum over the batch; and of the layer's input.

    Args:
        inner, outer: n_in and n_out of each layer.
    """
    ahead = sum(sqrt(k) for k in inner)
    back = sum(sqrt(n) for n in outer[index + 1 :])
    before = sum(sqrt(k) for k in inner[:index])
    return bounds.U * (kappa * (ahead + 10.0) + back + sqrt(batch) + before)
