"""Numba's dense layer: bias and activation in one compiled pass, where NumPy needs many."""

from typing import Any

import numpy as np

from backends.dispatch import override
from backends.numba.compiling import compiled
from backends.numba.elementwise import KINDS, activate
from backends.numpy.products import product

Array = np.ndarray


@compiled
def _bias_activation(y, b, kind):  # type: ignore[no-untyped-def]
    for i in range(y.shape[0]):
        row = y[i]
        for j in range(row.shape[0]):
            row[j] += b[j]
        activate(row, kind)


@override(dtypes=("float32",), kinds=KINDS)
def dense(xp: Any, kind: str, x: Array, W: Array, b: Array, y: Array) -> None:
    product(x, W, y)
    _bias_activation(y, b, KINDS[kind])
