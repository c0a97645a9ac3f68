"""Draw the results of the experiments as PNG files. Errors are in per cent, legends name the settings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dnn.commands.figures import picture
from dnn.datasets import Dataset
from dnn.sequential import Sequential
from lecture_experiments.experiments import ACTIVATION_NAMES, DEPTHS, EXPERIMENTS, STEP_NAMES
from lecture_experiments.gradients import Sizes
from lecture_experiments.paths import Film, Surface
from lecture_experiments.run import Outcome
from lecture_experiments.tables import Grid

SMALL_FONT_POINTS = 8


def error_axis(axes: Any) -> None:
    """Make the y axis logarithmic, in per cent, with written-out numbers."""
    from matplotlib.ticker import LogLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.yaxis.set_major_formatter("{x:g} %")
    axes.minorticks_off()
    axes.set_ylabel("test error")
    axes.grid(alpha=0.3)


def image_grid(figure: Any, rows: int, columns: int, images: Iterable[np.ndarray], **colours: Any) -> Any:
    """Draw images row by row without axes, and return the grid of subplots. Spare subplots stay empty."""
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image in zip(grid.flat, images, strict=False):
        axes.imshow(image, **colours)
    return grid


def weight_images(
    figure: Any, rows: int, columns: int, weights: np.ndarray, image_shape: tuple[int, int], quantile: float
) -> Any:
    """Draw each column of ``weights`` (n_in, units) as an image: red is positive, blue is negative.

    All images share one colour scale. It ends at this quantile of the absolute weights.
    """
    largest = float(np.quantile(np.abs(weights), quantile))
    images = [column.reshape(image_shape) for column in weights.T]
    grid = image_grid(figure, rows, columns, images, cmap="RdBu_r", vmin=-largest, vmax=largest)
    figure.colorbar(grid[0, 0].images[0], ax=grid, label="weight", extend="both", shrink=0.9, aspect=25)
    return grid


def errors(accuracies: Sequence[float] | np.ndarray) -> np.ndarray:
    """Convert accuracies in [0, 1] to error rates in per cent."""
    return 100 * (1 - np.asarray(accuracies))


def curves(figure: Any, outcomes: Mapping[str, Outcome], labels: Mapping[str, str], note: str = "") -> None:
    """Plot test error and training loss over the epochs. Lines of squared-error losses are dashed."""
    error, loss = figure.subplots(1, 2)
    for name, label in labels.items():
        history = outcomes[name].history
        passes = history.get("evaluations") or range(1, len(history["loss"]) + 1)
        style = "o--" if EXPERIMENTS[name].loss == "mean_squared_error" else "o-"
        error.plot(passes, errors(history["val_accuracy"]), style, ms=3, label=label)
        loss.plot(passes, history["loss"], style, ms=3)
    error.set_title("Test error")
    error_axis(error)
    loss.set(title=f"Training loss{note}", ylabel="mean loss per image", yscale="log")
    loss.yaxis.set_major_formatter("{x:g}")
    loss.grid(alpha=0.3)
    for axes in (error, loss):
        axes.set(xlabel="epochs (passes over the training images)")
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(loc="outside lower center", ncols=2, fontsize=SMALL_FONT_POINTS)


def depth(figure: Any, outcomes: Mapping[str, Outcome]) -> None:
    """Plot test error over the number of hidden layers, for sigmoid and ReLU. Skip missing outcomes."""
    axes = figure.subplots()
    for activation, marker in (("sigmoid", "o-"), ("relu", "s-")):
        here = [n for n in DEPTHS if f"depth-{n}-{activation}" in outcomes]
        values = errors([outcomes[f"depth-{n}-{activation}"].test_accuracy for n in here])
        axes.plot(here, values, marker, ms=5, label=ACTIVATION_NAMES[activation])
    axes.set(xticks=DEPTHS, xlabel="number of hidden layers (500 units each)", title="Test error by depth")
    error_axis(axes)
    axes.legend()


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
            f"true {data.y_test[i]}, predicted {predicted[i]}\nconfidence {confidence:.1f} %",
            fontsize=SMALL_FONT_POINTS + 1,
        )


def weights(figure: Any, model: Sequential, image_shape: tuple[int, int], n_units: int = 32) -> None:
    """Draw the first layer's weights as images: one image per unit, all on one colour scale."""
    first = next(layer for layer in model.layers if layer.value)
    W = model.parameters.to_host()[f"{first.name}.W"]  # (n_in, units)
    strongest = np.argsort(-np.abs(W).sum(axis=0), kind="stable")[:n_units]
    weight_images(figure, 4, 8, W[:, strongest], image_shape, 0.995)
    figure.suptitle("Weights of 32 units of the first hidden layer (one image per unit)")


def gradients(figure: Any, sizes: Sizes) -> None:
    """Plot the size of the gradient in each layer, with one line per network."""
    panels = figure.subplots(1, 2, sharey=True)
    for axes, activation in zip(panels, ("sigmoid", "relu"), strict=True):
        for n, marker in zip(DEPTHS, "osD^vP", strict=True):
            found = sizes[f"depth-{n}-{activation}"]
            axes.plot(
                range(1, len(found) + 1), found, f"{marker}-", ms=4, label=f"{n} hidden layer{'s' * (n > 1)}"
            )
        axes.set(
            title=f"Gradient before training: {ACTIVATION_NAMES[activation]}",
            yscale="log",
            xticks=range(1, max(DEPTHS) + 2),
        )
        axes.set(xlabel="layer (1: first hidden layer, last: output layer)")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("root mean square of the gradient\nof a layer's weights")
    panels[1].legend(fontsize=SMALL_FONT_POINTS, loc="lower right")


