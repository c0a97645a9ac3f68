"""Mistakes in plans (``backends.plan``), in repeated calls of fit, and in settings of ``dnn``."""

from dataclasses import replace
from operator import setitem
from typing import Any

import numpy as np

from backends import Backend
from backends.plan import Compressed, Plan
from backends.reference.control import RATE, UPDATES
from dnn.agreement.mutants.mutant import Change, Function, Mutant, edit_after, edit_argument, wrap_call


def as_dense(x: Any) -> np.ndarray:
    if not isinstance(x, Compressed):
        return np.asarray(x)
    found = np.zeros(x.shape, x.values.dtype)
    rows = np.repeat(np.arange(x.shape[0]), np.diff(x.starts))
    found[rows, x.columns[x.starts[0] : x.starts[-1]]] = x.values[x.starts[0] : x.starts[-1]]
    return found


def run_plan(backend: Backend, plan: Plan) -> Function:
    """Return a correct ``run(n)`` of a plan, by the backend's kernels."""
    dtype = plan.vectors[0].dtype
    kernels = backend.kernels

    def update() -> None:
        examples = as_dense(plan.x).astype(dtype) * dtype.type(plan.scale)  # x may change between updates
        index = plan.order[plan.position[0]]
        plan.position[...] += 1
        y = plan.y[index]
        inputs = [examples[index]]
        logits = []
        for layer in plan.layers:
            z, out = np.empty((2, len(index), layer.W.shape[1]), dtype)
            b = np.zeros_like(layer.W[0]) if layer.b is None else layer.b
            kernels.dense("linear", inputs[-1], layer.W, b, z)
            kernels.activation(layer.activation, z, out)
            logits.append(z)
            inputs.append(out)
        losses, dy = np.empty(len(index), dtype), np.empty_like(inputs[-1])
        e = plan.label_smoothing
        targets = (1.0 - e) * np.eye(dy.shape[1], dtype=dtype)[y] + dtype.type(e / dy.shape[1])
        kernels.softmax_cross_entropy(inputs[-1], targets, losses, dy)
        passed = zip(inputs[:-1], logits, inputs[1:], plan.layers, strict=True)
        for x, z, out, layer in reversed(list(passed)):
            dx = np.empty_like(x)
            db = np.empty_like(layer.W[0]) if layer.db is None else layer.db
            kernels.activation_backward(layer.activation, dy, z, out, dy)
            kernels.dense_backward("linear", dy, x, out, layer.W, dy, (layer.dW, db, dx))
            dy = dx
        if len(plan.rates) > 1:  # else a callback may set the rate
            plan.control[RATE] = plan.rates[min(int(plan.control[UPDATES][0]), len(plan.rates) - 1)]
        values, gradient, *slots = plan.vectors
        plan.optimizer(values, gradient, tuple(slots), plan.control, plan.settings)
        plan.sums[:2] += losses.sum(), np.sum(inputs[-1].argmax(axis=1) == y) * plan.accuracy

    def run(n: int) -> None:
        for _ in range(n):
            update()

    return run


def edit_plan(edit: Function) -> Change:
    """Run each plan after ``edit(plan)``."""

    def change(compile_plan: Any) -> Function:
        return lambda plan: run_plan(compile_plan.__self__, edit(plan))

    return change


def plan_mutant(name: str, mistake: str, edit: Function) -> Mutant:
    return Mutant(name, mistake, "L4", "backend.compile_plan", edit_plan(edit))


def keep_first_examples() -> Change:
    """Keep the examples of the first plan of each shape."""
    seen: dict[Any, Any] = {}
    return edit_plan(lambda plan: replace(plan, x=seen.setdefault(plan.x.shape, plan.x)))


def copy_moments(plan: Plan) -> Plan:
    values, gradient, *slots = plan.vectors
    return replace(plan, vectors=(values, gradient, *(slot.copy() for slot in slots)))


def keep_first_order(compile_plan: Any) -> Function:
    def compile_wrong(plan: Plan) -> Function:
        order = plan.order.copy()
        run = run_plan(compile_plan.__self__, replace(plan, order=order))
        begun = False

        def run_wrong(n: int) -> None:
            nonlocal begun
            if not begun:
                order[...] = plan.order
            begun = True
            run(n)

        return run_wrong

    return compile_wrong


def drop_rest(compile_plan: Any) -> Function:
    def compile_wrong(plan: Plan) -> Function:
        run = run_plan(compile_plan.__self__, plan)
        return lambda n: run(n - n % plan.unroll if n > plan.unroll else n)

    return compile_wrong


def fill_empty_rows(plan: Plan) -> Plan:
    x = as_dense(plan.x)
    full = np.where(x.any(axis=1), np.arange(len(x)), 0)
    return replace(plan, x=x[np.maximum.accumulate(full)])


def elu_as_relu(plan: Plan) -> Plan:
    return replace(plan, layers=tuple(
        replace(layer, activation="relu") if layer.activation == "elu" else layer for layer in plan.layers
    ))  # fmt: skip


