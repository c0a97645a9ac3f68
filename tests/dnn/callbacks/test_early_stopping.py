"""EarlyStopping and ModelCheckpoint: Keras's decisions on invented numbers, and a real training."""

import re
from contextlib import nullcontext

import numpy as np
import pytest
from helpers import NUMPY, fit_small, input_error, same_bits, small_data, small_model, weights

from dnn import Callback, EarlyStopping, ModelCheckpoint
from dnn.checkpoints import load_model

NAN = float("nan")


class Script(Callback):
    """Writes invented numbers into the logs, and the epoch's number into the weights."""

    def __init__(self, values, name="val_loss"):
        self.values = list(values)
        self.name = name

    def on_epoch_end(self, epoch, logs):
        logs[self.name] = self.values[epoch - 1]
        self.model.parameters.vector[...] = float(epoch)


def run(values, callback, name="val_loss", interrupt_at=None):
    """Train with these logs; return the number of epochs and the epoch of the model's weights."""
    model = small_model()

    class Interrupt(Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == interrupt_at:
                raise KeyboardInterrupt

    callbacks = [Script(values, name), callback, Interrupt()]
    with pytest.raises(KeyboardInterrupt) if interrupt_at else nullcontext():
        fit_small(model, batch_size=50, epochs=len(values), callbacks=callbacks, verbose=0)
    return model.epochs_done, weights(model)[0]


@pytest.mark.parametrize(
    ("values", "options", "last", "best", "stopped"),
    [
        ([3, 2, 1], {}, 3, 3, False),
        ([3, 2, 2, 1], {}, 3, 2, True),  # equal is no improvement
        ([3, 2, 2, 1], {"patience": 1}, 3, 2, True),
        ([3, 2, 2, 1, 5, 5, 5], {"patience": 2}, 6, 4, True),
        ([3, 2.5, 2, 1.6, 1], {"min_delta": 0.5}, 2, 1, True),
        ([3, 2.4, 1.8, 1.2, 1], {"min_delta": 0.5}, 5, 4, True),
        ([1, 2, 3], {"mode": "max"}, 3, 3, False),
        ([NAN, NAN, NAN], {"patience": 2}, 2, 0, True),
        ([3, NAN, 2, 3], {"patience": 2}, 4, 3, False),
    ],
)
def test_early_stopping(values, options, last, best, stopped):
    callback = EarlyStopping(**options)
    assert run(values, callback) == (last, last)
    assert callback.best_epoch == best
    assert callback.stopped_epoch == (last if stopped else 0)
    restored = EarlyStopping(**options, restore_best_weights=True)
    assert run(values, restored) == (last, best or last)


def test_verbose_prints_the_best_epoch(capsys):
    run([3, 1, 2, 2], EarlyStopping(patience=2, verbose=1))
    assert capsys.readouterr().out == "epoch 4: early stopping, best epoch 2\n"


def test_interrupted_training_keeps_the_best_weights():
    callback = EarlyStopping(patience=9, restore_best_weights=True)
    assert run([3, 1, 2, 2, 2], callback, interrupt_at=4) == (4, 2)


def test_a_second_fit_resets_and_a_callback_may_stop_it():
    model = small_model()
    callback = EarlyStopping("loss", min_delta=100.0)
    for last in (2, 4):  # the first epoch of each fit is its best
        history = fit_small(model, epochs=5, callbacks=[callback])
        assert history.epoch[-1] == last
    assert fit_small(model, epochs=2).epoch == [5, 6]


# --------------------------------------------------------------------------- checkpoints


def test_checkpoint_of_the_best_epoch(tmp_path):
    path = tmp_path / "best.safetensors"
    run([3, 1, 2, 2], ModelCheckpoint(path, save_best_only=True))
    saved = load_model(path, NUMPY)
    assert saved.epochs_done == 2
    assert weights(saved)[0] == 2.0


def test_checkpoint_of_every_epoch(tmp_path):
    run([3, 1.5, 2], ModelCheckpoint(tmp_path / "m-{epoch:02d}-{val_loss:.1f}.safetensors"))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "m-01-3.0.safetensors", "m-02-1.5.safetensors", "m-03-2.0.safetensors",
    ]  # fmt: skip