def film_strip(figure: Any, film: Film, image_shape: tuple[int, int], n_units: int = 3) -> None:
    """Draw the weights of the hidden units that change most, at several moments of the training."""
    moments = list(film)
    moved = np.abs(film[moments[-1]] - film[moments[0]]).sum(axis=0)
    units = np.argsort(-moved, kind="stable")[:n_units]
    shown = np.stack([film[n][:, unit] for unit in units for n in moments], axis=1)
    grid = weight_images(figure, n_units, len(moments), shown, image_shape, 0.998)
    for axes, n in zip(grid[0], moments, strict=True):
        axes.set_title(f"{n:,}", fontsize=SMALL_FONT_POINTS + 2)
    figure.suptitle(f"Weights of {n_units} units of the first hidden layer, by number of updates")


def loss_surface(figure: Any, found: Surface) -> None:
    """Draw the loss in the plane of both paths, with logarithmic colours."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import LogLocator

    axes = figure.subplots()
    levels = np.geomspace(found.loss.min(), found.loss.max(), 25)
    norm = LogNorm(levels[0], levels[-1])
    filled = axes.contourf(found.across, found.up, found.loss, levels, cmap="viridis", norm=norm)
    axes.contour(found.across, found.up, found.loss, levels, colors="white", linewidths=0.3)
    for (name, path), colour, marker in zip(found.paths.items(), ("orange", "red"), "os", strict=True):
        axes.plot(*path.T, f"{marker}-", color=colour, ms=3, lw=1, label=name)
    axes.plot(0, 0, "*", color="black", ms=12, label="start")
    axes.set(
        title="Training loss in the plane of both paths\n(paths are projected onto the plane)", aspect="equal"
    )
    axes.set(
        xlabel="distance from the start along the first principal direction of the paths",
        ylabel="distance along the second principal direction",
    )
    axes.legend(fontsize=SMALL_FONT_POINTS + 1)
    ticks = LogLocator(subs=(1, 2, 5))
    figure.colorbar(filled, label="mean training loss", shrink=0.8, ticks=ticks, format="{x:g}")


def noise(figure: Any, grid: Grid) -> None:
    """Plot test accuracy over the strength of the noise, with one line per experiment."""
    axes = figure.subplots()
    (_, *strengths), *lines = grid
    for about, *values in lines:
        accuracies = [float(value.removesuffix(" %")) for value in values]
        axes.plot(list(map(float, strengths)), accuracies, "o-", ms=4, label=about)
    axes.set(
        xlabel="standard deviation of the noise (pixels are in [0, 1])", ylabel="test accuracy", ylim=(0, 100)
    )
    axes.set(title="Test accuracy with noise that training did not have")
    axes.yaxis.set_major_formatter("{x:g} %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=SMALL_FONT_POINTS)


@dataclass
class PlotData:
    """Results to draw."""

    outcomes: Mapping[str, Outcome]
    data: Dataset
    noise: Grid = field(default_factory=list)
    gradients: Sizes = field(default_factory=dict)
    film: Film = field(default_factory=dict)
    surface: Surface | None = None
    lecture: Sequential | None = None  # the trained network


def draw_all(shown: PlotData, folder: Path) -> None:
    """Draw a picture lecture-NAME.png for each available result."""
    outcomes = shown.outcomes
    data = shown.data

    def draw(name: str, width: float, height: float, function: Callable[..., None], *values: Any) -> None:
        with picture(folder / f"lecture-{name}.png", width, height) as figure:
            function(figure, *values)

    if shown.lecture is not None:
        p = shown.lecture.predict(data.x_test)
        draw("confusion", 6.4, 5.2, confusion, data.y_test, p.argmax(axis=1), data.classes)
        draw("mistakes", 8.4, 6, mistakes, data, p)
        draw("weights", 8.4, 4.4, weights, shown.lecture, data.image_shape)
    if steps := {n: EXPERIMENTS[n].about for n in STEP_NAMES if n in outcomes and n != "lbfgs"}:
        draw("curves", 8.4, 5, curves, outcomes, steps, " (dashed: squared error)")
    if "lbfgs" in outcomes:
        labels = {"lbfgs": "L-BFGS: about one step per epoch", "lecture": "Adam: 600 steps per epoch"}
        draw("lbfgs", 8.4, 4, curves, outcomes, {n: labels[n] for n in labels if n in outcomes})
    if any(name.startswith("depth-") for name in outcomes):
        draw("depth", 6.4, 4, depth, outcomes)
    if shown.noise:
        draw("noise", 6.4, 4, noise, shown.noise)
    if shown.gradients:
        draw("gradients", 8.4, 4, gradients, shown.gradients)
    if shown.film:
        draw("film", 8.4, 3.6, film_strip, shown.film, data.image_shape)
    if shown.surface is not None:
        draw("surface", 6.8, 5.2, loss_surface, shown.surface)
