"""Training one experiment, and keeping its result, so that a set of them can be stopped and continued."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from backends import Backend, InputError
from backends.errors import reraise
from dnn.checkpoints import load_model, save_model
from dnn.commands.command_line import write_json
from dnn.datasets import Dataset
from dnn.lbfgs import LBFGS, fit_lbfgs
from dnn.lbfgs.state import State
from dnn.sequential import Sequential
from lecture_experiments.experiments import LECTURE_EPOCHS, Experiment
from lecture_experiments.features import with_features


@dataclass(frozen=True)
class Outcome:
    """The result of an experiment."""

    name: str  # the experiment's
    history: dict[str, list[float]]  # name -> a number an epoch (L-BFGS: an iteration)
    test_accuracy: float  # these two at the end
    test_loss: float
    updates: int  # of the parameters; for L-BFGS evaluations of the total loss
    backend: str  # these four: what it was trained on
    dataset: str
    examples: int
    seed: int
    epochs: int = LECTURE_EPOCHS  # asked for, in place of the usual ones


def limit_examples(data: Dataset, limit: int | None) -> Dataset:
    """The data with only the first ``limit`` training examples; None: all of them."""
    return replace(data, x_train=data.x_train[:limit], y_train=data.y_train[:limit])


def build(experiment: Experiment, data: Dataset, backend: Backend, seed: int) -> Sequential:
    """Make the experiment's compiled model. L-BFGS has none of the optimizers: it gets Adam."""
    layers = experiment.layers(data.classes)
    model = Sequential(layers, input_shape=data.x_train.shape[1:], backend=backend, seed=seed)
    model.compile(experiment.loss, experiment.optimizer or "adam")
    return model


def train(
    usual: Experiment, data: Dataset, backend: Backend, epochs: int, seed: int
) -> tuple[Sequential, Outcome]:
    """Train it on all of the data's training examples, with ``epochs`` in place of the usual ones."""
    experiment = usual.with_epochs(epochs)
    data = with_features(usual.features, data)
    x = data.x_train
    y = data.y_train
    n = len(data.x_train)
    model = build(experiment, data, backend, seed)
    if experiment.optimizer is None:
        history, updates = _quasi_newton(model, experiment, data)
    else:
        held = (data.x_test, data.y_test)
        options: dict[str, Any] = {"batch_size": experiment.batch or n, "epochs": experiment.epochs}
        history = model.fit(x, y, validation_data=held, verbose=0, **options).history
        updates = experiment.updates(n)
    result = model.evaluate(data.x_test, data.y_test)
    outcome = Outcome(
        experiment.name, history, result.accuracy, result.loss, updates,
        backend.name, data.name, n, seed, epochs,
    )  # fmt: skip
    return model, outcome


def _quasi_newton(
    model: Sequential, experiment: Experiment, data: Dataset
) -> tuple[dict[str, list[float]], int]:
    """L-BFGS, with at most ``epochs`` passes over the data; (history, passes taken)."""
    accuracies = [model.evaluate(data.x_test, data.y_test)]

    def watch(state: State) -> None:
        accuracies.append(model.evaluate(data.x_test, data.y_test))

    settings = LBFGS(max_evaluations=experiment.epochs)
    state = fit_lbfgs(model, data.x_train, data.y_train, settings=settings, watch=watch)
    history = {
        "loss": state.history["loss"],
        "evaluations": state.history["evaluations"],
        "val_loss": [a.loss for a in accuracies],
        "val_accuracy": [a.accuracy for a in accuracies],
    }
    return history, state.evaluations


class Results:
    """A folder with a JSON file and the weights of each experiment that is done. It is made if it is missing.

    Args:
        same: fields of ``Outcome`` that all results must have.
    Raises InputError: the folder cannot be made.
    """

    def __init__(self, folder: Path, same: dict[str, Any]) -> None:
        self.folder = folder
        self.same = same
        with reraise(OSError, f"folder {folder} cannot be made", "a place where folders can be made"):
            folder.mkdir(parents=True, exist_ok=True)

    def load_outcome(self, name: str) -> Outcome | None:
        """Return the outcome of an experiment, None if it has not been run.

        Raises InputError: the file cannot be read, or it is of other data, epochs or another seed.
        """
        path = self.folder / f"{name}.json"
        if not path.exists():
            return None
        with reraise((OSError, ValueError, TypeError), f"result {path} cannot be read", cure="remove it"):
            result = Outcome(**json.loads(path.read_text(encoding="utf-8")))
        for key, expected in self.same.items():
            if getattr(result, key) != expected:
                got = f"result {path} was made with {key} {getattr(result, key)!r}"
                raise InputError(got, repr(expected), "choose another folder")
        return result

    def save(self, model: Sequential, outcome: Outcome) -> None:
        """Write both; the JSON last, since it says that the experiment is done."""
        save_model(model, self.folder / f"{outcome.name}.safetensors")
        write_json(self.folder / f"{outcome.name}.json", asdict(outcome))

    def load_network(self, name: str, backend: Backend) -> Sequential:
        """Load the trained network of an experiment that is done."""
        return load_model(self.folder / f"{name}.safetensors", backend)
