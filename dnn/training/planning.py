"""Describe updates as data (``backends.plan``), for a backend that runs them faster than layer by layer.

``dnn.training.step`` defines the updates; a plan changes the same arrays. A plan exists for networks of Dense
layers with the cross-entropy of class numbers, and with no metric or the accuracy.
"""

from collections.abc import Callable, Sequence
from typing import Any

from backends.plan import Plan, PlannedLayer
from dnn.layers import Dense, Flatten
from dnn.losses import CategoricalCrossentropy, SparseCategoricalCrossentropy
from dnn.metrics import METRICS, Metric
from dnn.network import Network
from dnn.training.step import TrainingStep
from dnn.validation.rows import Rows

PLANNED_LOSSES = CategoricalCrossentropy, SparseCategoricalCrossentropy  # exact types: no subclasses


def plan_updates(step: TrainingStep, unroll: int = 25) -> Callable[[int], None] | None:
    """Return the backend's function ``run(n)`` for n steps; None if they must run layer by layer."""
    plan = make_plan(step, unroll)
    return None if plan is None else step.network.backend.compile_plan(plan)


def make_plan(step: TrainingStep, unroll: int = 25) -> Plan | None:
    """Return the plan of this step; None if a plan cannot describe it."""
    network = step.network
    layers: list[Any] = list(network.layers[network.n_folded :])
    if len(layers) > 1 and type(layers[0]) is Flatten:
        layers = layers[1:]
    metrics = network.metrics_for(True)
    x = _matrix(step.x, network) if _can_be_planned(step, layers, metrics) else None
    if x is None:
        return None
    parameters = network.parameters
    state = network.optimizer_state
    vectors = parameters.values, parameters.gradients, *state.vectors.values()
    return Plan(
        x, step.scale, step.y, step.order, step.position, _layers(network, layers), vectors,
        network.optimizer.kernel, network.optimizer.settings(), state.control, state.rates,
        step.totals.sums, bool(metrics), unroll,
    )  # fmt: skip


def _can_be_planned(step: TrainingStep, layers: list[Any], metrics: Sequence[Metric]) -> bool:
    """Whether a plan can describe the update: Dense layers and plain cross-entropy, nothing else."""
    network = step.network
    loss = network.goal
    return (
        network.penalty is None and not network.frozen_names and network.optimizer.uses_plain_kernel
        and all(type(layer) is Dense for layer in layers)
        and isinstance(loss, CategoricalCrossentropy) and type(loss) in PLANNED_LOSSES
        and loss.label_smoothing == 0.0 and loss.ignored_class is None
        and step.y.ndim == 1 and step.weights is None
        and tuple(metrics) in ((), (METRICS["accuracy"],))
    )  # fmt: skip


def _matrix(x: Any, network: Network) -> Any:
    """Return the examples as a matrix (N, n) or in CSR form; None if rows on the host have no CSR form."""
    if isinstance(x, Rows):
        return x.as_compressed()
    return network.backend.view(x, (x.shape[0], -1)) if x.ndim > 2 else x


def _layers(network: Network, layers: list[Any]) -> tuple[PlannedLayer, ...]:
    parameters = network.parameters
    value = parameters.value
    gradient = parameters.gradient
    slots = [parameters.views(vector) for vector in network.optimizer_state.vectors.values()]

    def planned_layer(layer: Any) -> PlannedLayer:
        W = f"{layer.name}.W"
        b = f"{layer.name}.b"
        arrays = value[W], value.get(b), gradient[W], gradient.get(b)
        kind = "linear" if layer is layers[-1] else layer.activation
        return PlannedLayer(kind, *arrays, tuple((views[W], views.get(b)) for views in slots))

    return tuple(map(planned_layer, layers))
