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


class Contents(NamedTuple):
    """The contents of a model, on the host."""

    network_class: type[Any]
    layers: list[Layer]  # to be copied if they are in a model; in a pickle they are in none
    settings: dict[str, Any]  # further arguments of the constructor
    epochs_done: int
    arrays: HostArrays  # parameters and state of the layers
    objective: tuple[Any, ...]  # arguments of set_objective; () before compile
    optimizer_arrays: HostArrays  # as of _optimizer_arrays


Parts = Contents  # the name in pickles of version 1


def _penalties(network: Any) -> tuple[float, float]:
    return (0.0, 0.0) if network.penalty is None else (network.penalty.l1, network.penalty.l2)


def _optimizer_arrays(network: Any) -> dict[str, Any]:
    """Return the optimizer's vectors by name, and its control array as ""; {} before compile."""
    if network.loss is None:
        return {}
    return {**network.optimizer_state.vectors, "": network.optimizer_state.control}


def contents_of(network: Any) -> Contents:
    """Return the contents of a model, copied to the host."""
    optimizer = network.loss and network.optimizer_state.optimizer
    objective = (
        () if network.loss is None else (network.loss, optimizer, network.metrics, *_penalties(network))
    )
    settings = {"input_shape": network.input_shape, "seed": network.seed}
    return Contents(
        type(network), list(network.layers), settings, network.epochs_done,
        network.parameters.to_host(), objective, copy_to_host(network.backend, _optimizer_arrays(network)),
    )  # fmt: skip


def assemble_model(contents: Contents, backend: Backend) -> Any:
    """Build a model from its contents, on this backend and in its dtype."""
    if isinstance(backend, tuple):
        raise _version_error(1)  # whose pickles called this function
    layers = [copy(layer) if "backend" in vars(layer) else layer for layer in contents.layers]
    network = object.__new__(contents.network_class)
    network._initialise(layers, backend=backend, **contents.settings)
    network.parameters.load({
        name: array.astype(backend.dtype_name, copy=False) if array.dtype.kind == "f" else array
        for name, array in contents.arrays.items()
    })  # fmt: skip
    network.epochs_done = contents.epochs_done
    if contents.objective:
        network.set_objective(*contents.objective)
    for name, array in _optimizer_arrays(network).items():
        array[...] = backend.from_host(contents.optimizer_arrays[name])
    return network


def unpickle_model(version: int, contents: tuple[Any, ...], backend: tuple[Any, ...]) -> Any:
    """Build a model from the fields of its contents, on the backend with these arguments of ``get_backend``.

    Raises InputError: another version wrote the pickle; BackendUnavailable.
    """
    if version != VERSION:
        raise _version_error(version)
    return assemble_model(Contents(*contents), get_backend(*backend))


def _version_error(version: int) -> InputError:
    got = f"the pickle of a model has version {version}, this release reads {VERSION}"
    return InputError(got, cure=safetensors.cure_for_version(version, VERSION))


def checkpoint_content(network: Any) -> bytes:
    """Return the content of the file that ``Network.save`` writes: weights and architecture."""
    training = None  # of a network that is not compiled
    if network.loss is not None:
        metrics = network.metrics
        l1, l2 = _penalties(network)
        optimizer_state = network.optimizer_state
        updates = network.backend.to_host(optimizer_state.control[UPDATES])[0]
        names = None if metrics is None else [metric.name for metric in metrics]
        training = {"optimizer": optimizer_state.optimizer.config(), "l1": l1, "l2": l2,
                    "updates": int(updates), "metrics": names}  # fmt: skip
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
        network: Self = assemble_model(contents_of(self), self.backend)
        layers = dict(_layer_pairs(self.layers, network.layers))
        vars(network).update({name: layers.get(id(value), value) for name, value in self._added.items()})
        return network

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        network: Self = assemble_model(contents_of(self), self.backend)
        memo.update(_layer_pairs(self.layers, network.layers))
        memo[id(self)] = network
        vars(network).update(deepcopy(self._added, memo))
        return network

    def __reduce__(self) -> tuple[Any, ...]:
        backend = self.backend
        settings = backend.name, backend.device, backend.dtype_name, backend.fused, backend.precision
        return unpickle_model, (VERSION, tuple(contents_of(self)), settings), self._added
