"""The agreement check itself: all that is right passes, all that is wrong fails, and outsiders concur."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import torch
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from backends import BackendUnavailable, InputError, get_backend
from backends.reference import ACTIVATIONS
from dnn import SGD, Adam, Dense, Sequential
from dnn.agreement import (
    LEVELS,
    MUTANTS,
    QUICK,
    Data,
    Record,
    accuracy_level,
    available_contenders,
    check,
    contender_ids,
    drift,
    get_contender,
    get_mutant,
    make_oracle,
    report,
    worst,
    worst_of_each,
)
from dnn.agreement.bounds import ulps
from dnn.agreement.cases import Case, optimizer_variants
from dnn.agreement.samples import samples
from dnn.agreement.sizes import Sizes
from dnn.agreement.state import Misfit
from dnn.losses import LOSSES
from dnn.optimizers import OPTIMIZERS
from dnn.parameters import Parameters

# The first level that must reject each mutant (docs/agreement.md has the table).
CAUGHT_BY = {
    "tf32": "L1",
    "float16": "L1",
    "adam-epsilon": "L3",
    "dropped-mean": "L1",
    "transposed-weight": "L1",
    "stale-momentum": "L3",
    "ddof1": "L1",
    "swapped-label": "L1",
}


@pytest.fixture(scope="module")
def data():
    x, y = load_digits(return_X_y=True)
    return Data((x / 16).astype(np.float32), y.astype(np.int64), 10)


@pytest.fixture(params=contender_ids())
def contender(request):
    try:
        return get_contender(request.param)
    except BackendUnavailable as error:
        pytest.skip(str(error))


def broken(records):
    return [f"{r.level} {r.case} {r.tensor} {r.ratio:.3g}" for r in records if not r.holds]


# --------------------------------------------------------------------------- right ones, wrong ones


@pytest.mark.parametrize("level", LEVELS)
def test_every_backend_holds(contender, level, data):
    records = check([contender], data, levels=[level], sizes=QUICK)
    assert records
    assert broken(records) == []


def test_every_kernel_that_exists_is_measured(data):
    records = check([get_contender("numpy")], data, sizes=Sizes(200, 20, 30, (8, 8), (6, 6), 1, 2, 2))
    cases = {level: " ".join(f"{r.case} {r.tensor}" for r in records if r.level == level) for level in LEVELS}
    for kind in ACTIVATIONS:
        assert all(kind in cases[level] for level in ("L0", "L1", "L2", "L4"))
    for name in LOSSES:
        assert all(name in cases[level] for level in ("L1", "L2", "L4"))
    for name in OPTIMIZERS:
        assert all(name in cases[level] for level in ("L3", "L4"))


@pytest.mark.parametrize("mutant", MUTANTS)
def test_every_mutant_is_rejected(mutant, data):
    records = check([get_mutant(mutant)], data, sizes=QUICK)
    levels = {r.level for r in records if not r.holds}
    assert levels
    assert min(levels) == CAUGHT_BY[mutant]
    # Not by a hair: the clearest violation is far beyond the bound, on every run.
    assert worst(records).ratio > 100


def test_a_mutant_is_only_its_own(data):
    get_mutant("dropped-mean").backend()
    assert broken(check([get_contender("numpy")], data, levels=["L1"], sizes=QUICK)) == []


@pytest.mark.parametrize("seed", [1, 2**64 - 1])
def test_other_seeds_hold(seed, data):
    contenders = [get_contender("numpy"), get_contender("pytorch")]
    assert broken(check(contenders, data, levels=["L1", "L2", "L3"], sizes=QUICK, seed=seed)) == []


def test_the_same_seed_gives_the_same_records(data):
    runs = [check([get_contender("numpy")], data, levels=["L1"], sizes=QUICK) for _ in range(2)]
    assert runs[0] == runs[1]


def test_a_wrong_dtype_is_refused_before_any_number(data):
    contender = get_contender("numpy")
    contender._backends["float32"] = get_backend("numpy", dtype="float64")
    with pytest.raises(Misfit, match="dtype"):
        contender.receive("z", np.zeros(3, dtype=np.float32), (3,))
    with pytest.raises(Misfit, match="shape"):
        contender.receive("z", np.zeros(3), (3, 1))
    with pytest.raises(Misfit, match="Tensor"):
        contender.receive("z", torch.zeros(3), (3,))


def test_accuracies_are_paired(data):
    train, test = Data(data.x[:400], data.y[:400], 10), Data(data.x[400:600], data.y[400:600], 10)
    contenders = [get_contender(name) for name in ("numpy", "torch", "pytorch")]
    records = list(accuracy_level(contenders, train, test, hidden=(16,), epochs=2, seeds=2))
    assert [r.backend for r in records] == ["numpy", "torch", "pytorch"]
    assert records[0].measured == 0.0
    assert all(r.measured < 5.0 and "standard deviation" in r.note for r in records)


def test_drift_starts_at_rounding_and_is_not_judged(data):
    sizes = Sizes(small=(8, 8), drift=5, batch=20)
    lines = drift([get_contender("numpy"), get_contender("pytorch")], make_oracle(), data, sizes, 0)
    assert set(lines) == {"numpy", "pytorch"}
    assert all(len(line) == 5 and 0 < line[0] < 1e-3 for line in lines.values())


def test_unknown_names_are_refused(data):
    with pytest.raises(InputError, match="expected one of numpy"):
        get_contender("nunpy")
    with pytest.raises(InputError, match="did you mean 'tf32'"):
        get_mutant("tf23")
    with pytest.raises(InputError, match="level is 'L9'"):
        check([], data, levels=["L9"])


def test_what_cannot_run_is_named():
    able, missing = available_contenders()
    assert {c.name for c in able} | set(missing) == set(contender_ids())
    assert {"numpy", "torch", "pytorch"} <= {c.name for c in able}


# --------------------------------------------------------------------------- measuring and telling


def test_ulps():
    one = np.ones(1)
    assert ulps(one + 2.0**-23, one) == 1.0
    assert ulps(np.asarray([np.nan, np.inf, 0.0]), np.asarray([np.nan, 1e39, 1e-40])) == 0.0
    assert ulps(np.asarray([np.nan]), one) == np.inf
    assert ulps(one, np.asarray([np.inf])) == np.inf


def test_a_nan_never_holds():
    record = Record("L2", "case", "z", "numpy", float("nan"), 1.0)
    assert not record.holds
    assert record.ratio == float("inf")
    assert json.loads(json.dumps(record.as_dict(), allow_nan=False))["measured"] == "nan"


def test_the_worst_of_each_tensor():
    records = [Record("L2", "c", "z", "numpy", m, 1.0) for m in (0.1, 0.5, 0.2)]
    assert worst_of_each(records) == [records[1]]


def test_the_report_names_what_broke(tmp_path):
    good = Record("L2", "case", "z dense_1", "numpy", 0.5, 1.0)
    bad = Record("L2", "case", "d dense_2.W", "numpy", 3.0, 1.0)
    assert "hold" in report.table([good], {"cupy": "no device"})
    assert "not run: cupy: no device" in report.table([good], {"cupy": "no device"})
    assert "d dense_2.W" in report.table([good, bad], {}).splitlines()[-1]
    text = report.as_json([good, bad], {}, {"seed": 0}, {})
    folder = report.open_folder(tmp_path / "new")
    report.write(folder, text, [good, bad], {"numpy": [1e-7, 1e-6]})
    assert json.loads((folder / "report.json").read_text())["holds"] is False
    assert (folder / report.BOUNDS).stat().st_size > 0
    assert (folder / report.DRIFT).stat().st_size > 0
    with pytest.raises(InputError, match="empty folder"):
        report.open_folder(folder)


# --------------------------------------------------------------------------- gradients


def directional(value, gradient, x, seed):
    """|central difference - inner product| / |inner product| along a random direction."""
    direction = np.random.default_rng(seed).standard_normal(x.shape)
    direction /= np.linalg.norm(direction)
    h = 1e-5
    difference = (value(x + h * direction) - value(x - h * direction)) / (2 * h)
    slope = float(np.sum(gradient * direction))
    return abs(difference - slope) / max(abs(slope), 1e-3)


@pytest.mark.parametrize(("name", "make", "shape"), list(samples()))
def test_layer_gradients_by_random_directions(name, make, shape):
    oracle, stream = make_oracle(), np.random.default_rng(5)
    probe = make()
    probe.build(shape, get_backend("numpy"), "layer", first=False)
    values = {k: 0.3 * stream.standard_normal(s) for k, s in probe.parameter_shapes().items()}
    x = stream.standard_normal((3, *shape))
    dy = stream.standard_normal((3, *probe.output_shape))
    if probe.activation == "relu":  # away from the kink: z beyond what a step along h can reach
        minus = oracle.layer(make(), shape, {k: -v for k, v in values.items()}, x, dy.copy())["y"]
        z = oracle.layer(make(), shape, values, x, dy.copy())["y"] - minus
        dy[np.abs(z) < 1e-3] = 0.0
    found = oracle.layer(make(), shape, values, x, dy.copy())

    def value_of(changed, at):
        return float(np.sum(dy * oracle.layer(make(), shape, changed, at, dy.copy())["y"]))

    assert directional(lambda at: value_of(values, at), found["dx"], x, 0) < 1e-7
    for k, v in values.items():
        assert directional(lambda at, k=k: value_of(values | {k: at}, x), found[f"d{k}"], v, 1) < 1e-7


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("rows", [False, True])
def test_loss_gradients_by_random_directions(name, rows):
    oracle, stream = make_oracle(), np.random.default_rng(6)
    outputs, targets = stream.standard_normal((4, 5)), stream.integers(0, 5, 4)
    if rows:
        targets = stream.dirichlet(np.ones(5), 4)
    _, gradient = oracle.loss(name, outputs, targets)
    assert directional(lambda at: oracle.loss(name, at, targets)[0], gradient, outputs, 2) < 1e-7
    error = scipy.optimize.check_grad(
        lambda at: oracle.loss(name, at.reshape(4, 5), targets)[0],
        lambda at: oracle.loss(name, at.reshape(4, 5), targets)[1].ravel(),
        outputs.ravel(), seed=0,
    )  # fmt: skip
    assert error < 1e-6


# --------------------------------------------------------------------------- outsiders

TORCH = {
    "linear": lambda z: z * 1.0,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softmax": lambda z: torch.nn.functional.softmax(z, dim=-1),
}
SCIPY = {"sigmoid": scipy.special.expit, "softmax": lambda z: scipy.special.softmax(z, axis=-1)}
DOUBLES = ["numpy", "torch", "strict"]


@pytest.mark.parametrize("backend_name", DOUBLES)
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activations_are_those_of_torch_functional_and_scipy(backend_name, kind):
    stream = np.random.default_rng(8)
    z, dy = 3 * stream.standard_normal((20, 7)), stream.standard_normal((20, 7))
    y, dz = get_contender(backend_name).activation(kind, z, dy.copy(), "float64")
    z_ = torch.tensor(z, requires_grad=True)
    y_ = TORCH[kind](z_)
    y_.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, y_.detach().numpy(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(dz, z_.grad.numpy(), rtol=1e-12, atol=1e-14)
    if kind in SCIPY:
        np.testing.assert_allclose(y, SCIPY[kind](z), rtol=1e-12)


@pytest.mark.parametrize("backend_name", DOUBLES)
@pytest.mark.parametrize("rows", [False, True])
def test_losses_are_those_of_torch_functional(backend_name, rows):
    stream = np.random.default_rng(9)
    outputs, targets = 3 * stream.standard_normal((20, 7)), stream.integers(0, 7, 20)
    dense = np.eye(7)[targets]
    if rows:
        targets = dense = stream.dirichlet(np.ones(7), 20)
    functions = {
        "categorical_crossentropy": lambda o: torch.nn.functional.cross_entropy(o, torch.tensor(targets)),
        "mean_squared_error": lambda o: torch.nn.functional.mse_loss(o, torch.tensor(dense)),
    }
    assert set(functions) == set(LOSSES)
    for name, function in functions.items():
        value, gradient = get_contender(backend_name).loss(name, outputs, targets, "float64")
        outputs_ = torch.tensor(outputs, requires_grad=True)
        value_ = function(outputs_)
        value_.backward()
        assert value == pytest.approx(float(value_.detach()), rel=1e-12)
        np.testing.assert_allclose(gradient, outputs_.grad.numpy(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("backend_name", DOUBLES)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
        (SGD(0.1, 0.9), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
        (SGD(0.1, 0.9, True), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True)),
        (Adam(0.01), lambda p: torch.optim.Adam(p, 0.01)),
        (Adam(0.01, 0.8, 0.9, 1e-3), lambda p: torch.optim.Adam(p, 0.01, (0.8, 0.9), 1e-3)),
    ],
)
def test_optimizers_are_those_of_torch_optim(backend_name, ours, theirs):
    from dnn.optimizers import OptimizerState

    stream, backend = np.random.default_rng(10), get_backend(backend_name, dtype="float64")
    parameters = Parameters(backend, {"p": (30,)})
    start = stream.standard_normal(30)
    parameters.load({"p": start})
    state = OptimizerState(ours, parameters, backend)
    p_ = torch.nn.Parameter(torch.tensor(start))
    optimizer = theirs([p_])
    for _ in range(100):
        g = stream.standard_normal(30) * 10.0 ** stream.integers(-6, 2, 30)
        parameters.gradient["p"][...] = backend.from_host(g)
        state.step()
        p_.grad = torch.tensor(g)
        optimizer.step()
    moved = np.linalg.norm(p_.detach().numpy() - start)
    assert np.linalg.norm(parameters.to_host()["p"] - p_.detach().numpy()) <= 1e-12 * moved


@pytest.mark.parametrize(
    ("activation", "theirs"), [("relu", "relu"), ("tanh", "tanh"), ("sigmoid", "logistic")]
)
@pytest.mark.parametrize(("solver", "optimizer"), [("sgd", SGD(0.1)), ("sgd", SGD(0.1, 0.9, True))])
def test_one_update_is_that_of_scikit_learn(activation, theirs, solver, optimizer, data):
    # Adam is left out: scikit-learn's epsilon stands beside sqrt(v) before the bias correction.
    x, y = data.x[:100].astype(np.float64), data.y[:100]
    model = Sequential(
        [Dense(9, activation), Dense(10, "softmax")],
        input_shape=(64,),
        backend=get_backend("numpy", dtype="float64"),
    )
    model.compile("categorical_crossentropy", optimizer)
    before = model.parameters.to_host()
    other = MLPClassifier(
        (9,), activation=theirs, solver=solver, alpha=0.0, batch_size=100, shuffle=False,
        learning_rate_init=0.1, momentum=optimizer.momentum, nesterovs_momentum=optimizer.nesterov,
    )  # fmt: skip
    other.partial_fit(x, y, classes=np.arange(10))  # makes its arrays and optimizer
    for i in (1, 2):
        other.coefs_[i - 1][...] = before[f"dense_{i}.W"]
        other.intercepts_[i - 1][...] = before[f"dense_{i}.b"]
    for velocity in other._optimizer.velocities:
        velocity[...] = 0.0
    other.partial_fit(x, y)
    model.fit(x, y, batch_size=100, shuffle=False)
    after = model.parameters.to_host()
    for i in (1, 2):
        np.testing.assert_allclose(other.coefs_[i - 1], after[f"dense_{i}.W"], rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(other.intercepts_[i - 1], after[f"dense_{i}.b"], rtol=1e-11, atol=1e-13)


def test_variants_turn_on_what_is_off():
    names = [name for name, _ in optimizer_variants()]
    assert set(OPTIMIZERS) <= set(names)
    assert {"sgd momentum", "sgd nesterov"} <= set(names)


def test_a_case_is_the_same_network_everywhere(data):
    case = Case("c", 64, (5,), 10, "tanh", "categorical_crossentropy", Adam(), 4)
    weights = case.weights()
    for name in ("numpy", "torch", "pytorch"):
        values = get_contender(name).open(case).state().values
        for key, w in weights.items():
            np.testing.assert_array_equal(values[key].astype(np.float32), w)
