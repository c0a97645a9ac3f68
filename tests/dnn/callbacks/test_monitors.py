"""The direction of a monitored number: the metric declares it, or the user gives a mode."""

import numpy as np
import pytest
from helpers import fit_small, input_error, small_data, small_model, weights

from dnn import Callback, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from dnn.metrics import Metric, metric_of

MONITORS = {
    "stopping": lambda path, *names, **options: EarlyStopping(*names, patience=99, **options),
    "plateau": lambda path, *names, **options: ReduceLROnPlateau(*names, min_delta=0, **options),
    "checkpoint": lambda path, *names, **options: ModelCheckpoint(
        path, *names, save_best_only=True, **options
    ),
}
each_monitor = pytest.mark.parametrize("make", MONITORS.values(), ids=MONITORS)


def inaccuracy(y, outputs):
    return 1.0 - outputs[:, 0]


def fewer_errors(y, outputs):
    return outputs[:, 0]


def undeclared_accuracy(y, outputs):
    return outputs[:, 0]


class Coverage(Metric):
    higher_is_better = True


class Height(Callback):
    def on_epoch_end(self, epoch, logs):
        logs["height_acc"] = float(epoch)


inaccuracy.higher_is_better = False
fewer_errors.higher_is_better = True
batch = metric_of(undeclared_accuracy).batch
LOWER = [inaccuracy, metric_of(inaccuracy, "acc"), "mean_squared_error", "mean_absolute_error"]
HIGHER = [fewer_errors, "accuracy", "r2", Coverage("error", batch), Metric("x", batch, higher_is_better=True)]


@each_monitor
@pytest.mark.parametrize(
    ("metric", "best"), [("loss", min), *((m, min) for m in LOWER), *((m, max) for m in HIGHER)]
)
@pytest.mark.parametrize("prefix", ["", "val_"])
def test_the_best_value_is_in_the_direction_of_the_metric(tmp_path, make, metric, best, prefix):
    model = small_model()
    model.compile(metrics=[] if metric == "loss" else [metric])
    name = prefix + getattr(metric, "name", getattr(metric, "__name__", metric))
    watcher = make(tmp_path / "best", name)
    values = fit_small(model, epochs=5, validation_data=small_data(seed=1), callbacks=[watcher]).history[name]
    assert len(set(values)) > 1
    assert watcher.best.value == best(values)


@each_monitor
@pytest.mark.parametrize("name", ["undeclared_accuracy", "val_undeclared_accuracy", "height_acc", "seconds"])
def test_an_unknown_direction_is_refused_before_the_first_update(tmp_path, make, name):
    model = small_model()
    model.compile(metrics=[undeclared_accuracy])
    before = weights(model)
    settings = {"epochs": 3, "validation_data": small_data()}
    with input_error(
        f"monitor is '{name}' with mode='auto', expected one of loss.* mode='max' .* mode='min'"
    ):
        fit_small(model, callbacks=[Height(), make(tmp_path / "best", name)], **settings)
    assert np.array_equal(weights(model), before)
    for mode, best in (("min", min), ("max", max)):
        watcher = make(tmp_path / "best", name, mode=mode)
        history = fit_small(model, callbacks=[Height(), watcher], **settings).history
        assert watcher.best.value == best(history[name])


def test_rejects_a_direction_that_is_no_bool():
    with input_error("higher_is_better is 'no', expected a bool or None"):
        Metric("mine", batch, higher_is_better="no")
