"""Pictures of what the networks learned, as PNG files: errors in per cent, and experiments by their words."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dnn.commands.figures import picture
from dnn.datasets import Dataset
from dnn.sequential import Sequential
from lecture_experiments.experiments import DEPTHS, EXPERIMENTS, NAMES, STEPS
from lecture_experiments.gradients import Sizes
from lecture_experiments.paths import Film, Surface
from lecture_experiments.run import Outcome
from lecture_experiments.tables import Grid

SMALL = 8
"""Points, of letters beside the axes' own."""


def error_axis(axes: Any) -> None:
    """Make the y axis logarithmic, in per cent, with written-out numbers."""
    from matplotlib.ticker import LogLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.yaxis.set_major_formatter("{x:g} %")
    axes.minorticks_off()
    axes.set_ylabel("test images that are wrong")
    axes.grid(alpha=0.3)


def image_grid(figure: Any, rows: int, columns: int, images: Iterable[np.ndarray], **colours: Any) -> Any:
    """Draw images row by row, without axes, and return the axes. Places without an image stay empty."""
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image in zip(grid.flat, images, strict=False):
        axes.imshow(image, **colours)
    return grid


def weight_images(
    figure: Any, rows: int, columns: int, weights: np.ndarray, image_shape: tuple[int, int], quantile: float
) -> Any:
    """Draw each column of weights (n_in, many) as an image, red above 0 and blue below, on one scale.

    The scale ends at this quantile of the sizes.
    """
    largest = float(np.quantile(np.abs(weights), quantile))
    images = [column.reshape(image_shape) for column in weights.T]
    grid = image_grid(figure, rows, columns, images, cmap="RdBu_r", vmin=-largest, vmax=largest)
    figure.colorbar(grid[0, 0].images[0], ax=grid, label="weight", extend="both", shrink=0.9, aspect=25)
    return grid


def errors(accuracies: Sequence[float] | np.ndarray) -> np.ndarray:
    """In per cent, from accuracies between 0 and 1."""
    return 100 * (1 - np.asarray(accuracies))


def curves(figure: Any, outcomes: Mapping[str, Outcome], labels: Mapping[str, str], note: str = "") -> None:
    """Test error and training loss over the passes, a line an experiment; squared errors are dashed."""
    error, loss = figure.subplots(1, 2)
    for name, label in labels.items():
        history = outcomes[name].history
        passes = history.get("evaluations") or range(1, len(history["loss"]) + 1)
        style = "o--" if EXPERIMENTS[name].loss == "mean_squared_error" else "o-"
        error.plot(passes, errors(history["val_accuracy"]), style, ms=3, label=label)
        loss.plot(passes, history["loss"], style, ms=3)
    error.set_title("test error")
    error_axis(error)
    loss.set(title=f"training loss{note}", ylabel="mean over the training images", yscale="log")
    loss.yaxis.set_major_formatter("{x:g}")
    loss.grid(alpha=0.3)
    for axes in (error, loss):
        axes.set(xlabel="passes over the training images")
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(loc="outside lower center", ncols=2, fontsize=SMALL)


def depth(figure: Any, outcomes: Mapping[str, Outcome]) -> None:
    """Test error over the number of hidden layers, sigmoid and ReLU, of those of which there is one."""
    axes = figure.subplots()
    for activation, marker in (("sigmoid", "o-"), ("relu", "s-")):
        here = [n for n in DEPTHS if f"depth-{n}-{activation}" in outcomes]
        values = errors([outcomes[f"depth-{n}-{activation}"].test_accuracy for n in here])
        axes.plot(here, values, marker, ms=5, label=NAMES[activation])
    axes.set(xticks=DEPTHS, xlabel="hidden layers, of 500 units each", title="test error over depth")
    error_axis(axes)
    axes.legend()


def confusion(figure: Any, true: np.ndarray, predicted: np.ndarray, classes: int) -> None:
    """How often each class was taken for each other; the diagonal is left pale so that mistakes show."""
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
                axes.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=SMALL + 1,
                          color="white" if dark else "dimgray" if i == j else "black")  # fmt: skip
    axes.set(xticks=range(classes), yticks=range(classes), xlabel="predicted", ylabel="true")
    axes.set_title(f"{wrong.sum()} of {len(true):,} test images are wrong")
    figure.colorbar(image, label="wrong images (right ones: grey numbers)", shrink=0.8)


