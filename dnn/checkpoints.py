"""Save a model to a checkpoint (``dnn.io.safetensors``), and load it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from backends import Backend, InputError, get_backend
from backends.backend import FLOAT_DTYPES
from backends.errors import UnknownName, reraise, short_repr, shorten
from backends.reference.optimizers import UPDATES
from dnn.io.safetensors import CheckpointError, read_checkpoint
from dnn.keras_names import checks_keywords, note
from dnn.layers import Block
from dnn.layers.dense import fastest_on_cpu
from dnn.losses import LOSSES
from dnn.network import Network
from dnn.optimizers import optimizer_from
from dnn.sequential import Sequential
from dnn.settings import checks

__all__ = [
    "CheckpointError",
    "load_model",
    "load_weights",
    "save_model",
    "weights_digest",
]


@checks_keywords
def save_model(model: Sequential, path: str | Path) -> None:
    """Call ``model.save(path)``. Raises CheckpointError: the file cannot be written."""
    checks.require_kind("model", model, Network).save(path)


def weights_digest(network: Network) -> str:
    """Return the SHA-256 of all parameters and the state, as bytes in the order of the layers."""
    digest = sha256()
    for array in network.parameters.to_host().values():
        digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


@checks_keywords
def load_model(
    path: str | Path, backend: Backend | str | Callable[..., Backend] = "auto", allow_nonfinite: bool = False
) -> Sequential:
    """Load a model onto this backend, compiled as it was saved.

    A checkpoint contains loss, optimizer settings, penalty, metrics, and the number of updates, so that a
    learning-rate schedule continues. It does not contain the optimizer's moments; a training state does
    (``dnn.training.state``). The weights must have the backend's dtype, because they are never rounded
    implicitly.

    Args:
        path: of the checkpoint.
        backend: for the model; its name; or a function that returns it for the ``dtype`` of the weights, and
            ``cpu_first`` as in ``get_backend``.
        allow_nonfinite: whether to accept weights with NaN or infinity.
    Raises CheckpointError: not a readable checkpoint, another dtype, or weights that do not fit the
    architecture or are not finite.
    """
    path = checks.require_path("path", path)
    facts, arrays = read_checkpoint(path)
    with _report_contents(path):
        dtype = facts["dtype"]
        checks.require(dtype in FLOAT_DTYPES, "dtype", dtype, f"one of {', '.join(FLOAT_DTYPES)}")
        block = Block(facts["layers"])
    if isinstance(backend, str):
        backend = partial(get_backend, backend)
    if not isinstance(backend, Backend) and callable(backend):
        expected = "a backend, its name, or a function of dtype and cpu_first"
        with reraise(TypeError, f"backend is {short_repr(backend)}", expected):
            backend = backend(dtype=dtype, cpu_first=fastest_on_cpu(block.inner))
    if dtype != checks.require_kind("backend", backend, Backend).dtype_name:
        got = f"checkpoint {path} has dtype {dtype}"
        raise CheckpointError(got, backend.dtype_name, f"get the backend with dtype={dtype!r}")
    broken = [name for name in sorted(arrays) if not np.all(np.isfinite(arrays[name]))]
    if not checks.require_bool("allow_nonfinite", allow_nonfinite) and broken:
        got = f"checkpoint {path} holds NaN or infinity in {broken[0]}: its training diverged"
        raise CheckpointError(got, cure="load it anyway with allow_nonfinite=True (--allow-nonfinite)")
    with _report_contents(path):
        shape = checks.positive_integers("input_shape", facts["input_shape"])
        block.set_shape(shape)
        for name, wanted in block.parameter_shapes().items():  # before allocating arrays of that size
            if (array := arrays.get(name)) is None or array.shape != wanted:
                found = "missing" if array is None else f"of shape {array.shape}"
                raise InputError(f"weights {shorten(name)} are {found}", f"shape {wanted}")
        model = Sequential(facts["layers"], input_shape=shape, backend=backend, seed=facts["seed"])
        model.parameters.load(arrays)
        if facts["loss"] is not None:
            _compile(model, facts)
            note("optimizer_state")
        model.epochs_done = facts["epochs_done"]
    return model


@contextmanager
def _report_contents(path: str | Path) -> Iterator[None]:
    """Raise CheckpointError instead of the errors that wrong contents of a checkpoint raise."""
    try:
        yield
    except UnknownName as error:
        got = f"checkpoint {path} needs a component that is not known here: {shorten(error, 400)}"
        raise CheckpointError(
            got, cure="import and register your own components first (@dnn.register)"
        ) from None
    except (KeyError, ValueError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        raise CheckpointError(f"checkpoint {path} is inconsistent: {shorten(error, 400)}") from None


def _compile(model: Sequential, facts: Mapping[str, Any]) -> None:
    """Compile the model with the saved loss, optimizer, penalty and metrics."""
    loss = checks.look_up("loss", str(facts["loss"]), LOSSES)(**facts["loss_settings"])
    training = facts["training"]
    optimizer = optimizer_from(training["optimizer"])
    model.set_objective(loss, optimizer, training["metrics"], training["l1"], training["l2"])
    model.optimizer_state.control[UPDATES] = float(checks.natural_number("updates", training["updates"]))


def load_weights(model: Sequential, path: str | Path) -> None:
    """Set the weights of a model from a checkpoint of the same architecture.

    Raises CheckpointError: not a readable checkpoint, or another architecture or dtype; then the weights are
    unchanged.
    """
    _, arrays = read_checkpoint(checks.require_path("path", path))
    with reraise(InputError, f"checkpoint {path} is of another architecture:", error_type=CheckpointError):
        checks.require_kind("model", model, Network).parameters.load(arrays)
