"""Mistakes at sizes and settings that people use: two classes, large batches, late updates, threads."""

from dataclasses import replace
from typing import Any

import numpy as np

from backends.numpy.blas import numpy_blas
from backends.plan import Compressed, Plan
from backends.reference.control import BIAS_1, BIAS_2, RATE, UPDATES
from backends.reference.signatures import Array, Arrays, Numbers
from dnn.agreement.mutants.mutant import Function, Mutant, edit_after, edit_argument, restore_view, wrap_call
from dnn.agreement.mutants.plans import plan_mutant
from dnn.agreement.mutants.training import STEP_KERNELS


def stop_correction(
    step: Function, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers
) -> None:
    if control[UPDATES] >= 2000:
        control[BIAS_1], control[BIAS_2] = 1.0, 1.0
    step(p, g, slots, control, settings)


def skip_rate_of_0(step: Function, p: Array, g: Array, slots: Arrays, control: Array, *rest: Any) -> None:
    """Do nothing at a rate of 0, not even to the moments."""
    if control[RATE] != 0.0:
        step(p, g, slots, control, *rest)


def lost_rows(activation: str, x: Array, W: Array, b: Array, y: Array) -> Array:
    """Return the rows of y beyond the largest multiple of the number of threads."""
    blas = numpy_blas()
    n = blas.threads.section_threads if blas else 1
    return y[len(y) // max(n, 1) * max(n, 1) :]


def drop_numbers(plan: Plan) -> Plan:
    """Set the numbers of a sparse row from the 256th on to 0."""
    x = plan.x
    if not isinstance(x, Compressed):
        return plan
    position = np.arange(len(x.values)) - np.repeat(x.starts[:-1] - x.starts[0], np.diff(x.starts))
    return replace(plan, x=x._replace(values=np.where(position < 256, x.values, 0.0).astype(x.values.dtype)))


def repeat_rows(plan: Plan) -> Plan:
    """Let the rows from the 65,537th on repeat the first ones."""
    rows = np.arange(len(plan.y)) % (1 << 16)
    return plan if len(rows) <= 1 << 16 else replace(plan, x=plan.x[rows], y=plan.y[rows])


def clamp_index(*arguments: Any) -> None:
    index = arguments[-1]
    index[...] = index.astype(np.int16)


def draw_always(forward: Function, layer: Any, x: Array, *, training: bool) -> Any:
    layer.reserve(x.shape[0], training=True)
    return forward(layer, x, training=True)


def repeat_noise(set_warp: Function, layer: Any, uniform: Array, buffers: Any) -> None:
    buffers.bits[:, 2:] = buffers.bits[:1, 2:]
    set_warp(layer, uniform, buffers)


SIZE_MUTANTS: tuple[Mutant, ...] = (
    Mutant("two-classes-give-infinity", "cross-entropy of two classes is infinite", "L0",
           "softmax_cross_entropy", edit_after(
               lambda z, t, losses, dz: losses.fill(np.inf) if z.shape[1] == 2 else None
           )),
    Mutant("batch-beyond-65536-lost", "a batch loses its numbers from the 65,537th on", "L0",
           "gather_rows", restore_view(lambda rows, index, out, scale: out.reshape(-1)[65536:])),
    Mutant("bytes-divided-by-255", "bytes are always divided by 255", "L0",
           "gather_rows", wrap_call(
               lambda gather, rows, index, out, scale:
               gather(rows, index, out, 1.0 / 255.0 if rows.dtype == np.uint8 else scale)
           )),
    Mutant("average-of-256-pixels", "an average of more than 256 pixels divides by 256", "L0",
           "average_pool2d", edit_after(
               lambda x, size, strides, padding, y: np.multiply(y, max(size[0] * size[1] / 256, 1.0), out=y)
           )),
    Mutant("index-of-16-bits", "the place of a maximum overflows at 32,768", "L0",
           "max_pool2d", edit_after(clamp_index)),
    Mutant("hinge-of-negative-targets", "hinge counts a target of -1 as 1", "L0",
           "hinge", edit_argument(1, lambda t: np.abs(t) if t.ndim == 2 else t)),
    Mutant("rows-beyond-the-threads", "a dense layer leaves the rows of a remainder by the threads", "L0",
           "dense", restore_view(lost_rows)),
    Mutant("no-correction-from-2000", "Adam has no bias correction from update 2000 on", "L3",
           "adam", wrap_call(stop_correction)),
    Mutant("rate-of-0-skipped", "an update at a rate of 0 leaves the moments", "L3",
           STEP_KERNELS, wrap_call(skip_rate_of_0)),
    Mutant("noise-in-evaluation", "Gaussian noise is drawn in evaluation, too", "L4",
           "dnn.layers.noise.GaussianNoise.forward", wrap_call(draw_always)),
    Mutant("elastic-noise-repeated", "an elastic distortion moves all images alike", "L4",
           "dnn.layers.augmentation.RandomElastic.set_warp", wrap_call(repeat_noise)),
    plan_mutant("plan-takes-first-rate", "a plan without Adam takes the first rate of a schedule",
                lambda plan:
                plan if plan.optimizer.__name__ == "adam" else replace(plan, rates=plan.rates[:1])),
    plan_mutant("plan-forgets-smoothing", "a plan of sparse examples has no label smoothing",
                lambda plan: replace(plan, label_smoothing=0.0) if isinstance(plan.x, Compressed) else plan),
    plan_mutant("plan-classes-of-8-bits", "the class numbers of a plan overflow at 256",
                lambda plan: replace(plan, y=plan.y % 256)),
    plan_mutant("plan-rows-of-255-numbers", "a sparse row has at most 256 numbers", drop_numbers),
    plan_mutant("plan-rows-of-16-bits", "the row numbers of a plan overflow at 65,536",
                repeat_rows),
    plan_mutant("plan-columns-of-16-bits", "the column numbers of a sparse plan overflow at 65,536",
                lambda plan:
                replace(plan, x=plan.x._replace(columns=plan.x.columns % (1 << 16)))
                if isinstance(plan.x, Compressed) else plan),
    plan_mutant("plan-skips-a-single-row", "a plan takes the first example for a batch of one row",
                lambda plan: replace(plan, order=0 * plan.order if plan.order.shape[1] == 1 else plan.order)),
)  # fmt: skip
