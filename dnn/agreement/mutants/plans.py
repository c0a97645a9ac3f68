"""Mistakes in plans (``backends.plan``), in calls of fit one after the other, and in settings of ``dnn``."""

from dataclasses import replace
from operator import setitem
from typing import Any

import numpy as np

from backends import Backend
from backends.plan import Compressed, Plan
from backends.reference.control import RATE, UPDATES
from dnn.agreement.mutants.mutant import Change, Function, Mutant, edit_after, edit_argument, wrap_call


def take_rows(x: Any, index: np.ndarray) -> np.ndarray:
    if not isinstance(x, Compressed):
        return np.asarray(x[index])
    found = np.zeros((len(index), x.shape[1]), x.values.dtype)
    for row, i in zip(found, index, strict=True):
        part = slice(x.starts[i], x.starts[i + 1])
        row[x.columns[part]] = x.values[part]
    return found


def run_plan(backend: Backend, plan: Plan) -> Function:
    """Return a correct ``run(n)`` of a plan, with the backend's kernels."""

    def update() -> None:
        index = plan.order[plan.position[0]]
        plan.position += 1
        dtype = plan.vectors[0].dtype
        inputs = [take_rows(plan.x, index).astype(dtype) * dtype.type(plan.scale)]
        for layer in plan.layers:
            b = layer.W[0] * 0 if layer.b is None else layer.b
            inputs.append(np.empty((len(index), layer.W.shape[1]), dtype))
            backend.kernel("dense", layer.activation)(inputs[-2], layer.W, b, inputs[-1])
        y = plan.y[index]
        losses, dy = np.empty(len(index), dtype), np.empty_like(inputs[-1])
        backend.kernel("softmax_cross_entropy", "integer")(inputs[-1], y, losses, dy)
        for i, layer in reversed(list(enumerate(plan.layers))):
            db = layer.W[0] * 0 if layer.db is None else layer.db
            dx = np.empty_like(inputs[i])
            gradients = layer.dW, db, dx
            backward = backend.kernel("dense_backward", layer.activation)
            backward(dy, inputs[i], inputs[i + 1], layer.W, dy, gradients)
            dy = dx
        plan.control[RATE] = plan.rates[min(int(plan.control[UPDATES][0]), len(plan.rates) - 1)]
        values, gradient, *slots = plan.vectors
        backend.kernel(plan.optimizer)(values, gradient, tuple(slots), plan.control, plan.settings)
        plan.sums[0] += losses.sum()
        plan.sums[1] += np.sum(inputs[-1].argmax(axis=1) == y) * plan.accuracy

    return lambda n: [update() for _ in range(n)]


def edit_plan(edit: Function) -> Change:
    """Run each plan after ``edit(plan)``."""
    return lambda compile_plan: lambda plan: run_plan(compile_plan.__self__, edit(plan))


def edit_layer(number: int, **changes: Any) -> Change:
    """Change a hidden layer of a plan, if it has so many."""

    def edit(plan: Plan) -> Plan:
        layers = list(plan.layers)
        if number < len(layers) - 1:
            layers[number] = replace(layers[number], **changes)
        return replace(plan, layers=tuple(layers))

    return edit_plan(edit)


def first_examples() -> Change:
    """Keep the examples of the first plan with their shape."""
    seen: dict[Any, Any] = {}
    return edit_plan(
        lambda plan: replace(
            plan, x=seen.setdefault((plan.x.shape, plan.scale, plan.vectors[0].dtype), plan.x)
        )
    )


def copy_moments(plan: Plan) -> Plan:
    values, gradient, *slots = plan.vectors
    return replace(plan, vectors=(values, gradient, *(slot.copy() for slot in slots)))


