"""Train an experiment and save its result, so that a series of experiments can be stopped and continued."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from backends import Backend, InputError
from backends.errors import reraise
from dnn.checkpoints import load_model, save_model
from dnn.commands.command_line import write_json
from dnn.datasets import Dataset
from dnn.lbfgs import LBFGS, fit_lbfgs
from dnn.sequential import Sequential
from dnn.typing import Json
from lecture_experiments.experiments import LECTURE_EPOCHS, Experiment
from lecture_experiments.features import with_features


@dataclass(frozen=True)
class Outcome:
    """The result of an experiment."""

    history: dict[str, list[float]]  # name -> one number per epoch (L-BFGS: per iteration)
    test_accuracy: float  # at the end
    updates: int  # for L-BFGS: evaluations of the total loss
    options: Json  # of the command: data, number of training examples, epochs, seed


Outcomes = Mapping[str, Outcome]  # by the name of the experiment


def build(experiment: Experiment, data: Dataset, backend: Backend, seed: int) -> Sequential:
    """Return the experiment's compiled model. For L-BFGS it is compiled with Adam, which is not used."""
    layers = experiment.layers(data.classes)
    model = Sequential(layers, input_shape=data.x_train.shape[1:], backend=backend, seed=seed)
    model.compile(experiment.loss, experiment.optimizer or "adam")
    return model


def train(
    experiment: Experiment, data: Dataset, backend: Backend, options: Json
) -> tuple[Sequential, Outcome]:
    """Train an experiment with its epochs scaled by --epochs; return the model and the outcome."""
    scaled = round(experiment.epochs * options["epochs"] / LECTURE_EPOCHS)
    experiment = replace(experiment, epochs=max(1, scaled))
    data = with_features(experiment.features, data)
    n = len(data.x_train)
    model = build(experiment, data, backend, options["seed"])

    def accuracy() -> float:
        return model.evaluate(data.x_test, data.y_test).accuracy

    if experiment.optimizer is None:
        accuracies = [accuracy()]
        settings = LBFGS(max_evaluations=experiment.epochs)
        state = fit_lbfgs(
            model, data.x_train, data.y_train, settings=settings,
            watch=lambda state: accuracies.append(accuracy()),
        )  # fmt: skip
        updates = state.evaluations
        history = {name: state.history[name] for name in ("loss", "evaluations")}
        history["val_accuracy"] = accuracies
    else:
        history = model.fit(
            data.x_train, data.y_train, validation_data=(data.x_test, data.y_test), verbose=0,
            batch_size=experiment.batch or n, epochs=experiment.epochs,
        ).history  # fmt: skip
        updates = experiment.updates(n)
    return model, Outcome(history, accuracy(), updates, options)


class ResultFolder:
    """A folder with a JSON file and the weights of each finished experiment.

    Args:
        folder: created if it is missing.
        options: those of this command, which all results must share.
    Raises InputError: the folder cannot be created.
    """

    def __init__(self, folder: Path, options: Json) -> None:
        self.folder = folder
        self.options = options
        with reraise(OSError, f"folder {folder} cannot be created", "a writable place"):
            folder.mkdir(parents=True, exist_ok=True)

    def load_outcome(self, name: str) -> Outcome | None:
        """Return the outcome of an experiment, or None if it has not been run.

        Raises InputError: the file cannot be read, or its options differ.
        """
        path = self.folder / f"{name}.json"
        if not path.exists():
            return None
        with reraise((OSError, ValueError, TypeError), f"result {path} cannot be read", cure="remove it"):
            result = Outcome(**json.loads(path.read_text(encoding="utf-8")))
        if result.options != self.options:
            got = f"result {path} was made with {result.options}"
            raise InputError(got, str(self.options), "choose another folder with --out")
        return result

    def save(self, name: str, model: Sequential, outcome: Outcome) -> None:
        """Write the weights, then the JSON file, which marks the experiment as finished."""
        save_model(model, self.folder / f"{name}.safetensors")
        write_json(self.folder / f"{name}.json", asdict(outcome))

    def load_network(self, name: str, backend: Backend) -> Sequential:
        """Return the trained network of a finished experiment."""
        return load_model(self.folder / f"{name}.safetensors", backend)
