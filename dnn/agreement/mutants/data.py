"""Mistakes in random streams, picked rows, images and the loop over batches."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from backends.reference.signatures import Array
from dnn.agreement.mutants.changes import Function, after, around, with_argument
from dnn.agreement.mutants.mutant import Mutant


def pick_rate(edit: Function) -> Function:
    """Gather a schedule's rate at ``edit(index, last)``, and everything else as it is."""

    def wrong(gather: Function, rows: Array, index: Array, *rest: Any) -> None:
        rates = rows.ndim == 1 and rows.dtype.kind == "f"
        gather(rows, edit(index, len(rows) - 1) if rates else index, *rest)

    return around(wrong)


def repeat_row(gather: Function) -> Function:
    """Repeat the first image as the last one of a batch that is shorter than an earlier one."""
    sizes = [0]

    def wrong(rows: Array, index: Array, *rest: Any) -> None:
        if rows.dtype.kind == "u":  # bytes, as images have
            sizes.append(len(index))
            if 1 < len(index) < max(sizes):
                index = np.concatenate([index[:-1], index[:1]])
        gather(rows, index, *rest)

    return wrong


def round_total(add: Function, a: Array, **options: Any) -> Array:
    total = add(a, **options)
    return total.astype(np.float16).astype(a.dtype) if a.ndim == 1 and total.ndim == 0 else total


def drop_last(capture: Function, step: Function, unroll: int = 25) -> Function:
    run = capture(step, unroll)
    return lambda n: run(n - 1 if n > 25 else n)


DATA_MUTANTS: Mapping[str, Mutant] = {
    "repeated-mask": Mutant(
        "the same mask of dropout, and the same order of rows, in each step", "L0",
        {"threefry": with_argument(1, lambda high: 0 * high)},
    ),
    "late-steps-repeat": Mutant(
        "steps beyond 1000 draw the numbers of the step before", "L0",
        {"threefry": with_argument(1, lambda high: np.where(high > 1000, high - 1, high))},
    ),
    "rate-before": Mutant(
        "a schedule's rate of the update before", "L0",
        {"gather_rows": pick_rate(lambda index, last: np.maximum(index - 1, 0))},
    ),
    "rate-after": Mutant(
        "a schedule's rate of the update after", "L0",
        {"gather_rows": pick_rate(lambda index, last: np.minimum(index + 1, last))},
    ),
    "schedule-ends-early": Mutant(
        "a schedule stays at the rate before its last", "L4",
        {"xp.minimum": around(lambda minimum, a, b: minimum(a, b - 1) if a.shape == (1,) else minimum(a, b))},
    ),
    "pixel-256": Mutant(
        "pixels divided by 256", "L0",
        {"gather_rows": with_argument(3, lambda scale: 1.0 if scale == 1.0 else 1 / 256)},
    ),
    "index-of-16-bits": Mutant(
        "numbers of rows in 16 bits", "L0",
        {"gather_rows": with_argument(1, lambda index: index.astype(np.uint16).astype(np.int64))},
    ),
    "first-row-is-out-of-reach": Mutant(
        "the second row instead of the first", "L0",
        {"gather_rows": with_argument(1, lambda index: np.maximum(index, 1))},
    ),
    "last-row-is-out-of-reach": Mutant(
        "the last row but one instead of the last", "L0",
        {"gather_rows": around(
            lambda gather, rows, index, *rest: gather(rows, np.minimum(index, len(rows) - 2), *rest)
        )},
    ),
    "short-batch-repeats-a-row": Mutant(
        "the last image of a short batch is its first", "L4", {"gather_rows": repeat_row}
    ),
    "lost-duplicates": Mutant(
        "of rows with one number the last is kept, not their sum: an embedding's gradient", "L0",
        {"scatter_rows": around(lambda scatter, rows, index, out: out.__setitem__(index, rows))},
    ),
    "one-field": Mutant(
        "images distorted down and across by the same noise", "L0",
        {"smooth_moves": after(lambda *a: np.copyto(a[-1][:, 1], a[-1][:, 0]))},
    ),
    "nearest-pixel": Mutant(
        "the nearest pixel's number instead of one between four", "L0",
        {"warp_images": with_argument(2, np.rint)},
    ),
    "moves-without-their-sign": Mutant(
        "pixels move down and right alone", "L0", {"warp_images": with_argument(2, np.abs)}
    ),
    "losses-added-in-float16": Mutant(
        "the losses of a batch added up in float16", "L4", {"xp.sum": around(round_total)}
    ),
    "last-update-dropped": Mutant(
        "the last of more than 25 updates is not made", "L4", {"backend.capture": around(drop_last)}
    ),
}  # fmt: skip
