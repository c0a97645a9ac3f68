"""Rewinding: a training that diverges returns to its last good state with half the learning rate."""

from types import SimpleNamespace

import pytest
from helpers import build_network, same_bits, small_data, weights

from dnn import SGD, Callback, Dense
from dnn.callbacks import DivergedError, TrainingCheckpoint, latest_state
from dnn.commands.rewinding import count_halvings, fit_with_rewinding
from dnn.training.state import StateError

DATA = small_data(40)
OPTIONS = {"batch_size": 10, "epochs": 4}


def make_model(**settings):
    model = build_network([Dense(3, "softmax")])
    model.compile(optimizer=SGD(0.5, **settings))
    return model


class Break(Callback):
    """Makes a weight NaN in this epoch, until the rate is halved."""

    every = 2

    def __init__(self, epoch):
        self.epoch = epoch

    def breaks(self):
        return self.model.optimizer.learning_rate == 0.5

    def on_progress(self, progress):
        if progress.epoch == self.epoch and self.breaks():
            self.model.parameters.values[...] = float("nan")


def test_a_rewound_training_resumes_with_the_halved_rate(tmp_path):
    """The diverging rate is halved. The states record the halving; config.json has no effect."""
    model, again = (make_model(clip_norm=10.0) for _ in range(2))
    states, rewinds = TrainingCheckpoint(tmp_path), []
    history = fit_with_rewinding(
        model, *DATA, states=states, callbacks=[Break(2)], **OPTIONS,
        on_rewind=lambda error, state, halvings: rewinds.append((state.epoch, halvings)),
    )  # fmt: skip
    assert rewinds == [(2, 1)]
    assert history.epoch == [1, 2, 3, 4]
    assert model.optimizer == SGD(0.25, clip_norm=10.0)
    assert count_halvings(SGD(0.5, clip_norm=10.0), latest_state(tmp_path)) == 1
    fit_with_rewinding(again, *DATA, resume=latest_state(tmp_path), states=states, **OPTIONS)
    assert same_bits(weights(again), weights(model))


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_state_that_fails_twice_is_replaced_by_an_older_one(interrupted, tmp_path):
    """The first failure may have been in an earlier process."""
    begun = []

    class BreakAlways(Break):
        """Breaks at every rate, unless the training resumed from the second epoch."""

        def on_train_begin(self, first_epoch, epochs, updates_per_epoch):
            self.first_epoch = first_epoch
            begun.append((first_epoch, len(list(tmp_path.iterdir()))))

        def breaks(self):
            return self.first_epoch != 2

    def train(**more):
        model, options = make_model(), {**OPTIONS, "epochs": 5, "callbacks": [BreakAlways(4)], **more}
        return model, fit_with_rewinding(model, *DATA, states=TrainingCheckpoint(tmp_path), **options)

    if interrupted:
        with pytest.raises(DivergedError):
            train(max_halvings=1)
        model, history = train(resume=latest_state(tmp_path))
        begun.remove((4, 3))
    else:
        model, history = train()
    assert begun == [(1, 0), (4, 3), (3, 2), (2, 1)]  # first epochs and numbers of states
    assert history.epoch == [1, 2, 3, 4, 5]
    assert model.optimizer == SGD(0.5 / 8)
    assert count_halvings(SGD(0.5), latest_state(tmp_path)) == 3


def test_divergence_before_the_first_save_rewinds_to_the_resumed_state(tmp_path):
    undisturbed, one, other = make_model(), make_model(), make_model()
    options, places = {**OPTIONS, "callbacks": [Break(3)]}, []
    (tmp_path / "undisturbed").mkdir()
    fit_with_rewinding(undisturbed, *DATA, states=TrainingCheckpoint(tmp_path / "undisturbed"), **options)
    one.fit(*DATA, batch_size=10, epochs=2, callbacks=[TrainingCheckpoint(tmp_path)])
    fit_with_rewinding(
        other, *DATA, states=TrainingCheckpoint(tmp_path), resume=latest_state(tmp_path), **options,
        on_rewind=lambda error, state, halvings: places.append(state and state.epoch),
    )  # fmt: skip
    assert places == [3]
    assert same_bits(weights(other), weights(undisturbed))


def test_divergence_without_a_state_restarts_from_the_initial_weights(tmp_path):
    """It continues from the model's initial weights and epoch, like a fit with half the rate."""
    one, other = make_model(), make_model()
    for model in (one, other):
        model.fit(*DATA, batch_size=10)
        model.compile(optimizer=SGD(0.5 if model is one else 0.25))
    places, options = [], {"batch_size": 10, "epochs": 2}
    rewinding = {"states": TrainingCheckpoint(tmp_path), "callbacks": [Break(2)], **options}
    history = fit_with_rewinding(
        one, *DATA, max_halvings=1, on_rewind=lambda *told: places.append(told[1:]), **rewinding
    )
    assert places == [(None, 1)]
    assert history.epoch == [2, 3]
    other.fit(*DATA, **options)
    assert same_bits(weights(one), weights(other))
    one.compile(optimizer=SGD(0.5))
    with pytest.raises(DivergedError):
        fit_with_rewinding(one, *DATA, max_halvings=0, **{**rewinding, "callbacks": [Break(4)]})


def test_count_halvings():
    halved = [SimpleNamespace(facts={"optimizer": SGD(0.8 * 0.5**n).config()}) for n in range(7)]
    assert [count_halvings(SGD(0.8), state) for state in halved[:6]] == [0, 1, 2, 3, 4, 5]
    with pytest.raises(StateError, match="has a different optimizer"):
        count_halvings(SGD(0.8), halved[6])


def test_resume_after_the_last_state_removes_old_states(tmp_path):
    """The kill comes after the last state was written and before the oldest was removed."""
    model, again = make_model(), make_model()
    model.fit(*DATA, callbacks=[TrainingCheckpoint(tmp_path, max_to_keep=9)], **OPTIONS)
    before = sorted(path.name for path in tmp_path.iterdir())
    states = TrainingCheckpoint(tmp_path, max_to_keep=2)
    fit_with_rewinding(again, *DATA, states=states, resume=latest_state(tmp_path), **OPTIONS)
    assert sorted(path.name for path in tmp_path.iterdir()) == before[-2:]
    assert same_bits(weights(again), weights(model))
