"""Draw the results of the experiments as PNG files. Errors are in per cent, legends name the settings."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dnn.commands.figures import picture
from lecture_experiments.experiments import DEPTHS, SETTINGS, TABLES
from lecture_experiments.tables import Results, spread

SMALL_FONT_POINTS = 8
MAX_MARKS = 20  # of a line, from which it has none
NO_CURVE = ("lbfgs", "early-stopping")
"""Settings that are only in tables: their curves are of other steps, or of held-out images."""
SMALLEST = "large-1000"
UPDATES_PER_EPOCH = 60


def log_axis(axes: Any, label: str, number: str) -> None:
    """Make the y axis logarithmic. number: format of its numbers, as in "{x:g}%"."""
    from matplotlib.ticker import LogLocator

    axes.set(yscale="log", ylabel=label)
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7) if high < 1000 * low else (1,)))
    axes.yaxis.set_major_formatter(number)
    axes.minorticks_off()
    axes.grid(alpha=0.3)


def curves(figure: Any, results: Results, labels: Mapping[str, str], note: str = "") -> None:
    """Plot test error and training loss over the updates, means over the seeds.

    Networks of one depth share a colour. Dashed lines are squared error or a normalised network.
    """
    error, loss = figure.subplots(1, 2)
    for i, (name, label) in enumerate(labels.items()):
        setting = SETTINGS[name]
        is_depth = name.startswith("depth-")
        dashed = setting.normalised or setting.loss == "mean_squared_error"
        colour = f"C{DEPTHS.index(len(setting.hidden)) if is_depth else i}"
        style = f"{colour}{'--' if dashed else '-'}"
        found = results[name]
        shown = found["curves"]
        updates = found["samples"]["updates"][0] / len(shown["loss"]) * np.arange(1, len(shown["loss"]) + 1)
        mark = "o" if len(updates) < MAX_MARKS else None
        error.plot(
            updates, 100 * (1 - np.asarray(shown["val_accuracy"])), style, marker=mark, ms=3, label=label
        )
        loss.plot(updates, shown["loss"], style, marker=mark, ms=3)
    error.set_title("Test error")
    log_axis(error, "test error", "{x:g}%")
    loss.set_title(f"Training loss{note}")
    log_axis(loss, "mean loss per image", "{x:g}")
    for axes in (error, loss):
        axes.set(xlabel="updates")
    figure.legend(loc="outside lower center", ncols=2, fontsize=SMALL_FONT_POINTS, handlelength=3)


def sizes(figure: Any, results: Results) -> None:
    """Plot the test error over the number of layers, and over their width; bars are standard deviations."""
    depth, width = figure.subplots(1, 2, sharey=True)
    lines = [("depth", depth, "sigmoid"), ("depth", depth, "relu"), ("width", width, "sigmoid")]
    for table, axes, activation in lines:
        settings = [s for s in TABLES[table] if s.activation == activation and s.name in results]
        errors = [100 - np.asarray(results[s.name]["samples"]["accuracy"]) for s in settings]
        axes.errorbar(
            [len(s.hidden) if table == "depth" else s.hidden[0] for s in settings],
            [np.mean(samples) for samples in errors],
            [spread(list(samples)) for samples in errors],
            fmt="o-", ms=4, capsize=2, label="ReLU" if activation == "relu" else activation,
        )  # fmt: skip
    depth.set(xlabel="hidden layers", xticks=DEPTHS, title="Layers of 500 units")
    depth.legend(fontsize=SMALL_FONT_POINTS)
    width.set(xscale="log", xlabel="units of each layer", title="Two hidden layers, sigmoid")
    width.xaxis.set_major_formatter("{x:g}")
    log_axis(depth, "test error", "{x:g}%")
    width.grid(alpha=0.3)


def overfitting(figure: Any, results: Results) -> None:
    """Plot the accuracies over the number of images, and the losses of the smallest set over the updates."""
    accuracy, loss = figure.subplots(1, 2)
    for colour, kind in (("C0", "small"), ("C1", "large")):
        found = {s: results[s.name]["samples"] for s in TABLES["overfitting"]
                 if s.name in results and s.name.startswith(kind)}  # fmt: skip
        sizes = [setting.examples for setting in found]
        for field, style in (("training", "--"), ("accuracy", "-")):
            means = [np.mean(samples[field]) for samples in found.values()]
            errors = [spread(samples[field]) for samples in found.values()]
            data = "training" if field == "training" else "test"
            accuracy.errorbar(
                sizes, means, errors, fmt=f"{colour}o{style}", ms=3, label=f"{kind} network, {data}"
            )
    accuracy.set(xscale="log", xlabel="training images", ylabel="accuracy", title="Accuracy")
    accuracy.yaxis.set_major_formatter("{x:g}%")
    accuracy.xaxis.set_major_formatter("{x:,.0f}")
    shown = results.get(SMALLEST, {"curves": {"loss": [], "val_loss": []}})["curves"]
    for field, style, label in (("loss", "C1--", "training"), ("val_loss", "C1-", "test")):
        loss.plot(UPDATES_PER_EPOCH * np.arange(1, len(shown[field]) + 1), shown[field], style, label=label)
    loss.set(xlabel="updates", ylabel="mean loss per image", title="Large network, 1,000 images")
    for axes in (accuracy, loss):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=SMALL_FONT_POINTS)


def initialisation(figure: Any, results: Results) -> None:
    """Plot the sizes of activations and gradients before the first update over the layers."""
    panels = figure.subplots(1, 2)
    for setting in TABLES["initialisation"]:
        samples = results[setting.name]["samples"] if setting.name in results else {}
        for axes, kind in zip(panels, ("activation", "gradient"), strict=True):
            sizes = {
                int(name.rpartition("-")[2]): np.mean(values)
                for name, values in samples.items()
                if name.startswith(f"{kind}-") and not name.endswith("ratio")
            }
            if any(sizes.values()) and setting.scale:
                axes.plot([*sizes], [*sizes.values()], "o-", ms=4, label=setting.about)
    for axes, kind in zip(panels, ("activations", "gradients"), strict=True):
        axes.set(yscale="log", xlabel="layer", title=f"Size of the {kind} before training")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=SMALL_FONT_POINTS)


def draw_all(results: Results, folder: Path, endings: Sequence[str]) -> None:
    """Draw pictures of the available results.

    Args:
        endings: endings of the file names; each picture is drawn once for each ending, as lecture-NAME.png
            (English labels) for ".png" and lecture-NAME.zh.png (Chinese labels) for ".zh.png".
    """

    def draw(name: str, width: float, height: float, function: Callable[..., None], *values: Any) -> None:
        for ending in endings:
            with picture(folder / f"lecture-{name}{ending}", width, height) as figure:
                function(figure, *values)

    notes = {
        "steps": " (dashed: squared error)",
        "normalisation": " (dashed: batch normalisation)",
    }
    for table in ("steps", "rate", "normalisation", "cures"):
        labels = {s.name: s.about for s in TABLES[table] if s.name in results and s.name not in NO_CURVE}
        if labels:
            draw(table, 8.4, 5, curves, results, labels, notes.get(table, ""))
    others = ("depth", sizes), ("overfitting", overfitting), ("initialisation", initialisation)
    for name, function in others:
        if any(setting.name in results for setting in TABLES[name]):
            draw(name, 8.4, 3.8, function, results)
