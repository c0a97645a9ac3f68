"""The kernels of planned updates, on the host, within the bounds of the agreement check, at odd sizes."""

from __future__ import annotations

from dataclasses import replace

import array_api_compat.numpy as npx
import host_cuda
import numpy as np
import pytest
from sklearn.datasets import load_digits

from dnn import SGD, Adagrad, Adam, AdamW, RMSprop
from dnn.agreement import Data, fits, make_oracle, networks, resynchronised
from dnn.agreement.ours import BackendContender, OurNetwork
from dnn.agreement.sizes import QUICK
from dnn.optimizers.schedules import LinearDecay
from dnn.training import planning
from dnn.training.step import TrainingStep
from dnn.training.totals import Totals
from dnn.validation.examples import Examples

if host_cuda.COMPILER is None:
    pytest.skip("no C++ compiler", allow_module_level=True)

SIZES = replace(QUICK, batch=37, candidates=70, hidden=(101, 53), small=(19, 7), resynchronised=3)
ONE_LAYER = replace(SIZES, hidden=(), small=())
OPTIMIZERS = [
    Adam(LinearDecay(0.1, 5)), AdamW(), SGD(), SGD(momentum=0.5, nesterov=True), RMSprop(momentum=0.5),
    Adagrad(),
]  # fmt: skip


class PlannedNetwork(OurNetwork):
    """Gradients and updates by the backend's plan, where it has one."""

    def work(self, model, x, y):
        """One planned update on this batch; whether there is a plan."""
        order = np.arange(len(x)).reshape(1, -1)
        step = TrainingStep(model, Examples(x.astype(self.dtype), y, None), order, Totals(model))
        run = planning.plan_updates(step)
        if run is not None:
            run(1)
            self.owner.planned.add(self.case.activation)
        return run is not None

    def gradients(self, x, y):
        """From the velocity, which an update from 0 makes the gradient itself."""
        self.batch = x, y
        twin = replace(self.case, optimizer=SGD(momentum=0.5)).model(self.backend)
        twin.parameters.values[...] = self.model.parameters.values
        if not self.work(twin, x, y):
            return super().gradients(x, y)
        (velocity,) = twin.optimizer_state.vectors.values()
        return self._named(velocity)

    def repeat(self, gradients, n):
        """From the plan's own gradients, which are these."""
        assert n == 1
        assert self.work(self.model, *self.batch)


class PlannedContender(BackendContender):
    def open(self, case, dtype="float32"):
        return PlannedNetwork(self, case, dtype)


@pytest.fixture
def contender(monkeypatch):
    host_cuda.install(monkeypatch)
    made = PlannedContender(
        "planned", lambda dtype: host_cuda.CupyOverridesOnNumpy("cupy", npx, "cpu", dtype)
    )
    made.planned = set()
    return made


@pytest.fixture(scope="module")
def data():
    """63 inputs."""
    x, y = load_digits(return_X_y=True)
    return Data((x / 16).astype(np.float32)[:, 1:], y.astype(np.int64), 10)


def broken(records):
    records = list(records)
    assert records
    return [record for record in records if record.verdict != "holds"]


def test_gradients_of_a_layer_and_of_networks_are_within_their_bounds(contender, data):
    """L2's: of every activation that the kernels know; the last layer's, and through two hidden ones."""
    for sizes in (ONE_LAYER, SIZES):
        contender.planned.clear()
        assert broken(networks.network_level([contender], make_oracle(), data, sizes, 3)) == []
    assert contender.planned == {"linear", "sigmoid", "tanh", "relu"}


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: f"{o.name}-{getattr(o, 'momentum', '')}")
def test_updates_from_the_oracles_states_are_within_their_bounds(contender, data, optimizer):
    """L3, where the given gradients are the plan's own."""
    oracle = make_oracle()
    case = data.case("-planned", SIZES.small, optimizer, 3)
    leader, truth, network = oracle.open(case, "float64"), oracle.open(case, "float64"), contender.open(case)
    for step in range(SIZES.resynchronised):
        state = leader.state().rounded("float32")
        truth.load(state)
        network.load(state)
        x, y = networks.batch_of(case, data, truth, SIZES, step)
        given = network.gradients(x, y)
        assert broken(resynchronised.compare_updates(case, truth, [network], state, given, "")) == []
        leader.step(x, y)


def test_a_training_is_within_its_bounds(contender, data, monkeypatch):
    """L4's case of a plan."""
    cases = [c for c in fits.fit_cases(data, 0) if c[1].name == "fit whole"]
    monkeypatch.setattr(fits, "fit_cases", lambda data, seed: cases)
    assert broken(fits.fit_level([contender], make_oracle(), data, SIZES, 0)) == []


def test_a_plan_that_is_a_little_wrong_is_found(contender, data, monkeypatch):
    planned = contender.backend().__class__.planned
    wrong = lambda self, plan: planned(self, replace(plan, scale=plan.scale * (1 + 1e-4)))  # noqa: E731
    monkeypatch.setattr(contender.backend().__class__, "planned", wrong)
    assert broken(networks.network_level([contender], make_oracle(), data, SIZES, 3))
