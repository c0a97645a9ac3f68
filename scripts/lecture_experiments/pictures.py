"""Pictures of what the networks learned, as PNG files: errors in per cent, and experiments by their words."""

from collections.abc import Callable, Mapping, Sequence
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
from lecture_experiments.tables import Grid, number

TICKS = (0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 30, 50, 100)
SMALL = 8
"""Points, of letters beside the axes' own."""


def error_axis(axes: Any) -> None:
    """A logarithmic axis of errors in per cent that are written out, for lines that are already drawn."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    shown = [tick for tick in TICKS if low <= tick <= high]
    axes.set_yticks(shown, [f"{tick:g} %" for tick in shown])
    axes.minorticks_off()
    axes.set_ylabel("test images that are wrong")
    axes.grid(alpha=0.3)


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
        size = 3 if len(passes) < 30 else 2
        error.plot(passes, errors(history["val_accuracy"]), style, ms=size, label=label)
        loss.plot(passes, history["loss"], style, ms=size)
    error.set_title("test error")
    error_axis(error)
    loss.set(title=f"training loss{note}", ylabel="mean over the training images", yscale="log")
    loss.yaxis.set_major_formatter("{x:g}")
    loss.grid(alpha=0.3)
    for axes in (error, loss):
        axes.set(xlabel="passes over the training images")
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(loc="outside lower center", ncols=2, fontsize=SMALL)


def depth(figure: Any, accuracies: Mapping[str, float]) -> None:
    """Test error over the number of hidden layers, sigmoid and ReLU, of those of which there is one."""
    axes = figure.subplots()
    lines = {}
    for activation, marker in (("sigmoid", "o-"), ("relu", "s-")):
        here = [n for n in DEPTHS if f"depth-{n}-{activation}" in accuracies]
        values = errors([accuracies[f"depth-{n}-{activation}"] for n in here])
        axes.plot(here, values, marker, ms=5, label=NAMES[activation])
        lines[activation] = dict(zip(here, values, strict=True))
    for activation, other, colour in (("sigmoid", "relu", "C0"), ("relu", "sigmoid", "C1")):
        for n, value in lines[activation].items():
            offset = (0, 7) if value >= lines[other].get(n, 0) else (0, -14)
            axes.annotate(f"{value:.1f}", (n, value), offset, textcoords="offset points", ha="center",
                          fontsize=SMALL, color=colour)  # fmt: skip
    axes.set(xticks=DEPTHS, xlabel="hidden layers, of 500 units each", title="test error over depth")
    axes.margins(y=0.15)
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
    grid = figure.subplots(4, 6)
    for axes in grid.flat:
        axes.axis("off")
    for axes, i in zip(grid.flat, surest, strict=False):
        axes.imshow(data.x_test[i].reshape(data.image_shape), cmap="gray_r")
        share = np.floor(1000 * probabilities[i, predicted[i]]) / 10  # not rounded up to 100 %
        axes.set_title(
            f"true {data.y_test[i]}, predicted {predicted[i]}\nwith {share:.1f} %", fontsize=SMALL + 1
        )


def weights(figure: Any, model: Sequential, image_shape: tuple[int, int], many: int = 32) -> None:
    """The weights from the image to single units of the first layer, as images of one colour scale."""
    first = next(layer for layer in model.layers if layer.value)
    W = model.parameters.to_host()[f"{first.name}.W"]  # (n_in, units)
    strongest = np.argsort(-np.abs(W).sum(axis=0), kind="stable")[:many]
    largest = float(np.quantile(np.abs(W[:, strongest]), 0.995))
    grid = figure.subplots(4, 8)
    for axes, unit in zip(grid.flat, strongest, strict=False):
        shown = axes.imshow(W[:, unit].reshape(image_shape), cmap="RdBu_r", vmin=-largest, vmax=largest)
    for axes in grid.flat:
        axes.set_axis_off()
    figure.suptitle("weights from each pixel to one hidden unit, for 32 of the first layer's units")
    label = "weight: a dark pixel takes away (blue) or adds (red)"
    figure.colorbar(shown, ax=grid, label=label, extend="both", shrink=0.9, aspect=30)


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
    largest = float(np.quantile(np.abs(film[moments[-1]][:, units]), 0.99))
    grid = figure.subplots(many, len(moments), squeeze=False)
    for row, unit in zip(grid, units, strict=True):
        for axes, n in zip(row, moments, strict=True):
            image = film[n][:, unit].reshape(image_shape)
            shown = axes.imshow(image, cmap="RdBu_r", vmin=-largest, vmax=largest)
            axes.set_axis_off()
    for axes, n in zip(grid[0], moments, strict=True):
        axes.set_title(f"{n:,}", fontsize=SMALL + 2)
    figure.suptitle(f"weights from the image to {many} hidden units, after so many updates")
    figure.colorbar(shown, ax=grid, label="weight", extend="both", shrink=0.9, aspect=20)


def loss_surface(figure: Any, found: Surface) -> None:
    """The loss around both paths, on a logarithmic scale of colours."""
    from matplotlib.colors import LogNorm

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
    bar = figure.colorbar(filled, label="mean loss over the images", shrink=0.8)
    low = levels[0]
    high = levels[-1]
    ticks = [d * 10.0**k for k in range(-4, 3) for d in (1, 2, 5) if low <= d * 10.0**k <= high]
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])


def noise(figure: Any, grid: Grid) -> None:
    """Test accuracy over the strength of the noise, a line an experiment."""
    axes = figure.subplots()
    (_, *strengths), *lines = grid
    for about, *values in lines:
        axes.plot(list(map(float, strengths)), list(map(number, values)), "o-", ms=4, label=about)
    axes.set(xlabel="standard deviation of the noise, where pixels go from 0 to 1", ylim=(0, 100))
    axes.set(title="test accuracy under noise that was not there in training")
    axes.set_yticks(range(0, 101, 20), [f"{tick} %" for tick in range(0, 101, 20)])
    axes.grid(alpha=0.3)
    axes.legend(fontsize=SMALL)


Drawings = dict[str, tuple[float, float, Callable[[Any], None]]]
"""Name -> width and height in inches, and what draws it."""


def _of_the_lecture(model: Sequential, data: Dataset) -> Drawings:
    probabilities = model.predict(data.x_test)
    predicted = probabilities.argmax(axis=1)
    return {
        "confusion": (6.4, 5.2, lambda figure: confusion(figure, data.y_test, predicted, data.classes)),
        "mistakes": (8.4, 6, lambda figure: mistakes(figure, data, probabilities)),
        "weights": (8.4, 4.4, lambda figure: weights(figure, model, data.image_shape)),
    }


def draw_all(
    accuracies: Mapping[str, float],
    outcomes: Mapping[str, Outcome],
    grids: Mapping[str, Grid],
    sizes: Sizes,
    film: Film,
    surface: Surface | None,
    lecture: Sequential | None,
    data: Dataset,
    folder: Path,
) -> int:
    """Every picture for which there are figures, or the lecture's network; returns how many."""
    drawings = _of_the_lecture(lecture, data) if lecture else {}
    steps = {n: EXPERIMENTS[n].about for n in STEPS if n in outcomes and n != "lbfgs"}
    if steps:
        note = " (dashed: squared error)"
        drawings["curves"] = 8.4, 5, lambda figure: curves(figure, outcomes, steps, note)
    if "lbfgs" in outcomes:
        labels = {"lbfgs": "L-BFGS: one step per pass", "lecture": "Adam: one step per 100 images"}
        both = {name: label for name, label in labels.items() if name in outcomes}
        drawings["lbfgs"] = 8.4, 4, lambda figure: curves(figure, outcomes, both)
    if any(name.startswith("depth-") for name in accuracies):
        drawings["depth"] = 6.4, 4, lambda figure: depth(figure, accuracies)
    if "noise" in grids:
        drawings["noise"] = 6.4, 4, lambda figure: noise(figure, grids["noise"])
    if sizes:
        drawings["gradients"] = 8.4, 4, lambda figure: gradients(figure, sizes)
    if film:
        drawings["film"] = 8.4, 3.6, lambda figure: film_strip(figure, film, data.image_shape)
    if surface is not None:
        drawings["surface"] = 6.8, 5.2, lambda figure: loss_surface(figure, surface)
    for name, (width, height, draw) in drawings.items():
        with picture(folder / f"lecture-{name}.png", width, height) as figure:
            draw(figure)
    return len(drawings)
