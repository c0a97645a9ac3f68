"""Mistakes in random streams, gathered rows, images and the training loop.

All backends and the oracle share the mistakes in functions of ``dnn``. L4 rejects these, since its textbook
training (``dnn.agreement.textbook``) shares no code with the backends.
"""

from operator import setitem
from typing import Any

import numpy as np

from dnn.agreement.mutants.mutant import (
    Function,
    Mutant,
    edit_after,
    edit_argument,
    wrap_call,
)


def drop_last(capture: Function, *arguments: Any) -> Function:
    run = capture(*arguments)
    return lambda n: run(n - 1 if n > 25 else n)


DATA_MUTANTS: tuple[Mutant, ...] = (
    Mutant("repeated-mask", "the same dropout mask and the same order of rows in every step", "L0",
           "threefry", edit_argument(1, lambda high: 0 * high)),
    Mutant("lost-duplicates",
           "rows with equal indices: the last one instead of their sum (an embedding's gradient)", "L0",
           "scatter_rows", wrap_call(lambda scatter, rows, index, out: out.__setitem__(index, rows))),
    Mutant("counters-of-20-bits", "random numbers repeat after 2^20", "L0",
           "threefry", edit_argument(2, lambda low: low % 2**20)),
    Mutant("last-rows-not-shuffled", "only the first 65,536 of the rows are shuffled", "L0",
           "xp.argsort", edit_argument(
               0, lambda bits: np.where(np.arange(len(bits)) < 1 << 16, bits // 2, bits.dtype.type(1 << 62))
           )),
    Mutant("last-update-dropped", "the last update of more than 25 is skipped", "L4",
           "backend.capture", wrap_call(drop_last)),
    Mutant("weighted-loss-over-batch-size",
           "the gradient of weighted examples divided by the batch size, not by the sum of the weights", "L4",
           "dnn.training.step.apply_weights",
           edit_after(lambda xp, w, losses, dy: setitem(dy, ..., dy * xp.mean(w)))),
    Mutant("zero-weights-give-nan",
           "0 / 0 in a batch with only zero weights", "L4",
           "dnn.training.step.apply_weights", edit_after(
               lambda xp, w, losses, dy: setitem(dy, ..., dy * (xp.sum(w) / xp.sum(w)))
           )),
    Mutant("ignored-class-trained-as-0",
           "examples with the ignored class are trained as class 0", "L4",
           "dnn.validation.examples.InputPipeline._weights", wrap_call(
               lambda weights, inputs, *a, **kw: weights(inputs._replace(ignored_class=None), *a, **kw)
           )),
    Mutant("warm-up-one-update-early", "a schedule's warm-up skips its first update", "L4",
           "dnn.optimizers.schedules.Schedule.rates", wrap_call(
               lambda rates, schedule: rates(schedule)[1:] if schedule.warmup else rates(schedule)
           )),
    Mutant("batch-statistics-in-evaluation",
           "batch normalisation uses batch statistics in evaluation, too", "L4",
           "dnn.layers.normalization.BatchNormalization.forward", wrap_call(
               lambda forward, layer, x, *, training: forward(layer, x, training=True)
           )),
)  # fmt: skip
