"""Mistakes above the backends, which all backends and the oracle share. L4 sees them, since the training that
is written out (``dnn.agreement.textbook``) shares no code with the backends."""

from collections.abc import Mapping
from operator import setitem
from typing import Any

import numpy as np

from dnn.agreement.mutants.changes import Function, after, around
from dnn.agreement.mutants.mutant import Mutant


def weigh_validation(fit: Function, model: Any, x: Any, y: Any, **settings: Any) -> Any:
    """Weigh validation examples by their classes, too."""
    if settings.get("class_weight"):
        x_test, y_test, weights = settings["validation_data"]
        table = np.asarray([settings["class_weight"].get(c, 1.0) for c in range(10)])
        settings["validation_data"] = x_test, y_test, weights * table[y_test]
    return fit(model, x, y, **settings)


def price_biases(penalty: Any, parameters: Any, *_: Any) -> None:
    for arrays, views in zip(penalty._weights, (parameters.value, parameters.gradient), strict=True):
        arrays.append(views["dense_1.b"])


SHARED_MUTANTS: Mapping[str, Mutant] = {
    "weighted-sum-over-the-batch-size": Mutant(
        "the gradient of weighted examples divided by the batch size, not by the sum of the weights", "L4",
        {"dnn.training.step.weigh": after(lambda xp, w, losses, dy: setitem(dy, ..., dy * xp.mean(w)))},
    ),
    "a-batch-that-counts-nothing-divided-by-its-weight": Mutant(
        "0 / 0 in a batch of which nothing counts", "L4",
        {"dnn.training.step.weigh": after(
            lambda xp, w, losses, dy: setitem(dy, ..., dy * (xp.sum(w) / xp.sum(w)))
        )},
    ),
    "class-weights-in-validation": Mutant(
        "weights of classes count in validation", "L4",
        {"dnn.sequential.Sequential.fit": around(weigh_validation)},
    ),
    "ignored-examples-in-the-accuracy": Mutant(
        "examples that ignore_index leaves out count in the accuracy", "L4",
        {"dnn.training.totals.Totals.__init__": after(lambda totals, *_: setattr(totals, "_ignored", None))},
    ),
    "ignored-examples-learnt-as-class-0": Mutant(
        "examples that ignore_index leaves out are learnt", "L4",
        {"dnn.validation.examples.Door._weights": around(
            lambda weights, door, *a, **options: weights(door._replace(ignored=None), *a, **options)
        )},
    ),
    "price-of-biases": Mutant(
        "the l1 and l2 penalty of biases", "L4",
        {"dnn.optimizers.regularizers.Penalty.__init__": after(price_biases)},
    ),
    "warm-up-one-update-early": Mutant(
        "a schedule's warm-up without its first update", "L4",
        {"dnn.optimizers.schedules.Schedule.rates": around(
            lambda rates, schedule: rates(schedule)[1:] if schedule.warmup else rates(schedule)
        )},
    ),
    "mask-of-the-first-step": Mutant(
        "dropout's mask of the first step in all", "L4",
        {"dnn.layers.noise.Dropout.apply": after(lambda dropout, *_: setitem(dropout.state["step"], ..., 0))},
    ),
    "statistics-of-the-batch-in-evaluation": Mutant(
        "batch normalisation by the batch in evaluation, too", "L4",
        {"dnn.layers.normalization.BatchNormalization.forward": around(
            lambda forward, layer, x, *, training: forward(layer, x, training=True)
        )},
    ),
}  # fmt: skip
