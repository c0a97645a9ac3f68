"""The direction of a monitored number: the metric declares it, or the user gives a mode."""

from functools import partial

import pytest
from helpers import fit_small, input_error, small_data, small_model

from dnn import Adam, Callback, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from dnn.metrics import Metric, metric_of


def accuracy_undeclared(y, outputs):
    return outputs[:, 0]


def inaccuracy(y, outputs):
    return outputs[:, 0]


class Coverage(Metric):
    higher_is_better = True


class Height(Callback):
    def on_epoch_end(self, epoch, logs):
        logs |= {"height_acc": epoch, "val_height_acc": -epoch}


inaccuracy.higher_is_better = False
METRICS = [
    accuracy_undeclared, inaccuracy, Coverage("error", metric_of(inaccuracy).batch),
    "accuracy", "r2", "mean_squared_error", "mean_absolute_error",
]  # fmt: skip
DIRECTIONS = {
    "loss": min, "inaccuracy": min, "error": max, "accuracy": max, "r2": max,
    "mean_squared_error": min, "mean_absolute_error": min,
    "accuracy_undeclared": None, "height_acc": None,
}  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "val_"])
@pytest.mark.parametrize("name", DIRECTIONS)
@pytest.mark.parametrize(
    "make",
    [
        partial(EarlyStopping, patience=99),
        partial(ReduceLROnPlateau, min_delta=0.0),
        partial(ModelCheckpoint, "best", save_best_only=True),
    ],
)
def test_the_best_value_is_in_the_direction_that_is_declared(tmp_path, monkeypatch, make, name, prefix):
    monkeypatch.chdir(tmp_path)
    model = small_model()
    model.compile(optimizer=Adam(0.02), metrics=METRICS)

    def fit(**mode):
        callback = make(monitor=prefix + name, **mode)
        settings = {"validation_data": small_data(seed=1), "callbacks": [Height(), callback]}
        values = fit_small(model, epochs=4, **settings).history[prefix + name]
        assert len(set(values)) > 1
        return callback.best.value, values

    directions = {"auto": DIRECTIONS[name], "min": min, "max": max}
    if DIRECTIONS[name] is None:
        with input_error("with mode='auto', expected one of loss.* mode='max' .* mode='min'"):
            fit()
        assert model.epochs_done == 0
        del directions["auto"]
    for mode, best in directions.items():
        value, values = fit(mode=mode)
        assert value == best(values)
