"""A training's updates as data (``backends.plan``), for a backend that does them faster than layer by layer.

What they are is defined in ``dnn.training.step``; a plan changes the same arrays. There is one for networks
of Dense layers, with the cross-entropy of class numbers and at most the accuracy.
"""

from collections.abc import Callable
from typing import Any

from backends import Array
from backends.pace import Work
from backends.plan import Plan, PlannedLayer
from dnn.layers import Dense, Dropout, Flatten, Rescaling
from dnn.losses import CategoricalCrossentropy, SparseCategoricalCrossentropy
from dnn.measures import MEASURES
from dnn.network import Network
from dnn.optimizers import Optimizer
from dnn.validation.rows import Rows

STEADY = Dense, Dropout, Flatten, Rescaling  # ``backends.pace`` can tell if threads change their bits
KNOWN = CategoricalCrossentropy, SparseCategoricalCrossentropy  # not what somebody made of them


def planned(step: Any, unroll: int = 25) -> Callable[[int], None] | None:
    """``run(n)`` for n of these steps (TrainingStep), from the backend; None: layer by layer."""
    network: Network = step.network
    fits = network.penalty is None and not network.frozen and network.optimizer.kernel_alone
    make = planner(step) if fits else None
    if make is None:
        return None
    gradients = network.parameters.gradients
    plan = make(step.order, step.position, gradients, step.totals.sums, unroll=unroll)
    return network.backend.planned(plan)


def planner(step: Any) -> Callable[..., Plan] | None:
    """What makes plans of this step: given order (n, B), position, a vector for the gradients (n,), sums, and
    more of a Plan's settings. None: it has what no plan can say.
    """
    network: Network = step.network
    x = step.x
    layers: list[Any] = list(network.layers[network.picked :])
    if len(layers) > 1 and type(layers[0]) is Flatten:
        layers = layers[1:]
    loss, measures = network.goal, network.measures(True)
    fits = (
        all(type(layer) is Dense for layer in layers)  # the last ends in logits or softmax, as the loss wants
        and isinstance(loss, CategoricalCrossentropy) and type(loss) in KNOWN
        and loss.label_smoothing == 0.0 and loss.ignored is None
        and step.y.ndim == 1 and step.weights is None
        and measures in ((), (MEASURES["accuracy"],))
    )  # fmt: skip
    if not fits:
        return None
    if isinstance(x, Rows):
        x = x.compressed()
    elif x.ndim > 2:
        x = network.backend.view(x, (x.shape[0], -1))
    if x is None:
        return None
    state, optimizer = network.optimizer_state, network.optimizer

    def make(order: Array, position: Array, gradients: Array, sums: Array, **more: Any) -> Plan:
        vectors = network.parameters.values, gradients, *state.vectors.values()
        return Plan(
            x, step.scale, step.y, order, position, _layers(network, layers, gradients), vectors,
            optimizer.kernel, optimizer.settings(), state.control, state.rates, sums, bool(measures), **more,
        )  # fmt: skip

    return make


def work_of(network: Network, batch: int) -> Work | None:
    """What an update computes; None: not all of it is known to be the same in one thread and in many."""
    optimizer, layers = network.optimizer, network.layers
    fits = (
        all(type(layer) in STEADY for layer in layers)
        and type(optimizer).bind is Optimizer.bind
        and optimizer.clip_norm is None  # a norm is added up over all parameters, in pieces
    )
    if not fits:
        return None
    products = tuple(
        (layer.activation, layer.input_shape[0], layer.units) for layer in layers if isinstance(layer, Dense)
    )
    return Work(batch, products, optimizer.bind(network.backend), len(optimizer.kept), optimizer.settings())


def _layers(network: Network, layers: list[Any], gradients: Array) -> tuple[PlannedLayer, ...]:
    parameters = network.parameters
    value, gradient = parameters.value, parameters.views(gradients)
    slots = [parameters.views(vector) for vector in network.optimizer_state.vectors.values()]

    def planned_layer(layer: Any) -> PlannedLayer:
        W, b = f"{layer.name}.W", f"{layer.name}.b"
        arrays = value[W], value.get(b), gradient[W], gradient.get(b)
        kind = "linear" if layer is layers[-1] else layer.activation
        return PlannedLayer(kind, *arrays, tuple((views[W], views.get(b)) for views in slots))

    return tuple(map(planned_layer, layers))