def mistakes(figure: Any, data: Dataset, probabilities: np.ndarray, many: int = 24) -> None:
    """The test images that were taken for something else with the most confidence."""
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != data.y_test)
    surest = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:many]
    images = data.x_test[surest].reshape(-1, *data.image_shape)
    grid = image_grid(figure, 4, 6, images, cmap="gray_r")
    for axes, i in zip(grid.flat, surest, strict=False):
        share = np.floor(1000 * probabilities[i, predicted[i]]) / 10  # not rounded up to 100 %
        axes.set_title(
            f"true {data.y_test[i]}, predicted {predicted[i]}\nwith {share:.1f} %", fontsize=SMALL + 1
        )


def weights(figure: Any, model: Sequential, image_shape: tuple[int, int], many: int = 32) -> None:
    """The weights from the image to single units of the first layer, as images of one colour scale."""
    first = next(layer for layer in model.layers if layer.value)
    W = model.parameters.to_host()[f"{first.name}.W"]  # (n_in, units)
    strongest = np.argsort(-np.abs(W).sum(axis=0), kind="stable")[:many]
    weight_images(figure, 4, 8, W[:, strongest], image_shape, 0.995)
    figure.suptitle("weights from each pixel to one hidden unit, for 32 of the first layer's units")


def gradients(figure: Any, sizes: Sizes) -> None:
    """The gradient's size over the layers, a line a network."""
    panels = figure.subplots(1, 2, sharey=True)
    for axes, activation in zip(panels, ("sigmoid", "relu"), strict=True):
        for n, marker in zip(DEPTHS, "osD^vP", strict=True):
            found = sizes[f"depth-{n}-{activation}"]
            axes.plot(
                range(1, len(found) + 1), found, f"{marker}-", ms=4, label=f"{n} hidden layer{'s' * (n > 1)}"
            )
        axes.set(title=NAMES[activation], yscale="log", xticks=range(1, max(DEPTHS) + 2))
        axes.set(xlabel="layer (1 is next to the image, the last is the output)")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("gradient of a layer's weights\n(root mean square, before training)")
    panels[1].legend(fontsize=SMALL, loc="lower right")


def film_strip(figure: Any, film: Film, image_shape: tuple[int, int], many: int = 3) -> None:
    """Some hidden units' weights from the image over training: those that change most; one colour scale."""
    moments = list(film)
    moved = np.abs(film[moments[-1]] - film[moments[0]]).sum(axis=0)
    units = np.argsort(-moved, kind="stable")[:many]
    shown = np.stack([film[n][:, unit] for unit in units for n in moments], axis=1)
    grid = weight_images(figure, many, len(moments), shown, image_shape, 0.998)
    for axes, n in zip(grid[0], moments, strict=True):
        axes.set_title(f"{n:,}", fontsize=SMALL + 2)
    figure.suptitle(f"weights from the image to {many} hidden units, after so many updates")


def loss_surface(figure: Any, found: Surface) -> None:
    """The loss around both paths, on a logarithmic scale of colours."""
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
    axes.set(title="loss around the paths of Adam and L-BFGS", aspect="equal")
    axes.set(
        xlabel="distance from the start, the way that both go farthest", ylabel="distance at right angles"
    )
    axes.legend(fontsize=SMALL + 1)
    ticks = LogLocator(subs=(1, 2, 5))
    figure.colorbar(filled, label="mean loss over the images", shrink=0.8, ticks=ticks, format="{x:g}")


def noise(figure: Any, grid: Grid) -> None:
    """Test accuracy over the strength of the noise, a line an experiment."""
    axes = figure.subplots()
    (_, *strengths), *lines = grid
    for about, *values in lines:
        accuracies = [float(value.removesuffix(" %")) for value in values]
        axes.plot(list(map(float, strengths)), accuracies, "o-", ms=4, label=about)
    axes.set(xlabel="standard deviation of the noise, where pixels go from 0 to 1", ylim=(0, 100))
    axes.set(title="test accuracy under noise that was not there in training")
    axes.yaxis.set_major_formatter("{x:g} %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=SMALL)


@dataclass
class Shown:
    """What there is to draw."""

    outcomes: Mapping[str, Outcome]
    data: Dataset
    noise: Grid = field(default_factory=list)
    gradients: Sizes = field(default_factory=dict)
    film: Film = field(default_factory=dict)
    surface: Surface | None = None
    lecture: Sequential | None = None  # the trained network


def draw_all(shown: Shown, folder: Path) -> None:
    """Draw every picture for which there is something to show, to lecture-NAME.png."""
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
    if steps := {n: EXPERIMENTS[n].about for n in STEPS if n in outcomes and n != "lbfgs"}:
        draw("curves", 8.4, 5, curves, outcomes, steps, " (dashed: squared error)")
    if "lbfgs" in outcomes:
        labels = {"lbfgs": "L-BFGS: one step per pass", "lecture": "Adam: one step per 100 images"}
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
