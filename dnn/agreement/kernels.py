"""L0: compare the calls of every kernel (``calls``) with the reference in float64.

The inputs of a kernel are compared too, since a kernel must not change them, and so is the memory before and
behind each array. Native PyTorch has no such kernels.
"""

from collections.abc import Iterator
from inspect import signature
from math import pi, sqrt

import numpy as np

from backends.reference import KERNELS
from dnn.agreement import bounds, calls, image_calls, textbook
from dnn.agreement.call import Call, make_draw
from dnn.agreement.contender import Contender
from dnn.agreement.records import Record, count_different
from dnn.agreement.setup import Setup
from dnn.agreement.state import Named
from dnn.layers import Conv2D, Dense, Flatten
from dnn.sequential import Sequential

CALL_GENERATORS = (
    calls.stream_calls, calls.row_calls, calls.gradient_calls, calls.step_calls, calls.dense_calls,
    calls.loss_calls, calls.norm_calls, image_calls.image_calls, image_calls.warp_calls,
)  # fmt: skip
"""Functions of (seed, draw) that yield calls; long arrays of one follow short ones of another."""
MAX_DOUBLES = 20000
"""Numbers in the arrays of a call up to which it is made in float64 too."""


def kernel_level(setup: Setup) -> Iterator[Record]:
    """Compare every call. Integers must be equal; see ``Call`` for other bounds."""
    for make_calls in CALL_GENERATORS:
        for call in make_calls(setup.seed, make_draw(setup.seed)):
            yield from judge_call(setup, call)


def initializer_level(setup: Setup) -> Iterator[Record]:
    """Compare initial weights with He's and Glorot's formulas in float64; the weights are rounded once."""
    for name in ("zeros", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal"):

        def ask(c: Contender, name: str = name) -> Named:
            layers = Conv2D(16, 3, initializer=name), Flatten(), Dense(10, "softmax")
            model = Sequential(layers, input_shape=(6, 6, 9), backend=c.builder, seed=setup.seed)
            return model.parameters.to_host()

        n_in, n_out = 9 * 9, 9 * 16
        draws = (textbook.random_bits(setup.seed, "weights", 0, i, 9 * n_out) for i in (0, 1))
        u, v = (((bits >> 10) + 0.5) * 2.0**-53 for bits in draws)
        w = np.sqrt(-2.0 * np.log(u)) * np.cos(2.0 * pi * v)
        if name.endswith("uniform"):
            w = sqrt(3.0) * (2.0 * u - 1.0)
        w = w * sqrt(2.0 / (n_in if name.startswith("he") else n_in + n_out)) * (name != "zeros")
        expected = {"conv2d_1.W": w.reshape(3, 3, 9, 16)}
        yield from setup.judge(f"initializer {name}", ask, bounds.U, expected=expected)


def array_names(call: Call) -> tuple[dict[str, int], set[str]]:
    """Return name -> id of each array argument, such as "slots 0", and the names of the written ones.

    An argument that is the same array as a written one is written.
    """
    declared = KERNELS[call.kernel]
    parameters = [p for p in signature(declared.function).parameters if p not in ("xp", "kind")]
    ids: dict[str, int] = {}
    for name, argument in zip(parameters, call.arguments, strict=True):
        parts = argument if isinstance(argument, tuple) else (argument,)
        for i, part in enumerate(parts):
            if isinstance(part, np.ndarray):
                ids[f"{name} {i}" if len(parts) > 1 else name] = id(part)
    written = {ids[name] for name in ids if name.split()[0] in declared.writes}
    return ids, {name for name, number in ids.items() if number in written}


def judge_call(setup: Setup, call: Call) -> list[Record]:
    """Compare all arrays after a call in float32, and in float64 too if they are short."""
    names, written = array_names(call)
    arrays = [
        part
        for argument in call.arguments
        for part in (argument if isinstance(argument, tuple) else (argument,))
        if isinstance(part, np.ndarray)
    ]

    def ask(c: Contender) -> Named:
        return dict(zip(names, c.kernel(call.kernel, call.kind, *call.arguments), strict=True))

    def judge(dtype: str, unit: float) -> list[Record]:
        def error(tensor: str, got: np.ndarray, expected: np.ndarray) -> float:
            if tensor not in written or expected.dtype.kind != "f" or not (call.n_terms or call.ulp):
                return count_different(tensor, got, expected)
            if not call.n_terms and dtype == "float32":
                return bounds.ulp_error(got, expected)
            finite = np.isfinite(expected)
            x64 = expected[finite]
            if count_different(tensor, got[~finite], expected[~finite]):
                return float("inf")
            if call.floor:
                least = call.floor if expected.ndim > 1 else 1.0
                return float(np.max(np.abs(got[finite] - x64) / (least + np.abs(x64))))
            return bounds.eta(got[finite], x64)

        def bound(tensor: str, _: float) -> float:
            if tensor not in written:
                return 0.0
            inexact = call.n_terms or (dtype == "float64" and call.ulp)
            return bounds.layer(max(call.n_terms, 1.0), unit, call.condition) if inexact else call.ulp

        name = " ".join(filter(None, (call.kernel, call.kind, call.what)))
        return setup.judge(name, lambda c: ask(c.in_dtype(dtype)), bound, error, dtype, expected)

    expected = ask(setup.oracle)
    found = judge("float32", bounds.U)
    if sum(array.size for array in arrays) < MAX_DOUBLES:
        found += judge("float64", 2.0 * bounds.UNIT_ROUNDOFFS["float64"])
    return found
