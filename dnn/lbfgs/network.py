"""L-BFGS for a network: the mean loss over all examples as a function of the flat parameter vector."""

from collections.abc import Callable
from functools import partial
from math import isclose, isfinite
from typing import Any

import numpy as np

from backends import Array, InputError
from backends.claims import finally_call
from dnn.inputs.examples import Examples
from dnn.lbfgs.minimiser import Watch, minimise
from dnn.lbfgs.state import LBFGS, State
from dnn.network import Network
from dnn.parameters import set_arrays
from dnn.sequential import Sequential
from dnn.settings.checks import positive_integer, require_kind
from dnn.training.evaluation import load_batches
from dnn.training.step import gradients


class MeanLoss:
    """L(w) = sum_i c_i loss_i(w) / sum_i c_i plus the penalty, and its gradient; c_i are weights, or 1.

    It is computed in chunks, so that memory does not grow with N. The gradients are added with compensated
    summation (Kahan 1965), the losses pairwise on the host in float64: a line search compares values that
    differ in the last digits, and the result should not depend on the chunks.

    Args:
        network: compiled.
        examples: N checked examples.
        chunk_size: number of examples at a time.
    """

    def __init__(self, network: Network, examples: Examples, chunk_size: int) -> None:
        self.network = network
        self.examples = examples
        self.chunk_size = chunk_size
        self._losses = network.backend.zeros(examples.size)
        totals = []
        for start in range(0, examples.size, chunk_size):
            _, y, weights = examples.between(start, min(start + chunk_size, examples.size))
            totals.append(float(y.shape[0] if weights is None else network.backend.xp.sum(weights)))
        self._total_weight = sum(totals)
        self._shares = [total / self._total_weight for total in totals]  # of each chunk

    def __call__(self, point: Array) -> tuple[float, Array]:
        """Return (L, dL/dw (n,)) at w = point (n,), and leave these parameters in the network."""
        network = self.network
        backend = network.backend
        network.parameters.vector[...] = point
        total = backend.xp.zeros_like(point)
        compensation = backend.xp.zeros_like(point)
        for start, stop, batch in load_batches(network, self.examples.x, self.chunk_size, training=True):
            _, y, weights = self.examples.between(start, stop)
            # Each gradient contains the full penalty. The shares sum to 1, so the total contains it once.
            self._losses[start:stop] = gradients(network, batch, y, weights)
            term = network.parameters.gradient_vector * self._shares[start // self.chunk_size] - compensation
            larger = total + term
            compensation = (larger - total) - term
            total = larger
        value = float(np.sum(backend.to_host(self._losses), dtype=np.float64)) / self._total_weight
        if network.penalty is not None:
            value += float(backend.to_host(network.penalty.value())[0])
        return value, total


def fit_lbfgs(
    model: Sequential, x: Any, y: Any, *, settings: LBFGS | None = None, state: State | None = None,
    chunk_size: int = 1000, watch: Watch = None, sample_weight: Any = None,
) -> State:  # fmt: skip
    """Train by L-BFGS: full batches, no learning rate, a line search in each iteration.

    Every evaluation uses all of x once, like an epoch of ``fit``. It suits data sets that are small enough
    for hundreds of epochs.

    Args:
        model: compiled; its optimizer is not used.
        x, y, sample_weight: as in ``Sequential.fit``.
        settings, watch: as in ``minimise``.
        state: of an earlier call with the same x and y, or from ``load_state``; training continues from its
            parameters.
        chunk_size: number of examples that pass through the network at a time.
    Returns the state: ``history`` has loss and gradient norm by evaluations, ``reason`` says why it stopped.
    The model has the parameters of the last iterate, also after an interruption.
    Raises InputError: not compiled, an invalid argument, or a state of another network or of other data; then
    the model is unchanged.

    >>> import numpy as np
    >>> from dnn import Dense, Sequential
    >>> model = Sequential([Dense(2, "softmax")], input_shape=(1,), backend="numpy")
    >>> model.compile()
    >>> x = np.asarray([[0.0], [1.0], [2.0], [3.0]], dtype=np.float32)
    >>> state = fit_lbfgs(model, x, np.asarray([0, 1, 0, 1]))
    >>> state.reason.converged, round(state.value, 4)
    (True, 0.5869)
    """
    inputs = require_kind("model", model, Network).input_pipeline
    require_kind("state", state, State, None)
    require_kind("settings", settings, LBFGS, None)
    require_kind("watch", watch, Callable, None)
    for layer in model.layers:
        if layer.random or layer.uses_batch_statistics:
            expected = "no such layer in L-BFGS; leave it out or train with fit"
            raise layer.input_error("makes the loss depend on more than the weights", expected)
    backend = model.backend
    weights = model.parameters.vector
    chunk_size = positive_integer("chunk_size", chunk_size)
    with model.training():
        examples = inputs.check(x, y, sample_weight)
        function = MeanLoss(model, examples, chunk_size)
        before = backend.xp.asarray(weights, copy=True)
        if state is None:
            state = State(before)
        else:
            with finally_call(partial(set_arrays, [weights], [before])):
                _require_same_problem(state, function)
        # The last evaluation may have been at another point than the last iterate.
        with finally_call(lambda: set_arrays([weights], [state.point])):
            return minimise(function, state, backend=backend, settings=settings, watch=watch)


def _require_same_problem(state: State, function: MeanLoss) -> None:
    """Raise InputError for a state of another network, of other examples or of another loss.

    One evaluation at the state's point must give its loss, up to the rounding of another backend.
    """
    backend = function.network.backend
    weights = function.network.parameters.vector
    backend.check("state", state.point)
    found, expected = (f"{v.shape[0]} numbers of {v.dtype}" for v in (state.point, weights))
    if found != expected:
        raise InputError(f"state has {found}", f"{expected}: the same layers and dtype")
    if state.gradient is None:  # it has never run
        return
    value, _ = function(state.point)
    near = float(np.finfo(backend.dtype_name).eps) ** 0.5
    if not isclose(value, state.value, rel_tol=near, abs_tol=near) and isfinite(state.value):
        got = f"state has the loss {state.value:.6g}, but x and y give {value:.6g}"
        raise InputError(got, "the examples, loss and penalty of the state")
