"""Calls of a model's methods in any order: nothing drifts from a plain replay (``any_order.py``).

hypothesis draws sequences of calls on a few models. A model has the bits of a replay of its log on a new one
in a new process: interrupted and resumed, copied, saved and loaded, it goes on as a model that was not. Calls
that only read, refused calls and calls of other models change nothing.

``DNN_ANY_ORDER=3600 python -m pytest tests/dnn/test_any_order.py -s -k numba-30`` draws other sequences for
an hour.
"""

import copy
import os
import pickle
import tempfile
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import any_order
import pytest
from helpers import needs_fork, others_slow
from hypothesis import HealthCheck, seed, settings, stateful
from hypothesis import strategies as st

from backends import InputError
from dnn.callbacks import latest_state
from dnn.callbacks.training_checkpoint import read_state, state_files

SECONDS = float(os.environ.get("DNN_ANY_ORDER", "0"))
BACKENDS = "numpy", "numba", "torch"
pytestmark = needs_fork

COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda m: pickle.loads(pickle.dumps(m))}
REFUSED = """
model.fit(X, Y, epochs=0)
model.fit(X, Y, blocks=3)
model.fit(X, Y + 1)
model.fit(X * np.nan, Y)
model.fit(X, Y, validation_data=(X, Y[:3]))
model.fit([(X, Y)], steps_per_epoch=2)
model.fit(X, Y, callbacks=[dnn.callbacks.TrainingCheckpoint])
model.fit(X, Y, resume="state")
model.fit(X, Y, class_weight={7: 1.0})
model.compile("hinge loss")
model.compile(l2=-1.0)
model.compile("binary_crossentropy")
model.train_on_batch(X, Y, class_weight={7: 1.0})
model.train_on_batch(X[:0], Y[:0])
model.gradients(X, Y[:, None, None])
model.predict(X[0])
model.input_gradient(X, Y + 1)
model.parameters.load({**model.parameters.to_host(), "more": X})
model.save("nowhere/model")
dnn.checkpoints.load_weights(model, "nowhere")
dnn.fit_lbfgs(model, X, Y + 1)
dnn.fit_lbfgs(model, X, Y, state=model)
setattr(model, "epochs_done", -1)
setattr(model.layers[-1], "trainable", 2)
""".strip().splitlines()

# Sequences that once failed, as hypothesis prints them.
FOUND = {
    "an attribute of a user's class is copied": """
state.build(network='dense', objective=0, seed=0)
state.copy(i=0, kind='copy')
""",
    "to_torch and from_torch keep layers frozen": """
state.build(network='dense', objective=0, seed=0)
state.operate(i=0, call=('set_trainable', 1, False))
state.operate(i=0, call=('pass_torch', 0))
""",
    "blocks do not change the random numbers after them": """
state.build(network='random', objective=0, seed=0)
state.fit(i=0, form='array', options=1, epochs=1, stop=(0, 0), saves=True)
state.resume(i=0, s=2, on_new=True, more=0, stop=(0, 0), refuses=False)
""",
    "a resumed training has the form of the uninterrupted one": """
state.build(network='images', objective=0, seed=2)
state.fit(i=0, form='array', options=0, epochs=2, stop=(0, 5), saves=True)
state.resume(i=0, s=1, on_new=True, more=0, stop=(0, 0), refuses=False)
""",
    "a training resumed by its own model ends where it would have ended": """
state.build(network='dense', objective=0, seed=0)
state.fit(i=0, form='array', options=0, epochs=2, stop=(1, 2), saves=True)
state.resume(i=0, s=5, on_new=False, more=0, stop=(0, 0), refuses=False)
""",
    "a resume that a callback refuses changes nothing": """
state.build(network='dense', objective=0, seed=0)
state.fit(i=0, form='array', options=0, epochs=1, stop=(0, 3), saves=True)
state.operate(i=0, call=('train_on_batch', 5))
state.resume(i=0, s=0, on_new=False, more=0, stop=(0, 0), refuses=True)
""",
    "the latest state of a folder is of the training that went back": """
state.build(network='dense', objective=0, seed=0)
state.fit(i=0, form='array', options=0, epochs=2, stop=(0, 0), saves=True)
state.resume(i=0, s=0, on_new=True, more=0, stop=(1, 4), refuses=False)
""",
    "a state of another penalty is refused": """
state.build(network='dense', objective=1, seed=0)
state.fit(i=0, form='array', options=0, epochs=1, stop=(0, 3), saves=True)
state.operate(i=0, call=('compile_again', 2))
state.resume(i=0, s=0, on_new=False, more=0, stop=(0, 0), refuses=False)
""",
    "a user's subclass refuses what a model refuses": """
state.build(network='dense', objective=0, seed=0)
state.refuse(i=0, call='setattr(model, "epochs_done", -1)')
""",
}


