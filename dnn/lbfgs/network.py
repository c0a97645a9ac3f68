"""L-BFGS for a network: the mean loss over all examples as a function of the flat parameter vector."""

from collections.abc import Callable
from typing import Any

import numpy as np

from backends import Array, InputError
from dnn.lbfgs.minimiser import minimise
from dnn.lbfgs.state import LBFGS, State
from dnn.network import Network
from dnn.training.evaluation import chunks
from dnn.training.step import gradients
from dnn.validation.examples import Examples
from dnn.validation.settings import positive_integer, require_kind


class MeanLoss:
    """L(w) = sum_i c_i loss_i(w) / sum_i c_i, with the penalty on large weights if there is one, and its
    gradient; c_i are the examples' weights, or 1.

    Chunk by chunk, so that memory does not grow with N. Their gradients are added up with a compensation
    for what each addition rounds off (Kahan 1965), the losses on the host in float64 and in pairs: a line
    search compares values that differ in their last digits, and the result should not depend on the chunks.
    """

    def __init__(self, model: Network, examples: Examples, chunk_size: int) -> None:
        self.model = model
        self.examples = examples
        self.chunk_size = chunk_size
        self._losses = model.backend.zeros(examples.size)
        totals = [self._total(start, start + chunk_size) for start in range(0, examples.size, chunk_size)]
        self._total_weight = sum(totals)
        self._shares = [total / self._total_weight for total in totals]  # of each chunk

    def _total(self, start: int, stop: int) -> float:
        if self.examples.weights is None:
            return float(min(stop, self.examples.size) - start)
        return float(self.model.backend.xp.sum(self.examples.weights[start:stop]))

    def __call__(self, point: Array) -> tuple[float, Array]:
        """(L, dL/dw (n,)) at the parameters w = point (n,), which the model has from now on."""
        model = self.model
        backend = self.model.backend
        model.parameters.values[...] = point
        total = backend.xp.zeros_like(point)
        compensation = backend.xp.zeros_like(point)
        for start, stop, batch in chunks(model, self.examples.x, self.chunk_size, training=True):
            _, y, weights = self.examples.part(start, stop)
            # Each chunk's gradient has the whole penalty, of which its share is taken below: together once.
            self._losses[start:stop] = gradients(model, batch, y, weights)
            term = model.parameters.gradients * self._shares[start // self.chunk_size] - compensation
            larger = total + term
            compensation = (larger - total) - term
            total = larger
        value = float(np.sum(backend.to_host(self._losses), dtype=np.float64)) / self._total_weight
        if model.penalty is not None:
            value += float(backend.to_host(model.penalty.value())[0])
        return value, total


def fit_lbfgs(
    model: Network, x: Any, y: Any, *, settings: LBFGS | None = None, state: State | None = None,
    chunk_size: int = 1000, watch: Callable[[State], object] | None = None, sample_weight: Any = None,
) -> State:  # fmt: skip
    """Train by L-BFGS: full batches, no learning rate, a line search in each iteration.
    Every evaluation takes all of x once, like an epoch of ``fit``: for sets small enough for hundreds.

    Args:
        model: compiled; its optimizer is not used.
        x, y, sample_weight, settings, watch: as in ``Sequential.fit`` and ``minimise``.
        state: in which an earlier call with the same x and y stopped (or ``load_state``): the
            parameters are then those of the state.
        chunk_size: examples that go through the network at a time.
    Returns the state; its ``history`` holds loss and gradient by evaluations, its ``reason`` why it stopped.
    The model has the last iterate's parameters, also after an interrupt.
    Raises InputError: not compiled, an argument that does not fit, or a state of another network or of other
    data; nothing was changed.

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
    require_kind("state", state, State, None), require_kind("watch", watch, Callable, None)
    for layer in model.layers:
        if layer.random or layer.uses_batch_statistics:
            expected = "none such in L-BFGS; leave it out or train with fit"
            raise layer.input_error("makes the loss depend on more than the weights", expected)
    backend = model.backend
    values = model.parameters.values
    chunk_size = positive_integer("chunk_size", chunk_size)
    examples = inputs.validate(x, y, sample_weight)
    if model.goal.ignored_class is not None and examples.y.ndim == 1:
        raise InputError("the loss has ignore_index", "none in L-BFGS", "take these examples out of x and y")
    function = MeanLoss(model, examples, chunk_size)
    here = backend.xp.asarray(values, copy=True)
    if state is not None:
        _require_same_problem(state, function, here)
    start, here = (here, here) if state is None else (state, state.point)

    def follow(now: State) -> None:
        nonlocal here
        here = now.point
        if watch is not None:
            watch(now)

    with model.training():
        try:
            return minimise(function, start, backend=backend, settings=settings, watch=follow)
        finally:
            values[...] = here  # the last evaluation may have been elsewhere


def _require_same_problem(state: State, function: MeanLoss, before: Array) -> None:
    """Refuse a state of another network, or one that was reached with other examples or another goal.
    One evaluation tells: there the loss must be the state's, rounding on another backend allowed. Where it is
    refused, the model keeps its parameters, which are ``before`` (n,).
    """
    backend = function.model.backend
    backend.check("state", state.point)
    got, expected = (f"{v.shape[0]} numbers of {v.dtype}" for v in (state.point, before))
    if got != expected:
        raise InputError(f"state is of {got}", f"{expected}: of a network with the same layers and dtype")
    found, _ = function(state.point)
    near = float(np.sqrt(np.finfo(backend.dtype_name).eps)) * max(1.0, abs(state.value))
    if not abs(found - state.value) <= near and np.isfinite(state.value):
        function.model.parameters.values[...] = before
        got = f"state has the loss {state.value:.6g} where x and y give {found:.6g}"
        raise InputError(got, "the examples, loss and penalty that it was reached with")
