"""Laws: an interrupted training continues as if undisturbed, and a refused call changes nothing."""

import copy

import numpy as np
import pytest
from helpers import Kept, build_network, input_error, numbers
from interruption import in_own_thread

from backends import InputError, get_backend
from backends.reference.optimizers import UPDATES
from dnn import (
    SGD,
    BatchNormalization,
    Callback,
    Dense,
    Dropout,
    EarlyStopping,
    Flatten,
    GaussianNoise,
    RandomTranslation,
)
from dnn.callbacks.training_checkpoint import read_state, write_state
from dnn.distributed import Workers

DATA = np.random.default_rng(1).normal(size=(40, 5, 5)).astype(np.float32), np.arange(40) % 3
DATA[0][np.arange(40) > 7] *= DATA[0][np.arange(40) > 7] > 1  # the first batch alone is dense


def make(backend="numpy", layers="noise", **settings):
    between = [BatchNormalization(), Dropout(0.3), GaussianNoise(0.2)] if layers == "noise" else []
    moved = [] if layers == "noise" else [RandomTranslation(1)]
    network = [*moved, Flatten(), Dense(8, "relu"), *between, Dense(3, "softmax")]
    model = build_network(network, (5, 5), get_backend(backend), seed=4)
    model.compile(**settings)
    return model


def fit(model, form="arrays", **options):
    x, y = DATA
    options = {"epochs": 3, "batch_size": 8, "shuffle": False, **options}
    if form == "stream":
        return model.fit([(x[i : i + 9], y[i : i + 9]) for i in range(0, 40, 9)], **options)
    return model.fit(x, y, **options)


def everything(model):
    """Return all that a training continues from."""
    optimizer = model.optimizer_state
    arrays = [*optimizer.vectors.values(), optimizer.control]
    held = [*model.parameters.to_host().values(), *map(model.backend.to_host, arrays)]
    return [array.tobytes() for array in held], model.epochs_done


class Interrupt(Kept):
    """Raises an error after this many updates, after keeping the state."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def on_progress(self, progress):
        super().on_progress(progress)
        self.on_epoch_saved()

    def on_epoch_saved(self, *take):
        self.states += [one() for one in take]
        if len(self.states) == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("at", [1, 5, 7])
@pytest.mark.parametrize("earlier", [0, 2])
@pytest.mark.parametrize(
    ("backend", "layers", "form", "blocks"),
    [
        ("numpy", "noise", "arrays", 2),
        ("numpy", "moved", "stream", 4),
        ("torch", "noise", "stream", 1),
        ("numba", "moved", "arrays", 1),
        ("numba", "moved", "arrays", 2),
    ],
)
def test_an_interrupted_training_continues_as_if_undisturbed(
    tmp_path, backend, layers, form, blocks, earlier, at
):
    """On the same object and on a new one, in a first and in a second fit; a second stop changes nothing."""
    pytest.importorskip(backend)
    options = {"form": form, "blocks": blocks}
    whole, stopped = make(backend, layers), make(backend, layers)
    for model in (whole, stopped):
        if earlier:
            fit(model, epochs=earlier, **options)
    history = fit(whole, **options)
    stop = Interrupt(at)
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, callbacks=[stop], **options)
    write_state(stop.states[-1], tmp_path / "state.safetensors")
    again = Interrupt(1)
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, callbacks=[again], resume=read_state(tmp_path / "state.safetensors"), **options)
    for model in (stopped, make(backend, layers)):
        resumed = fit(model, resume=again.states[-1], **options)
        assert (numbers(resumed.history), resumed.epoch) == (numbers(history.history), history.epoch)
        assert everything(model) == everything(whole)
    assert copy.copy(stopped).gradients(*DATA)[0] == whole.gradients(*DATA)[0] == model.gradients(*DATA)[0]


@pytest.mark.parametrize("calls", range(1, 9))
def test_a_copy_continues_as_its_original_after_an_interrupted_block(calls):
    def stop(y, outputs):
        nonlocal calls
        calls -= 1
        if calls == 0:
            raise KeyboardInterrupt
        return outputs[:, 0]

    model = make(metrics=[stop])
    with pytest.raises(KeyboardInterrupt):
        fit(model, blocks=4)
    twin = copy.copy(model)
    for one in (model, twin):
        one.train_on_batch(*DATA)
    assert everything(model) == everything(twin)


class Fails(Callback):
    def __init__(self, event="", every=None):
        self.every = every
        if event:
            setattr(self, event, self.fail)

    def fail(self, *arguments):
        raise InputError("refused", "nothing")


class Disagreeing(Workers):
    def agree(self, facts):
        Fails().fail(facts())


BEST = EarlyStopping("loss", restore_best_weights=True)
EVENTS = "on_train_begin", "on_resume", "on_train_ready", "on_epoch_begin"
REFUSED = {
    "facts": {"batch_size": 9},
    "position": {"epochs": 1},
    "workers": {"workers": Disagreeing()},
    "too many updates": {"epochs": 2**22},
    **{event: {"callbacks": [BEST, Fails(event)]} for event in EVENTS},
    **{f"every {n}": {"callbacks": [Fails(every=n)]} for n in (0, -1, 2.5, True)},
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_call_changes_nothing(name):
    kept = Kept()
    fit(make(), callbacks=[kept, BEST])
    model = make()
    fit(model, epochs=1)
    before = everything(model)
    with pytest.raises(InputError):
        fit(model, resume=kept.states[7], **REFUSED[name])
    assert everything(model) == before


def test_updates_are_counted_exactly_or_refused():
    model = make(optimizer=SGD(0.1))
    model.optimizer_state.control[UPDATES] = 2.0**24 - 15
    fit(model)
    before = everything(model)
    assert model.optimizer_state.control[UPDATES] == 2**24
    for train in (fit, lambda model: model.train_on_batch(*DATA)):
        with input_error(r"would end at update 167772\d\d, expected at most 16777216"):
            train(model)
    assert everything(model) == before


@in_own_thread  # its exceptions have no context of earlier tests
def test_all_callbacks_end_and_the_first_error_is_raised():
    ended = []

    class Ends(Callback):
        def __init__(self, error):
            self.error = error

        def on_train_end(self):
            ended.append(self)
            raise self.error

    errors = [ValueError("first"), KeyboardInterrupt("second")]
    callbacks = [*map(Ends, errors)]
    with pytest.raises(ValueError, match="first") as found:
        fit(make(), callbacks=callbacks)
    assert (ended, found.value.__context__) == (callbacks, errors[1])
    with pytest.raises(InputError, match="refused") as found:
        fit(make(), callbacks=[*callbacks, Fails("on_epoch_end")])
    assert (ended[2:], found.value.__context__) == (callbacks, errors[0])
