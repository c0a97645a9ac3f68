"""Training state: everything needed to resume a training without a difference, on any backend.

It consists of weights, the optimizer's vectors and counters, the sums of the current epoch, the position in
it, and the history. Random numbers need no state: their streams are keyed by seed, purpose and step.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import Array, Backend, InputError
from backends.errors import reraise, shorten
from dnn.inputs.arrays import dtype_name
from dnn.inputs.rows import Rows
from dnn.io.notices import warn
from dnn.network import Network
from dnn.settings.checks import require
from dnn.training.history import Columns, History
from dnn.typing import HostArrays, Json

MADE_WITH = "made_with"  # a fact that may differ on resume, with a warning
RATE = "learning_rate"  # of the fact "optimizer"; it may differ too
CALLBACK_PREFIX = "callback "  # of the names of callbacks' arrays in a training state


class StateError(InputError):
    """A training state cannot be read, or belongs to another training."""


@dataclass
class TrainingState:
    """A training between two updates."""

    epoch: int  # the current one, from 1
    updates: int  # number of updates done in this epoch
    facts: Json  # must be equal on resume: model, optimizer, seed, data, batches, names of the numbers
    history: HostArrays  # name -> (finished epochs,) float64
    # On the host: "value NAME", "state NAME", "SLOT NAME", "control", "totals", "callback KIND NUMBER NAME".
    arrays: HostArrays

    def __repr__(self) -> str:
        return f"<TrainingState: epoch {self.epoch}, {self.updates} updates, {len(self.arrays)} arrays>"

    @property
    def model_arrays(self) -> HostArrays:
        """The arrays without those of callbacks."""
        return {name: a for name, a in self.arrays.items() if not name.startswith(CALLBACK_PREFIX)}

    @property
    def is_finite(self) -> bool:
        """Whether no array contains NaN or infinity, except those of callbacks, which may be a best value."""
        return all(np.all(np.isfinite(array)) for array in self.model_arrays.values())


def fingerprint(backend: Backend, *arrays: Array | None) -> str:
    """Return a digest of the contents, shapes and dtypes of data; None is left out."""
    digest = hashlib.sha256()
    for array in arrays:
        if array is None:
            continue
        data = array if isinstance(array, Rows) else np.ascontiguousarray(backend.to_host(array))
        digest.update(f"{data.dtype} {data.shape};".encode())
        for _, chunk in data.chunks() if isinstance(data, Rows) else [(..., data)]:
            digest.update(chunk.data)
    return digest.hexdigest()


def host_numbers(name: str, value: Any) -> np.ndarray:
    """Return a copy of an array of a callback. Raises InputError: a file cannot hold it."""
    with reraise(ValueError, f"array {name!r} of state_arrays is not one array"):
        array = np.array(value)
    fits = array.dtype.kind in "biuf" and array.itemsize <= 8
    require(fits, f"array {name!r} of state_arrays", value, "an array of numbers")
    return array


def backend_facts(backend: Backend) -> Json:
    """Return further facts that the bits depend on: library, version, threads, instruction set."""
    others = "reason", "processor"
    return {name: fact for name, fact in backend.describe().items() if name not in others}


def warn_if_backend_differs(before: Json, now: Json) -> None:
    """Log a warning if library, version or number of threads differ from the ones that wrote a state.

    With reproducible precision these do not change the bits.
    """
    is_reproducible = before.get("precision") == now.get("precision") == "reproducible"
    relevant = ("dtype", "denormals_flushed") if is_reproducible else {**now, **before}
    if other := [name for name in relevant if before.get(name) != now.get(name)]:
        saved, current = (", ".join(f"{n} {facts.get(n)}" for n in other) for facts in (before, now))
        warn(f"the saved state was made with {shorten(saved)}, here it is {shorten(current)}; later "
             f"results may differ in their last bits")  # fmt: skip


def device_arrays(network: Network, totals: Array) -> dict[str, Array]:
    """Return the arrays on the device that a training state contains, by name."""
    parameters = network.parameters
    optimizer = network.optimizer_state
    slots = {slot: parameters.views(vector) for slot, vector in optimizer.vectors.items()}
    kinds = {"value": parameters.by_name, "state": parameters.state, **slots}
    named = {f"{kind} {name}": a for kind, arrays in kinds.items() for name, a in arrays.items()}
    return {**named, "control": optimizer.control, "totals": totals}


def write_arrays(network: Network, totals: Array, arrays: HostArrays, epochs_done: int) -> None:
    """Write arrays as of ``device_arrays``, and the number of epochs, into a model and ``totals``."""
    network.parameters.clear()
    for name, array in device_arrays(network, totals).items():
        array[...] = network.backend.from_host(np.ascontiguousarray(arrays[name]))
    network.epochs_done = epochs_done


def check_state(
    network: Network, state: TrainingState, totals: Array, facts: Json,
    updates: int, epochs: int,
) -> History:  # fmt: skip
    """Return the finished epochs of a state that fits a compiled model and ``totals``.

    Args:
        facts: of this training, as those of the state.
        updates, epochs: number of updates of an epoch, and of epochs of this fit.
    Raises StateError: the state is of another training. Its history is checked
    first, then its position, its facts and its arrays.
    """
    history = previous_history(state)
    if state.updates > updates:
        raise StateError(f"the training state is at update {state.updates}", f"at most {updates} in an epoch")
    begun = len(history.epoch) + (state.updates > 0)  # epochs of its fit; a state follows an update
    if not 1 <= begun <= epochs:
        got = f"the training state is in epoch {state.epoch}"
        raise StateError(got, f"one of a training of {epochs} epochs", "start a new training")
    for name, wanted in facts.items():
        found = state.facts.get(name)
        if name == "optimizer" and isinstance(found, dict) and RATE in found:
            found = {**found, RATE: wanted[RATE]}
        fits = isinstance(found, dict) if name == MADE_WITH else comparable(found) == comparable(wanted)
        if not fits:
            got = f"the training state differs in {name}: {shorten(found)}"
            raise StateError(got, shorten(wanted), "resume with the settings and data of that training")
    expected_arrays = device_arrays(network, totals)
    if odd := sorted(expected_arrays.keys() ^ state.model_arrays.keys()):
        raise StateError(f"the training state does not have the arrays of this model: {odd[:3]} differ")
    for name, wanted in expected_arrays.items():
        array = state.arrays[name]
        found = f"{array.dtype} {array.shape}"
        expected = f"{dtype_name(wanted)} {tuple(wanted.shape)}"
        if found != expected:
            raise StateError(f"array {name!r} of the training state is {found}", expected)
    warn_if_backend_differs(state.facts[MADE_WITH], facts[MADE_WITH])
    return history


def change_rate(network: Network, state: TrainingState, facts: Json) -> None:
    """Let a training that was continued from ``state`` take another learning rate, with a warning."""
    before, now = (comparable(f["optimizer"][RATE]) for f in (state.facts, facts))
    if before != now:
        network.optimizer_state.take_rate()
        warn(
            f"the training continues with learning_rate {shorten(now)}, the saved state had {shorten(before)}"
        )


def previous_history(state: TrainingState) -> History:
    """Return the finished epochs of the state. Raises StateError: their numbers do not fit its epoch."""
    epochs = {len(values) for values in state.history.values()} or {0}
    if len(epochs) != 1 or max(epochs) >= state.epoch:
        got = f"the history of the training state has {sorted(epochs)} epochs"
        raise StateError(got, f"one number, below {state.epoch}")
    first = state.epoch - epochs.pop()
    columns = Columns({n: [*map(float, v)] for n, v in state.history.items()})
    return History(list(range(first, state.epoch)), columns)


def comparable(facts: Any) -> Any:
    """Return facts as they are read from a file, with NaN as text: tuples are lists, and NaN equals NaN."""
    return json.loads(json.dumps(facts), parse_constant=str)
