"""Describe updates as data (``backends.plan``), for a backend that runs them faster than layer by layer.

``dnn.training.step`` defines the updates; a plan changes the same arrays. A plan exists for networks of Dense
layers with the cross-entropy of class numbers (also smoothed ones), and with no metric or the accuracy.
"""

from typing import Any

from backends.backend import RunUpdates
from backends.plan import Plan, PlannedLayer
from dnn.inputs.rows import Rows
from dnn.layers import Dense, Flatten
from dnn.losses import CategoricalCrossentropy, SparseCategoricalCrossentropy
from dnn.metrics import METRICS
from dnn.network import Network
from dnn.training.step import TrainingStep

Batch = tuple[Any, float, Any, Any, Any]  # x, scale, y, order and position of a plan
PLANNED_LOSSES = CategoricalCrossentropy, SparseCategoricalCrossentropy  # exact types: no subclasses


def plan_updates(step: TrainingStep) -> RunUpdates | None:
    """Return the backend's function ``run(n)`` for n steps; None if they must run layer by layer."""
    plan = make_plan(step)
    return None if plan is None else step.network.backend.compile_plan(plan)


def make_plan(step: TrainingStep) -> Plan | None:
    """Return the plan of this step; None if a plan cannot describe it."""
    network = step.network
    layers: list[Any] = list(network.called_layers)
    if len(layers) > 1 and type(layers[0]) is Flatten:
        layers = layers[1:]
    if not _can_be_planned(step, layers):
        return None
    x = step.x
    if isinstance(x, Rows):
        x = x.as_compressed()
        if x is None:
            return None
    elif x.ndim > 2:
        x = network.backend.view(x, (x.shape[0], -1))
    return _describe(step, layers, (x, network.scale, step.y, step.order, step.position))


def plan_after_moving(step: TrainingStep) -> RunUpdates | None:
    """Return ``run(n)`` for a network that begins with augmentation; None if it has no such plan.

    Each batch is picked and moved by the layers. The plan of the other layers then takes it as its only one.
    """
    network = step.network
    layers: list[Any] = list(network.called_layers)
    first = next((i for i, layer in enumerate(layers) if layer.parameter_shapes()), 0)
    movers = layers[:first]
    is_host = network.backend.device_type == "cpu" and not isinstance(step.x, Rows)
    moves = any(layer.must_precede_trained for layer in movers)
    if not (is_host and moves and _can_be_planned(step, layers[first:])):
        return None
    backend = network.backend
    moved = backend.zeros((step.size, layers[first].input_shape[0]))
    rows = backend.indices(0, step.size)
    position = backend.zeros(1, dtype=backend.xp.int64)
    batch = moved, 1.0, step.batch_y, backend.view(rows, (1, -1)), position
    planned = backend.compile_plan(_describe(step, layers[first:], batch, step.x))
    if planned is None:
        return None

    def run(n: int) -> None:
        for _ in range(n):
            network.reserve(step.size, training=True)  # a callback may have used other sizes
            step.pick()
            x = step.batch_x
            for layer in movers:
                layer.set_first_row(0)
                x = layer.forward(x, training=True)
            moved[...] = x
            position[...] = 0
            planned(1)

    return run


def _describe(step: TrainingStep, layers: list[Any], batch: Batch, examples: Any = None) -> Plan:
    """Return the plan of these layers for the batch; ``examples`` as in ``Plan``."""
    network = step.network
    loss: Any = network.objective
    metrics = network.metrics_for(True)
    parameters = network.parameters
    optimizer_state = network.optimizer_state
    vectors = parameters.vector, parameters.gradient_vector, *optimizer_state.vectors.values()
    return Plan(
        *batch, _layers(network, layers), vectors,
        optimizer_state.optimizer.bind(network.backend), optimizer_state.optimizer.settings(),
        optimizer_state.control, optimizer_state.rates,
        step.totals.sums, bool(metrics), label_smoothing=loss.label_smoothing, forms=network.update_forms,
        examples=examples,
    )  # fmt: skip


def _can_be_planned(step: TrainingStep, layers: list[Any]) -> bool:
    """Return whether a plan can describe the update: Dense layers and cross-entropy of class numbers."""
    network = step.network
    metrics = network.metrics_for(True)
    loss: Any = network.objective
    optimizer = network.optimizer_state.optimizer
    return (
        network.penalty is None and not network.frozen_names
        and optimizer.clip_norm is None and optimizer.clip_value is None
        and all(type(layer) is Dense for layer in layers)
        and type(loss) in PLANNED_LOSSES
        and loss.ignored_class is None
        and step.y.ndim == 1 and step.weights is None
        and tuple(m.batch for m in metrics) in ((), (METRICS["accuracy"].batch,))
    )  # fmt: skip


def _layers(network: Network, layers: list[Any]) -> tuple[PlannedLayer, ...]:
    parameters = network.parameters
    value = parameters.by_name
    gradient = parameters.gradient_by_name
    slots = [parameters.views(vector) for vector in network.optimizer_state.vectors.values()]

    def planned_layer(layer: Any) -> PlannedLayer:
        W = f"{layer.name}.W"
        b = f"{layer.name}.b"
        arrays = value[W], value.get(b), gradient[W], gradient.get(b)
        return PlannedLayer(layer.applied, *arrays, tuple((views[W], views.get(b)) for views in slots))

    return tuple(map(planned_layer, layers))
