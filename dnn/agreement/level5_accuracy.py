"""L5: compare test accuracies after a training in float32, paired by seed."""

from collections.abc import Iterator, Sequence

import numpy as np

from dnn.agreement import bounds
from dnn.agreement.cases import Case, Data
from dnn.agreement.contenders.contender import Contender
from dnn.agreement.records import Record
from dnn.agreement.textbook.training import epoch_batches
from dnn.optimizers import Adam
from dnn.optimizers.schedules import LinearDecay

BATCH_SIZE = 100  # the default of ``fit``


def measure_accuracy(contender: Contender, case: Case, train: Data, test: Data, epochs: int) -> float:
    """Train in float32; return the test accuracy, from 0 to 1, which the contender's Backend computes."""
    batches = (
        (train.x[rows], train.y[rows])
        for epoch in range(1, epochs + 1)
        for rows in epoch_batches(case.seed, epoch, len(train.x), BATCH_SIZE)
    )
    weights = contender.train(case, batches)
    model = case.model(contender.backend)
    model.parameters.load({name: w.astype(np.float32) for name, w in weights.items()})
    return model.evaluate(test.x, test.y).accuracy


def accuracy_level(
    contenders: Sequence[Contender],
    train: Data,
    test: Data,
    *,
    hidden: tuple[int, ...] = (500, 500),
    epochs: int = 10,
    seeds: int = 5,
) -> Iterator[Record]:
    """Yield one record for each contender: its mean accuracy minus the first contender's.

    With the same seed all contenders start from the same weights and see the same batches, so the
    differences are paired. The trajectories still diverge, so some difference remains by chance.

    Args:
        train, test: training and test examples.
        hidden: widths of the hidden layers.
        seeds: number of trainings for each contender.

    Yields records with the absolute mean difference in percentage points.
    """
    first: np.ndarray | None = None
    # As train.py trains. The decaying learning rate also reduces the scatter of the accuracies.
    optimizer = Adam(LinearDecay(1e-3, epochs * -(-len(train.x) // BATCH_SIZE)))
    cases = [train.case(f"seed {seed}", hidden, optimizer, seed) for seed in range(seeds)]
    for c in contenders:
        scores = np.asarray([100.0 * measure_accuracy(c, case, train, test, epochs) for case in cases])
        first = scores if first is None else first
        paired = float(np.mean(scores - first))
        each = ", ".join(f"{a:.2f}" for a in scores)
        note = f"mean {scores.mean():.3f}, paired difference {paired:+.3f} points; {each}"
        yield Record("L5", f"{epochs} epochs, {seeds} seeds", "test accuracy", c.name,
                     abs(paired), bounds.MAX_ACCURACY_POINTS, note)  # fmt: skip
