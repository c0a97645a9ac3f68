"""Laws of repeated numbers: a kernel that is wrong only from some size on is rejected."""

from __future__ import annotations

import numpy as np
import pytest
from agreement_inputs import setup
from kernel_checks import kernel_of

from backends import get_backend
from backends.reference import Kernels, declarations
from dnn.agreement import QUICK, level0_kernels
from dnn.agreement.calls.call import declaration_of, make_draw, map_arrays
from dnn.agreement.contenders.ours import BackendContender
from dnn.agreement.larger_calls import LargerCalls

VECTORS = {"clip_norm", "clip_value", "penalty", "threefry", "sgd", "adam", "adagrad", "rmsprop"}
SHORT_ROWS = VECTORS | {"dropout", "gaussian_noise", "displacements"}
"""Random bits have rows of another length."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("is_large", "passed"),
    [
        (lambda a: a.size > 1 << 20, set()),
        (lambda a: a.ndim > 1 and a.shape[-1] > (1024 if a.ndim == 2 else 512), SHORT_ROWS),
        (lambda a: a.ndim > 1 and a.shape[0] > 1024, VECTORS | {"gather_rows"}),
    ],
    ids=["numbers", "columns", "rows"],
)
@np.errstate(all="ignore")
def test_kernels_that_are_wrong_for_large_arrays_are_rejected(is_large, passed):
    def spoil(array):
        array[len(array) // 2 :] = -1 - array[len(array) // 2 :]

    def wrap(name, kernel):
        declared = declaration_of(name)

        def wrong(*arguments):
            kernel(*arguments)
            if any(map(is_large, arrays_in(arguments))):
                for written in (
                    a for p, a in zip(declared.arguments, arguments, strict=True) if p in declared.writes
                ):
                    map_arrays(spoil, written)

        return wrong

    def arrays_in(arguments):
        found = []
        map_arrays(found.append, tuple(arguments))
        return found

    contender = BackendContender("wrong", lambda dtype: get_backend("numpy", dtype=dtype).with_wrapper(wrap))
    found = set()
    for level, generators in level0_kernels.CALL_GENERATORS.items():
        larger = LargerCalls(setup(level, contender, sizes=QUICK))
        for call in (call for make_calls in generators for call in make_calls(make_draw(0))):
            for repeated, results in larger.repeat(call) if level0_kernels.is_short(call) else ():
                records = level0_kernels.judge_call(larger.setup, repeated, ["float32"], results)
                if not all(record.holds for record in records):
                    found.add(kernel_of(call))
    assert {*declarations(Kernels)} - found == passed
