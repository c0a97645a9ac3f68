"""Replay a real training: its kernels' calls and its updates, with its own numbers, on every contender."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from backends import get_backend
from backends.reference.declaration import Kernel
from dnn.agreement import bounds
from dnn.agreement.calls.call import MEASURED, Call, map_arrays
from dnn.agreement.calls.dense_calls import sum_length
from dnn.agreement.contenders.contender import Contender, receive
from dnn.agreement.contenders.oracle import make_disturbed_oracle, make_oracle
from dnn.agreement.contenders.ours import BackendContender
from dnn.agreement.level0_kernels import judge_call
from dnn.agreement.records import Record
from dnn.agreement.setup import QUICK, Setup
from dnn.copies import Contents, assemble_model, contents_of
from dnn.network import Network
from dnn.training.loop import Batches
from dnn.typing import HostArrays

CHANGE = 2.0**-20
"""Relative change of what the oracle's kernels read. The bound of an update is four times its effect.
Rounding to float32 is a sixteenth of it. What that could switch, such as units near a kink, it switches."""


def replay_level(
    contenders: Sequence[Contender], model: Network, x: Any, y: Any, batch_size: int = 100, *, seed: int = 0
) -> list[Record]:
    """Compare each distinct call of a kernel in an update and a prediction, and three updates of an epoch.

    A call is distinct by its kernel, shapes, dtypes and settings. The updates of the first, an early and the
    last batch start from the model's parameters, and run as in ``fit``: by a plan, if the backend has one.
    Those of a network with batch normalisation are not compared, since it magnifies roundings.

    Args:
        model: compiled, of any backend; it stays as it is.
        x, y: examples and targets of the training, as for ``fit``.
    Raises InputError: the model is not compiled.
    """
    ours = [c for c in contenders if isinstance(c, BackendContender)]
    setup = Setup("replay", ours, make_oracle(), None, QUICK, seed)
    training = partial(train, contents_of(model), x, y, batch_size)
    calls: dict[str, Call] = {}

    def judge_update(batch: int) -> list[Record]:
        expected = training(batch, setup.oracle)
        changed = training(batch, make_disturbed_oracle(seed, CHANGE))

        def bound(tensor: str, unit: float) -> float:
            return 4.0 * bounds.eta(changed[tensor], expected[tensor]) + bounds.layer(batch_size)

        return setup.without_repetitions().compare(
            f"update of batch {batch}", partial(training, batch), bound, expected=expected
        )

    with np.errstate(all="ignore"), setup.in_threads(several=False):
        recording = get_backend("numpy").with_wrapper(partial(record, calls))
        training(0, BackendContender("numpy", lambda dtype: recording))
        records = [r for call in calls.values() for r in judge_call(setup, call, ["float32"])]
        last = -(-len(x) // batch_size) - 1
        if not any(layer.uses_batch_statistics for layer in model.layers):
            for batch in sorted({0, min(256, last), last}):  # 256 needs more than 8 bits
                records += judge_update(batch)
    return records


def record(calls: dict[str, Call], name: str, kernel: Kernel) -> Kernel:
    """Return the kernel; its first call with each form is added to ``calls``, with copies of the arrays."""

    def recorded(*arguments: Any) -> None:
        form = str((name, map_arrays(lambda a: (a.shape, a.dtype), arguments)))
        if form not in calls:
            copies: dict[int, np.ndarray] = {}

            def keep(a: np.ndarray) -> np.ndarray:
                return copies.setdefault(id(a), a.astype(a.dtype.name.replace("float32", "float64")))

            copied = map_arrays(keep, arguments)
            matrices = [a for a in copies.values() if a.dtype == np.float64 and a.ndim > 1]
            k = max((sum_length(a.size // a.shape[-1], a.shape[-1]) for a in matrices), default=1)
            calls[form] = Call(name, copied, k, MEASURED if matrices else 2.0)
        kernel(*arguments)

    return recorded


def train(parts: Contents, x: Any, y: Any, batch_size: int, batch: int, contender: Contender) -> HostArrays:
    """Return parameters, slots, loss and predictions after the update of one batch of an epoch."""
    backend = contender.backend
    network = assemble_model(parts._replace(objective=()), backend)
    if parts.objective:
        network.set_objective(*parts.objective)  # with vectors of zeros
    batches = Batches(network, network.input_pipeline.check(x, y), batch_size)
    batches.begin(1, batch)
    batches.run(1)
    parameters = network.parameters
    tensors = {"loss": batches.totals.loss, **parameters.by_name}
    for slot, vector in network.optimizer_state.vectors.items():
        tensors |= {f"{slot} {name}": view for name, view in parameters.views(vector).items()}
    found = receive(backend, tensors.items())
    return {**found, "predictions": network.predict(x[:batch_size])}
