"""``copy.copy``, ``copy.deepcopy`` and pickle for models: each returns an independent model.

A copy contains everything that a checkpoint contains, and the vectors and counters of the optimizer. The
arrays pass through the host.
"""

from copy import copy
from typing import Any, NamedTuple, Self

from backends import Backend, InputError, get_backend
from backends.errors import reraise
from backends.reference.optimizers import UPDATES
from dnn.io import safetensors
from dnn.layers.layer import Layer
from dnn.parameters import copy_to_host
from dnn.typing import HostArrays

VERSION = 2  # of pickles


class Parts(NamedTuple):
    """The contents of a model, on the host."""

    model: type[Any]  # class of the model
    layers: list[Layer]  # to be copied; in a pickle they are in no model
    settings: dict[str, Any]  # further arguments of the constructor
    epochs_done: int
    arrays: HostArrays  # parameters and state of the layers
    objective: tuple[Any, ...]  # arguments of set_objective; () before compile
    optimizer_arrays: HostArrays  # as of _optimizer_arrays


def _penalties(model: Any) -> tuple[float, float]:
    return (0.0, 0.0) if model.penalty is None else (model.penalty.l1, model.penalty.l2)


def _optimizer_arrays(model: Any) -> dict[str, Any]:
    """Return the optimizer's vectors by name, and its control array as ""; {} before compile."""
    if model.loss is None:
        return {}
    return {**model.optimizer_state.vectors, "": model.optimizer_state.control}


def parts_of(model: Any) -> Parts:
    """Return the parts of a model, copied to the host."""
    objective = () if model.loss is None else (model.loss, model.optimizer, model.metrics, *_penalties(model))
    settings = {"input_shape": model.input_shape, "seed": model.seed}
    return Parts(
        type(model), list(model.layers), settings, model.epochs_done, model.parameters.to_host(), objective,
        copy_to_host(model.backend, _optimizer_arrays(model)),
    )  # fmt: skip


def assemble_model(parts: Parts, backend: Backend) -> Any:
    """Build a model from its parts, on this backend.

    Raises InputError: the class of the model has another constructor.
    """
    if isinstance(backend, tuple):
        raise _version_error(1)  # whose pickles called this function
    layers = [copy(layer) for layer in parts.layers]
    got = f"a {parts.model.__name__} cannot be copied"
    with reraise(TypeError, got, "a class with Sequential's constructor", "use save and load_model"):
        model = parts.model(layers, backend=backend, **parts.settings)
    model.parameters.load(parts.arrays)
    model.epochs_done = parts.epochs_done
    if parts.objective:
        model.set_objective(*parts.objective)
    for name, array in _optimizer_arrays(model).items():
        array[...] = backend.from_host(parts.optimizer_arrays[name])
    return model


def unpickle_model(version: int, parts: tuple[Any, ...], backend: tuple[Any, ...]) -> Any:
    """Build a model from the fields of its parts, on the backend with these arguments of ``get_backend``.

    Raises InputError: another version wrote the pickle; BackendUnavailable.
    """
    if version != VERSION:
        raise _version_error(version)
    return assemble_model(Parts(*parts), get_backend(*backend))


def _version_error(version: int) -> InputError:
    got = f"the pickle of a model has version {version}, this release reads {VERSION}"
    return InputError(got, cure=safetensors.cure_for_version(version, VERSION))


def checkpoint_content(network: Any) -> bytes:
    """Return the content of the file that ``Network.save`` writes: weights and architecture."""
    facts = {"dtype": network.backend.dtype_name, **network.config(), "seed": network.seed,
             "epochs_done": network.epochs_done, "training": _training_config(network)}  # fmt: skip
    arrays = network.parameters.to_host()
    return safetensors.encode(safetensors.FORMAT, safetensors.VERSION, facts, arrays)


def _training_config(network: Any) -> dict[str, Any] | None:
    """Return optimizer, penalty, metrics and update count as JSON values; None if it is not compiled."""
    if network.loss is None:
        return None
    metrics = network.metrics
    l1, l2 = _penalties(network)
    updates = network.backend.to_host(network.optimizer_state.control[UPDATES])[0]
    return {"optimizer": network.optimizer.config(), "l1": l1, "l2": l2, "updates": int(updates),
            "metrics": None if metrics is None else [metric.name for metric in metrics]}  # fmt: skip


class Copyable:
    """Base of networks that adds copy, deepcopy and pickle."""

    backend: Backend

    def __copy__(self, memo: object = None) -> Self:
        model: Self = assemble_model(parts_of(self), self.backend)
        return model

    __deepcopy__ = __copy__

    def __reduce__(self) -> tuple[Any, ...]:
        backend = self.backend
        settings = backend.name, backend.device, backend.dtype_name, backend.fused, backend.precision
        return unpickle_model, (VERSION, tuple(parts_of(self)), settings)
