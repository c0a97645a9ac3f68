#!/usr/bin/env python3
"""Train the default network on each backend with three seeds, and write the README's table and picture.

With --presets: train each preset, and write the lecture's table of presets and its picture of calibration.
"""

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

sys.path.append(__file__.removesuffix("readme_results.py"))  # left out by python -P and -I
import checkout

from backends.errors import InputError
from dnn.commands import command_line
from dnn.typing import Json

BACKENDS = ("numpy", "numba", "torch")
SEEDS = (0, 1, 2)
DRAWN = "numba-0"  # the run of the picture
PRESETS = ("lecture", "best", "augmented", "elastic", "quick", "cnn")
PRESET_SEEDS = range(5)
CALIBRATED = "augmented"  # the preset whose ensemble's calibration is drawn


def parse() -> Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="Other options are those of train.py. Finished trainings are kept in runs/readme. The current "
        "folder must have README.md and docs. Takes three minutes, with --presets an hour and a half. "
        "doctor.py prints processor and versions.",
    )
    parser.add_argument("--presets", action="store_true", help="train the presets, with one thread each")
    arguments, arguments.more = parser.parse_known_args()
    own = ["--quiet", "--run-dir", "--seed"]
    if not arguments.presets:
        own.append("--backend")
    for word in arguments.more:
        if word.split("=")[0] in own:
            parser.error(f"{word} is set by this command, expected other options of train.py")
    return arguments


def train(folder: Path, seed: int, options: Sequence[str]) -> Json:
    """Return the content of result.json and of config.json; trains only if the first does not exist.

    Raises InputError: the results are of another call.
    """
    result = folder / "result.json"
    call = folder / "call.json"
    words = [*options, "--quiet", "--seed", str(seed), "--run-dir", str(folder)]
    if not result.exists():
        _call("train.py", *words)
        command_line.write_json(call, words)
    elif not call.exists() or _read(call) != words:
        raise InputError(f"{folder} holds a training with other options", cure="move this folder away")
    return {**_read(folder / "config.json"), **_read(result)}


def _call(script: str, *arguments: str) -> str:
    """Return what a command prints to its standard output. If it fails, end with its exit code."""
    command = [sys.executable, str(checkout.SCRIPTS_FOLDER / script), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8")
    if done.returncode:  # it has said why
        sys.exit(done.returncode)
    return done.stdout


def _read(path: Path) -> Any:
    content: Any = json.loads(path.read_text(encoding="utf-8"))
    return content


def results_grid(results: dict[str, list[Json]]) -> list[list[str]]:
    """Return the table: the accuracy for each seed, its mean, and the seconds of the first training."""
    grid = [["backend", *(f"seed {seed}" for seed in SEEDS), "mean", "seconds"]]
    for backend, found in results.items():
        shares = [result["test_accuracy"] for result in found]
        accuracies = [f"{100 * share:.2f} %" for share in (*shares, mean(shares))]
        grid.append([backend, *accuracies, f"{found[0]['seconds']:.1f}"])
    return grid


def draw(run: Path, docs: Path) -> None:
    """Draw what each backend predicts for the least certain test image that is recognised.

    Labels are English, and Chinese in a second picture.
    """
    import numpy as np

    from backends import get_backend
    from dnn.agreement import compare_outputs
    from dnn.checkpoints import load_model
    from dnn.commands.figures import picture
    from dnn.datasets import load_dataset

    data = load_dataset(_read(run / "config.json")["dataset"])
    models = [load_model(run / "model.safetensors", get_backend(name)) for name in BACKENDS]
    p = models[0].predict(data.x_test)
    found = np.where(p.argmax(axis=1) == data.y_test, p.max(axis=1), 1.0).argmin()
    x = data.x_test[[found]]
    for name in ("backends.png", "backends.zh.png"):
        with picture(docs / name, 7, 2.7) as figure:
            image, *panels = figure.subplots(1, 1 + len(models))
            image.imshow(x.reshape(data.image_shape), cmap="gray_r")
            image.set(title="test image", xticks=(), yticks=())
            for axes, model in zip(panels, models, strict=True):
                (p,) = model.predict(x)
                axes.barh(range(len(p)), p)
                share = compare_outputs(model, x, [p]).ratio
                label = f"{p.argmax()}: {p.max():.7f}\nerror / bound {share:.2f}"
                axes.set(title=model.backend.name, xlabel=label, xticks=(), yticks=range(len(p)))
                axes.invert_yaxis()


def write_readme(runs: Path, more: list[str]) -> None:
    """Write the table of the backends in both READMEs, and the picture."""
    from _pages import write_table

    results = {}
    for name in BACKENDS:
        options = ["--require-backend", "--backend", name, *more]
        results[name] = [train(runs / f"{name}-{seed}", seed, options) for seed in SEEDS]
    for page in ("README.md", "docs/README.zh.md"):
        write_table(Path(page), "defaults", results_grid(results))
    draw(runs / DRAWN, Path("docs"))


def evaluate_ensemble(folders: Sequence[Path], picture: Path) -> Json:
    """Return what evaluate.py prints of the ensemble, and draw its calibration."""
    words = [*map(str, folders), "--json", "--calibration", str(picture)]
    found: Json = json.loads(_call("evaluate.py", *words))
    return found


def measure_preset(name: str, folders: Sequence[Path], more: list[str]) -> Json:
    """Train a preset with its seeds, one in each folder, and evaluate the ensemble.

    Returns "epochs", "accuracies" for each seed, and "accuracy" and "calibration_error" of the ensemble, all
    but the first in per cent.
    """
    options = ["--preset", name, "--threads", "1", *more]
    results = [train(folder, seed, options) for seed, folder in enumerate(folders)]
    found = evaluate_ensemble(folders, folders[0] / "calibration.png")
    return {
        "epochs": results[0]["epochs"],
        "accuracies": [round(100 * result["test_accuracy"], 2) for result in results],
        **{key: round(100 * found[key], 2) for key in ("accuracy", "calibration_error")},
    }


def presets_grid(results: Mapping[str, Json]) -> list[list[str]]:
    """Return the table of presets from what ``measure_preset`` returned for each."""
    seeds = [f"seed {seed}" for seed in PRESET_SEEDS]
    grid = [["preset", "epochs", *seeds, "mean", "ensemble", "calibration error"]]
    for name, result in results.items():
        accuracies = result["accuracies"]
        shares = [f"{share:.2f} %" for share in (*accuracies, mean(accuracies), result["accuracy"])]
        grid.append([name, str(result["epochs"]), *shares, f"{result['calibration_error']:.2f}"])
    return grid


def write_presets(runs: Path, more: list[str]) -> None:
    """Write the results of the presets, and the table and picture of the lecture's pages."""
    from _pages import write_table

    folders = {name: [runs / f"{name}-{seed}" for seed in PRESET_SEEDS] for name in PRESETS}
    results = {name: measure_preset(name, folders[name], more) for name in PRESETS}
    for ending in (".png", ".zh.png"):
        evaluate_ensemble(folders[CALIBRATED], Path(f"docs/lecture-calibration{ending}"))
    command_line.write_json(Path("docs/presets.json"), results)
    for page in ("lecture.md", "lecture.zh.md"):
        write_table(Path("docs") / page, "presets", presets_grid(results))


def main(arguments: Namespace) -> None:
    if not Path("docs/lecture.md").exists():
        raise InputError("this folder has no docs/lecture.md", cure="run the command in a checkout")
    write = write_presets if arguments.presets else write_readme
    write(Path("runs/readme"), arguments.more)


if __name__ == "__main__":
    command_line.run(main, parse)
