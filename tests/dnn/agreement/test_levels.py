"""Levels with contenders that have a known error: inputs, units and bounds of the comparisons."""

from __future__ import annotations

import pickle
from itertools import chain, islice
from types import SimpleNamespace

import numpy as np
import pytest
from agreement_inputs import DATA, setup, wrapped
from numpy.lib.stride_tricks import as_strided

from backends import get_backend
from backends.backend import Backend
from backends.numpy.backend import NumpyBackend
from backends.reference import ACTIVATIONS, Kernels, declarations
from backends.reference.optimizers import BIAS_1, BIAS_2, RATE, UPDATES
from dnn import SGD, Adam
from dnn.agreement import (
    Data,
    accuracy_level,
    level0_activations,
    level0_kernels,
    level1_layers,
    level2_networks,
    level4_fits,
    level4_trajectories,
    level5_accuracy,
    levels,
)
from dnn.agreement.calls import dense_calls, step_calls
from dnn.agreement.calls.call import Call, make_draw, output_array
from dnn.agreement.cases import FitCase, Session, optimizer_variants
from dnn.agreement.contenders.ours import BackendContender
from dnn.agreement.setup import QUICK, Sizes
from dnn.agreement.textbook import training as textbook
from dnn.layers import Dense, Embedding
from dnn.losses import get_loss
from dnn.optimizers import OPTIMIZERS

GENERATORS = tuple(chain(*level0_kernels.CALL_GENERATORS.values()))


def edit_after(edit):
    """Call the kernel, and then ``edit(*arguments)``."""
    return lambda kernel: lambda *arguments: (kernel(*arguments), edit(*arguments))


def test_accuracy_level_trains_with_the_documented_defaults(monkeypatch):
    """docs/agreement.md: 10 epochs, 5 seeds, paired differences of at most 0.25 points."""
    asked = []

    def measure(contender, case, train, test, epochs):
        asked.append((case, train, test, epochs))
        return contender.scores[case.seed]

    monkeypatch.setattr(level5_accuracy, "measure_accuracy", measure)
    first = SimpleNamespace(name="a", scores=(0.91, 0.92, 0.93, 0.94, 0.95))
    other = SimpleNamespace(name="b", scores=(0.90, 0.92, 0.93, 0.94, 0.94))
    few = Data(DATA.x[:9], DATA.y[:9], 3)
    records = list(accuracy_level([first, other], DATA, few))
    assert [(r.level, r.case, r.backend, r.bound) for r in records] == [
        ("L5", "10 epochs, 5 seeds", name, 0.25) for name in "ab"
    ]
    assert [r.measured for r in records] == pytest.approx([0.0, 0.4])
    assert "mean 93.000, paired difference +0.000 points" in records[0].note
    assert "paired difference -0.400 points; 90.00, 92.00" in records[1].note
    cases = [case for case, *others in asked[5:] if others == [DATA, few, 10]]
    assert [(case.seed, case.hidden) for case in cases] == [(seed, (500, 500)) for seed in range(5)]
    rate = cases[0].optimizer.learning_rate
    assert (cases[0].optimizer.name, rate.initial, rate.steps) == ("adam", 1e-3, 20)
    (alone,) = accuracy_level([first], DATA, few, seeds=1)
    assert alone.note.endswith("points; 91.00")