class Saved(NamedTuple):
    """A training state, and what the fit that saved it began with."""

    state: object
    folder: Path
    log: list
    arguments: tuple
    model: object  # a new one with its settings


class Track:
    """A model and its log; None: not built."""

    def __init__(self, model=None, log=()):
        self.model = model
        self.log = [*log]

    def assert_unchanged(self):
        assert any_order.snapshot(self.model) == self.log[-1][2]


index = st.integers(0, 5)  # of a model, a state, ...; they wrap around
few = st.integers(1, 2)
objective = st.integers(0, len(any_order.OBJECTIVES) - 1)
stop = st.tuples(st.integers(0, 1), st.integers(0, 5))
calls = st.one_of(
    st.tuples(
        st.sampled_from(["train_on_batch", "train_by_gradients", "gradients", "read"]),
        st.sampled_from([5, 8, 24]),
    ),
    st.tuples(st.just("set_trainable"), index, st.booleans()),
    st.tuples(st.sampled_from(["compile_again", "pass_torch"]), objective),
    st.tuples(st.just("set_numbers"), index),
    st.tuples(st.just("minimise"), few, few),
    st.tuples(st.just("reload"), st.sampled_from(["", *BACKENDS])),
)


class AnyOrder(stateful.RuleBasedStateMachine):
    """Up to three models, and the training states that they saved."""

    def __init__(self, backend, replay, tried):
        super().__init__()
        self.backend = backend
        self.replay = replay
        self.tried = tried
        tried["sequences"] += 1
        self.tracks = []
        self.saved = []
        self.folder = tempfile.TemporaryDirectory()

    def teardown(self):
        with self.folder:
            for track in self.tracks:
                track.assert_unchanged()
            for track in self.tracks:
                self.log(track, "gradients", 7)
            difference = self.replay([track.log for track in self.tracks])
            assert not difference, difference

    def log(self, track, name, *arguments):
        """Call an operation and add it to the log."""
        track.model, result = getattr(any_order, name)(track.model, *arguments)
        track.log.append((name, arguments, any_order.snapshot(track.model), result))

    def track(self, i):
        self.tried["steps"] += 1
        return self.tracks[i % len(self.tracks)]

    def new_folder(self):
        return Path(tempfile.mkdtemp(dir=self.folder.name))

    @stateful.initialize(network=st.sampled_from([*any_order.NETWORKS]), objective=objective, seed=few)
    def build(self, network, objective, seed):
        self.tracks = [Track()]
        self.log(self.tracks[0], "build", network, objective, self.backend, seed)

    @stateful.rule(
        i=index, form=st.sampled_from(["array", "stream", "data set"]), options=st.integers(0, 4),
        epochs=few, stop=stop, saves=st.booleans(),
    )  # fmt: skip
    def fit(self, i, form, options, epochs, stop, saves):
        track = self.track(i)
        arguments = form, options, epochs, stop
        if saves:
            self.fit_and_save(track, self.new_folder(), track.log, arguments, track.model)
        else:
            self.log(track, "fit", *arguments)

    def fit_and_save(self, track, folder, log, arguments, model, state=None, refuses=False):
        """Fit ``model``, which then is that of the track; ``log`` is the one before this fit."""
        saver = any_order.Saver(folder, every=2)
        new = any_order.blank(model)
        callbacks = [saver, any_order.Refusing()] if refuses else [saver]
        _, result = any_order.fit(model, *arguments, resume=state, callbacks=callbacks)
        track.model = model
        track.log = [*log, ("fit", arguments, any_order.snapshot(model), result)]
        if saver.last is None:  # the folder may hold later states of a training that was left
            return
        latest = latest_state(folder)
        assert (latest.epoch, latest.updates) == saver.last
        states = [Saved(read_state(path), folder, log, arguments, new) for path in state_files(folder)]
        self.saved = [*self.saved, *states][-6:]

    @stateful.precondition(lambda self: self.saved)
    @stateful.rule(
        i=index, s=index, on_new=st.booleans(), more=st.integers(0, 1), stop=stop,
        refuses=st.sampled_from([True, False, False, False]),
    )  # fmt: skip
    def resume(self, i, s, on_new, more, stop, refuses):
        track = self.track(i)
        state, folder, log, (form, options, epochs, _), new = self.saved[s % len(self.saved)]
        elsewhere = track.model.backend.name != new.backend.name  # bits are not promised there
        model = any_order.blank(new) if on_new or elsewhere else track.model
        same = any_order.settings(model) == any_order.settings(new)
        before = any_order.snapshot(model)
        position = len(state.history.get("loss", ())), state.updates
        arguments = form, options, epochs + more, stop if stop > position else (0, 0)
        try:
            self.fit_and_save(track, folder, log, arguments, model, state, refuses)
        except InputError:
            assert refuses or not same
            assert any_order.snapshot(model) == before

    @stateful.rule(i=index, call=calls)
    def operate(self, i, call):
        track = self.track(i)
        name, *arguments = call
        if name == "reload":
            arguments = [arguments[0] or self.backend]
        if name == "read":  # the replay leaves it out
            any_order.read(track.model, *arguments)
        else:
            draws = any(x.random or x.uses_batch_statistics for x in track.model.layers)
            with suppress(*[InputError] * (draws and name in ("minimise", "pass_torch"))):
                self.log(track, name, *arguments)
        track.assert_unchanged()

    @stateful.rule(i=index, kind=st.sampled_from([*COPIES]))
    def copy(self, i, kind):
        track = self.track(i)
        copied = Track(COPIES[kind](track.model), track.log)
        notes = (getattr(model, "note", None) for model in (track.model, copied.model))
        assert next(notes) == next(notes)
        self.tracks = [*self.tracks[-2:], copied]

    @stateful.rule(i=index, call=st.sampled_from(REFUSED))
    def refuse(self, i, call):
        track = self.track(i)
        with pytest.raises(InputError):
            eval(call, {**vars(any_order), "model": track.model})
        track.assert_unchanged()


@pytest.fixture(scope="module")
def replay():
    replay = any_order.Replayer()
    yield replay
    replay.close()


@pytest.mark.parametrize("length", others_slow([6, 30], [6]))
@pytest.mark.parametrize("backend", BACKENDS)
def test_calls_in_any_order(replay, backend, length):
    tried = Counter()
    make = partial(AnyOrder, backend, replay, tried)
    options = settings(
        max_examples=length, stateful_step_count=length, derandomize=True, database=None, deadline=None,
        suppress_health_check=[*HealthCheck], report_multiple_bugs=False,
    )  # fmt: skip
    end = time.monotonic() + SECONDS
    for n in count():
        stateful.run_state_machine_as_test(seed(n)(make) if n else make, settings=options)
        if time.monotonic() >= end:
            break
    print(f"{backend}: {dict(tried)}")


@pytest.mark.parametrize("backend", others_slow(BACKENDS, ["numba"]))
@pytest.mark.parametrize("sequence", FOUND)
def test_found(replay, backend, sequence):
    machine = AnyOrder(backend, replay, Counter())
    try:
        exec(FOUND[sequence], {"state": machine})
    finally:
        machine.teardown()
