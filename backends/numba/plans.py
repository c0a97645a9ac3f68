"""Run a plan on the worker threads: declare what they support, and build the records that they read."""

from typing import Any

import numpy as np

from backends.backend import RunUpdates
from backends.numba.elementwise import ACTIVATION_CODES
from backends.numba.sparse import BYTE_FORMAT, CSR_FORMAT, FLOAT_FORMAT
from backends.numba.update import CHUNK_ROWS, LAYER_DTYPE, PADDING_ROWS, PLAN_DTYPE
from backends.numba.worker_pool import MAX_WORKERS, worker_pool
from backends.numpy.backend import aligned_zeros
from backends.plan import Compressed, Plan, PlanForms

MAX_DENSITY = 0.3  # share of nonzero numbers up to which the sparse product is faster
DENSITY_SAMPLE_ROWS = 1000  # rows of x that the density is measured on
FORMS = PlanForms(
    dtypes=("float32",),
    optimizers=("adam",),
    max_slots=2,  # AMSGrad has a third
    activations=tuple(ACTIVATION_CODES),
    max_density=MAX_DENSITY,
    max_batch_size=1024,  # the workers are faster up to here; from 2000 on, layer by layer is faster
)


def compile_plan(plan: Plan) -> RunUpdates | None:
    """Return ``run(n)``, which makes n updates of a plan in FORMS; None if its arrays have gaps."""
    pool = worker_pool()
    x_fields = _describe_rows(plan.x)
    if pool is None or x_fields is None or not _is_contiguous(np.int64, plan.y):
        return None
    records = _build_records(plan, x_fields)  # they keep the arrays alive

    def run(n: int) -> None:
        if not 0 <= int(plan.position[0]) <= plan.order.shape[0] - n:
            raise IndexError(f"{n} updates from batch {plan.position[0]} on, of {plan.order.shape[0]}")
        pool.run(records[0].ctypes.data, n)

    return run


def _build_records(plan: Plan, x_fields: dict[str, Any]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return (the plan as one record of sizes and addresses, all arrays at these addresses).

    The address of an array that does not exist is 0.
    """
    arrays: list[np.ndarray] = []

    def fill(record: Any, **values: Any) -> None:
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                arrays.append(value)
                value = value.ctypes.data
            record[name] = 0 if value is None else value

    examples = plan.x if plan.examples is None else plan.examples
    if isinstance(examples, Compressed):
        density = examples.density
    else:  # measured on rows spread over all of x
        sample = examples[:: max(1, examples.shape[0] // DENSITY_SAMPLE_ROWS)]
        density = np.count_nonzero(sample) / sample.size
    rows = plan.order.shape[1]
    n_examples, n_inputs = plan.x.shape
    record = np.zeros(1, PLAN_DTYPE)
    layers = np.zeros(len(plan.layers), LAYER_DTYPE)
    for entry, layer in zip(layers, plan.layers, strict=True):
        n_in, n_out = layer.W.shape
        (mW, mb), (vW, vb) = layer.slots
        fill(
            entry, n_in=n_in, n_out=n_out, kind=ACTIVATION_CODES[layer.activation], W=layer.W, mW=mW, vW=vW,
            b=_floats(n_out) if layer.b is None else layer.b, mb=mb, vb=vb,
            dz=_floats(rows * n_out * MAX_WORKERS),
            inputs=_floats((rows + PADDING_ROWS) * n_in), slopes=_floats((rows + PADDING_ROWS) * n_in),
            parts=_floats(rows * n_out * MAX_WORKERS),
        )  # fmt: skip
    beta1, beta2, epsilon, *decay = plan.settings
    size = (rows + PADDING_ROWS) * n_inputs
    scratch_size = CHUNK_ROWS * int(layers["n_out"].max())
    fill(
        record[0], y=plan.y, order=plan.order, position=plan.position, accuracy=plan.accuracy,
        rates=plan.rates, control=plan.control, sums=plan.sums, scale=plan.scale, **x_fields,
        **{name: aligned_zeros(size, np.int32) for name in ("places", "counts", "row_indices", "starts")},
        rows=rows, n_inputs=n_inputs, n_examples=n_examples, layers=layers, n_layers=len(layers),
        sparse=density <= MAX_DENSITY, n_rates=plan.rates.shape[0], batch=layers[0]["inputs"],
        transposed=_floats(size), scratch=_floats(scratch_size * MAX_WORKERS), scratch_size=scratch_size,
        beta1=beta1, rest1=1.0 - beta1, beta2=beta2, rest2=1.0 - beta2, epsilon=epsilon,
        decay=decay[0] if decay else 0.0, smoothing=plan.label_smoothing,
    )  # fmt: skip
    return record, arrays


def _floats(n: int) -> np.ndarray:
    return aligned_zeros(n, np.float32)


def _is_contiguous(dtype: Any, array: np.ndarray) -> bool:
    """Return whether the array has this dtype, is C-contiguous and is aligned."""
    return array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned


def _describe_rows(x: Any) -> dict[str, Any] | None:
    """Return the fields of PLAN_DTYPE that describe x; None if the workers cannot load batches from x."""
    if isinstance(x, Compressed):
        return {"x": x.values, "columns": x.columns, "row_starts": x.starts, "x_format": CSR_FORMAT}
    for dtype, x_format in ((np.uint8, BYTE_FORMAT), (np.float32, FLOAT_FORMAT)):
        if _is_contiguous(dtype, x):
            return {"x": x, "x_format": x_format}
    return None
