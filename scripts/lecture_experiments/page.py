"""The page that tells the experiments: the lecture's three steps, a table, the pictures, a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from dnn.io.atomic_files import write_atomically
from lecture_experiments.experiments import EXPERIMENTS, STEPS, Experiment
from lecture_experiments.remarks import on_noise, remarks
from lecture_experiments.run import Outcome

COLUMNS = (
    "experiment",
    "hidden",
    "activation",
    "goal",
    "search",
    "batch",
    "updates",
    "accuracy",
    "loss",
    "s",
)
GOALS = {"categorical_crossentropy": "cross-entropy", "mean_squared_error": "squared error"}


def row(experiment: Experiment, outcome: Outcome) -> tuple[str, ...]:
    """One experiment's line under COLUMNS."""
    search = "L-BFGS" if experiment.optimizer is None else experiment.optimizer.name
    return (
        experiment.name,
        "-".join(map(str, experiment.hidden)) or "none",
        experiment.activation if experiment.hidden else "",
        GOALS[experiment.loss],
        search,
        str(experiment.batch or "all"),
        str(outcome.updates),
        f"{outcome.test_accuracy:.4f}",
        f"{outcome.test_loss:.4f}",
        f"{outcome.seconds:.0f}",
    )


def table(outcomes: Mapping[str, Outcome]) -> str:
    """All outcomes as text, in the experiments' order."""
    rows = [COLUMNS, *(row(EXPERIMENTS[name], outcomes[name]) for name in EXPERIMENTS if name in outcomes)]
    widths = [max(len(r[i]) for r in rows) for i in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(
            cell.rjust(w) if i > 4 else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(r, widths, strict=True))
        )
        for r in rows
    )


def as_csv(outcomes: Mapping[str, Outcome]) -> str:
    """All outcomes as CSV, without the seconds: the same command gives the same file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS[:-1], "backend", "dataset", "examples", "seed"])
    for name, experiment in EXPERIMENTS.items():
        if name in outcomes:
            o = outcomes[name]
            writer.writerow([*row(experiment, o)[:-1], o.backend, o.dataset, o.examples, o.seed])
    return text.getvalue()


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _told(outcomes: Mapping[str, Outcome], names: Sequence[str]) -> str:
    """A table of some experiments: what was tried, what came out, what is reported elsewhere if anything."""
    # The first line of a series may be the lecture's own, which is told elsewhere too.
    known = any(EXPERIMENTS[name].reported for name in names[1:])
    rows = []
    for name in names:
        if name in outcomes:
            e, o = EXPERIMENTS[name], outcomes[name]
            last = o.history["loss"][-1] if o.history.get("loss") else float("nan")
            cells = [e.about, str(o.updates), f"{last:.4f}", f"{100 * o.test_accuracy:.2f} %"]
            rows.append(cells + [e.reported or "-"] * known)
    headings = ["tried", "updates", "training loss", "test accuracy", *["reported elsewhere"] * known]
    return _markdown(headings, rows)


def page(outcomes: Mapping[str, Outcome], noisy: Mapping[str, list[float]], pictures: Sequence[str]) -> str:
    """The page as Markdown.

    Args:
        noisy: from ``noise_accuracies``.
        pictures: names of the files beside it that were made.
    """
    some = next(iter(outcomes.values()))
    depth = [name for name in EXPERIMENTS if name.startswith("depth-")]
    batch = ["lecture", *(name for name in EXPERIMENTS if name.startswith("batch-"))]

    def picture(file: str, about: str) -> str:
        return f"\n![{about}]({file})\n" if file in pictures else ""

    return f"""# The lecture's experiments (深度学习)

Made by `python scripts/lecture.py`; {some.dataset}, {some.examples} training images, seed {some.seed},
backend {some.backend}. Unless a line says otherwise: 784-500-500-10, batches of 100, 10 epochs, learning rate
0.001 with Adam and 0.1 with gradient descent, not falling. One seed each, and at a rate that does not fall
the last batches stay in the result: differences of two or three tenths of a point are chance.

## Step 1 to 3: model (构建模型), goal (定义目标函数), best function (找到最优函数)

The model is a set of functions f1, f2, ...: a network with sigmoid or ReLU units and a softmax
(多分类) at its end. The goal (评价函数) is the mean squared loss (均值损失函数) or the logarithmic one
(对数损失函数, cross-entropy). The best function f* is looked for by gradient descent (梯度下降), by Adam,
which is gradient descent with a step of its own for each weight, or by a quasi-Newton method
(拟牛顿法, L-BFGS). Gradients come from backpropagation (反向传播).

{_told(outcomes, STEPS)}{picture("lecture-curves.png", "test error and training loss over the passes")}
"Reported elsewhere" are figures of students of the lecture that this one descends from, on smaller networks
and fewer images: to compare with, not to hit.

## How many layers (多少层)?

{_told(outcomes, depth)}{picture("lecture-depth.png", "test error over depth")}
## How large a batch (批)?

One batch is one update; all batches once are one epoch (一个周期). A batch of one had one epoch only.

{_told(outcomes, batch)}
{_differences(outcomes)}## What the network learned

{picture("lecture-confusion.png", "which digit was taken for which")}
{picture("lecture-mistakes.png", "the surest mistakes")}
{picture("lecture-weights.png", "weights of the first layer as images")}
## Is noise absorbed (对噪声自动忽略和调整)?

The lecture says that an end-to-end network ignores noise by itself. These networks never saw noise in
training. {on_noise(noisy)}
{picture("lecture-noise.png", "test accuracy over the strength of added noise")}"""


def _differences(outcomes: Mapping[str, Outcome]) -> str:
    told = "".join(f"- *{claim}* {found}\n" for claim, found in remarks(outcomes))
    return f"## What is usually told, and what came out\n\n{told}\n" if told else ""


def write(
    outcomes: Mapping[str, Outcome],
    noisy: Mapping[str, list[float]],
    pictures: Sequence[str],
    folder: Path,
) -> None:
    """lecture.md and lecture.csv into the folder."""
    write_atomically(folder / "lecture.md", page(outcomes, noisy, pictures).encode())
    write_atomically(folder / "lecture.csv", as_csv(outcomes).encode())
