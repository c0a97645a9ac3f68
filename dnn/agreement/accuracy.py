"""L5: what a user sees: the test accuracy after some epochs in float32, over seeds, paired."""

from collections.abc import Iterator, Sequence

import numpy as np

from dnn.agreement import bounds
from dnn.agreement.cases import Data
from dnn.agreement.contender import Contender
from dnn.agreement.records import Record
from dnn.optimizers import Adam
from dnn.optimizers.schedules import LinearDecay

LEVEL = "L5"


def accuracy_level(
    contenders: Sequence[Contender],
    train: Data,
    test: Data,
    *,
    hidden: tuple[int, ...] = (500, 500),
    epochs: int = 10,
    seeds: int = 5,
    batch_size: int = 100,
) -> Iterator[Record]:
    """One record a contender: mean difference from the first contender's accuracy, in points.

    Each seed gives everyone the same initial weights and batches, so the differences are paired; the
    trajectories still part, and what is left is chance.
    """
    runs: dict[str, list[float]] = {}
    # The recipe of train.py: the falling rate also makes the accuracies scatter less.
    optimizer = Adam(LinearDecay(1e-3, epochs * -(-train.x.shape[0] // batch_size)))
    cases = [train.case(f"seed {seed}", hidden, optimizer, seed) for seed in range(seeds)]
    for c in (c for c in contenders if c.trains):
        runs[c.name] = [100.0 * c.accuracy(case, train, test, epochs, batch_size) for case in cases]
        mine = np.asarray(runs[c.name])
        first = np.asarray(next(iter(runs.values())))
        spread = float(np.std(mine, ddof=1)) if seeds > 1 else 0.0
        paired = float(np.mean(mine - first))
        note = (
            f"mean {mine.mean():.3f}, standard deviation {spread:.3f}, paired difference "
            f"{paired:+.3f} points; {', '.join(f'{a:.2f}' for a in mine)}"
        )
        yield Record(LEVEL, f"{epochs} epochs, {seeds} seeds", "test accuracy", c.name,
                     abs(paired), bounds.MAX_ACCURACY_POINTS, note)  # fmt: skip
