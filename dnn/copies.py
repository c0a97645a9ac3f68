"""A model taken apart: ``copy.copy``, ``copy.deepcopy`` and pickle give a model of its own.
What goes through is what checkpoints have, and the optimizer's vectors and counters, on the host.
"""

from typing import Any, NamedTuple, Self

import numpy as np

from backends import Backend, InputError, get_backend
from backends.errors import reraise
from backends.reference.control import UPDATES
from dnn.layers.layer import Layer
from dnn.validation.objects import layer_from_config


class Parts(NamedTuple):
    """All that a model is, on the host."""

    model: type[Any]  # a Network
    layers: list[tuple[type[Layer], dict[str, Any]]]  # with their settings
    settings: dict[str, Any]  # of the constructor
    epochs_done: int
    arrays: dict[str, np.ndarray]  # parameters, and state of the layers
    goal: tuple[Any, ...]  # arguments of set_goal; () before compile
    optimizer_arrays: dict[str, np.ndarray]  # as of _optimizer_arrays


def _penalties(model: Any) -> tuple[float, float]:
    return (0.0, 0.0) if model.penalty is None else (model.penalty.l1, model.penalty.l2)


def _optimizer_arrays(model: Any) -> dict[str, Any]:
    """The optimizer's vectors by name, and its control array under ""; nothing before compile."""
    state = None if model.loss is None else model.optimizer_state
    return {} if state is None else {**state.vectors, "": state.control}


def parts_of(model: Any) -> Parts:
    goal = () if model.loss is None else (model.loss, model.optimizer, model.metrics, *_penalties(model))
    optimizer_arrays = {
        name: np.array(model.backend.to_host(array)) for name, array in _optimizer_arrays(model).items()
    }
    layers = [(type(layer), layer.config()) for layer in model.layers]
    settings = {"input_shape": model.input_shape, "seed": model.seed}
    return Parts(
        type(model), layers, settings, model.epochs_done, model.parameters.to_host(), goal, optimizer_arrays
    )


def assemble_model(parts: Parts, backend: Backend | tuple[Any, ...]) -> Any:
    """The model again, on this backend, or one with these settings.
    Raises InputError: its class has a constructor of its own; BackendUnavailable: that cannot run here.
    """
    backend = get_backend(*backend) if isinstance(backend, tuple) else backend
    layers = [layer_from_config(*layer) for layer in parts.layers]
    got = f"a {parts.model.__name__} cannot be copied"
    expected = "a class with Sequential's constructor"
    with reraise(TypeError, got, expected, "use save and load_model"):
        model = parts.model(layers, backend=backend, **parts.settings)
    model.parameters.load(parts.arrays)
    model.epochs_done = parts.epochs_done
    if parts.goal:
        model.set_goal(*parts.goal)
    for name, array in _optimizer_arrays(model).items():
        array[...] = backend.from_host(parts.optimizer_arrays[name])
    return model


def training_config(network: Any) -> dict[str, Any] | None:
    """How a network is trained, as JSON values; None: it is not compiled."""
    if network.loss is None:
        return None
    metrics = network.metrics
    l1, l2 = _penalties(network)
    updates = network.backend.to_host(network.optimizer_state.control[UPDATES])[0]
    return {"optimizer": network.optimizer.config(), "l1": l1, "l2": l2, "updates": int(updates),
            "metrics": None if metrics is None else [metric.name for metric in metrics]}  # fmt: skip


class Copyable:
    """Base of a network, whose copies these are."""

    backend: Backend

    def __copy__(self, memo: object = None) -> Self:
        made: Self = assemble_model(parts_of(self), self.backend)
        return made

    __deepcopy__ = __copy__

    def __reduce__(self) -> tuple[Any, ...]:
        backend = self.backend
        if backend.wrap is not None:
            raise InputError("the model's backend has wrapped kernels, which cannot be pickled; use save")
        settings = backend.name, backend.device, backend.dtype_name, backend.fused, backend.precision
        return assemble_model, (parts_of(self), settings)