def test_kernels_are_compared_as_documented(monkeypatch):
    """Inputs must be equal; outputs too, or within the bound of a sum. Both dtypes."""
    x = np.asarray([[1.0, np.nan], [3.0, 4.0]])
    given = [
        Call("clip_value", (x[1].copy(), 9.0)),
        Call("clip_norm", (x[1].copy(), 2.0), 1),
        Call("activation", ("linear", x.copy(), output_array(2, 2)), n_terms=2),
        Call("gather_rows", (x.copy(), np.asarray([1]), output_array(1, 2), 1.0)),
    ]
    add = edit_after(lambda a, *rest: np.add(a, 1, out=a, where=~np.isnan(a)))
    monkeypatch.setattr(level0_kernels, "CALL_GENERATORS", {"L0": (lambda draw: iter(given),)})
    wrong = wrapped(("clip_value", "clip_norm", "gather_rows"), add)
    records = list(level0_kernels.kernel_level(setup("L0", wrong)))
    found = {(*r.case.split()[:1], r.tensor, r.note): (r.measured, r.bound) for r in records}
    for dtype, unit in (("float32", 2.0**-24), ("float64", 2.0**-52)):
        assert found["clip_value", "g", dtype] == (2, 0)
        assert found["gather_rows", "rows", dtype] == (3, 0)
        assert found["activation", "y", dtype] == (0, pytest.approx(11 * unit))
        measured, bound = found["clip_norm", "g", dtype]
        assert measured > 1e4 * bound > 0


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (lambda gather: lambda *a: as_strided(a[2], (2, 2)).fill(1.0), "ArrayMismatch"),
        (lambda gather: lambda *arguments: 1 / 0, "ZeroDivisionError"),
        (lambda gather: lambda *arguments: None, "out"),
    ],
)
def test_kernels_write_their_outputs_and_nothing_else(wrong, what):
    """Writing beside an array, an exception and an unwritten output are each a broken record."""
    call = Call("gather_rows", (np.ones((3, 2)), np.asarray([1]), output_array(1, 2), 1.0))
    records = level0_kernels.judge_call(setup("L0", wrapped(["gather_rows"], wrong)), call)
    assert {r.tensor for r in records if not r.holds} == {what}


def test_calls_in_float64_need_float64():
    """Exact sums stay exact, and an array that is passed twice stays one array."""
    x = make_draw(0)(30, 4)
    assert (x.min(), x.max()) == (-4.0, 4.0)
    _, z, y = Call("activation", ("linear", x, x)).for_float64().arguments
    assert z is y
    np.testing.assert_array_equal(z == z.astype(np.float32), x == 0.0)
    np.testing.assert_allclose(z, x, rtol=1e-7)


@pytest.mark.parametrize(
    ("level", "part", "expected"),
    [
        ("L0", level0_kernels.kernel_level, [1] * 12 + [2] * 4 + [1] * 4),
        ("L1", level1_layers.layer_level, [1, 1, 1, 2, 1]),
        ("L2", level2_networks.network_level, [1, 1, 1, 2, 1]),
    ],
)
def test_a_quarter_of_the_comparisons_has_several_threads(level, part, expected, monkeypatch):
    """They are threads of the contender's library, whatever that is."""
    counts = [4]
    seen = []

    class ThreadedBackend(NumpyBackend):
        thread_count = property(lambda self: counts[-1])
        in_threads = Backend.in_threads

        def set_threads(self, n):
            counts.append(n)

    own = ThreadedBackend("own", get_backend("numpy").xp, "cpu", "float32")
    own = own.with_wrapper(lambda name, kernel: lambda *a: seen.append(counts[-1]) or kernel(*a))
    n = len(expected)
    calls = [Call("clip_value", (np.zeros(2), 1.0))] * n
    monkeypatch.setattr(level0_kernels, "CALL_GENERATORS", {"L0": (lambda draw: iter(calls),)})
    monkeypatch.setattr(level1_layers, "samples", lambda: [("dense", lambda: Dense(2), (3,))] * n)
    monkeypatch.setattr(level2_networks, "network_cases", lambda *_: [DATA.case("c", (2,), SGD(), 0)] * n)
    monkeypatch.setattr(levels, "LEVELS", {level: (part,)})
    contender = BackendContender("own", lambda dtype: own)
    assert all(r.holds for r in levels.run_levels(setup("", contender, sizes=QUICK), [level]))
    for threads in np.reshape(seen, (n, -1)).T.tolist():  # one row for each kernel that a comparison calls
        assert threads == expected


@np.errstate(all="ignore")
def test_every_kernel_has_calls():
    """A kernel without calls needs a function that yields some, in level0_kernels.CALL_GENERATORS.

    No array is larger than 32 MB. Fewer than half of the rows contain NaN: such rows hide other mistakes.
    """
    called = set()
    for call in (call for part in GENERATORS for call in part(make_draw(0))):
        called.add(call.kernel)
        assert max(array.size for array in call.arrays.values()) < 1 << 22
        first = next(iter(call.arrays.values()))
        if call.kernel in ("dense", "activation") and first.size:
            assert np.isnan(first).any(axis=1).mean() < 0.5
    assert called == {*declarations(Kernels), *OPTIMIZERS}


