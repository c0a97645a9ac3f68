"""What the tests of the references against PyTorch and SciPy share."""

from __future__ import annotations

import numpy as np
import torch

TIGHT = 1e-12
"""Largest eta of a reference in float64."""


def T(a: np.ndarray) -> torch.Tensor:
    """A tensor of the array's numbers, in memory of its own."""
    return torch.from_numpy(np.array(a))
