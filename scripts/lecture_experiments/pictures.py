"""Draw the results of the experiments as PNG files. Errors are in per cent, legends name the settings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dnn.commands.figures import picture
from dnn.datasets import Dataset
from dnn.sequential import Sequential
from lecture_experiments.experiments import DEPTHS, EXPERIMENTS, TABLES
from lecture_experiments.run import Outcomes

SMALL_FONT_POINTS = 8


def log_axis(axes: Any, label: str, number: str) -> None:
    """Make the y axis logarithmic. number: format of its numbers, as in "{x:g}%"."""
    from matplotlib.ticker import LogLocator

    axes.set(yscale="log", ylabel=label)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.yaxis.set_major_formatter(number)
    axes.minorticks_off()
    axes.grid(alpha=0.3)


def image_grid(figure: Any, rows: int, columns: int, images: Iterable[np.ndarray], **colours: Any) -> Any:
    """Draw images row by row without axes, and return the grid of subplots. Spare subplots stay empty."""
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image in zip(grid.flat, images, strict=False):
        axes.imshow(image, **colours)
    return grid


def curves(figure: Any, outcomes: Outcomes, labels: Mapping[str, str], note: str = "") -> None:
    """Plot test error and training loss over the epochs.

    Lines of squared-error losses are dashed. Networks of one depth share a colour, and the lines of ReLU are
    dashed.
    """
    error, loss = figure.subplots(1, 2)
    for i, (name, label) in enumerate(labels.items()):
        experiment = EXPERIMENTS[name]
        is_depth = name.startswith("depth-")
        colour = f"C{DEPTHS.index(len(experiment.hidden)) if is_depth else i}"
        dashed = experiment.activation == "relu" if is_depth else experiment.loss == "mean_squared_error"
        style = f"{colour}o{'--' if dashed else '-'}"
        history = outcomes[name].history
        passes = history.get("evaluations") or range(1, len(history["loss"]) + 1)
        error.plot(passes, 100 * (1 - np.asarray(history["val_accuracy"])), style, ms=3, label=label)
        loss.plot(passes, history["loss"], style, ms=3)
    error.set_title("Test error")
    log_axis(error, "test error", "{x:g}%")
    loss.set_title(f"Training loss{note}")
    log_axis(loss, "mean loss per image", "{x:g}")
    for axes in (error, loss):
        axes.set(xlabel="epochs (passes over the training images)")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    figure.legend(loc="outside lower center", ncols=2, fontsize=SMALL_FONT_POINTS, handlelength=3)


def confusion(figure: Any, true: np.ndarray, predicted: np.ndarray, classes: int) -> None:
    """Draw the confusion matrix. The diagonal has no colour, so that the errors stand out."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (true, predicted), 1)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    axes = figure.subplots()
    image = axes.imshow(wrong, cmap="Reds")
    for i in range(classes):
        for j in range(classes):
            if counts[i, j]:
                dark = wrong[i, j] > 0.6 * wrong.max()
                axes.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=SMALL_FONT_POINTS + 1,
                          color="white" if dark else "dimgray" if i == j else "black")  # fmt: skip
    axes.set(xticks=range(classes), yticks=range(classes), xlabel="predicted digit", ylabel="true digit")
    axes.set_title(f"Confusion matrix: {wrong.sum()} errors in {len(true):,} test images")
    figure.colorbar(image, label="number of errors (grey: correct predictions)", shrink=0.8)


def mistakes(figure: Any, data: Dataset, probabilities: np.ndarray, n_images: int = 24) -> None:
    """Draw the misclassified test images with the highest confidence."""
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != data.y_test)
    most_confident = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:n_images]
    images = data.x_test[most_confident].reshape(-1, *data.image_shape)
    grid = image_grid(figure, 4, 6, images, cmap="gray_r")
    figure.suptitle("Misclassified test images with the highest confidence")
    for axes, i in zip(grid.flat, most_confident, strict=False):
        confidence = np.floor(1000 * probabilities[i, predicted[i]]) / 10  # never rounded up to 100 %
        axes.set_title(
            f"true {data.y_test[i]}, predicted {predicted[i]}\nconfidence {confidence:.1f}%",
            fontsize=SMALL_FONT_POINTS + 1,
        )


def weights(figure: Any, model: Sequential, image_shape: tuple[int, int], n_units: int = 32) -> None:
    """Draw the first layer's weights as images: red is positive, blue is negative.

    All images share one colour scale. It ends at the 99.5 % quantile of the absolute weights.
    """
    first = next(layer for layer in model.layers if layer.value)
    W = model.parameters.to_host()[f"{first.name}.W"]  # (n_in, units)
    strongest = np.argsort(-np.abs(W).sum(axis=0), kind="stable")[:n_units]
    largest = float(np.quantile(np.abs(W[:, strongest]), 0.995))
    images = [column.reshape(image_shape) for column in W[:, strongest].T]
    grid = image_grid(figure, 4, 8, images, cmap="RdBu_r", vmin=-largest, vmax=largest)
    figure.colorbar(grid[0, 0].images[0], ax=grid, label="weight", extend="both", shrink=0.9, aspect=25)
    figure.suptitle("Weights of 32 units of the first hidden layer (one image per unit)")


def draw_all(
    outcomes: Outcomes,
    data: Dataset,
    lecture: Sequential | None,
    folder: Path,
    endings: Sequence[str],
) -> None:
    """Draw pictures of the available results.

    Args:
        lecture: the trained network of the lecture.
        endings: endings of the file names; each picture is drawn once for each ending, as lecture-NAME.png
            (English labels) for ".png" and lecture-NAME.zh.png (Chinese labels) for ".zh.png".
    """

    def draw(name: str, width: float, height: float, function: Callable[..., None], *values: Any) -> None:
        for ending in endings:
            with picture(folder / f"lecture-{name}{ending}", width, height) as figure:
                function(figure, *values)

    if lecture is not None:
        p = lecture.predict(data.x_test)
        draw("confusion", 6.4, 5.2, confusion, data.y_test, p.argmax(axis=1), data.classes)
        draw("mistakes", 8.4, 6, mistakes, data, p)
        draw("weights", 8.4, 4.4, weights, lecture, data.image_shape)
    notes = {"steps": " (dashed: squared error)", "depth": " (dashed: ReLU)"}
    for table, experiments in TABLES.items():
        labels = {e.name: e.about for e in experiments if e.name in outcomes and e.name != "lbfgs"}
        if table == "batch" and "lecture" in labels:
            labels["lecture"] = "batch of 100"
        if labels.keys() - ({"lecture", "linear"} if table != "steps" else ()):
            name = "curves" if table == "steps" else table
            draw(name, 8.4, 5, curves, outcomes, labels, notes.get(table, ""))
    if "lbfgs" in outcomes:
        labels = {"lbfgs": "L-BFGS: about one step per epoch", "lecture": "Adam: one step per batch"}
        draw("lbfgs", 8.4, 4, curves, outcomes, {n: labels[n] for n in labels if n in outcomes})
