"""lecture.py: its files, its tables on a page written by hand, and that what is done is not done again."""

import csv
import json
import re
import shutil
import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import lecture
import numpy as np
import pytest
from command_lines import assert_refused, run, run_here
from documents import figures
from helpers import small_model
from lecture_experiments import measured, noise, tables, tried
from lecture_experiments.experiments import EXPERIMENTS, STEPS, duration
from lecture_experiments.run import Outcome, Results
from PIL import Image

from backends import InputError, get_backend
from dnn import SGD, Adam, BatchNormalization, Conv2D, Dense, Dropout, OneCycle, RandomElastic, Sequential
from dnn.commands.presets import PRESETS
from dnn.datasets import load_dataset
from dnn.layers import Layer, RandomTranslation

DOCS = Path(__file__).resolve().parents[2] / "docs"
SMALL = ("--dataset", "digits", "--backend", "numpy")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("lecture") / "out"
    result = run("lecture", *SMALL, "--only", "linear,lecture,depth-1-relu", "--out", out)
    assert result.returncode == 0, result.stderr
    assert "linear" in result.stdout
    return out


@pytest.mark.slow
def test_tables_csv_and_pictures(folder):
    assert not (folder / "lecture.md").exists()
    text = (folder / "tables.md").read_text(encoding="utf-8")
    shown = re.findall("<!-- table: (.*) -->", text)
    assert shown == ["steps", "depth", "noise", "gradients"]  # none that only has a step's row
    assert (
        text.count("| no hidden layer") == text.count("| the lecture's own") == 2
    )  # a step, and under noise
    rows = list(csv.DictReader((folder / "lecture.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["experiment"] for row in rows] == [
        n for n in EXPERIMENTS if n in ("linear", "lecture", "depth-1-relu")
    ]
    assert all(0.3 < float(row["accuracy"]) < 1 for row in rows)
    for name in ("curves", "depth", "confusion", "mistakes", "weights", "noise"):
        with Image.open(folder / f"lecture-{name}.png") as image:
            assert min(image.size) > 300


@pytest.mark.slow
def test_what_is_done_is_not_done_again(folder):
    before = {p: p.stat().st_mtime_ns for p in (folder / "results").iterdir()}
    result = run_here("lecture", *SMALL, "--only", "linear", "--out", folder)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert {p: p.stat().st_mtime_ns for p in (folder / "results").iterdir()} == before


@pytest.mark.slow
def test_results_of_another_seed_are_not_mixed_in(folder):
    assert_refused(
        run_here("lecture", *SMALL, "--only", "linear", "--seed", 1, "--out", folder),
        "seed",
        "another folder",
    )


def test_the_list_and_a_typo():
    result = run_here("lecture", "--list")
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(EXPERIMENTS)
    assert_refused(run_here("lecture", "--only", "lecturee"), "lecturee", "lecture")


def test_the_list_says_how_long_each_takes():
    def seconds(*arguments):
        return [
            int(line.split()[1]) for line in run_here("lecture", "--list", *arguments).stdout.splitlines()
        ]

    whole, quick = seconds(), seconds("--quick")
    assert len(whole) == len(quick) == len(EXPERIMENTS)
    assert sum(quick) < 120 < sum(whole)
    (once,), (twice,) = seconds("--only", "lbfgs"), seconds("--only", "lbfgs", "--epochs", 20)
    assert twice == pytest.approx(2 * once, abs=2)
    assert sum(seconds("--limit", 6000)) < sum(whole) / 5


@pytest.mark.slow
def test_passes_and_examples_can_be_fewer(tmp_path):
    """Three passes, and in proportion 30 of L-BFGS and one of the batches of one; each experiment runs."""
    settings = ("--quick", "--limit", 60, "--epochs", 3, "--out", tmp_path)
    result = run_here("lecture", *SMALL, *settings, "--only", "lecture,lbfgs,batch-1,batch-all")
    assert result.returncode == 0, result.stderr
    rows = list(csv.DictReader((tmp_path / "lecture.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["experiment"]: int(row["updates"]) for row in rows} == {
        "lecture": 3, "lbfgs": 30, "batch-1": 60, "batch-all": 3,
    }  # fmt: skip
    assert {(row["examples"], row["epochs"]) for row in rows} == {("60", "3")}
    other = run_here("lecture", *SMALL, "--limit", 60, "--out", tmp_path, "--only", "linear")
    assert_refused(other, "epochs 3", "expected 10", "another folder")


@pytest.mark.slow
def test_figures_of_the_csv_stay_where_they_are_not_made_anew(tmp_path):
    """As in docs/, where the results themselves are not kept; a file that is none is refused."""
    settings = (*SMALL, "--limit", 60, "--epochs", 1, "--out", tmp_path)
    assert run_here("lecture", *settings, "--only", "linear,depth-1-relu").returncode == 0
    before = (tmp_path / "lecture.csv").read_text(encoding="utf-8")
    shutil.rmtree(tmp_path / "results")
    assert run_here("lecture", *settings, "--only", "lecture").returncode == 0
    after = (tmp_path / "lecture.csv").read_text(encoding="utf-8")
    assert set(before.splitlines()) < set(after.splitlines())
    assert [row.split(",")[0] for row in after.splitlines()[1:]] == ["lecture", "linear", "depth-1-relu"]
    for text in ("", "a,b\n1,2\n", before.replace("experiment", "experience"), before.replace(",0.", ",x.")):
        (tmp_path / "lecture.csv").write_text(text, encoding="utf-8")
        assert_refused(run_here("lecture", *settings, "--only", "linear"), "lecture.csv", "another folder")


@pytest.mark.parametrize("option", ["--epochs", "--limit"])
def test_numbers_that_cannot_be_are_refused(option):
    for value in ("0", "-1", "x", "1e3"):
        assert_refused(run_here("lecture", option, value, "--only", "linear"), option.strip("-"))
    assert_refused(run_here("lecture", "--seed", -1, "--only", "linear"), "seed")


def test_the_steps_are_experiments():
    assert set(STEPS) <= set(EXPERIMENTS)


def outcome(name, **values):
    return Outcome(**{f.name: values.get(f.name, 0) for f in fields(Outcome)} | {"name": name, **values})


def row_of(outcome):
    return dict(zip(*tables.experiments_grid([outcome]), strict=True))


def test_each_experiment_is_what_the_pages_figures_say_of_it():
    for row in docs_rows():
        experiment = EXPERIMENTS[row["experiment"]]
        made = row_of(outcome(experiment.name, history={}, updates=experiment.updates(60_000)))
        for name in ("hidden", "activation", "goal", "search", "batch", "updates"):
            assert made[name] == row[name], (experiment.name, name)
        wanted = {"sgd": SGD(0.1), "adam": Adam(1e-3), "L-BFGS": None}[row["search"]]
        assert experiment.optimizer == wanted
    made = row_of(outcome("linear", history={"loss": [0.5, 0.25]}, test_accuracy=0.98768))
    assert [made[name] for name in ("training loss", "accuracy")] == ["0.2500", "0.9877"]


def test_how_long_an_experiment_takes_by_hand():
    """Of 7,840 weights: 6,000 updates, and 600,000 images; features are made once of each image."""
    linear = duration(EXPERIMENTS["linear"], 60_000, 784)
    assert linear == pytest.approx(6000 * (1e-4 + 1.3e-9 * 7840) + 600_000 * 2.2e-11 * 7840)
    assert duration(EXPERIMENTS["features-hog"], 60_000, 784) == pytest.approx(linear + 12.0)


def test_an_experiment_that_differs_in_its_name_alone_is_not_trained_again(tmp_path):
    backend, results = get_backend("numpy"), Results(tmp_path / "results")
    twin, other = EXPERIMENTS["depth-2-sigmoid"], EXPERIMENTS["depth-2-relu"]
    assert results.twin(twin, {"seed": 3}, backend) is None
    results.keep(small_model(backend), outcome("lecture", history={"loss": [0.5]}, seed=3, dataset="digits"))
    model, found = results.twin(twin, {"seed": 3}, backend)
    assert (found.name, found.history, model.input_shape) == ("depth-2-sigmoid", {"loss": [0.5]}, (6,))
    assert results.twin(other, {"seed": 3}, backend) is None
    with pytest.raises(InputError, match="seed 3, expected 4"):
        results.twin(twin, {"seed": 4}, backend)


@pytest.mark.parametrize(
    ("words", "settled"),
    [("", (10, None, "runs/lecture")), ("--quick", (3, 10_000, "runs/lecture-quick")),
     ("--quick --epochs 5 --out o", (5, 10_000, "o")), ("--limit 7", (10, 7, "runs/lecture"))],
)  # fmt: skip
def test_quick_is_for_what_was_not_given(words, settled, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lecture.py", *words.split()])
    arguments = lecture.parse()
    lecture.settle(arguments)
    assert (arguments.epochs, arguments.limit, arguments.out) == (*settled[:2], Path(settled[2]))


def test_noise_has_the_strength_it_says():
    """As a share of 255, around the pixels as they are, and cut at 0 and 255."""

    def evaluate(x, y):
        seen.append(x)
        return SimpleNamespace(accuracy=np.mean(y))

    seen, model = [], SimpleNamespace(backend=get_backend("numpy"), evaluate=evaluate)
    data = SimpleNamespace(x_test=np.full((500, 40), 128, np.uint8), y_test=np.asarray([0, 1]))
    assert noise._accuracies(model, data, 1) == [0.5] * len(noise.NOISE)
    assert [round(float(x.std()) / 255, 2) for x in seen[:3]] == [0.0, 0.1, 0.2]
    assert np.all(seen[0] == 128)
    assert abs(seen[1].mean() - 128) < 1
    assert (seen[-1].min(), seen[-1].max(), seen[-1].dtype) == (0, 255, np.float32)


def test_rows_are_joined_and_put_in_order():
    old, new = [["h", "a"], ["x", "1"], ["y", "2"]], [["h", "a"], ["y", "3"], ["z", "4"]]
    assert tables.join(old, new) == [["h", "a"], ["x", "1"], ["y", "3"], ["z", "4"]]
    assert (tables.join(old, []), tables.join([], new)) == (old, new)
    other = [["h", "b"], ["y", "5"]]
    assert tables.join(old, other) == other
    assert tables.join([["h"], ["c"], ["a"], ["b"]], [], "abc") == [["h"], ["a"], ["b"], ["c"]]
    assert (tables.per_cent(0.1234), tables.number("12.3 %"), tables.number("5")) == ("12.3 %", 12.3, 5.0)


@pytest.mark.parametrize("text", ["h,a\nx,y\n", "h,a\nx,1,2\n", "h,a\n", ""])
def test_figures_that_are_none_are_refused(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match="cannot be read"):
        tables.read(tmp_path / "a.csv")


def test_rows_of_presets_by_hand(monkeypatch):
    """Means of accuracies and of probabilities, of which one run has neither; other epochs are refused."""
    runs, models = {}, {}

    def made(name, seed, accuracy, epochs=3, held=0, p=((0.9, 0.1), (0.6, 0.4))):
        config = {"preset": "quick", "seed": seed, "epochs": epochs, "hold_out": held}
        runs[name] = measured.Run(Path(name), config, "numpy", accuracy, 1.0)
        models[name] = SimpleNamespace(predict=lambda x: np.asarray(p)[: len(x)])

    def rows(*names):
        return measured.run_grids(names, data, get_backend("numpy"))

    monkeypatch.setattr(measured, "read_run", runs.get)
    monkeypatch.setattr(measured, "load_run", lambda path, open_backend: ({}, models[path.name]))
    data = SimpleNamespace(
        x_test=range(2), y_test=np.asarray([0, 1]), x_train=range(9), y_train=np.asarray([1] * 8 + [0])
    )
    made("one", 0, 0.9)
    made("two", 2, 0.8, p=((0.7, 0.3), (0.2, 0.8)))
    made("longer", 1, 0.9, epochs=4)
    made("held", 0, 0.9, held=1)
    made("unsure", 0, 0.9, held=2)
    row = ["quick", "3", "90.00 %", "-", "80.00 %", "-", "-", "85.00 %", "100.00 %", "30.00"]
    assert rows("one", "two") == {"presets": [measured.HEADINGS["presets"], row]}  # 0.8 and 0.4, 0.6: right
    assert rows("one")["presets"][1:] == [["quick", "3", "90.00 %", *"-------"]]
    with pytest.raises(InputError, match=r"quick had \[3, 4\] epochs"):
        rows("one", "longer")
    sure = [["quick", "3", "35.00", "0.9000", "50.00 %", "100.00 %"]]  # of the test 0.6 is wrong
    assert rows("held", "one")["sure"][1:] == sure
    assert rows("unsure")["sure"][1:] == [["quick", "3", "35.00", "-", "-", "-"]]


def docs_rows():
    heading, *rows = tables.read(DOCS / "lecture.csv")
    return [dict(zip(heading, row, strict=True)) for row in rows]


def cells_of(path):
    return list(csv.reader(path.read_text(encoding="utf-8").splitlines()))


def docs_grids():
    return {path.stem.removeprefix("lecture-"): tables.read(path) for path in DOCS.glob("lecture-*.csv")}


def docs_tables():
    """Every table of the lecture's pages."""
    return tables.experiment_tables(tables.read(DOCS / "lecture.csv")) | docs_grids()


def measured_grids():
    return {name: tables.read(tables.csv_file(DOCS, name)) for name in tables.MEASURED}


SHOWN = {
    "../README.md": ["defaults"],
    "README.zh.md": ["defaults"],
    "agreement.md": ["agreement", "accuracy"],
    "speed.md": ["speed"],
}
"""Page -> its tables, where it is not the lecture's."""


@pytest.mark.parametrize("name", tables.LECTURES)
def test_the_page_has_the_tables_of_its_csv_and_its_pictures(tmp_path, name):
    """Writing what docs/lecture.csv holds changes no byte of docs/."""
    page = (DOCS / name).read_bytes()
    (tmp_path / name).write_bytes(page)
    grids = {"experiments": tables.read(DOCS / "lecture.csv"), **docs_grids()}
    assert tables.write(grids, tmp_path) == tmp_path / name
    assert (tmp_path / name).read_bytes() == page
    for path in DOCS.glob("lecture*.csv"):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    shown = re.findall(r"<!-- table: (\w+) -->\n\|", page.decode())
    assert sorted(shown) == sorted([*tables.TABLES, *docs_grids()])
    assert [row["experiment"] for row in docs_rows()] == list(EXPERIMENTS)
    pictures = re.findall(r"\((lecture-\w+\.png)\)", page.decode())
    assert sorted(pictures) == sorted(path.name for path in DOCS.glob("lecture-*.png"))


@pytest.mark.parametrize("name", SHOWN)
def test_other_pages_have_the_tables_of_their_csv(name):
    page, words = (DOCS / name).read_text(encoding="utf-8"), tables.PAGES[name]
    made = {table: tables.markdown(grid, words) for table, grid in measured_grids().items()}
    assert re.findall(r"<!-- table: (\w+) -->\n\|", page) == SHOWN[name]
    assert tables.fill(page, made) == page


def test_each_page_and_each_table_is_shown():
    assert {*SHOWN, *tables.LECTURES} == set(tables.PAGES)
    assert {table for shown in SHOWN.values() for table in shown} == set(tables.MEASURED)


@pytest.mark.parametrize("name", ["../README.md", "README.zh.md"])
def test_figures_in_the_text_of_the_readme_are_those_of_a_table(name):
    text = (DOCS / name).read_text(encoding="utf-8")
    prose = "\n".join(line for line in text.splitlines() if line[:1] != "|")
    accuracies = set(re.findall(r"\d+\.\d+(?= ?%)", prose))
    means = [row[-3] for row in docs_grids()["presets"]]
    assert accuracies <= {mean.removesuffix(" %") for mean in means}
    assert len(accuracies) == 4
    heading, numba = measured_grids()["speed"][:2]
    ratios = [numba[heading.index(other)] for other in ("PyTorch, fused Adam", "scikit-learn")]
    (line,) = (line for line in prose.split("\n- ") if "speed.md" in line and "numba" in line)
    assert re.findall(r"\b\d\.\d\d\b", line) == ratios


@pytest.mark.slow
def test_what_presets_reached_is_read_from_their_folders(tmp_path):
    """The mean of two runs, what one is sure of that held images out; other presets' rows stay, in order."""
    for folder, *options in (("a", "--seed", 1), ("b", "--seed", 3), ("held", "--hold-out", 300)):
        preset = ("--preset", "quick", "--epochs", 3, "--batch-size", 50, "--quiet", "--run-dir")
        assert run_here("train", *SMALL, *options, *preset, tmp_path / folder).returncode == 0
    old = [
        measured.HEADINGS["presets"],
        ["cnn", "9", *"-----", "99.00 %", "-", "-"],
        ["best", "9", *["1.00 %"] * 7, "-"],
    ]
    (tmp_path / "lecture-presets.csv").write_text(tables.as_csv(old), encoding="utf-8")
    (tmp_path / "lecture.md").write_text("<!-- table: presets -->\n<!-- end -->\n", encoding="utf-8")
    runs = [tmp_path / name for name in ("a", "b", "held")]
    result = run_here("lecture", *SMALL, "--presets", *runs, "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    found = tables.read(tmp_path / "lecture-presets.csv")
    assert [row[0] for row in found] == ["preset", "best", "quick", "cnn"]
    assert found[1:4:2] == old[:0:-1]
    one, two = (json.loads((run / "result.json").read_text())["test_accuracy"] for run in runs[:2])
    cells = ["quick", "3", "-", f"{100 * one:.2f} %", "-", f"{100 * two:.2f} %", "-"]
    assert found[2][:-2] == [*cells, f"{50 * (one + two):.2f} %"]
    assert abs(tables.number(found[2][-2]) - 50 * (one + two)) < 20
    (sure,) = tables.read(tmp_path / "lecture-sure.csv")[1:]
    assert sure[:2] == ["quick", "3"]
    assert len(sure) == len(measured.HEADINGS["sure"])
    assert "| best | 9 |" in (tmp_path / "lecture.md").read_text(encoding="utf-8")
    more = run_here("train", *SMALL, "--hidden", 8, "--epochs", 1, "--quiet", "--run-dir", tmp_path / "none")
    assert more.returncode == 0
    assert_refused(run_here("lecture", *SMALL, "--presets", tmp_path / "none"), "none", "expected a preset")


@pytest.mark.slow
def test_settings_are_tried_on_images_held_out(tmp_path):
    """Elastic's give what train.py gives; another's row stays, and what is done is not done again."""
    held = ("--preset", "elastic", "--epochs", 3, "--hold-out", 239, "--quiet", "--run-dir", tmp_path / "run")
    assert run_here("train", *SMALL, *held).returncode == 0
    about = tried.TRIED["elastic"].about
    old = [tried.HEADINGS, [about, "9", "1.00 %"], ["cnn: another", "9", "2.00 %"]]
    (tmp_path / "lecture-tried.csv").write_text(tables.as_csv(old), encoding="utf-8")
    command = ("lecture", *SMALL, "--epochs", 1, "--out", tmp_path, "--tried")
    result = run_here(*command, "deep-plain")
    assert result.returncode == 0, result.stderr
    result = run_here(*command, "elastic,deep-dropout-2")
    assert result.returncode == 0, result.stderr
    rows = tables.read(tmp_path / "lecture-tried.csv")
    right = json.loads((tmp_path / "run" / "result.json").read_text())["held_out_accuracy"]
    made = json.loads((tmp_path / "results" / "tried-elastic.json").read_text())
    assert right == made["accuracy"] > 0.3
    assert rows[1] == [about, "3", f"{100 * right:.2f} %"]
    assert 0.0 < made["loss"] < 2.5
    last = [["deep: the same, dropout 0.2", "6"], ["deep: the same, no dropout", "6"], ["cnn: another", "9"]]
    assert [row[:2] for row in rows[2:]] == last
    again = run_here(*command, "elastic")
    assert (again.returncode, again.stderr) == (0, "")
    assert_refused(run_here(*command, "elastic", "--seed", 1), "tried-elastic.json", "seed 0, expected 1")
    assert_refused(run_here(*command, "elastik"), "settings", "elastik", "elastic")


@pytest.mark.parametrize("name", ["elastic-smoothed", "elastic-strong", "elastic-plain", "deep-strong"])
def test_each_setting_trains(name):
    assert tried.train(tried.TRIED[name], load_dataset("digits"), get_backend("numpy"), 2, 0).accuracy > 0.3


@pytest.mark.parametrize(("name", "preset"), [("elastic", "elastic"), ("cnn", "cnn")])
def test_what_is_called_the_preset_is_that_but_for_its_epochs(name, preset):
    settings, wanted = tried.TRIED[name], PRESETS[preset]
    made = [(type(layer), layer.config()) for layer in settings.layers((28, 28), 10)]
    assert made == [(type(layer), layer.config()) for layer in wanted.layers((28, 28), 10)]
    assert settings.about == f"{preset}: the preset, but {settings.epochs} epochs"
    assert Adam(OneCycle(settings.highest, 600, 0.3)) == wanted.optimizer(600)
    assert (settings.batch, settings.smoothing) == (wanted.batch_size, 0.0)
    assert settings.epochs < wanted.epochs


def test_settings_are_what_their_names_say():
    def has(name, kind):
        return [layer.config() for layer in tried.TRIED[name].layers((28, 28), 10) if isinstance(layer, kind)]

    smoothed, plain = tried.TRIED["elastic-smoothed"], tried.TRIED["elastic-plain"]
    assert (smoothed.smoothing, smoothed.highest, plain.highest) == (0.1, 0.008, 0.002)
    assert has("elastic-smoothed", Layer) == has("elastic", Layer)
    assert has("elastic-plain", BatchNormalization) == has("elastic-strong", RandomTranslation) == []
    (strong,), (usual,) = (has(name, RandomElastic) for name in ("elastic-strong", "elastic"))
    assert strong == usual | {"strength": 36.0, "scale": 0.15, "shear": 0.2}
    assert [d["units"] for d in has("deep", Dense)] == [1500, 1000, 500, 10]
    assert [d["rate"] for d in has("deep-dropout-2", Dropout)] == [0.2] * 3
    assert has("deep", Dropout) == has("deep-plain", Dropout) == []
    assert has("deep-strong", Dropout) == has("deep-dropout-2", Dropout)
    (more,) = has("deep-strong", RandomElastic)
    assert more == usual | {"strength": 36.0, "degrees": 12.0, "scale": 0.15, "shear": 0.2}
    chosen = [layer.config() for layer in PRESETS["deep"].layers((28, 28), 10)]
    assert has("deep-plain", RandomElastic) == [more] == [d for d in chosen if "strength" in d]
    assert has("deep", RandomElastic) == has("deep-dropout-2", RandomElastic) == [usual]
    assert [(d["filters"], d["kernel_size"]) for d in has("cnn-two", Conv2D)] == [(32, [5, 5]), (64, [5, 5])]
    assert [d["rate"] for d in has("cnn-two-dropout", Dropout)] == [0.4]
    assert has("cnn-two-dropout", RandomTranslation) == []
    assert has("cnn-three", Conv2D) == has("cnn", Conv2D)
    assert has("cnn-three", RandomElastic) == has("cnn-two", RandomElastic) == [usual]


@pytest.mark.parametrize("name", ["cnn-two", "cnn-two-dropout", "cnn-three", "cnn"])
def test_each_convolutional_setting_is_a_network(name):
    made = tried.TRIED[name].layers((28, 28), 10)
    model = Sequential(made, input_shape=(784,), backend=get_backend("numpy"))
    assert sum(isinstance(layer, Conv2D) for layer in model.layers) == (2 if "two" in name else 3)


def test_what_the_defaults_reach_is_read_from_their_folders(tmp_path):
    for seed in (0, 2):
        run = "--seed", seed, "--dataset", "digits", "--quiet", "--run-dir", tmp_path / f"{seed}"
        assert run_here("train", *run).returncode == 0
    page = tmp_path / "lecture.md"
    page.write_text("<!-- table: defaults -->\n<!-- end -->\n", encoding="utf-8")
    folders = [tmp_path / "0", tmp_path / "2"]
    result = run_here("lecture", "--dataset", "digits", "--presets", *folders, "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    head, row = tables.read(tmp_path / "measured-defaults.csv")
    results = [json.loads((run / "result.json").read_text()) for run in folders]
    first, last = (100 * found["test_accuracy"] for found in results)
    assert head == measured.HEADINGS["defaults"]
    accuracies = [f"{first:.2f} %", "-", f"{last:.2f} %", f"{(first + last) / 2:.2f} %"]
    assert row == [results[0]["backend_used"], *accuracies, f"{results[0]['seconds']:.1f}"]
    assert f"| {row[0]} | {first:.2f} % | - |" in page.read_text(encoding="utf-8")


def test_other_tables_are_made_of_what_was_measured(tmp_path):
    records = [
        ("L0", "numpy", 1.0, 4.0),
        ("L0", "numpy", 3.0, 4.0),
        ("L0", "pytorch", 1.0, 2.0),
        ("L0", "pytorch", 0.0, 0.0),
        ("L2", "numpy", 1.0, 8.0),
    ]
    names = "level", "backend", "measured", "bound"
    report = {"records": [dict(zip(names, record, strict=True)) for record in records]}
    note = "mean 98.494, standard deviation 0.052, paired difference -0.010 points; 98.57, 98.43"
    long = {"records": [{"level": "L5", "backend": "pytorch", "measured": 0.01, "bound": 0.25, "note": note}]}
    runs = {"numpy": [4.0, 2.0, 3.0, 2.0], "pytorch": [8.0, 4.0, 6.0, 4.0], "jax": [1.0, 1.0, 1.0, 1.0]}
    speed = {"runs": {name: [{"ms": ms} for ms in found] for name, found in runs.items()}}
    for name, content in (("a", report), ("l", long), ("s", speed), ("n", [1]), ("o", {"records": [{}]})):
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    asked = (
        "--agreement",
        tmp_path / "a.json",
        tmp_path / "l.json",
        "--speed",
        tmp_path / "s.json",
        "--out",
        tmp_path,
    )
    result = run_here("lecture", "--dataset", "digits", *asked)
    assert result.returncode == 0, result.stderr
    levels = [row[1:] for row in tables.read(tmp_path / "measured-agreement.csv")]
    assert levels == [
        ["numpy", "native PyTorch"],
        ["0.75", "0.50"],
        ["-", "-"],
        ["0.12", "-"],
        ["-", "-"],
        ["-", "-"],
    ]
    assert tables.read(tmp_path / "measured-accuracy.csv")[1:] == [
        ["native PyTorch", "98.494 %", "0.052", "-0.010"]
    ]
    head, row = tables.read(tmp_path / "measured-speed.csv")
    assert head == ["backend", "ms", "PyTorch eager", "JAX, epoch in one jit"]
    assert row == ["numpy", "2.00", "0.50", "2.00"]
    for name in ("n", "o", "none"):
        bad = run_here("lecture", "--dataset", "digits", "--agreement", tmp_path / f"{name}.json")
        assert_refused(bad, f"{name}.json", "expected what agree.py --json wrote")


def test_both_languages_name_the_same_figures():
    """Numbers with a point, per cents and large numbers, each as often; and as many headings."""
    pages = [(DOCS / name).read_text(encoding="utf-8") for name in tables.LECTURES]
    english, chinese_ones = (sorted(figures(page)) for page in pages)
    assert english == chinese_ones
    assert len(english) > 100
    assert len(set(map(len, (re.findall(r"^## ", page, re.MULTILINE) for page in pages)))) == 1


@pytest.mark.parametrize("name", tables.LECTURES)
def test_accuracies_in_the_text_are_those_of_a_file(name):
    """But for what others report."""
    cells = {cell for path in DOCS.glob("lecture*.csv") for row in cells_of(path) for cell in row}
    shares = [float(cell) for cell in cells if re.fullmatch(r"[01]\.\d{4}", cell)]
    known = {cell.removesuffix(" %") for cell in cells} | {f"{100 * share:.2f}" for share in shares}
    text = (DOCS / name).read_text(encoding="utf-8")
    prose = "\n".join(line for line in text.splitlines() if line[:1] != "|")
    told = set(re.findall(r"\d+\.\d+(?= ?%)", prose))
    assert told - known <= {"99.3", "99.56", "99.6", "99.9"}
    assert len(told) > 15


def test_each_cell_of_a_table_is_translated():
    """But for names that both languages have, such as numbers."""
    made = "".join(
        tables.markdown(grid, tables.chinese)
        for grid in (*docs_tables().values(), measured_grids()["defaults"])
    )
    cells = {cell.strip() for line in made.splitlines() for cell in line.strip("|").split("|")}
    cells -= {"preset", *PRESETS, *measured.OURS}
    assert not [cell for cell in cells if re.search("[a-z]{3}", cell) and not re.search("[一-鿿]", cell)]


def test_prose_survives_and_tables_are_replaced(tmp_path):
    page = (DOCS / "lecture.md").read_text(encoding="utf-8")
    halves = [[*row.values()] for row in ({**row, "accuracy": "0.5000"} for row in docs_rows())]
    made = tables.experiment_tables([tables.COLUMNS, *halves])
    filled = tables.fill(page, {name: tables.markdown(grid) for name, grid in made.items()})
    prose = [[line for line in text.splitlines() if line[:1] != "|"] for text in (page, filled)]
    assert prose[0] == prose[1]
    assert filled.count("| 50.00 % |") == sum(map(len, tables.TABLES.values()))


def test_a_table_without_results_or_without_an_end_is_left_alone():
    rows = [[*row.values()] for row in docs_rows() if row["experiment"].startswith("depth-")]
    made = tables.experiment_tables([tables.COLUMNS, *rows])
    assert list(made) == ["depth"]
    made = {"depth": tables.markdown(made["depth"])}
    page = "a\n<!-- table: steps -->\nold\n<!-- end -->\n<!-- table: depth -->\nb\n"
    assert tables.fill(page, made) == page
