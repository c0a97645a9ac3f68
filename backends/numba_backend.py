"""NumPy arrays with Numba's compiled loops where NumPy needs many passes (the extra ``fast``).

One thread beside the BLAS: a second pool of waiting threads would cost more than it saves. The loops are
compiled on first use for the machine at hand and kept on disk, beside the package's own byte code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numba
import numpy as np

from backends import numpy_backend
from backends.dispatch import Override
from backends.numpy_backend import NumpyBackend
from backends.reference import FLUSH_EVERY, MOMENT_FLOOR

Array = np.ndarray
# "contract" lets a product and a sum become one fused instruction, rounded once instead of twice; every
# other liberty of fast math is left out, since NaN and infinity must pass through.
_compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")


@_compiled
def _gather(rows, index, out, scale):  # type: ignore[no-untyped-def]
    for i in range(index.shape[0]):
        row = rows[index[i]]
        for j in range(out.shape[1]):
            out[i, j] = row[j] * scale


@_compiled
def _sgd(p, g, velocity, rate, momentum, nesterov, floor):  # type: ignore[no-untyped-def]
    for i in range(p.shape[0]):
        v = momentum * velocity[i] + g[i]
        if abs(v) < floor:
            v *= 0
        velocity[i] = v
        p[i] -= rate * (g[i] + momentum * v if nesterov else v)


@_compiled
def _adam(p, g, m, v, rate, beta1, rest1, beta2, rest2, epsilon, floor):  # type: ignore[no-untyped-def]
    zero = p.dtype.type(0)
    for i in range(p.shape[0]):
        mi = beta1 * m[i] + rest1 * g[i]
        vi = beta2 * v[i] + rest2 * (g[i] * g[i])
        mi = zero if abs(mi) < floor else mi
        vi = zero if vi < floor else vi
        m[i] = mi
        v[i] = vi
        p[i] -= rate * mi / (np.sqrt(vi) + epsilon)


def gather_rows(xp: Any, rows: Array, index: Array, out: Array, scale: float) -> None:
    if rows.ndim == 2 and rows.dtype == np.uint8:
        _gather(rows, index, out, out.dtype.type(scale))
    else:
        numpy_backend.gather_rows(xp, rows, index, out, scale)


def _floor(control: Array) -> Any:
    """Below what a moment becomes 0 in this update: nothing but on every FLUSH_EVERY-th."""
    return control.dtype.type(MOMENT_FLOOR if control[3] % FLUSH_EVERY == 0 else 0.0)


def sgd(
    xp: Any, p: Array, g: Array, velocity: Array, control: Array, momentum: float, nesterov: bool
) -> None:
    if momentum == 0.0:
        numpy_backend.sgd(xp, p, g, velocity, control, momentum, nesterov)
        return
    control[3] += 1.0
    _sgd(p, g, velocity, control[0], p.dtype.type(momentum), nesterov, _floor(control))


def adam(
    xp: Any,
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    control: Array,
    beta1: float,
    beta2: float,
    epsilon: float,
) -> None:
    rate, floor = numpy_backend.advance_adam(control, beta1, beta2, epsilon)
    number = p.dtype.type
    _adam(
        p,
        g,
        m,
        v,
        rate,
        number(beta1),
        number(1.0 - beta1),
        number(beta2),
        number(1.0 - beta2),
        floor,
        _floor(control),
    )


@dataclass(frozen=True, eq=False)
class NumbaBackend(NumpyBackend):
    """NumPy's backend with compiled optimizers and batch picking."""

    OVERRIDES: ClassVar[Mapping[str, Override]] = {
        **NumpyBackend.OVERRIDES,
        "gather_rows": Override(gather_rows),
        "sgd": Override(sgd),
        "adam": Override(adam),
    }

    def describe_library(self) -> dict[str, Any]:
        return {"numba": numba.__version__, **super().describe_library()}


def make(device: Any, dtype: str, fused: bool) -> NumbaBackend:
    """The factory that ``get_backend("numba")`` calls."""
    plain = numpy_backend.make(device, dtype, fused)
    return NumbaBackend("numba", plain.xp, plain.device, dtype, fused)
