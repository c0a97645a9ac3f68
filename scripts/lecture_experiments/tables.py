"""Tables of the results of the experiments, for the lecture's pages."""

from collections.abc import Mapping
from statistics import mean, stdev

from _pages import Grid

from dnn.typing import Json
from lecture_experiments.experiments import NOISY, SETTINGS, TABLES, Setting
from lecture_experiments.measures import NOISE_DEVIATIONS

Results = Mapping[str, Json]  # by the name of the setting, as ``collect`` returns them
MEANS = {
    "updates": ("updates", ".0f"),
    "features": ("features", ".0f"),
    "zeros (%)": ("zeros", ".1f"),
    "activations: last / first": ("activation-ratio", ".1e"),
    "gradients: first / last": ("gradient-ratio", ".1e"),
    "training loss": ("loss", ".4f"),
    "test loss": ("test-loss", ".3f"),
    "training accuracy (%)": ("training", ".2f"),
    "gap": ("gap", ".2f"),
}
"""Heading of a column -> what its cells are the mean of, and their format."""
COLUMNS = {
    "steps": ("rate", "updates", "training loss"),
    "rate": ("rate", "training loss"),
    "depth": ("rate", "gradients: first / last", "training loss"),
    "normalisation": ("rate", "gradients: first / last", "training loss"),
    "initialisation": ("rate", "activations: last / first", "gradients: first / last"),
    "width": ("rate", "training loss"),
    "batch": ("rate", "updates", "training loss"),
    "overfitting": ("training accuracy (%)", "gap", "test loss"),
    "cures": ("strength", "training accuracy (%)", "test loss"),
    "features": ("rate", "features", "zeros (%)", "training loss"),
}
"""Experiment -> headings of its columns before the test accuracy."""


def spread(values: list[float]) -> float:
    """Return the standard deviation over the seeds; 0 for one seed."""
    return stdev(values) if len(values) > 1 else 0.0


def make_grids(results: Results) -> dict[str, Grid]:
    """Return the tables of the finished settings, by experiment. The training loss is of the last epoch."""
    grids: dict[str, Grid] = {}
    for name, settings in TABLES.items():
        rows = [_row(s, results[s.name], COLUMNS[name]) for s in settings if s.name in results]
        grids[name] = [["setting", *COLUMNS[name], "seeds", "test accuracy (%)"], *rows]
    noise = [["setting", *map(str, NOISE_DEVIATIONS)]]
    for name in NOISY:
        if name in results:
            samples = results[name]["samples"]
            accuracies = [f"{mean(samples[f'noise-{s}']):.1f}" for s in NOISE_DEVIATIONS]
            noise.append([SETTINGS[name].about, *accuracies])
    return {**grids, "noise": noise}


def _row(setting: Setting, result: Json, columns: tuple[str, ...]) -> list[str]:
    samples = result["samples"]
    cells = []
    for column in columns:
        if column in MEANS:
            name, form = MEANS[column]
            cells.append(format(mean(samples[name]), form))
        else:
            shown = (setting.varies == column or column == "strength") and setting.optimizer != "lbfgs"
            searched = setting.varies != "rate" or column == "rate"
            cells.append(f"{result['value']:g}" if shown and searched else "-")
    accuracies = samples["accuracy"]
    accuracy = f"{mean(accuracies):.2f} ± {spread(accuracies):.2f}"
    return [setting.about, *cells, str(len(accuracies)), accuracy]