def fill_empty_rows(plan: Plan) -> Plan:
    """Let an empty row of a sparse matrix repeat the row before."""
    if not isinstance(plan.x, Compressed):
        return plan
    n = np.diff(plan.x.starts)
    dense = take_rows(plan.x, np.arange(len(n)))
    before = np.maximum.accumulate(np.where(n > 0, np.arange(len(n)), 0))
    return replace(plan, x=dense[before])


PLAN_MUTANTS: tuple[Mutant, ...] = (
    Mutant("plan-without-the-third-layers-activation", "a plan computes at most two activations", "L4",
           "backend.compile_plan", edit_layer(2, activation="linear")),
    Mutant("plan-without-the-second-layers-bias", "a plan uses and trains only the first layer's bias", "L4",
           "backend.compile_plan", edit_layer(1, b=None, db=None)),
    Mutant("plan-drops-the-rows-beyond-64", "a plan takes at most 64 rows of a batch", "L4",
           "backend.compile_plan", edit_plan(lambda plan: replace(plan, order=plan.order[:, :64]))),
    Mutant("plan-drops-rows-beyond-a-multiple-of-8", "a plan drops the last rows of a short batch", "L4",
           "backend.compile_plan", edit_plan(
               lambda plan: replace(plan, order=plan.order[:, : max(plan.order.shape[1] // 8 * 8, 1)])
           )),
    Mutant("plan-of-adam-for-adamw", "a plan of AdamW has no weight decay", "L4",
           "backend.compile_plan", edit_plan(
               lambda plan: replace(plan, optimizer=plan.optimizer.replace("w", ""), settings=plan.settings[:3])
           )),
    Mutant("plan-of-the-first-examples", "a second fit trains on the examples of the first", "L4",
           "backend.compile_plan", first_examples()),
    Mutant("plan-with-moments-of-its-own", "a plan does not write the optimizer's moments", "L4",
           "backend.compile_plan", edit_plan(copy_moments)),
    Mutant("plan-fills-empty-rows", "an empty row of a sparse matrix repeats the row before", "L4",
           "backend.compile_plan", edit_plan(fill_empty_rows)),
    Mutant("plan-never-reaches-the-last-rate", "a plan repeats a schedule's last rate but one", "L4",
           "backend.compile_plan", edit_plan(
               lambda plan: replace(plan, rates=plan.rates[: max(len(plan.rates) - 1, 1)])
           )),
    Mutant("plan-counts-no-correct-predictions", "a plan's accuracy is 0", "L4",
           "backend.compile_plan", edit_plan(lambda plan: replace(plan, accuracy=False))),
    Mutant("resume-counts-from-0", "a resumed training counts its updates from 0", "L4",
           "dnn.training.state.restore",
           edit_after(lambda model, *_: setitem(model.optimizer_state.control, UPDATES, 0.0))),
    Mutant("second-fit-repeats-the-order", "the first epoch of each fit has the same order of rows", "L4",
           "dnn.training.loop.permutation", wrap_call(
               lambda permute, backend, key, step, n: permute(backend, key, 2 - step % 2, n)
           )),
    Mutant("frozen-statistics-of-the-batch", "a frozen batch normalisation uses batch statistics", "L4",
           "dnn.layers.normalization.BatchNormalization.trainable", lambda right: True),
    Mutant("balanced-by-the-largest", "class_weight balanced divides by the largest class's size", "L4",
           "dnn.validation.examples._class_weights", wrap_call(
               lambda weigh, backend, given, *rest:
               weigh(backend, given, *rest) / (1.5 if given == "balanced" else 1.0)
           )),
    Mutant("translation-without-the-last-pixel", "a random translation never moves by its largest step", "L4",
           "dnn.layers.augmentation.RandomTranslation.transform",
           edit_argument(1, lambda uniform: uniform * 0.75)),
    Mutant("rotation-the-other-way", "images are rotated the other way", "L4",
           "dnn.layers.augmentation.RandomRotation.set_warp", edit_argument(1, lambda uniform: 1.0 - uniform)),
)  # fmt: skip