def test_checkpoint_remembers_the_best_over_fits(tmp_path):
    path = tmp_path / "best.safetensors"
    model = small_model()
    callback = ModelCheckpoint(path, save_best_only=True)
    script = Script([1, 2])
    for _ in range(2):
        fit_small(model, batch_size=50, callbacks=[script, callback])
    assert load_model(path, NUMPY).epochs_done == 1


# --------------------------------------------------------------------------- refused


@pytest.mark.parametrize("make", [EarlyStopping, lambda: ModelCheckpoint("best", save_best_only=True)])
def test_rejects_monitors_that_are_not_in_the_logs(make):
    with input_error(r"monitor is 'val_loss', expected one of loss.*validation_split"):
        fit_small(callbacks=[make()])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EarlyStopping(patience=-1), "patience is -1"),
        (lambda: EarlyStopping(min_delta=-1.0), "min_delta is -1.0"),
        (lambda: EarlyStopping(mode="best"), "mode is 'best', expected one of auto, min, max"),
        (lambda: ModelCheckpoint("x", mode="mix"), "mode is 'mix'"),
    ],
)
def test_rejects_invalid_settings(make, message):
    with input_error(message):
        make()


def test_rejects_paths_that_cannot_be_formatted():
    with input_error(r"cannot be formatted .*epoch, loss"):
        fit_small(callbacks=[ModelCheckpoint("{nothing}")])


# --------------------------------------------------------------------------- validation_split


SHARE = np.linspace(0, 1, 50)[:, None]
UNSORTED = {
    "mixed": small_data()[1],
    "one class": np.zeros(50, int),
    "values": np.hstack([SHARE, 1 - SHARE, SHARE * 0]),
}


@pytest.mark.parametrize("targets", UNSORTED)
def test_validation_split_is_the_last_part_before_shuffling(backend, targets):
    x, _ = small_data()
    y = UNSORTED[targets]
    weight = np.linspace(0, 1, 50)
    split = small_model(backend)
    separate = small_model(backend)
    options = {"batch_size": 10, "epochs": 2}
    one = split.fit(x, y, validation_split=0.2, sample_weight=weight, **options).history
    two = separate.fit(
        x[:40], y[:40], sample_weight=weight[:40], validation_data=(x[40:], y[40:], weight[40:]), **options
    ).history  # fmt: skip
    assert same_bits(weights(split), weights(separate))
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert one[name] == two[name]


@pytest.mark.parametrize("counts", [(25, 25), (1, 48, 1), (2, 1), (1, 2, 1)])
@pytest.mark.parametrize("form", [list, np.asarray, lambda y: np.eye(3)[y]])
def test_validation_split_of_sorted_classes_is_refused(form, counts):
    """The order that the message names is accepted."""
    y = np.repeat([2, 0, 1][: len(counts)], counts)
    data = {"numpy": np, "x": small_data()[0][: len(y)], "y": form(y)}
    model = small_model()
    with input_error("y is sorted by class, and validation_split") as caught:
        model.fit(data["x"], data["y"], validation_split=0.4)
    x, y, order = re.search(r"give (\S+) and (\S+) .*order = (\S+)", str(caught.value)).groups()
    exec(f"order = {order}; x = {x}; y = {y}", data)
    model.fit(data["x"], data["y"], validation_split=0.4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_split": 1.0}, "validation_split is 1.0, expected a finite number"),
        ({"validation_split": -0.1}, "validation_split is -0.1"),
        ({"validation_split": "0.1"}, "validation_split is '0.1'"),
        ({"validation_split": 0.99}, "validation_split is 0.99 of 50 examples"),
        ({"validation_split": 1e-20}, "validation_split is 1e-20 of 50 examples"),
        ({"validation_split": 0.2, "validation_data": small_data()}, "are both given, expected one"),
    ],
)
def test_rejects_invalid_validation_split(options, message):
    model = small_model()
    with input_error(message):
        fit_small(model, batch_size=30, **options)
    assert model.epochs_done == 0
