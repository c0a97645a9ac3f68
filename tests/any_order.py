"""Operations on a model, and a program that replays a list of them in a new process.

``dnn/test_any_order.py`` draws sequences of calls. Each model has a log of the operations that made it,
without calls that change nothing, interruptions that were resumed, and copies. A new model has the same bits
after each line of the log.
"""

import copy
import os
import pickle
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

import dnn
from backends import InputError, get_backend
from backends.reference.optimizers import UPDATES
from dnn.interop.torch import from_torch, to_torch
from dnn.training.blocks import all_layers

SHAPE = 4, 4
RNG = np.random.default_rng(0)
SHARE = np.linspace(0.1, 0.8, 24)[:, None, None]  # of nonzero pixels; moved, some batches have less than 0.3
X = np.float32(RNG.normal(size=(24, *SHAPE)) * (RNG.random((24, *SHAPE)) < SHARE))
Y = np.arange(24) % 3

NETWORKS = {  # the layers between the first and the last one
    "dense": lambda: [dnn.Dense(8, "relu")],
    "images": lambda: [dnn.Dense(8)],
    "random": lambda: [dnn.Dropout(0.3), dnn.Residual([dnn.Dense(16, "tanh"), dnn.GaussianNoise(0.1)])],
    "normal": lambda: [
        dnn.Dense(8, trainable=False), dnn.BatchNormalization(), dnn.Block([dnn.Dense(5), dnn.Dropout(0.2)])
    ],
}  # fmt: skip
OBJECTIVES = (
    {},
    {"optimizer": dnn.SGD(dnn.LinearDecay(0.1, 20), momentum=0.9), "l2": 0.01},
    {"optimizer": dnn.SGD(dnn.LinearDecay(0.1, 20), momentum=0.9)},
    {"optimizer": dnn.Adam(dnn.CosineDecay(0.01, 30), clip_norm=1.0), "l1": 1e-3},
    {"loss": "mean_squared_error", "optimizer": dnn.Adam(0.01, amsgrad=True)},
)
FITS = (
    {},
    {"blocks": 2},
    {"blocks": 4, "sample_weight": np.linspace(0, 2, 24)},
    {"validation_split": 0.25, "class_weight": {0: 3.0}},
    {"shuffle": False, "steps_per_epoch": 3},
)


class Noted(dnn.Sequential):
    """A user's subclass with an attribute of its own."""


class Interrupt(dnn.Callback):
    """Reads, and raises KeyboardInterrupt at ``stop``: (epoch of the fit from 0, updates of it) or (0, 0)."""

    def __init__(self, stop, epochs, every):
        self.stop = stop
        self.epochs = epochs
        self.every = every or stop[1] or None

    def on_progress(self, progress):
        read(self.model, 5)
        if (progress.epoch - 1 - (progress.epochs - self.epochs), progress.updates) == self.stop:
            raise KeyboardInterrupt


class Saver(dnn.callbacks.TrainingCheckpoint):
    """Notes the position of the last state."""

    last = None

    def save(self, state):
        self.last = state.epoch, state.updates
        return super().save(state)


class Refusing(dnn.Callback):
    """Refuses every resume."""

    def on_resume(self, history, arrays):
        raise InputError("refused")


def batch(model, rows=None):
    """Return the first examples, and their targets in the form that the loss takes."""
    classes = model.loss.activation == "softmax"
    return X[:rows], (Y if classes else np.eye(3, dtype=np.float32)[Y])[:rows]


def objective(model):
    """Return the arguments of ``set_objective``."""
    penalty = (model.penalty.l1, model.penalty.l2) if model.penalty else (0.0, 0.0)
    return model.loss, model.optimizer_state.optimizer, model.metrics, *penalty


def settings(model):
    """Return what a training state has in common with the models that resume it."""
    return repr((model.config(), objective(model), model.seed, model.backend.name))


def snapshot(model):
    """Return all that a compiled model consists of, by name."""
    state = model.optimizer_state
    arrays = {**model.parameters.to_host(), **state.vectors, "control": state.control}
    return {
        **{name: np.asarray(array).tobytes() for name, array in arrays.items()},
        "settings": settings(model), "frozen": model.frozen_names, "epochs_done": model.epochs_done,
    }  # fmt: skip


def blank(model, backend=None):
    """Return a new model with the settings of this one."""
    layers = model.config()["layers"]
    backend = backend or model.backend
    new = dnn.Sequential(layers, input_shape=SHAPE, backend=backend, seed=model.seed)
    new.set_objective(*objective(model))
    return new


# --------------------------------------------------------- operations: (model, arguments) -> (model, result)


def build(_, network, objective, backend, seed):
    first = [dnn.RandomTranslation(1)] if network == "images" else []
    layers = [*first, dnn.Flatten(), *NETWORKS[network](), dnn.Dense(3, "softmax")]
    model = Noted(layers, input_shape=SHAPE, backend=get_backend(backend), seed=seed)
    model.note = network
    return compile_again(model, objective)


