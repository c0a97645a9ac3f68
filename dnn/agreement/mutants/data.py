"""Mistakes in random streams, gathered rows, images and the training loop.

All backends and the oracle share the mistakes in functions of ``dnn``. L4 rejects these, since its textbook
training (``dnn.agreement.textbook``) shares no code with the backends.
"""

from operator import setitem
from typing import Any

import numpy as np

from backends.reference.signatures import Array
from dnn.agreement.mutants.mutant import (
    Function,
    Mutant,
    edit_after,
    edit_argument,
    restore_view,
    wrap_call,
)


def pick_rate(edit: Function) -> Function:
    """Gather a schedule's learning rate at ``edit(index, last)``. Other arrays are gathered correctly."""

    def wrong(gather: Function, rows: Array, index: Array, *rest: Any) -> None:
        rates = rows.ndim == 1 and rows.dtype.kind == "f"
        gather(rows, edit(index, len(rows) - 1) if rates else index, *rest)

    return wrap_call(wrong)


def repeat_row(gather: Function) -> Function:
    """Replace the last image of a short batch by its first. A batch is short if an earlier one was longer."""
    sizes = [0]

    def wrong(rows: Array, index: Array, *rest: Any) -> None:
        if rows.dtype.kind == "u":  # uint8 images
            sizes.append(len(index))
            if 1 < len(index) < max(sizes):
                index = np.concatenate([index[:-1], index[:1]])
        gather(rows, index, *rest)

    return wrong


def keep_unused(scatter: Function, rows: Array, index: Array, out: Array) -> None:
    unused = np.setdiff1d(np.arange(len(out)), index)
    old = out[unused].copy()
    scatter(rows, index, out)
    out[unused] = old


def round_total(add: Function, a: Array, **options: Any) -> Array:
    total = add(a, **options)
    return total.astype(np.float16).astype(a.dtype) if a.ndim == 1 and total.ndim == 0 else total


def drop_last(capture: Function, step: Function, unroll: int = 25) -> Function:
    run = capture(step, unroll)
    return lambda n: run(n - 1 if n > 25 else n)


DATA_MUTANTS: tuple[Mutant, ...] = (
    Mutant("repeated-mask", "the same dropout mask and the same order of rows in every step", "L0",
           "threefry", edit_argument(1, lambda high: 0 * high)),
    Mutant("late-steps-repeat", "steps after 1000 draw the random numbers of the previous step", "L0",
           "threefry", edit_argument(1, lambda high: np.where(high > 1000, high - 1, high))),
    Mutant("counters-of-20-bits", "random numbers repeat after 2^20", "L0",
           "threefry", edit_argument(2, lambda low: low % 2**20)),
    Mutant("signed-steps", "steps from 2^31 on draw the numbers of step 2^31 - 1", "L0",
           "threefry", edit_argument(1, lambda high: np.minimum(high, 2**31 - 1))),
    Mutant("unused-rows-keep-their-sum", "summed rows without an index are not set to 0", "L0",
           "scatter_rows", wrap_call(keep_unused)),
    Mutant("rows-beyond-256", "sums of rows from the 257th on are not written", "L0",
           "scatter_rows", restore_view(lambda rows, index, out: out[256:])),
    Mutant("rate-after", "a schedule's learning rate is that of the next update", "L0",
           "gather_rows", pick_rate(lambda index, last: np.minimum(index + 1, last))),
    Mutant("schedule-ends-early", "a schedule never reaches its last learning rate", "L4",
           "xp.minimum", wrap_call(lambda minimum, a, b: minimum(a, b - (a.shape == (1,))))),
    Mutant("pixel-256", "pixels divided by 256", "L0",
           "gather_rows", edit_argument(3, lambda scale: 1.0 if scale == 1.0 else 1 / 256)),
    Mutant("index-of-16-bits", "row indices cast to 16 bits", "L0",
           "gather_rows", edit_argument(1, lambda index: index.astype(np.uint16).astype(np.int64))),
    Mutant("last-row-is-out-of-reach", "the last row but one gathered instead of the last", "L0",
           "gather_rows", wrap_call(
               lambda gather, rows, index, *rest: gather(rows, np.minimum(index, len(rows) - 2), *rest)
           )),
    Mutant("short-batch-repeats-a-row", "the last image of a short batch replaced by its first", "L4",
           "gather_rows", repeat_row),
    Mutant("lost-duplicates",
           "rows with equal indices: the last one instead of their sum (an embedding's gradient)",
           "L0",
           "scatter_rows", wrap_call(lambda scatter, rows, index, out: out.__setitem__(index, rows))),
    Mutant("one-field", "vertical and horizontal distortion use the same noise", "L0",
           "smooth_moves", edit_after(lambda *a: np.copyto(a[-1][:, 1], a[-1][:, 0]))),
    Mutant("nearest-pixel", "nearest pixel instead of bilinear interpolation", "L0",
           "warp_images", edit_argument(2, np.rint)),
    Mutant("losses-added-in-float16", "the losses of a batch summed in float16", "L4",
           "xp.sum", wrap_call(round_total)),
    Mutant("last-update-dropped", "the last update of more than 25 is skipped", "L4",
           "backend.capture", wrap_call(drop_last)),
    Mutant("weighted-sum-over-the-batch-size",
           "the gradient of weighted examples divided by the batch size, not by the sum of the weights", "L4",
           "dnn.training.step.weigh",
           edit_after(lambda xp, w, losses, dy: setitem(dy, ..., dy * xp.mean(w)))),
    Mutant("a-batch-that-counts-nothing-divided-by-its-weight",
           "0 / 0 in a batch in which all weights are 0", "L4",
           "dnn.training.step.weigh", edit_after(
               lambda xp, w, losses, dy: setitem(dy, ..., dy * (xp.sum(w) / xp.sum(w)))
           )),
    Mutant("ignored-examples-in-the-accuracy",
           "examples with the ignored class count in the accuracy", "L4",
           "dnn.training.totals.Totals.__init__",
           edit_after(lambda totals, *_: setattr(totals, "_ignored", None))),
    Mutant("ignored-examples-learnt-as-class-0",
           "examples with the ignored class are trained as class 0", "L4",
           "dnn.validation.examples.InputPipeline._weights", wrap_call(
               lambda weights, inputs, *a, **kw: weights(inputs._replace(ignored_class=None), *a, **kw)
           )),
    Mutant("warm-up-one-update-early", "a schedule's warm-up skips its first update", "L4",
           "dnn.optimizers.schedules.Schedule.rates", wrap_call(
               lambda rates, schedule: rates(schedule)[1:] if schedule.warmup else rates(schedule)
           )),
    Mutant("mask-of-the-first-step", "dropout's mask of the first step in every step", "L4",
           "dnn.layers.noise.Dropout.apply",
           edit_after(lambda dropout, *_: setitem(dropout.state["step"], ..., 0))),
    Mutant("statistics-of-the-batch-in-evaluation",
           "batch normalisation uses batch statistics in evaluation, too", "L4",
           "dnn.layers.normalization.BatchNormalization.forward", wrap_call(
               lambda forward, layer, x, *, training: forward(layer, x, training=True)
           )),
)  # fmt: skip