@pytest.mark.parametrize(
    "drawn",
    [
        *(
            lambda seed, part=part: [list(call.arguments) for call in islice(part(make_draw(seed)), 60)]
            for part in GENERATORS
        ),
        lambda seed: make_batches(seed)[0][0],
        lambda seed: make_batches(seed)[0][1],
    ],
)
@np.errstate(all="ignore")
def test_every_seed_draws_other_numbers(drawn):
    first, again, other = (pickle.dumps(drawn(seed)) for seed in (1, 1, 2))
    assert first == again != other


def make_batches(seed, layer=None):
    layer = layer or Dense(30)
    layer.build((4,), get_backend("numpy"), "layer", needs_dx=not layer.must_precede_trained)
    return level1_layers._batches(setup("L1", seed=seed), layer)


def test_a_layer_gets_four_batches():
    """Two have the same size, but all differ. An Embedding looks up each of its rows about equally often."""
    batches = make_batches(0)
    assert [(len(x), len(dy)) for x, dy in batches] == [(n, n) for n in (100, 37, 5, 37)]
    assert not np.array_equal(batches[1][0], batches[3][0])
    assert all(2.5 < dy.mean() < 3.5 for _, dy in batches)
    rows = np.concatenate([x.ravel() for x, _ in make_batches(0, Embedding(6, 4))])
    assert min(np.bincount(rows.astype(int), minlength=6)) > rows.size / 12


def test_inputs_contain_special_values():
    quick = setup("L0", sizes=Sizes(200))
    for kind in ACTIVATIONS:
        z = level0_activations.make_sweep(quick, kind)
        assert (z.shape, z.dtype) == ((20, 10), np.float32)
        assert (np.isnan(z[0]).sum(), z[1:].max()) == (1, 100)
        assert np.isinf(z[0]).sum() == (0 if ACTIVATIONS[kind].gated else 2)
        assert {0.0, 1.0, -1.0} <= set(z[0].tolist())


def test_errors_of_extreme_outputs_are_relative():
    """Errors are relative to the floor plus abs(x), element by element; for losses the floor is 1."""
    call = [c for c in dense_calls.loss_calls(make_draw(0)) if c.n_terms == 17][-2]

    def off(y, targets, losses, dy):
        losses += 2.0**-15 * (1 + np.abs(losses))
        dy += 2.0**-15 * (np.abs(dy) + call.floor)

    records = level0_kernels.judge_call(setup("L0", wrapped([call.kernel], edit_after(off))), call)
    found = {(r.tensor, r.note): r for r in records}
    for tensor in ("losses", "dy"):
        record = found[tensor, "float32"]
        assert record.measured == pytest.approx(2.0**-15, rel=0.01)
        assert record.bound == pytest.approx(((16**0.5 + 5) * 2 + 5) * 2.0**-24)


@pytest.mark.parametrize(
    ("number", "error"), [(RATE, 2.0**-10), (BIAS_1, 2.0**-10), (BIAS_2, 2.0**-10), (UPDATES, np.inf)]
)
def test_each_number_of_control_and_each_slot_is_compared_by_itself(number, error):
    """The number of updates must be equal; each of the other numbers has a relative error of its own."""
    call = next(
        c
        for c in step_calls.step_calls(make_draw(0))
        if c.kernel == "adam" and c.arrays["control"][UPDATES] == 2047
    )

    def off(p, g, slots, control, settings):
        control[number] *= 1 + 2.0**-10
        slots[0][...] *= 2

    records = level0_kernels.judge_call(
        setup("L3", wrapped(["adam"], edit_after(off))), call._replace(repeat=1)
    )
    found = {(r.tensor, r.note): r.measured for r in records if r.measured > 2.0**-11}
    off_by = {"control": error, "slots 0": 1.0}
    assert found == {
        (tensor, note): pytest.approx(size, rel=1e-3)
        for tensor, size in off_by.items()
        for note in ("float32", "float64")
    }


class FrozenContender(BackendContender):
    """A contender that never updates."""

    def train(self, case, batches):
        return super().train(case, [])


FROZEN = FrozenContender("still", lambda dtype: get_backend("numpy", dtype=dtype))


