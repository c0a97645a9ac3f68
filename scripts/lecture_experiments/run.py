"""Train the settings of the experiments. Each training has a folder with its result, or its latest state."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from backends import Backend, InputError
from backends.errors import reraise
from dnn.callbacks import Callback, EarlyStopping, TrainingCheckpoint, latest_state
from dnn.callbacks.training_checkpoint import state_files
from dnn.commands.command_line import print_status, write_json
from dnn.datasets import Dataset
from dnn.lbfgs import LBFGS, fit_lbfgs
from dnn.sequential import Sequential
from dnn.typing import Json
from lecture_experiments.experiments import LECTURE_EPOCHS, NOISY, Setting
from lecture_experiments.features import with_features
from lecture_experiments.measures import initial_sizes, noise_accuracies

SEARCH_SHARE = 6
"""The search holds out the last sixth of the training images."""
LONG_EPOCH = 10_000
"""Number of images of an epoch from which each epoch's training state is saved."""
CURVES = ("loss", "val_loss", "val_accuracy")


@dataclass(frozen=True)
class Training:
    """A training of a setting with one seed. In the search, the last training images are held out."""

    setting: Setting
    seed: int
    searches: bool = False

    @property
    def value(self) -> float:
        """The setting's value of the field that the search chooses."""
        return float(getattr(self.setting, self.setting.varies))

    @property
    def folder(self) -> Path:
        """Path of its files inside the folder of all results."""
        kind = "search" if self.searches else "final"
        return Path(self.setting.name) / f"{kind}-{self.value:g}-seed-{self.seed}"

    @property
    def facts(self) -> str:
        """What the result depends on, as text: a result of an earlier version must not stand for it."""
        return repr(replace(self.setting, about=""))

    def examples(self, total: int) -> tuple[int, int, int]:
        """Return the number of images it trains on, how often an epoch has each, and the first held out.

        Args:
            total: number of training images of the data.
        """
        kept = total - total // SEARCH_SHARE if self.searches else total
        n = min(kept, self.setting.examples or kept)
        return n, min(self.setting.repeats, -(-total // n)), kept

    def work(self, data: Dataset) -> float:
        """Return a number that is roughly proportional to its time."""
        n, repeats, _ = self.examples(len(data.x_train))
        units = [data.x_train.shape[1], *self.setting.hidden, data.classes]
        weights = sum(a * b for a, b in pairwise(units))
        return float(self.setting.epochs * n * repeats * (weights + 100_000))

    def select(self, data: Dataset) -> Dataset:
        """Return the data on which it trains and is evaluated."""
        n, repeats, kept = self.examples(len(data.x_train))
        if self.searches:
            data = replace(data, x_test=data.x_train[kept:], y_test=data.y_train[kept:])
        rows = slice(n) if repeats == 1 else np.tile(np.arange(n), repeats)
        return replace(data, x_train=data.x_train[rows], y_train=data.y_train[rows])


def build(setting: Setting, data: Dataset, backend: Backend, seed: int) -> Sequential:
    """Return the setting's compiled model. For L-BFGS it is compiled with Adam, which is not used."""
    layers = setting.layers(data.image_shape, data.classes)
    model = Sequential(layers, input_shape=data.x_train.shape[1:], backend=backend, seed=seed)
    if setting.scale != 1.0:
        values = model.parameters.to_host()
        model.parameters.load({name: setting.scale * value for name, value in values.items()})
    model.compile(setting.loss, setting.make_optimizer(len(data.x_train)), l2=setting.l2)
    return model


def train(training: Training, data: Dataset, backend: Backend, folder: Path) -> Json:
    """Train, from the latest state in the folder if there is one.

    Returns "samples", name -> number at the end with accuracies in per cent, and "curves", name -> number per
    epoch (L-BFGS: per iteration).
    """
    setting = training.setting
    data, zeros = with_features(setting.features, training.select(data))
    model = build(setting, data, backend, training.seed)
    samples = {"features": data.x_train.shape[1], "zeros": zeros, **initial_sizes(model, data)}
    curves = (_fit_lbfgs if setting.optimizer == "lbfgs" else _fit)(setting, model, data, folder)
    test = model.evaluate(data.x_test, data.y_test)
    accuracy = model.evaluate(data.x_train, data.y_train).accuracy
    samples |= {
        "accuracy": 100 * test.accuracy,
        "test-loss": test.loss,
        "training": 100 * accuracy,
        "gap": 100 * (accuracy - test.accuracy),
        "loss": curves["loss"][-1],
        "updates": setting.updates(len(data.x_train)),
    }
    if setting.name in NOISY and not training.searches:
        samples |= noise_accuracies(model, data, training.seed)
    return {"samples": samples, "curves": curves}


def _fit(setting: Setting, model: Sequential, data: Dataset, folder: Path) -> dict[str, list[float]]:
    x, y = data.x_train, data.y_train
    watched = data.x_test, data.y_test
    callbacks: list[Callback] = []
    if setting.stops_early:  # the last fifth of the images is held out
        distinct = min(setting.examples or len(x), len(x))
        kept = np.arange(len(x)) % distinct < distinct * 4 // 5
        watched = x[~kept], y[~kept]
        x, y = x[kept], y[kept]
        callbacks.append(EarlyStopping("val_accuracy", patience=setting.epochs, restore_best_weights=True))
    if len(x) >= LONG_EPOCH:
        callbacks.append(TrainingCheckpoint(folder, max_to_keep=1))
    resume = latest_state(folder) if state_files(folder) else None
    history = model.fit(
        x, y, validation_data=watched, batch_size=setting.batch or len(x), epochs=setting.epochs, verbose=0,
        callbacks=callbacks, resume=resume,
    ).history  # fmt: skip
    return {name: history[name] for name in CURVES}


def _fit_lbfgs(setting: Setting, model: Sequential, data: Dataset, folder: Path) -> dict[str, list[float]]:
    limit = LBFGS(max_evaluations=setting.epochs)
    return {"loss": list(fit_lbfgs(model, data.x_train, data.y_train, settings=limit).history["loss"])}


@dataclass
class Plan:
    """All trainings of a command: a search for each setting, then its seeds.

    Args:
        folder: for the results; created if it is missing.
        epochs: of the settings with LECTURE_EPOCHS; those of the others are scaled in proportion.
    Raises InputError: the folder cannot be created, or was made with other data or epochs.
    """

    folder: Path
    settings: Sequence[Setting]
    seeds: int
    epochs: int
    data: Dataset
    backend: Backend

    def __post_init__(self) -> None:
        options = {"dataset": self.data.name, "examples": len(self.data.x_train), "epochs": self.epochs}
        with reraise(OSError, f"folder {self.folder} cannot be created", "a writable place"):
            self.folder.mkdir(parents=True, exist_ok=True)
        found = self._read("options.json")
        if found is None:
            write_json(self.folder / "options.json", options)
        elif found != options:
            got = f"results in {self.folder} were made with {found}"
            raise InputError(got, str(options), "choose another folder with --out")
        scale = self.epochs / LECTURE_EPOCHS
        self.settings = [
            replace(s, **{n: max(1, round(scale * getattr(s, n))) for n in ("epochs", "search_epochs")})
            for s in self.settings
        ]

    def _read(self, name: str | Path) -> Any:
        path = self.folder / name
        if not path.exists():
            return None
        with reraise((OSError, ValueError), f"result {path} cannot be read", cure="remove it"):
            return json.loads(path.read_text(encoding="utf-8"))

    def outcome(self, training: Training) -> Any:
        """Return what ``train`` returned in a finished training, else None.

        Raises InputError: it cannot be read, or is of another setting.
        """
        name = training.folder / "outcome.json"
        outcome = self._read(name)
        if outcome is not None and outcome.get("setting") != training.facts:
            raise InputError(f"result {self.folder / name} is of another setting", cure="remove it")
        return outcome

    def train(self, training: Training) -> Json:
        """Train, and write the outcome, which marks the training as finished; then remove its states."""
        folder = self.folder / training.folder
        folder.mkdir(parents=True, exist_ok=True)
        outcome = {"setting": training.facts, **train(training, self.data, self.backend, folder)}
        write_json(folder / "outcome.json", outcome)
        for path in state_files(folder):
            path.unlink()
        return outcome

    def searches(self, setting: Setting) -> list[Training]:
        """Return the trainings of a setting's search, with seed 0."""
        short = replace(setting, epochs=setting.search_epochs)
        return [Training(short.with_value(value), 0, searches=True) for value in setting.tried]

    def found(self, setting: Setting) -> dict[float, float]:
        """Return the accuracy on the held-out images for each value of a finished search."""
        outcomes = {training.value: self.outcome(training) for training in self.searches(setting)}
        return {value: outcome["samples"]["accuracy"] for value, outcome in outcomes.items() if outcome}

    def finals(self, setting: Setting) -> list[Training]:
        """Return the trainings with all seeds and the best value, or any before the search."""
        found = self.found(setting)
        best = setting.with_value(max(found, key=lambda value: found[value])) if found else setting
        return [Training(best, seed) for seed in setting.seeds(self.seeds)]

    def trainings(self) -> Iterator[Training]:
        """Yield all trainings: searches, then seed by seed, so that all settings have a first seed early."""
        for setting in self.settings:
            yield from self.searches(setting)
        for seed in range(self.seeds):
            for setting in self.settings:
                yield from self.finals(setting)[seed : seed + 1]

    def run(self) -> None:
        """Run what is not finished, and print progress and the time left."""
        work = [0.0 if self.outcome(training) else training.work(self.data) for training in self.trainings()]
        started = time.perf_counter()
        for i, training in enumerate(self.trainings(), 1):
            if self.outcome(training) is None:
                accuracy = self.train(training)["samples"]["accuracy"]
                minutes = (time.perf_counter() - started) / sum(work[:i]) * sum(work[i:]) / 60
                place = f"{i}/{len(work)} {training.folder}"
                print_status(f"{place}: {accuracy:.2f} %, about {minutes:.0f} minutes left")

    def collect(self) -> dict[str, Json]:
        """Return the stored results of the settings whose trainings are finished.

        Name -> value that the search found, accuracy for each value tried, samples (name -> one number per
        seed) and curves (name -> mean over the seeds per epoch).
        """
        results: dict[str, Json] = {}
        for setting in self.settings:
            trainings = self.finals(setting)
            if outcomes := [outcome for training in trainings if (outcome := self.outcome(training))]:
                curves = [outcome["curves"] for outcome in outcomes]
                samples = [
                    {**outcome["samples"], "lowest-test-loss": min(filter(None, losses), default=0.0)}
                    for outcome in outcomes
                    for losses in [outcome["curves"].get("val_loss", ())]
                ]
                results[setting.name] = {
                    "value": trainings[0].value,
                    "search": {f"{value:g}": _rounded(share) for value, share in self.found(setting).items()},
                    "samples": {name: [_rounded(each[name]) for each in samples] for name in samples[0]},
                    "curves": _mean_curves(curves),
                }  # fmt: skip
        return results


def _rounded(number: float | None) -> float:
    """Return a number of JSON, where None stands for NaN, with five digits."""
    return nan if number is None else float(f"{number:.5g}")


def _mean_curves(curves: Sequence[dict[str, list[float | None]]]) -> dict[str, list[float]]:
    """Return the means over the seeds. Those of L-BFGS have different lengths and are left out."""
    if "val_loss" not in curves[0]:
        return {}
    rows = {name: np.asarray([curve[name] for curve in curves], dtype=float) for name in CURVES}
    return {name: [_rounded(value) for value in row.mean(axis=0)] for name, row in rows.items()}
