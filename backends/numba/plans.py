"""Which plans the workers can do, and the records and arrays that they do them with."""

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.numba.elementwise import KINDS
from backends.numba.sparse import BYTES, COMPRESSED, FLOATS
from backends.numba.team import MOST, team
from backends.numba.update import CHUNK, MORE, Layer, Plan
from backends.numpy.backend import aligned_zeros
from backends.plan import Compressed
from backends.plan import Plan as Given
from backends.reference.optimizers import FLUSH_EVERY, MOMENT_FLOOR

SPARSE = 0.3  # the share of numbers other than 0 up to which they are taken one by one
MANY = 1024  # examples of a batch up to which a plan is faster; from 2000 on whole products are
LOOKED_AT = 1000  # rows of x by which that share is judged


def planned(given: Given) -> Callable[[int], None] | None:
    """``run(n)`` for n updates of the plan; None: it has what the workers cannot do, or there are none."""
    workers = team()
    weights = [a for layer in given.layers for a in (layer.W, layer.dW, *(W for W, _ in layer.slots))]
    if (
        workers is None
        or given.optimizer not in ("adam", "adamw")
        or given.order.shape[1] > MANY
        or not all(layer.activation in KINDS for layer in given.layers)
        or not all(_lies_as(np.float32, array) for array in weights)
        or not all(_lies_as(np.int64, array) for array in (given.y, given.order))
        or not _readable(given.x)
    ):
        return None
    made = _made(given)  # whose arrays live as long as the function that is returned

    def run(n: int) -> None:
        if not 0 <= int(given.position[0]) <= given.order.shape[0] - n:
            raise IndexError(f"{n} updates from batch {given.position[0]} on, of {given.order.shape[0]}")
        workers.run(made[0].ctypes.data, n)

    return run


def _made(given: Given) -> tuple[np.ndarray, list[np.ndarray]]:
    """The plan as a record of sizes and addresses, 0 where there is no array; and the arrays, to be kept."""
    kept: list[np.ndarray] = []

    def fill(record: Any, **values: Any) -> None:
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                kept.append(value)
                value = value.ctypes.data
            record[name] = 0 if value is None else value

    rows = given.order.shape[1]
    examples, inner = given.x.shape
    plan = np.zeros(1, Plan)
    layers = np.zeros(len(given.layers), Layer)
    for record, layer in zip(layers, given.layers, strict=True):
        n_in, n_out = layer.W.shape
        (mW, mb), (vW, vb) = layer.slots
        fill(
            record, n_in=n_in, n_out=n_out, kind=KINDS[layer.activation], W=layer.W, mW=mW, vW=vW,
            b=_floats(n_out) if layer.b is None else layer.b, mb=mb, vb=vb, dz=_floats(rows * n_out),
            inputs=_floats((rows + MORE) * n_in), parts=_floats(rows * n_out * MOST),
        )  # fmt: skip
    beta1, beta2, epsilon, *decay = given.settings
    sparse = _density(given.x) <= SPARSE
    apart = (rows + MORE) * inner if sparse else 0
    room = (CHUNK + 1) * int(layers["n_out"].max())
    fill(
        plan[0], y=given.y, order=given.order, position=given.position, accuracy=given.accuracy,
        rates=given.rates, control=given.control, sums=given.sums, scale=given.scale, **_source(given.x),
        **{name: aligned_zeros(apart, np.int32) for name in ("places", "counts", "heights", "starts")},
        rows=rows, inner=inner, examples=examples, layers=layers, depth=len(layers), sparse=sparse,
        changes=given.rates.shape[0], batch=layers[0]["inputs"], turned=_floats(apart),
        scratch=_floats(room * MOST), room=room,
        logits=_floats(rows * int(layers[-1]["n_out"]) * MOST),
        beta1=beta1, rest1=1.0 - beta1, beta2=beta2, rest2=1.0 - beta2, epsilon=epsilon,
        decay=decay[0] if decay else 0.0, floor=MOMENT_FLOOR, every=FLUSH_EVERY,
    )  # fmt: skip
    return plan, kept


def _floats(n: int) -> np.ndarray:
    return aligned_zeros(n, np.float32)


def _lies_as(dtype: Any, array: np.ndarray) -> bool:
    """Whether its numbers are of this type and lie one after another."""
    return array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned


def _readable(x: Any) -> bool:
    """Whether the workers can pick batches of it."""
    if isinstance(x, Compressed):
        return x.values.dtype == np.float32 and x.columns.dtype == np.int32 and _density(x) <= SPARSE
    return x.ndim == 2 and (_lies_as(np.uint8, x) or _lies_as(np.float32, x))


def _source(x: Any) -> dict[str, Any]:
    if isinstance(x, Compressed):
        return {"x": x.values, "columns": x.columns, "ends": x.starts, "form": COMPRESSED}
    return {"x": x, "form": BYTES if x.dtype == np.uint8 else FLOATS}


def _density(x: Any) -> float:
    """The share of numbers other than 0, in rows from all over x."""
    if isinstance(x, Compressed):
        return float(x.values.size) / max(1.0, float(x.shape[0]) * x.shape[1])
    some = x[:: max(1, x.shape[0] // LOOKED_AT)]
    return float(np.count_nonzero(some)) / max(1, int(some.size))
