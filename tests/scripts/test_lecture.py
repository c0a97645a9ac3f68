"""lecture.py writes its files and reuses finished experiments; the pages show its pictures."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command_lines import assert_refused, run_here
from documents import find_numbers
from helpers import NUMPY
from lecture_experiments import tables
from lecture_experiments.experiments import EXPERIMENTS, TABLES
from lecture_experiments.run import Outcome
from PIL import Image

from dnn import SGD, Adam

DOCS = Path(__file__).resolve().parents[2] / "docs"
LECTURES = ("lecture.md", "lecture.zh.md")


def run(folder, names, *options):
    small = ("--dataset", "digits", "--backend", "numpy", "--limit", 60, "--epochs", 3)
    return run_here("lecture", *small, "--out", folder, "--only", names, *options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Run three epochs; in proportion these are 30 passes of L-BFGS, and one epoch with batch size 1."""
    out = tmp_path_factory.mktemp("lecture") / "out"
    result = run(out, "linear,lecture,depth-1-relu,lbfgs,batch-1,batch-all,features-pca")
    assert result.returncode == 0, result.stderr
    assert "| no hidden layer: multi" in result.stdout
    assert result.stderr.splitlines()[-1].endswith("out has tables.md and the pictures")
    return out


@pytest.mark.slow
def test_tables_and_pictures(folder):
    text = (folder / "tables.md").read_text(encoding="utf-8")
    names = [*TABLES, "noise", "gradients", "sparsity"]
    names.remove("width")
    assert re.findall(r"^(\w+)$", text, re.MULTILINE) == names
    updates = {"no hidden layer: m": 3, "batch of 1 ": 60, "full batch": 3, "cross-entropy, full-batch": 30}
    for about, count in updates.items():
        cells = re.search(rf"^\| {about}.*", text, re.MULTILINE)[0].split("|")
        assert int(cells[2]) == count
        assert 5 < float(cells[4].split()[0]) < 100
    # evaluate.py draws the calibration; the experiments of width did not run
    names = {path.name for path in DOCS.glob("lecture-*.png")}
    pictures = {name for name in names if not re.search(r"calibration|width|\.zh", name)}
    written = {path.name for path in folder.glob("*.png")}
    assert written == pictures
    for name in written:
        with Image.open(folder / name) as image:
            assert min(image.size) > 300


@pytest.mark.slow
def test_finished_experiments_are_reused_only_with_the_same_settings(folder):
    before = {p: p.stat().st_mtime_ns for p in (folder / "results").iterdir()}
    result = run(folder, "linear")
    assert (result.returncode, "linear: " in result.stderr) == (0, False)
    assert {p: p.stat().st_mtime_ns for p in (folder / "results").iterdir()} == before
    assert run(folder.parent / "new", "batch-all").returncode == 0
    new = {path.name for path in (folder.parent / "new").glob("lecture*")}
    assert new == {"lecture-batch.png"}
    assert_refused(run(folder, "linear", "--seed", 1), "'seed': 0", "'seed': 1", "another folder")
    (folder / "results" / "linear.json").write_text("{}")
    assert_refused(run(folder, "linear"), "linear.json cannot be read", "remove it")
    (folder / "file").touch()
    assert_refused(run(folder / "file", "linear"), "file", "cannot be created")


def test_list_and_unknown_names():
    result = run_here("lecture", "--list")
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(EXPERIMENTS)
    assert_refused(run_here("lecture", "--only", "lecturee"), "lecturee", "lecture")


@pytest.mark.parametrize("option", ["--epochs", "--limit", "--seed"])
@pytest.mark.parametrize("value", ["-1", "x", "1e3"])
def test_rejects_invalid_numbers(option, value):
    assert_refused(run_here("lecture", option, value, "--only", "linear"), option.strip("-"))


def test_experiments_match_the_published_tables():
    """Each row shows an experiment, and its words say how the experiment is trained."""
    shown = tables_of("lecture.md")
    for table, experiments in TABLES.items():
        rows = [row.split(" | ") for row in shown[table].splitlines()[2:]]
        assert [row[0].removeprefix("| ") for row in rows] == [e.about for e in experiments]
        assert [int(row[1]) for row in rows] == [e.updates(60_000) for e in experiments]
    for name, e in EXPERIMENTS.items():
        searches = {"gradient descent": SGD(0.1), "L-BFGS": None}
        assert e.optimizer == next((searches[w] for w in searches if w in e.about), Adam(1e-3)), name
        assert (e.loss == "mean_squared_error") == ("squared error" in e.about)
        assert (e.activation == "relu") == ("ReLU" in e.about)
        assert e.hidden == expected_hidden(e.about), name
        size = re.search(r"batch of (\d+)", e.about)
        assert e.batch == (int(size[1]) if size else 0 if "full" in e.about else 100)


def expected_hidden(about):
    if "no hidden" in about:
        return ()
    layers = re.search(r"(\d+) hidden layers? of (\d+)", about)
    return (int(layers[2]),) * int(layers[1]) if layers else (500, 500)


def test_table_of_outcomes():
    outcome = Outcome({"loss": [0.5, 0.25]}, test_accuracy=0.98768, updates=7, options={})
    made = tables.experiment_tables({"mse-sgd": outcome})
    assert made["steps"][1][1:] == ["7", "0.2500", "98.77 %", "11.35 %"]
    assert [len(grid) for grid in made.values()] == [2, 1, 1, 1, 1]


def test_noise_strength():
    """The noise is a share of 255, added to the original pixels and clipped to 0..255."""

    def evaluate(x, y):
        seen.append(x)
        return SimpleNamespace(accuracy=np.mean(y))

    seen, model = [], SimpleNamespace(backend=NUMPY, evaluate=evaluate)
    data = SimpleNamespace(x_test=np.full((500, 40), 128, np.uint8), y_test=np.asarray([0, 1]))
    assert tables._accuracies(model, data, 1) == [0.5] * len(tables.NOISE_DEVIATIONS)
    assert [round(float(x.std()) / 255, 2) for x in seen[:3]] == [0.0, 0.1, 0.2]
    assert (seen[-1].min(), seen[-1].max(), seen[-1].dtype) == (0, 255, np.float32)


# ----- the hand-written pages


def tables_of(page):
    """Return name -> text of each table between markers."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return dict(re.findall(r"<!-- table: (\w+) -->\n((?:\|.*\n)+)", text))


def test_lecture_pages_show_all_pictures():
    for page in LECTURES:
        ending = page.removeprefix("lecture").replace("md", "png")
        shown = re.findall(r"\((lecture-\w+\S*\.png)\)", (DOCS / page).read_text(encoding="utf-8"))
        assert sorted(shown) == sorted(
            path.name for path in DOCS.glob("lecture-*") if path.name.split(".", 1)[1] == ending[1:]
        )


def test_both_readmes_have_the_same_results():
    english, chinese = (
        find_numbers(tables_of(page)["defaults"]) for page in ("../README.md", "README.zh.md")
    )
    assert english == chinese
