"""Pictures of what the networks learned, as PNG files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _figures import picture

from backends import Backend
from dnn.datasets import Dataset
from dnn.sequential import Sequential
from lecture_experiments.experiments import DEPTHS, EXPERIMENTS, STEPS
from lecture_experiments.noise import NOISE
from lecture_experiments.run import Outcome, Results


def curves(figure: Any, outcomes: Mapping[str, Outcome], names: Sequence[str]) -> None:
    """Test error and training loss over the passes, a line an experiment."""
    error, loss = figure.subplots(1, 2)
    for name in names:
        history = outcomes[name].history
        epochs = history.get("evaluations") or range(1, len(history["val_accuracy"]) + 1)
        error.plot(epochs, 1 - np.asarray(history["val_accuracy"]), "o-", ms=2, label=name)
        loss.plot(epochs, history["loss"], "o-", ms=3, label=name)
    for axes, shown in ((error, "test error (1 - accuracy)"), (loss, "training loss (each its own goal)")):
        axes.set(xlabel="passes over the training images", ylabel=shown, xscale="log", yscale="log")
        axes.grid(alpha=0.3)
    figure.legend(*error.get_legend_handles_labels(), loc="outside right upper", fontsize=8)


def depth(figure: Any, outcomes: Mapping[str, Outcome]) -> None:
    """Test error over the number of hidden layers, sigmoid and ReLU."""
    axes = figure.subplots()
    for activation in ("sigmoid", "relu"):
        here = [n for n in DEPTHS if f"depth-{n}-{activation}" in outcomes]
        values = [1 - outcomes[f"depth-{n}-{activation}"].test_accuracy for n in here]
        axes.plot(here, values, "o-", ms=4, label=activation)
    axes.set(xticks=DEPTHS, xlabel="hidden layers of 500 units")
    axes.set(ylabel="test error (1 - accuracy)", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend()


def confusion(figure: Any, true: np.ndarray, predicted: np.ndarray, classes: int) -> None:
    """How often each class was taken for each other; the diagonal is left pale so that mistakes show."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (true, predicted), 1)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    axes = figure.subplots()
    axes.imshow(wrong, cmap="Reds")
    for i in range(classes):
        for j in range(classes):
            if counts[i, j]:
                dark = wrong[i, j] > 0.6 * wrong.max()
                axes.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=8,
                          color="white" if dark else "dimgray" if i == j else "black")  # fmt: skip
    axes.set(xticks=range(classes), yticks=range(classes), xlabel="taken for", ylabel="is")


def mistakes(figure: Any, data: Dataset, probabilities: np.ndarray, many: int = 24) -> None:
    """The test images that were taken for something else with the most confidence."""
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != data.y_test)
    surest = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:many]
    grid = figure.subplots(4, 6)
    for axes in grid.flat:
        axes.axis("off")
    for axes, i in zip(grid.flat, surest, strict=False):
        axes.imshow(data.x_test[i].reshape(data.image_shape), cmap="gray_r")
        share = 100 * probabilities[i, predicted[i]]
        axes.set_title(f"{data.y_test[i]} taken for {predicted[i]} ({share:.0f} %)", fontsize=8)


def weights(figure: Any, model: Sequential, image_shape: tuple[int, int], many: int = 32) -> None:
    """The weights from the image to single units of the first layer, as images: red adds, blue takes away."""
    first = next(layer for layer in model.layers if layer.value)
    W = model.parameters.to_host()[f"{first.name}.W"]  # (n_in, units)
    strongest = np.argsort(-np.abs(W).sum(axis=0), kind="stable")[:many]
    for axes, unit in zip(figure.subplots(4, 8).flat, strongest, strict=False):
        image = W[:, unit].reshape(image_shape)
        largest = np.quantile(np.abs(image), 0.995)
        axes.imshow(image, cmap="RdBu_r", vmin=-largest, vmax=largest)
        axes.axis("off")


def noise(figure: Any, accuracies: Mapping[str, list[float]]) -> None:
    """Test accuracy over the strength of the noise, a line an experiment."""
    axes = figure.subplots()
    for name, values in accuracies.items():
        axes.plot(NOISE, values, "o-", ms=4, label=EXPERIMENTS[name].about)
    axes.set(xlabel="standard deviation of the noise added to pixels in [0, 1]", ylabel="test accuracy")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def draw_all(
    outcomes: Mapping[str, Outcome],
    noisy: Mapping[str, list[float]],
    results: Results,
    data: Dataset,
    backend: Backend,
    folder: Path,
) -> int:
    """Every picture for which there are outcomes; returns how many."""
    drawings: dict[str, tuple[float, float, Callable[[Any], None]]] = {}  # width, height, what draws it
    steps = [n for n in STEPS if n in outcomes and "val_accuracy" in outcomes[n].history]
    if steps:
        drawings["curves"] = 10, 4, lambda figure: curves(figure, outcomes, steps)
    if any(name.startswith("depth-") for name in outcomes):
        drawings["depth"] = 6, 3.6, lambda figure: depth(figure, outcomes)
    if "lecture" in outcomes:
        model = results.model("lecture", backend)
        probabilities = model.predict(data.x_test)
        predicted = probabilities.argmax(axis=1)
        drawings["confusion"] = 5.4, 5, lambda figure: confusion(figure, data.y_test, predicted, data.classes)
        drawings["mistakes"] = 9, 5, lambda figure: mistakes(figure, data, probabilities)
        drawings["weights"] = 9, 4.8, lambda figure: weights(figure, model, data.image_shape)
    if noisy:
        drawings["noise"] = 6, 3.6, lambda figure: noise(figure, noisy)
    for name, (width, height, draw) in drawings.items():
        with picture(folder / f"lecture-{name}.png", width, height) as figure:
            draw(figure)
    return len(drawings)
