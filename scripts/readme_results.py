#!/usr/bin/env python3
"""Train the default network on each backend with three seeds, and write the README's table and picture."""

import json
import subprocess
import sys
from pathlib import Path

sys.path.append(__file__.removesuffix("readme_results.py"))  # left out by python -P and -I
import checkout

from dnn.commands import command_line
from dnn.typing import Json

BACKENDS = ("numpy", "numba", "torch")
SEEDS = (0, 1, 2)
DRAWN = "numba-0"  # the run of the picture


def parse() -> list[str]:
    parser = command_line.Parser(
        description=__doc__,
        epilog="Other options are those of train.py. Finished trainings are kept in runs/readme. The current "
        "folder must have README.md and docs. Takes three minutes. doctor.py prints processor and versions.",
    )
    return parser.parse_known_args()[1]


def train(folder: Path, backend: str, seed: int, more: list[str]) -> Json:
    """Return the content of result.json; trains only if it does not exist."""
    result = folder / "result.json"
    if not result.exists():
        script = checkout.SCRIPTS_FOLDER / "train.py"
        words = f"--quiet --require-backend --backend {backend} --seed {seed} --run-dir".split()
        subprocess.run([sys.executable, script, *words, folder, *more], check=True)
    content = json.loads(result.read_text(encoding="utf-8"))
    return content


def results_grid(results: dict[str, list[Json]]) -> list[list[str]]:
    """Return the table: the accuracy for each seed, its mean, and the seconds of the first training."""
    grid = [["backend", *(f"seed {seed}" for seed in SEEDS), "mean", "seconds"]]
    for backend, found in results.items():
        shares = [result["test_accuracy"] for result in found]
        accuracies = [f"{100 * share:.2f} %" for share in (*shares, sum(shares) / len(shares))]
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

    data = load_dataset(json.loads((run / "config.json").read_text(encoding="utf-8"))["dataset"])
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


def main(more: list[str]) -> None:
    from _pages import write_table

    runs = Path("runs/readme")
    results = {
        name: [train(runs / f"{name}-{seed}", name, seed, more) for seed in SEEDS] for name in BACKENDS
    }
    for page in ("README.md", "docs/README.zh.md"):
        write_table(Path(page), "defaults", results_grid(results))
    draw(runs / DRAWN, Path("docs"))


if __name__ == "__main__":
    command_line.run(main, parse)
