"""``copy.copy``, ``copy.deepcopy`` and pickle for models: each returns an independent model.

A copy contains everything that a checkpoint contains, the vectors and counters of the optimizer, and the
attributes that a subclass or its user added; no constructor of a subclass is called. ``stop_training`` and
``update_forms`` describe a fit and are not copied. The arrays pass through the host.
"""

from collections.abc import Iterator, Sequence
from copy import copy, deepcopy
from pathlib import Path
from typing import Any, NamedTuple, Self

from backends import Backend, InputError, get_backend
from backends.errors import reraise
from backends.reference.optimizers import UPDATES
from dnn.io import safetensors
from dnn.io.atomic_files import write_atomically
from dnn.layers.layer import Layer
from dnn.parameters import copy_to_host
from dnn.settings.base import json_value
from dnn.settings.checks import require_path
from dnn.typing import HostArrays, Json, Shape

VERSION = 3  # of pickles


class Parts(NamedTuple):
    """The contents of a model, on the host."""

    model: type[Any]  # class of the model
    layers: list[Layer]  # to be copied if they are in a model; in a pickle they are in none
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
    optimizer = model.loss and model.optimizer_state.optimizer
    objective = () if model.loss is None else (model.loss, optimizer, model.metrics, *_penalties(model))
    settings = {"input_shape": model.input_shape, "seed": model.seed}
    return Parts(
        type(model), list(model.layers), settings, model.epochs_done, model.parameters.to_host(), objective,
        copy_to_host(model.backend, _optimizer_arrays(model)),
    )  # fmt: skip


def assemble_model(parts: Parts, backend: Backend) -> Any:
    """Build a model from its parts, on this backend and in its dtype."""
    if isinstance(backend, tuple):
        raise _version_error(1)  # whose pickles called this function
    layers = [copy(layer) if "backend" in vars(layer) else layer for layer in parts.layers]
    model = object.__new__(parts.model)
    model._initialise(layers, backend=backend, **parts.settings)
    model.parameters.load({
        name: array.astype(backend.dtype_name, copy=False) if array.dtype.kind == "f" else array
        for name, array in parts.arrays.items()
    })  # fmt: skip
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
    training = None  # of a network that is not compiled
    if network.loss is not None:
        metrics = network.metrics
        l1, l2 = _penalties(network)
        state = network.optimizer_state
        updates = network.backend.to_host(state.control[UPDATES])[0]
        training = {"optimizer": state.optimizer.config(), "l1": l1, "l2": l2, "updates": int(updates),
                    "metrics": None if metrics is None else [metric.name for metric in metrics]}  # fmt: skip
    facts = {"dtype": network.backend.dtype_name, **network.config(), "seed": network.seed,
             "epochs_done": network.epochs_done, "training": training}  # fmt: skip
    arrays = network.parameters.to_host()
    return safetensors.encode(safetensors.FORMAT, safetensors.VERSION, facts, arrays)


def _layer_pairs(old: Sequence[Layer], new: Sequence[Layer]) -> Iterator[tuple[int, Layer]]:
    """Yield the id of each layer of a model, and the layer of its copy."""
    for layer, copied in zip(old, new, strict=True):
        yield id(layer), copied
        yield from _layer_pairs(layer.inner, copied.inner)


class Copyable:
    """Base of networks that adds save, copy, deepcopy and pickle."""

    backend: Backend
    input_shape: Shape
    layers: Sequence[Layer]
    loss: Any
    _own_names: frozenset[str]

    def config(self) -> Json:
        """Return architecture and loss as JSON values, as a checkpoint stores them beside the weights."""
        loss, settings = (None, {}) if self.loss is None else (self.loss.name, self.loss.config())
        return {"input_shape": list(self.input_shape), "layers": json_value(self.layers), "loss": loss,
                "loss_settings": settings}  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write weights and architecture, replacing an older file atomically. Raises CheckpointError."""
        path = require_path("path", path)
        with reraise(
            OSError, f"checkpoint {path} cannot be written:", error_type=safetensors.CheckpointError
        ):
            write_atomically(path, checkpoint_content(self))

    @property
    def _added(self) -> dict[str, Any]:
        """The attributes that are not the network's."""
        return {name: value for name, value in vars(self).items() if name not in self._own_names}

    def __copy__(self) -> Self:
        model: Self = assemble_model(parts_of(self), self.backend)
        layers = dict(_layer_pairs(self.layers, model.layers))
        vars(model).update({name: layers.get(id(value), value) for name, value in self._added.items()})
        return model

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        model: Self = assemble_model(parts_of(self), self.backend)
        memo.update(_layer_pairs(self.layers, model.layers))
        memo[id(self)] = model
        vars(model).update(deepcopy(self._added, memo))
        return model

    def __reduce__(self) -> tuple[Any, ...]:
        backend = self.backend
        settings = backend.name, backend.device, backend.dtype_name, backend.fused, backend.precision
        return unpickle_model, (VERSION, tuple(parts_of(self)), settings), self._added
