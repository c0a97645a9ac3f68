"""StopOnSignal and TerminateOnNaN."""

import os
import signal

import numpy as np
import pytest
from helpers import NUMPY, build_network

from dnn import SGD, Dense
from dnn.callbacks import DivergedError, StopOnSignal, Stopped, TerminateOnNaN
from dnn.callbacks.training_checkpoint import TrainingCheckpoint, latest_state
from dnn.distributed import WorkerError
from dnn.training.callback import Callback
from dnn.training.state import TrainingState


def model_on(backend=NUMPY, rate=0.1):
    layers = [Dense(6, name="first"), Dense(3, name="last")]
    model = build_network(layers, (4,), backend)
    model.compile("mean_squared_error", SGD(rate))
    return model


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(400, 4)).astype(np.float32), rng.integers(0, 3, 400)


def fit(model, *callbacks):
    model.fit(*data(), batch_size=4, epochs=2, callbacks=callbacks)


class Send(Callback):
    """Sends signals to this process during training."""

    every = 10

    def __init__(self, number, times=1):
        self.number = number
        self.times = times

    def on_progress(self, progress):
        if progress.updates == 30 and progress.epoch == 1:
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_training_between_two_updates(tmp_path, number):
    model = model_on()
    stopper = StopOnSignal(TrainingCheckpoint(tmp_path))
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as caught, stopper.handle_signals():
        fit(model, Send(number), stopper)
    assert caught.value.signal == number
    assert caught.value.saved
    assert signal.getsignal(number) == before
    state = latest_state(tmp_path)
    assert (state.epoch, state.updates) == (1, 50)


def test_a_second_signal_stops_at_once(tmp_path):
    model = model_on()
    stopper = StopOnSignal(TrainingCheckpoint(tmp_path))
    with pytest.raises(KeyboardInterrupt), stopper.handle_signals():
        fit(model, Send(signal.SIGINT, 2), stopper)


def test_stops_after_the_last_epoch_too(tmp_path):
    stopper = StopOnSignal(TrainingCheckpoint(tmp_path))
    state = TrainingState(3, 0, {}, {}, {})
    stopper.signal_number = signal.SIGTERM
    with pytest.raises(Stopped, match="stopped by SIGTERM"):
        stopper.on_epoch_saved(lambda: state)
    assert latest_state(tmp_path).epoch == 3


@pytest.mark.parametrize(("heard", "kind"), [(signal.SIGTERM, Stopped), (None, WorkerError)])
def test_a_signalled_worker_that_loses_the_others_is_stopped(tmp_path, heard, kind):
    stopper = StopOnSignal(TrainingCheckpoint(tmp_path))
    stopper.signal_number = heard
    with pytest.raises(kind) as caught, stopper.handle_signals():
        raise WorkerError("worker 0 has ended")
    assert not getattr(caught.value, "saved", False)


def test_a_nan_loss_names_layer_and_update(backend):
    model = model_on(backend, rate=1e6)
    with (
        np.errstate(all="ignore"),
        pytest.raises(DivergedError, match=r"after update 100 of epoch 1 .*NaN .*first in first\.W"),
    ):
        fit(model, TerminateOnNaN())


def test_fit_warns_once_of_a_nan_loss(caplog):
    with np.errstate(all="ignore"):
        fit(model_on(rate=1e6))
    assert caplog.text.count("the loss is nan after epoch 1: the training diverged") == 1
    assert caplog.text.count("diverged") == 1


def test_checks_validation_and_weights_after_an_epoch():
    model = model_on()
    callback = TerminateOnNaN()
    callback.set_model(model)
    callback.on_epoch_end(2, {"loss": 0.5})
    with pytest.raises(DivergedError, match=r"after epoch 2 .*in the loss alone"):
        callback.on_epoch_end(2, {"loss": 0.5, "val_loss": float("nan")})
    model.parameters.by_name["last.W"][0, 0] = np.inf
    with pytest.raises(DivergedError, match=r"after epoch 2 .*first in last\.W"):
        callback.on_epoch_end(2, {"loss": 0.5, "val_loss": 0.5})
