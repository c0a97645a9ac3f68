"""CuPy on an NVIDIA GPU: element-wise CUDA kernels where the reference would need many launches.

A network this small is launch-bound: each kernel started from Python costs 5 to 15 us, more than its work.
The CUDA text is in ``backends/cupy``. None of it has run on a GPU yet: ``describe()`` says so. What can be
checked without one is: tests/backends/cupy/test_sources.py and test_kernels.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from backends import reference
from backends.backend import Backend
from backends.cupy import sources as cuda
from backends.cupy.diagnosis import usable_devices
from backends.dispatch import Override
from backends.errors import BackendUnavailable, InputError

Array = Any

KINDS = cuda.FUSED_KINDS


@cache
def elementwise(name: str) -> Any:
    """The cupy.ElementwiseKernel of this name; CuPy compiles it at its first call, for each dtype."""
    import cupy

    made = cuda.ELEMENTWISE[name]
    return cupy.ElementwiseKernel(
        made.inputs, made.outputs, made.operation, f"dnn_{name}", preamble=cuda.arithmetic(), no_return=True
    )


@cache
def row_kernels(dtype: str) -> Any:
    """The compiled ``rows.cu`` for a dtype ("float32" or "float64")."""
    import cupy

    return cupy.RawModule(code=cuda.rows(), options=(f"-DREAL={cuda.CTYPES[dtype]}",))


def _rows(name: str, dtype: Any) -> Any:
    return row_kernels(np.dtype(dtype).name).get_function(name)


def gather_rows(xp: Any, rows: Array, index: Array, out: Array, scale: float) -> None:
    if out.size:
        width = math.prod(rows.shape[1:])
        elementwise("gather_rows")(rows, index, width, out.dtype.type(scale), out)


def activation(xp: Any, kind: str, z: Array, y: Array) -> None:
    elementwise(f"activation_{kind}")(z, y)


def activation_backward(xp: Any, kind: str, dy: Array, z: Array, y: Array, dz: Array) -> None:
    elementwise(f"activation_backward_{kind}")(dy, y, dz)


def dense(xp: Any, kind: str, x: Array, W: Array, b: Array, y: Array) -> None:
    xp.matmul(x, W, out=y)
    elementwise(f"bias_activation_{kind}")(b, y)


def dense_backward(
    xp: Any,
    kind: str,
    dy: Array,
    x: Array,
    y: Array,
    W: Array,
    dz: Array,
    dW: Array,
    db: Array,
    dx: Array | None,
) -> None:
    batch, n = dy.shape
    if all(a.flags.c_contiguous for a in (dy, y, dz, db)):
        grid, block = (-(-n // 32),), (32, 32)
        arguments = (dy, y, np.int32(batch), np.int32(n), dz, db)
        _rows(f"backward_and_sums_{kind}", dy.dtype)(grid, block, arguments)
    else:
        elementwise(f"activation_backward_{kind}")(dy, y, dz)
        xp.sum(dz, axis=0, out=db)
    xp.matmul(x.T, dz, out=dW)
    if dx is not None:
        xp.matmul(dz, W.T, out=dx)


ROWS_A_BLOCK = 4  # one warp each


def softmax_cross_entropy(
    xp: Any, kind: str, logits: Array, targets: Array, losses: Array, dlogits: Array
) -> None:
    if not all(a.flags.c_contiguous for a in (losses, dlogits)):
        reference.softmax_cross_entropy(xp, kind, logits, targets, losses, dlogits)
        return
    batch, classes = logits.shape
    if batch == 0:  # CUDA refuses an empty grid
        return
    grid, block = (-(-batch // ROWS_A_BLOCK),), (32, ROWS_A_BLOCK)
    arguments = (
        xp.ascontiguousarray(logits),
        xp.ascontiguousarray(targets),
        np.int32(batch),
        np.int32(classes),
        losses,
        dlogits,
    )
    _rows(f"softmax_cross_entropy_{kind}", logits.dtype)(grid, block, arguments)


COUNT = (1.0, 0.0, 1.0, 0.0)  # what "advance" does to c1 and c2 where there are none


def sgd(
    xp: Any, p: Array, g: Array, velocity: Array, control: Array, momentum: float, nesterov: bool
) -> None:
    elementwise("advance")(*COUNT, control)
    elementwise("sgd")(g, control, momentum, nesterov, p, velocity)


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
    betas = (beta1, 1.0 - beta1, beta2, 1.0 - beta2)
    elementwise("advance")(*betas, control)
    elementwise("adam")(g, control, *betas, epsilon, p, m, v)


def adamw(
    xp: Any,
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    control: Array,
    beta1: float,
    beta2: float,
    epsilon: float,
    weight_decay: float,
) -> None:
    betas = (beta1, 1.0 - beta1, beta2, 1.0 - beta2)
    elementwise("advance")(*betas, control)
    elementwise("adamw")(g, control, *betas, epsilon, weight_decay, p, m, v)


def adagrad(xp: Any, p: Array, g: Array, total: Array, control: Array, epsilon: float) -> None:
    elementwise("advance")(*COUNT, control)
    elementwise("adagrad")(g, control, epsilon, p, total)


def rmsprop(
    xp: Any,
    p: Array,
    g: Array,
    v: Array,
    velocity: Array,
    control: Array,
    decay: float,
    epsilon: float,
    momentum: float,
) -> None:
    elementwise("advance")(*COUNT, control)
    elementwise("rmsprop")(g, control, decay, 1.0 - decay, epsilon, momentum, p, v, velocity)


def penalty(xp: Any, w: Array, g: Array, l1: float, l2: float) -> None:
    elementwise("penalty")(w, l1, l2, g)


def clip_norm(xp: Any, g: Array, limit: float) -> None:
    square = xp.reshape(xp.matmul(g, g), (1,))
    elementwise("clip_norm")(square, limit, g)


def clip_value(xp: Any, g: Array, limit: float) -> None:
    elementwise("clip_value")(limit, g)


def threefry(xp: Any, key: tuple[int, int], high: Array, low: Array, out: Array) -> None:
    elementwise("threefry")(np.uint32(key[0]), np.uint32(key[1]), high, low, out)


@dataclass(frozen=True, eq=False)
class CupyBackend(Backend):
    """CuPy arrays on one CUDA device; every call runs on that device."""

    OVERRIDES: ClassVar[Mapping[str, Override]] = {
        "gather_rows": Override(gather_rows),
        "activation": Override(activation, kinds=KINDS),
        "activation_backward": Override(activation_backward, kinds=KINDS),
        "dense": Override(dense, kinds=KINDS),
        "dense_backward": Override(dense_backward, kinds=KINDS),
        "softmax_cross_entropy": Override(softmax_cross_entropy),
        "sgd": Override(sgd),
        "adagrad": Override(adagrad),
        "rmsprop": Override(rmsprop),
        "adam": Override(adam),
        "adamw": Override(adamw),
        "penalty": Override(penalty),
        "clip_norm": Override(clip_norm),
        "clip_value": Override(clip_value),
        "threefry": Override(threefry),
    }

    def to_host(self, array: Array) -> np.ndarray:
        import cupy

        host: np.ndarray = cupy.asnumpy(array)
        return host

    def from_host(self, array: np.ndarray, dtype: Any = None) -> Array:
        import cupy

        with self.device:
            return cupy.asarray(array, dtype=dtype)

    def synchronize(self) -> None:
        self.device.synchronize()

    def describe_library(self) -> dict[str, Any]:
        import cupy

        runtime = cupy.cuda.runtime
        properties = runtime.getDeviceProperties(self.device.id)
        return {
            "cupy": cupy.__version__,
            "device_name": properties["name"].decode(),
            "cuda": runtime.runtimeGetVersion(),
            "driver": runtime.driverGetVersion(),
            "tf32": tf32(),
            "threads": None,
            "tested_on_gpu": False,
        }


def tf32(wanted: bool | None = None) -> bool:
    """Whether float32 products are of TF32 factors, after setting it; a switch of the whole process.

    CuPy's documented switch, CUPY_TF32, is read once, at the first product; this is what it sets.
    """
    from cupy._core import _routines_linalg as linalg

    if wanted is not None:
        kind = linalg.COMPUTE_TYPE_TF32 if wanted else linalg.COMPUTE_TYPE_DEFAULT
        linalg.set_compute_type(np.dtype("float32"), kind)
    return bool(linalg.get_compute_type(np.dtype("float32")) == linalg.COMPUTE_TYPE_TF32)


def make(device: Any, dtype: str, fused: bool, precision: str = "float32") -> CupyBackend:
    """The factory that ``get_backend("cupy")`` calls."""
    count = usable_devices()
    import array_api_compat.cupy as xp
    import cupy

    text = "0" if device is None else str(device).removeprefix("cuda").removeprefix(":") or "0"
    if isinstance(device, cupy.cuda.Device):
        text = str(device.id)
    if not text.isdecimal():
        raise InputError(f"device is {device!r}, expected 'cuda' or 'cuda:N' for the backend 'cupy'")
    if int(text) >= count:
        raise BackendUnavailable(
            f"backend 'cupy' has {count} CUDA device(s), got device {device!r}; expected cuda:0 to "
            f"cuda:{count - 1}"
        )
    place = cupy.cuda.Device(int(text))
    place.use()
    tf32(precision == "tf32")
    return CupyBackend("cupy", xp, place, dtype, fused, precision)
