"""Choose how to make updates: on whole batches or blocks; planned, recorded and replayed, or one by one.

``dnn.training.step`` defines the updates. This module only chooses the fastest way to repeat them.
"""

from backends import Array
from backends.backend import RunUpdates
from dnn.inputs.examples import Examples
from dnn.inputs.rows import Rows
from dnn.network import Network
from dnn.training.blocks import BlockedStep
from dnn.training.planning import plan_after_moving, plan_updates
from dnn.training.step import Cut, TrainingStep
from dnn.training.totals import Totals


def make_step(
    network: Network, examples: Examples, order: Array, totals: Totals, cut: Cut
) -> TrainingStep:  # fmt: skip
    """Return the update on whole batches, or on batches in blocks; arguments as in TrainingStep."""
    if cut.blocks == 1:
        return TrainingStep(network, examples, order, totals)
    return BlockedStep(network, examples, order, totals, cut)


def make_runner(step: TrainingStep) -> RunUpdates:
    """Return the fastest available function ``run(n)`` that makes n updates."""
    backend = step.network.backend
    forms = step.network.update_forms
    by_layers = _run_from_host(step) if isinstance(step.x, Rows) else backend.capture(step, forms=forms)
    planned = None
    if type(step) is TrainingStep:
        planned = plan_updates(step) or plan_after_moving(step)
    forms.add("layers" if planned is None else "planned")
    if planned is None:
        return by_layers

    def run(n: int) -> None:
        """A plan updates every parameter, so frozen layers need the layer path."""
        if step.network.frozen_names:
            by_layers(n)
        else:
            planned(n)

    return run


def _run_from_host(step: TrainingStep) -> RunUpdates:
    """Return a runner that loads each batch on the host; only the rest of the update may be recorded."""
    learn = step.network.backend.capture(step.learn, forms=step.network.update_forms)

    def run(n: int) -> None:
        for _ in range(n):
            step.pick()
            learn(1)

    return run
