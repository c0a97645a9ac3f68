"""One training of a model at a time, and errors of fit about other arguments than data."""

import threading

import pytest
from helpers import MAX_SECONDS, fit_small, input_error, same_bits, small_model, weights

from dnn import Callback


class Hold(Callback):
    """Blocks at the end of the first epoch until it is released."""

    def __init__(self):
        self.reached = threading.Event()
        self.go = threading.Event()

    def on_epoch_end(self, epoch, logs):
        self.reached.set()
        assert self.go.wait(MAX_SECONDS)


def test_rejects_a_second_training_and_the_first_continues():
    model = small_model()
    alone = small_model()
    hold = Hold()
    thread = threading.Thread(target=lambda: fit_small(model, epochs=2, callbacks=[hold]))
    thread.start()
    assert hold.reached.wait(MAX_SECONDS)
    with input_error("fit or compile was called during a training"):
        fit_small(model)
    with input_error("fit or compile was called during a training"):
        model.compile()
    hold.go.set()
    thread.join()
    fit_small(alone, epochs=2)
    assert same_bits(weights(model), weights(alone))
    fit_small(model)  # it can train again


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ({"callbacks": 3}, "callbacks is 3"),
        ({"callbacks": [3]}, r"callbacks\[0\] is 3, expected a Callback"),
        ({"resume": "path"}, "resume is 'path', expected a TrainingState"),
        ({"shuffle": [1, 2]}, r"shuffle is \[1, 2\], expected True or False"),
    ],
)
def test_rejects_odd_arguments(odd, words):
    with input_error(words):
        fit_small(**odd)