def stall_once(stalls: Function, callback: Any, logs: dict[str, float]) -> bool:
    found = stalls(callback, logs) and not hasattr(callback, "reduced")
    if found:
        callback.reduced = True
    return found


def normalise_frozen(forward: Function, layer: Any, x: Any, *, training: bool) -> Any:
    frozen = not layer.trainable
    layer.trainable = True
    y = forward(layer, x, training=training)
    layer.trainable = not frozen
    return y


PLAN_MUTANTS: tuple[Mutant, ...] = (
    plan_mutant("plan-drops-third-activation", "a plan computes at most two activations",
                lambda plan:
                replace(plan, layers=(
                    *plan.layers[:2], *(replace(layer, activation="linear") for layer in plan.layers[2:])
                ))),
    plan_mutant("plan-repeats-first-batch", "a plan takes the first batch of each epoch again and again",
                lambda plan: replace(plan, order=np.broadcast_to(plan.order[:1], plan.order.shape))),
    Mutant("plan-repeats-first-epoch", "a plan keeps the order of rows of its first epoch", "L4",
           "backend.compile_plan", keep_first_order),
    Mutant("plan-drops-the-rest", "a plan skips updates beyond a multiple of its unroll", "L4",
           "backend.compile_plan", drop_rest),
    plan_mutant("plan-drops-rows-beyond-128", "a plan takes at most 128 rows of a batch",
                lambda plan: replace(plan, order=plan.order[:, :128])),
    plan_mutant("plan-computes-elu-as-relu", "a plan computes elu as relu", elu_as_relu),
    Mutant("rate-one-epoch-late", "a callback sets the rate of the next epoch", "L4",
           "dnn.callbacks.LearningRateScheduler.on_epoch_begin", wrap_call(
               lambda begin, callback, epoch: begin(callback, epoch - 1) if epoch > 1 else None
           )),
    Mutant("plateau-reduces-once", "a plateau reduces the rate only once", "L4",
           "dnn.callbacks.ReduceLROnPlateau._stalls", wrap_call(stall_once)),
    Mutant("elastic-without-shear", "an elastic distortion does not shear", "L4",
           "dnn.layers.augmentation.RandomElastic.set_warp", wrap_call(
               lambda warp, layer, u, buffers:
               warp(layer, np.minimum(u, np.asarray([[1.0], [1.0], [1.0], [0.5]])), buffers)
           )),
    plan_mutant("plan-drops-weight-decay", "a plan of AdamW has no weight decay",
                lambda plan: replace(plan, settings=plan.settings[:3])),
    Mutant("plan-keeps-first-examples", "a second fit trains on the examples of the first", "L4",
           "backend.compile_plan", keep_first_examples()),
    plan_mutant("plan-keeps-moments", "a plan does not write the optimizer's moments", copy_moments),
    plan_mutant("plan-fills-empty-rows", "an empty row of a sparse matrix repeats the row before",
                fill_empty_rows),
    plan_mutant("plan-skips-last-rate", "a plan repeats a schedule's last rate but one",
                lambda plan: replace(plan, rates=plan.rates[: max(len(plan.rates) - 1, 1)])),
    Mutant("halved-initial-variance", "initial weights have half of He's or Glorot's variance", "L0",
           "dnn.layers.dense.Affine.initial_values", wrap_call(
               lambda draw, *a: {name: w * 0.5**0.5 for name, w in draw(*a).items()}
           )),
    Mutant("resume-counts-from-0", "a resumed training counts its updates from 0", "L4",
           "dnn.training.state.restore",
           edit_after(lambda model, *_: setitem(model.optimizer_state.control, UPDATES, 0.0))),
    Mutant("second-fit-repeats-the-order", "the first epoch of each fit has the same order of rows", "L4",
           "dnn.training.loop.permutation", wrap_call(
               lambda permute, backend, key, step, n: permute(backend, key, 2 - step % 2, n)
           )),
    Mutant("frozen-batch-statistics", "a frozen batch normalisation uses batch statistics", "L4",
           "dnn.layers.normalization.BatchNormalization.forward", wrap_call(normalise_frozen)),
    Mutant("class-weight-square-root",
           "class_weight balanced divides by the square root of a class's size", "L4",
           "dnn.validation.examples._class_weights", wrap_call(
               lambda weigh, backend, setting, *rest:
               weigh(backend, setting, *rest) ** (0.5 if setting == "balanced" else 1.0)
           )),
    Mutant("translation-skips-last-pixel", "a random translation never moves by its largest step", "L4",
           "dnn.layers.augmentation.RandomTranslation.transform",
           edit_argument(1, lambda uniform: uniform * 0.75)),
    Mutant("reversed-rotation", "images are rotated the other way", "L4",
           "dnn.layers.augmentation.RandomRotation.set_warp",
           edit_argument(1, lambda uniform: 1.0 - uniform)),
)  # fmt: skip
