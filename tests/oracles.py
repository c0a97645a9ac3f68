"""Helpers shared by the comparisons of the reference kernels with PyTorch and SciPy."""

import numpy as np
import torch

TIGHT = 1e-12
"""Largest eta of a reference in float64."""


def T(a):
    """Return a tensor with a copy of the array."""
    return torch.from_numpy(np.array(a))
