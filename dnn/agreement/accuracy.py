"""L5: compare test accuracies after a training in float32, paired by seed."""

from collections.abc import Iterator, Sequence

import numpy as np

from dnn.agreement import bounds
from dnn.agreement.cases import Data
from dnn.agreement.contender import Contender
from dnn.agreement.records import Record
from dnn.interop import NoTwin
from dnn.optimizers import Adam
from dnn.optimizers.schedules import LinearDecay

LEVEL = "L5"
BATCH_SIZE = 100  # the default of ``fit``


def accuracy_level(
    contenders: Sequence[Contender],
    train: Data,
    test: Data,
    *,
    hidden: tuple[int, ...] = (500, 500),
    epochs: int = 10,
    seeds: int = 5,
) -> Iterator[Record]:
    """Yield one record for each contender that can train: its mean accuracy minus the first contender's.

    With the same seed all contenders start from the same weights and see the same batches, so the
    differences are paired. The trajectories still diverge, so some difference remains by chance.

    Args:
        train, test: training and test examples.
        hidden: widths of the hidden layers.
        seeds: number of trainings for each contender.

    Yields records with the absolute mean difference in percentage points.
    """
    runs: dict[str, list[float]] = {}
    # As train.py trains. The decaying learning rate also reduces the scatter of the accuracies.
    optimizer = Adam(LinearDecay(1e-3, epochs * -(-train.x.shape[0] // BATCH_SIZE)))
    cases = [train.case(f"seed {seed}", hidden, optimizer, seed) for seed in range(seeds)]
    for c in contenders:
        try:
            runs[c.name] = [100.0 * c.accuracy(case, train, test, epochs) for case in cases]
        except NoTwin:
            continue
        scores = np.asarray(runs[c.name])
        first = np.asarray(next(iter(runs.values())))
        spread = float(np.std(scores, ddof=1)) if seeds > 1 else 0.0
        paired = float(np.mean(scores - first))
        note = (
            f"mean {scores.mean():.3f}, standard deviation {spread:.3f}, paired difference "
            f"{paired:+.3f} points; {', '.join(f'{a:.2f}' for a in scores)}"
        )
        yield Record(LEVEL, f"{epochs} epochs, {seeds} seeds", "test accuracy", c.name,
                     abs(paired), bounds.MAX_ACCURACY_POINTS, note)  # fmt: skip
