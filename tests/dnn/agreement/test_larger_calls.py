"""Larger calls consist of copies of short ones, have the wanted sizes, and bounds for their longer sums."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from agreement_inputs import setup
from kernel_checks import kernel_of

from backends.reference import Kernels, declarations
from dnn.agreement import QUICK, level0_kernels
from dnn.agreement.calls.call import MEASURED, Call, make_draw, output_array
from dnn.agreement.contenders.oracle import make_disturbed_oracle, measure_condition
from dnn.agreement.larger_calls import LENGTHS, LOGITS, MAX_NUMBERS, LargerCalls

LARGE = 1 << 14
"""As ``Sizes.large``, but small, so that the test is fast."""


@pytest.fixture(scope="module")
def found():
    """Return (larger, short call, larger call, results) for each larger call."""
    everything = []
    with np.errstate(all="ignore"):
        for generators in level0_kernels.CALL_GENERATORS.values():
            larger = LargerCalls(setup("L0", sizes=replace(QUICK, large=LARGE)))
            for make_calls in generators:
                for call in filter(level0_kernels.is_short, make_calls(make_draw(0))):
                    everything += [(larger, call, *more) for more in larger.repeat(call)]
    return everything


def repeated_axes(call, larger_call):
    """Return array -> the axis that is longer, and the old and the new length."""
    arrays = larger_call.arrays
    changed = {}
    for name, array in call.arrays.items():
        lengths = zip(array.shape, arrays[name].shape, strict=True)
        longer = [(axis, old, new) for axis, (old, new) in enumerate(lengths) if old != new]
        if longer:
            (changed[name],) = longer
    return changed


def copies_of(array, axis, length):
    """Return the copies along an axis, each of this length: (copies, length, ...)."""
    front = np.moveaxis(array, axis, 0)
    return front.reshape(-1, length, *front.shape[1:])


def test_each_array_consists_of_copies_of_the_short_one(found):
    """Or, masked, of -inf for logits and 0 for the rest; indices point to the last copy."""
    masked = set()
    for _, call, larger_call, _ in found:
        axes = repeated_axes(call, larger_call)
        assert len({(old, new) for _, old, new in axes.values()}) == 1
        _, old, new = next(iter(axes.values()))
        indexed = (call.kernel, "rows" in axes) == ("gather_rows", True) and axes["rows"][0] == 0
        first_names = {id(array): name for name, array in reversed(call.arrays.items())}
        for name, array in call.arrays.items():
            after = larger_call.arrays[name]
            assert array.dtype == after.dtype
            if name not in axes:
                points = name == "targets" or (name == "index" and indexed)
                moved = (new - old) * (points and array.dtype.kind == "i")
                np.testing.assert_array_equal(after, array + moved)
                continue
            *others, last = copies_of(after, axes[name][0], old)
            (short,) = copies_of(array, axes[name][0], old)
            np.testing.assert_array_equal(last, short)
            if array.dtype.kind == "f" and not np.array_equal(others[0], short, equal_nan=True):
                masked.add((call.kernel, name))
                short = np.full_like(short, -np.inf if first_names[id(array)] in LOGITS else 0.0)
            np.testing.assert_array_equal(others, np.broadcast_to(short, np.shape(others)))
    assert {kernel for kernel, name in masked if name in LOGITS} >= {"softmax_cross_entropy", "activation"}


def test_each_axis_has_each_length_once_and_each_kernel_the_large_size(found):
    lengths = defaultdict(Counter)
    large = Counter()
    for larger, call, larger_call, _ in found:
        axes = repeated_axes(call, larger_call)
        _, old, new = next(iter(axes.values()))
        assert old in range(3, 300, 2)
        largest = max(larger_call.arrays[name].size for name in axes)
        wanted = [length for length in LENGTHS if length < new <= length + old and largest <= MAX_NUMBERS]
        if LARGE < largest <= LARGE + largest * old // new:
            large[larger, call.kernel, len(call.arrays)] += 1
        else:
            assert len(wanted) == 1
        for length in wanted:
            texts = tuple(a for a in call.arguments if isinstance(a, str) and length == LENGTHS[0])
            masks = any(-np.inf in larger_call.arrays[name] for name in LOGITS if name in axes)
            places = frozenset((name, axis) for name, (axis, *_) in axes.items())
            lengths[kernel_of(call), len(call.arrays), texts, masks][places, length] += 1
    kernels = {kernel for _, kernel, _ in large}
    assert {*declarations(Kernels)} <= kernels
    assert max(max(counts.values()) for counts in lengths.values()) <= 2  # one of them for the large size


@np.errstate(all="ignore")
def test_results_are_those_of_the_larger_call_and_their_bounds_fit_the_sums(found):
    """Float32 sums of equal numbers, one after another, stay within the bound; the oracle's are given."""
    for larger, call, larger_call, results in found:
        assert set(results) == larger_call.outputs == call.outputs
        after = larger.setup.oracle.kernel(larger_call)
        for name, y in results.items():
            np.testing.assert_array_equal(y, after[name])
        axes = repeated_axes(call, larger_call)
        _, old, new = next(iter(axes.values()))
        copies = new // old
        before = larger.setup.oracle.kernel(call)
        factors = set()
        for name in call.outputs - {"control"}:
            last = results[name]
            if name not in axes:  # a sum over the copies, or a mean
                factors.add("sum")
            else:
                last = copies_of(last, axes[name][0], old)[-1]
                before[name] = copies_of(before[name], axes[name][0], old)[-1]
            if not np.allclose(last, before[name], 1e-9, 1e-12, equal_nan=True):
                ratio = np.abs(last / before[name])
                factors.add("mean" if (ratio < 0.9).any() else "sum")
        exact = copies if new <= 1000 else copies**2
        assert larger_call.n_terms == call.n_terms * (exact if factors else 1)
        assert larger_call.floor == call.floor / (copies if "mean" in factors else 1)
        condition = call.condition
        if condition == MEASURED and call.n_terms:
            disturbed = make_disturbed_oracle(0).kernel(call)
            condition = max(measure_condition([disturbed], larger.setup.oracle.kernel(call)).values())
        assert larger_call.condition == condition


def larger_calls(call, large=0):
    return [made for made, _ in LargerCalls(setup("L0", sizes=replace(QUICK, large=large))).repeat(call)]


@pytest.mark.parametrize(
    "call",
    [
        Call("dense", (np.ones((3, 0)), np.ones((0, 3)), np.ones(3), output_array(3, 3))),  # no numbers
        Call("clip_value", (np.ones(4), 1.0)),  # an even length may be a number of channels
        Call("clip_value", (np.ones(301), 1.0)),  # long already
        Call("penalty", (np.full(5, np.nan), np.ones(5), 0.5, 0.0)),
    ],
)
def test_other_calls_are_not_repeated_to_the_large_size(call):
    large = 1 << 18
    assert not [
        made for made in larger_calls(call, large) if max(a.size for a in made.arrays.values()) > large
    ]


@pytest.mark.parametrize("n_terms", [0, 1])
def test_exact_sums_beyond_the_integers_of_float32_are_left_out(n_terms):
    """Without an allowed error a kernel in float32 could not compute them."""
    arguments = np.full((3, 1), 2.0**12), np.zeros(3, int), output_array(1, 1)
    lengths = {len(made.arrays["rows"]) for made in larger_calls(Call("scatter_rows", arguments, n_terms))}
    assert (max(lengths) > 4096) == bool(n_terms)
    assert min(lengths) <= 1024
