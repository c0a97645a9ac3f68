"""L0 and L3: compare calls of every kernel and of every optimizer's step (``calls``) with the reference in
float64.

The inputs of a kernel are compared too, since a kernel must not change them, and so is the memory before and
behind each array. Native PyTorch has steps, but no other kernels.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import sqrt

import numpy as np

from backends.reference.optimizers import UPDATES
from dnn.agreement import bounds
from dnn.agreement.calls import dense_calls, image_calls, step_calls, vector_calls
from dnn.agreement.calls.call import MEASURED, Call, Draw, make_draw
from dnn.agreement.contenders.contender import Contender
from dnn.agreement.contenders.oracle import make_disturbed_oracle, measure_condition
from dnn.agreement.larger_calls import LargerCalls
from dnn.agreement.records import Record, count_different
from dnn.agreement.setup import Setup
from dnn.layers import Conv2D, Dense, Flatten
from dnn.random import host_normal, host_uniform, stream_key
from dnn.sequential import Sequential
from dnn.typing import HostArrays

CALL_GENERATORS: Mapping[str, tuple[Callable[[Draw], Iterable[Call]], ...]] = {
    "L0": (
        vector_calls.stream_calls, vector_calls.row_calls, vector_calls.gradient_calls,
        dense_calls.dense_calls, dense_calls.activation_calls, dense_calls.loss_calls, dense_calls.norm_calls,
        image_calls.convolution_calls, image_calls.pooling_calls, image_calls.warp_calls,
    ),
    "L3": (step_calls.step_calls,),
}  # fmt: skip
"""Level -> functions of a ``Draw`` that yield calls; long arrays of one follow short ones of another."""
MAX_DOUBLES = 20000
"""Numbers in the arrays of a call up to which it is made in float64 too."""


def kernel_level(setup: Setup) -> Iterator[Record]:
    """Compare every call of the level. Integers must be equal; see ``Call`` for other bounds.

    A quarter has several threads; generators yield up to four kernels in turn.
    """
    larger = LargerCalls(setup)
    for make_calls in CALL_GENERATORS[setup.level]:
        for number, call in enumerate(make_calls(make_draw(setup.seed))):
            with setup.in_threads(several=number // 4 % 4 == 3):
                yield from judge_call(setup, call)
            for repeated, results in larger.repeat(call) if is_short(call) else ():
                with setup.in_threads(several=not is_short(repeated)):
                    yield from judge_call(setup, repeated, ["float32"], results)


def initializer_level(setup: Setup) -> Iterator[Record]:
    """Compare initial weights with He's and Glorot's formulas in float64; the weights are rounded once."""
    key = stream_key(setup.seed, "weights")
    shape = 3, 3, 9, 16
    n_in, n_out = 9 * 9, 9 * 16

    def compute(name: str, c: Contender) -> HostArrays:
        layers = [Conv2D(16, 3, initializer=name), Flatten(), Dense(1)]
        model = Sequential(layers, input_shape=(6, 6, 9), backend=c.backend, seed=setup.seed)
        return model.parameters.to_host()

    for name in ("glorot_uniform", "glorot_normal", "he_uniform", "he_normal"):
        w = host_normal(key, shape)
        if name.endswith("uniform"):
            w = sqrt(3.0) * (2.0 * host_uniform(key, shape) - 1.0)
        w = w * sqrt(2.0 / (n_in if name.startswith("he") else n_in + n_out))
        expected = {"conv2d_1.W": w}
        yield from setup.compare(f"initializer {name}", partial(compute, name), bounds.U, expected=expected)


def is_short(call: Call) -> bool:
    return call.repeat * sum(array.size for array in call.arrays.values()) < MAX_DOUBLES


def judge_call(
    setup: Setup,
    call: Call,
    dtypes: Sequence[str] = ("float32", "float64"),
    expected: HostArrays | None = None,
) -> list[Record]:
    """Compare all arrays after a call; in float64 only short ones, see ``Call.for_float64``.

    Args:
        expected: arrays after the call in float32; None: the oracle's.
    """
    written = call.outputs
    single = setup.oracle.kernel(call) if expected is None else expected
    condition = dict.fromkeys(single, call.condition)
    if call.condition == MEASURED and call.n_terms and expected is None:
        # A few numbers may change little by chance, so short calls are disturbed more often.
        disturbed = make_disturbed_oracle(setup.seed)
        times = range(4 if is_short(call) else 1)
        condition = measure_condition((disturbed.kernel(call) for _ in times), single)

    def judge(dtype: str) -> list[Record]:
        unit = bounds.UNIT_ROUNDOFFS[dtype] * (1.0 if dtype == "float32" else 2.0)
        made = call if dtype == "float32" else call.for_float64()
        wanted = single if made is call else setup.oracle.kernel(made)

        def error(tensor: str, got: np.ndarray, expected: np.ndarray) -> float:
            if tensor == "control":
                same = got[UPDATES] == expected[UPDATES]
                return bounds.relative_error(got, expected, 1e-30) if same else np.inf
            if tensor not in written or expected.dtype.kind != "f" or not call.n_terms:
                return count_different(tensor, got, expected)
            finite = np.isfinite(expected)
            x64 = expected[finite]
            if count_different(tensor, got[~finite], expected[~finite]):
                return np.inf
            if call.floor:
                return bounds.relative_error(got[finite], x64, call.floor if expected.ndim > 1 else 1.0)
            if tensor == "p":  # p - step may cancel; then the rounding errors of p and of the step dominate
                size = bounds.norm(x64) + bounds.norm(call.arrays["p"][finite])
                return bounds.norm(got[finite] - x64) / (size or 1.0)
            return bounds.eta(got[finite], x64)

        def bound(tensor: str, _: float) -> float:
            if tensor not in written or not call.n_terms:
                return 0.0
            return call.repeat * bounds.layer(call.n_terms, unit, max(1.0, condition[tensor]))

        some = setup if dtype == "float32" and is_short(call) else setup.without_repetitions()
        return some.compare(call.label, lambda c: c.in_dtype(dtype).kernel(made), bound, error, dtype, wanted)

    return [r for dtype in dtypes if is_short(call) or dtype == "float32" for r in judge(dtype)]
