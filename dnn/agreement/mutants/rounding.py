"""Mistakes that are only rounding: the bounds allow them, and the reproducible precision does not."""

from typing import Any

import numpy as np

from backends.reference.signatures import Array
from dnn.agreement.mutants.mutant import Function, Mutant, wrap_call


def fuse_multiply_add(kernel: Function, activation: str, x: Array, W: Array, *rest: Any) -> None:
    """Round each multiply-add once, in float32. The kernel then multiplies the result by the unit matrix."""
    if x.dtype != np.float32 or not (np.isfinite(x).all() and np.isfinite(W).all()):
        kernel(activation, x, W, *rest)
        return
    total = np.zeros((len(x), W.shape[1]), dtype=np.float32)
    for k in range(W.shape[0]):
        exact = x[:, k : k + 1].astype(np.float64) * W[k].astype(np.float64)
        total = (exact + total).astype(np.float32)
    kernel(activation, total, np.eye(W.shape[1], dtype=np.float32), *rest)


ROUNDING_MUTANTS = (
    Mutant("fused-multiply-add", "a dense layer's products added before they are rounded",
           "bits", "dense", wrap_call(fuse_multiply_add)),
)  # fmt: skip