def test_trajectory_errors_are_relative_to_the_oracles_path(monkeypatch):
    """A contender that never moves has the error 1."""
    optimizers, losses = (
        [("a", Adam()), ("b", SGD())],
        [(n, get_loss(n)) for n in ("hinge", level4_trajectories.MAIN_PAIR[1])],
    )
    monkeypatch.setattr(level4_trajectories, "optimizer_variants", lambda: iter(optimizers))
    monkeypatch.setattr(level4_trajectories, "loss_variants", lambda: iter(losses))
    sizes = Sizes(small=(5,), tiny=(5,), tiny_batch=6, trajectory=2, partners=2, batch=9)
    records = list(level4_trajectories.trajectory_level(setup("L4", FROZEN, sizes=sizes)))
    assert {(round(r.measured, 9), r.bound, r.note) for r in records} == {(1.0, 1e-9, "2 updates")}
    first = list(ACTIVATIONS)[:4]
    names = [*(f"a {kind}" for kind in first[:2]), *(f"b {kind}" for kind in first[2:])]
    expected = [
        *(f"{name} {level4_trajectories.MAIN_PAIR[1]}" for name in names),
        "a relu hinge",
    ]
    assert list(dict.fromkeys(r.case for r in records)) == expected


def test_fit_errors_are_relative_to_the_path_of_the_parameters(monkeypatch):
    """Values that are known exactly have bounds of a few roundings in float32."""
    case = FitCase(
        "fit", 16, (4,), 3, "tanh", "categorical_crossentropy", SGD(0.1), 0, sessions=(Session(7, 2),),
        images=(255 * DATA.x[:14]).astype(np.uint8), labels=DATA.y[:14], dtypes=("float64", "float32"),
    )  # fmt: skip
    monkeypatch.setattr(level4_fits, "fit_cases", lambda *_: [case])
    monkeypatch.setattr(level4_fits, "plan_cases", lambda *_: [])
    after, start = textbook.fit(case)
    still = FrozenContender("still", FROZEN._open)
    still.fit = lambda case: {**after, **start, "loss": after["loss"] * 1.5}
    found = [r for r in level4_fits.fit_level(setup("L4", still)) if r.backend == "still"]
    double, single = ({r.tensor: r for r in found if (r.bound == 1e-9) is exact} for exact in (True, False))
    assert set(double) == set(after) == set(single)
    for tensor, record in double.items():
        expected = 1.0 if tensor in start else 0.5 if tensor == "loss" else 0.0
        assert record.measured == pytest.approx(expected), tensor
    few = 2.0**-24 * (3**0.5 + 10)
    assert [single[name].bound for name in ("before", "learning rate")] == pytest.approx([few, few])
    assert single["predictions"].bound == level4_fits.short_fit_bound(case, "predictions", start, after)
    assert single["dense_1.W"].bound == level4_fits.short_fit_bound(case, "dense_1.W", start, after)


@pytest.mark.parametrize("kernel", ["clip_norm", "clip_value"])
def test_gradients_exceed_the_clipping_limits(kernel, monkeypatch):
    """A contender without clipping is rejected."""
    variant = [pair for pair in optimizer_variants() if pair[0] == f"sgd {kernel}"]
    monkeypatch.setattr(level4_trajectories, "optimizer_variants", lambda: iter(variant))
    sizes = Sizes(trajectory=1, partners=1, tiny_batch=10)
    for wrong, broken in ((lambda right: right, False), (lambda right: lambda g, limit: None, True)):
        records = level4_trajectories.trajectory_level(setup("L4", wrapped([kernel], wrong), sizes=sizes))
        assert (max(record.ratio for record in records) > 100) is broken


def test_steps_start_from_late_states():
    """Each variant has a thousand updates first, and tiny moments in an update that flushes them."""
    variants = {}
    for call in step_calls.step_calls(make_draw(0)):
        if call.optimizer:
            variants.setdefault((call.kernel, len(call.arguments[2])), []).append(call)
    assert len(variants) == len(OPTIMIZERS) + 3  # AMSGrad of Adam and AdamW, centered RMSprop
    for calls in variants.values():
        assert calls[0].repeat > 1000
        flushed = [call for call in calls if (call.arguments[3][3] + 1) % 32 == 0]
        assert any(0 < np.abs(call.arguments[1]).max() < 1e-12 for call in flushed)
