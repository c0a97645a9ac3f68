"""A kept file of each version: the current one is read, an older one is rejected with one sentence.

If a current file cannot be read any more, its layout has changed: give the kind of file a new number, and run
this module as a program (``PYTHONPATH=tests python tests/dnn/io/test_kept_files.py``). It writes the files of
the current numbers; those of older numbers stay.
"""

import pickle
from pathlib import Path

import numpy as np
import pytest
from helpers import NUMPY, NUMPY64, build_network, input_error, same_bits, weights
from lbfgs_runs import run

from dnn import Dense, copies
from dnn.callbacks import training_checkpoint
from dnn.callbacks.training_checkpoint import read_state, write_state
from dnn.checkpoints import load_model
from dnn.io import safetensors as tensor_files
from dnn.lbfgs import state as lbfgs
from dnn.training.callback import Callback

KEPT = Path(__file__).with_name("kept")
VERSIONS = {
    "state": training_checkpoint.VERSION, "checkpoint": tensor_files.VERSION, "lbfgs": lbfgs.VERSION,
    "pickle": copies.VERSION,
}  # fmt: skip
READERS = {
    "state": read_state,
    "checkpoint": lambda path: load_model(path, NUMPY),
    "lbfgs": lambda path: lbfgs.load_state(path, NUMPY64),
    "pickle": lambda path: pickle.loads(path.read_bytes()),
}


def kept(kind):
    """Return the contents of the current file of a kind."""
    return READERS[kind](KEPT / f"{kind}-{VERSIONS[kind]}")


def fit(epochs, **options):
    model = build_network([Dense(2, "relu"), Dense(2, "softmax")], (3,), seed=5)
    model.compile()
    x = (np.arange(30) % 7).reshape(10, 3).astype(np.float32)
    y = np.arange(10) % 2
    return model, model.fit(x, y, batch_size=5, epochs=epochs, validation_data=(x, y), **options)


def write_files():
    """Write the current file of each kind."""

    class Keep(Callback):
        def on_epoch_saved(self, take_state):
            write_state(take_state(), KEPT / f"state-{VERSIONS['state']}")

    model, _ = fit(2, callbacks=[Keep()])
    model.save(KEPT / f"checkpoint-{VERSIONS['checkpoint']}")
    (KEPT / f"pickle-{VERSIONS['pickle']}").write_bytes(pickle.dumps(model))
    lbfgs.save_state(run("wood", max_iterations=5)[0], KEPT / f"lbfgs-{VERSIONS['lbfgs']}", NUMPY64)


def test_current_files_are_read():
    model = kept("checkpoint")
    assert same_bits(weights(model), weights(kept("pickle")))
    resumed, history = fit(2, resume=kept("state"))
    assert history.epoch == [1, 2]
    assert same_bits(weights(resumed), weights(model))
    assert kept("lbfgs").iterations == 5


@pytest.mark.parametrize("name", ["state-1", "state-2", "lbfgs-1", "pickle-1"])
def test_older_files_are_rejected(name):
    kind, number = name.split("-")
    sentence = f"version {number}, this release reads {VERSIONS[kind]}; a version of .* from before 0.1.0 "
    with input_error(f"{sentence}reads it"):
        READERS[kind](KEPT / name)


if __name__ == "__main__":
    write_files()