def fit(model, form, options, epochs, stop, *, resume=None, callbacks=(), every=None):
    """Fit, interrupted at ``stop``; the result is the history, or None after the interruption."""
    x, y = batch(model)
    options = dict(FITS[options])
    if form == "array":
        options |= {"x": x, "y": y}
    else:
        stream = [(x[i : i + 5], y[i : i + 5]) for i in range(0, 24, 5)]
        data_set = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
        options = {"blocks": options.get("blocks", 1), "x": stream if form == "stream" else data_set}
    stopping = [dnn.EarlyStopping(patience=0)] if "validation_split" in options else []
    options["callbacks"] = [*callbacks, *stopping, Interrupt(stop, epochs, every)]
    with suppress(KeyboardInterrupt):
        found = model.fit(**options, batch_size=5, epochs=epochs, resume=resume, verbose=0)
        return model, (found.epoch, {**found.history, "seconds": None})
    return model, None


def train_on_batch(model, rows):
    return model, model.train_on_batch(*batch(model, rows)).loss


def train_by_gradients(model, rows):
    loss, _ = model.gradients(*batch(model, rows))
    read(model, 7)
    model.update()
    return model, loss


def gradients(model, rows):
    loss, found = model.gradients(*batch(model, rows))
    return model, (loss, {name: array.tobytes() for name, array in found.items()})


def set_trainable(model, layer, value):
    layers = [*all_layers(model.layers)]
    layers[layer % len(layers)].trainable = value
    return model, None


def compile_again(model, objective):
    model.compile(**OBJECTIVES[objective])
    return model, None


def set_numbers(model, epochs_done):
    host = model.parameters.to_host()
    model.parameters.load({name: (array * 0.75 + 1).astype(array.dtype) for name, array in host.items()})
    model.optimizer_state.rate = 0.02
    model.epochs_done = epochs_done
    return model, None


def minimise(model, first, more):
    state = None
    for n in [first, more] if more else [first]:
        limit = dnn.LBFGS(max_iterations=n)
        state = dnn.fit_lbfgs(model, *batch(model), settings=limit, chunk_size=7, state=state)
    return model, state.history


def reload(model, backend):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        model.save(path)
        return dnn.load_model(path, get_backend(backend)), None


def pass_torch(model, objective):
    back = from_torch(to_torch(model, logits=False), model.backend, seed=model.seed)
    assert back.parameters.vector.tolist() == model.parameters.vector.tolist()
    assert len(back.frozen_names) == len(model.frozen_names)
    return compile_again(back, objective)


def read(model, rows):
    """Make the calls that change nothing; return their results."""
    x, y = batch(model)
    with suppress(InputError):  # torch has no such layer
        to_torch(model)
    copy.copy(model)
    found = model.predict(x, rows), model.input_gradient(x, y, rows)
    return model, (model.evaluate(x, y, rows), [array.tobytes() for array in found])


# --------------------------------------------------------- replay: the same by other, plain calls


def fit_in_steps(model, *arguments):
    return fit(model, *arguments, every=1)


def load_plainly(model, backend):
    new = blank(model, get_backend(backend))
    new.parameters.load(model.parameters.to_host())
    new.optimizer_state.control[UPDATES] = float(model.optimizer_state.control[UPDATES][0])
    new.epochs_done = model.epochs_done
    return new, None


def minimise_at_once(model, first, more):
    return minimise(model, first + more, 0)


PLAIN = {
    fit: fit_in_steps, reload: load_plainly, minimise: minimise_at_once, train_on_batch: train_by_gradients,
    train_by_gradients: train_on_batch,
}  # fmt: skip


def difference(log):
    """Replay a log of (operation, arguments, snapshot, result); return what differs first, "" for nothing."""
    model = None
    for i, (name, arguments, expected, result) in enumerate(log):
        operation = globals()[name]
        model, found = PLAIN.get(operation, operation)(model, *arguments)
        now = snapshot(model)
        odd = [key for key in now | expected if now.get(key) != expected.get(key)]
        if odd or repr(found) != repr(result):
            calls = [line[:2] for line in log[: i + 1]]
            return f"{odd} differ, or {found!r:.300} and {result!r:.300}, after {calls}"
    return ""


def serve():
    """Replay the pickled logs of stdin in new children of this process, which has computed nothing itself."""
    torch.set_num_threads(1)
    with suppress(EOFError):
        while logs := pickle.load(sys.stdin.buffer):
            if child := os.fork():
                os.waitpid(child, 0)
                continue
            try:
                found = "".join(map(difference, logs))
            except BaseException as error:
                found = f"the replay raised {error!r}"
            pickle.dump(found, sys.stdout.buffer)
            sys.stdout.flush()
            os._exit(0)


class Replayer:
    """A process; a call replays several logs in a child of it and returns ``difference``."""

    def __init__(self):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __call__(self, logs):
        pickle.dump(logs, self._process.stdin)
        self._process.stdin.flush()
        return pickle.load(self._process.stdout)

    def close(self):
        self._process.communicate()


if __name__ == "__main__":
    serve()
