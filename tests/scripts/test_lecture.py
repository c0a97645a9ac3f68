"""lecture.py trains, searches and resumes; each number and claim of the pages follows from lecture.json."""

import json
import re
import shutil
import statistics
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from _pages import write_table
from command_lines import assert_refused, run_here
from documents import find_numbers
from helpers import NUMPY, others_slow
from lecture_experiments import measures, pages, run
from lecture_experiments.experiments import LECTURE, SETTINGS, TABLES
from lecture_experiments.tables import make_grids
from readme_results import presets_grid

from dnn.callbacks.training_checkpoint import state_files
from dnn.datasets import load_dataset
from dnn.sequential import Sequential

DOCS = Path(__file__).resolve().parents[2] / "docs"
RESULTS = json.loads((DOCS / "lecture.json").read_text(encoding="utf-8"))
TEXTS = {page: (DOCS / page).read_text(encoding="utf-8") for page in pages.PAGES}
DIGITS = load_dataset("digits")
SMALL = replace(DIGITS, x_train=DIGITS.x_train[:120], y_train=DIGITS.y_train[:120])


# ----- the pages


def test_the_pages_follow_from_the_stored_results(tmp_path):
    for page, text in TEXTS.items():
        assert pages.find_faults(text, RESULTS) == []
        shutil.copy(DOCS / page, tmp_path)
    pages.publish(RESULTS, DOCS, tmp_path)
    for page in (*TEXTS, "lecture.json"):
        assert (tmp_path / page).read_bytes() == (DOCS / page).read_bytes()
    assert set(RESULTS) == set(SETTINGS)


def test_both_languages_make_the_same_claims():
    english, chinese = (
        sorted(item for *_, items in pages.statements(text) for item in items if pages.CLAIM.fullmatch(item))
        for text in TEXTS.values()
    )
    assert english == chinese


@pytest.mark.parametrize("page", others_slow(TEXTS, ["lecture.md"]))
def test_an_altered_number_or_claim_is_found(page):
    text = TEXTS[page]
    told = [n for start, end, _ in pages.statements(text) for n in pages.numbers(text, start, end)]
    for found in told:
        digit = found.end() - 1
        other = f"{text[:digit]}{(int(text[digit]) + 1) % 10}{text[digit + 1 :]}"
        assert pages.find_faults(other, RESULTS), text[found.start() - 40 : found.end()]
    claims = {item for *_, items in pages.statements(text) for item in items if " > " in item}
    for claim in claims:
        left, right = claim.split(" > ")
        counted = re.sub(r"in (\d+)", lambda count: f"in {int(count[1]) + 1}", claim)
        assert not pages.holds(RESULTS, counted if counted != claim else f"{right} > {left}"), claim
    assert pages.find_faults(text + "\nIt reached 12.34 %.\n", RESULTS)
    wrong = {name: {**r, "samples": {k: [v + 3.21 for v in vs] for k, vs in r["samples"].items()}}
             for name, r in RESULTS.items()}  # fmt: skip
    assert pages.find_faults(text, wrong)


def test_the_presets_of_pages_and_readmes_follow_from_their_stored_results(tmp_path):
    results = json.loads((DOCS / "presets.json").read_text(encoding="utf-8"))
    for page in TEXTS:
        copy = shutil.copy(DOCS / page, tmp_path)
        write_table(Path(copy), "presets", presets_grid(results))
        assert Path(copy).read_text(encoding="utf-8") == TEXTS[page]
    means = {name: statistics.mean(result["accuracies"]) for name, result in results.items()}
    for page in ("../README.md", "README.zh.md"):
        told = re.findall(r"(\d+\.\d+) ?%\s?\W(\w+)\W", (DOCS / page).read_text(encoding="utf-8"))
        shares = {name: share for share, name in told if name in means}
        assert set(shares) == {"best", "augmented", "elastic", "cnn"}
        assert shares == {name: f"{means[name]:.2f}" for name in shares}


def test_pages_show_all_pictures_and_cite_all_references():
    for page, text in TEXTS.items():
        ending = page.removeprefix("lecture").replace("md", "png")
        shown = re.findall(r"\((lecture-\w+\S*\.png)\)", text)
        assert sorted(shown) == sorted(
            path.name for path in DOCS.glob("lecture-*") if path.name.split(".", 1)[1] == ending[1:]
        )
        prose, _, references = text.rpartition("\n## ")
        cited = {int(n) for n in re.findall(r"\[(\d+)\](?!\()", prose)}
        assert cited == {int(n) for n in re.findall(r"^(\d+)\.", references, re.MULTILINE)}


def test_both_readmes_have_the_same_results():
    tables = [
        re.search(r"<!-- table: defaults -->\n((?:\|.*\n)+)", (DOCS / page).read_text(encoding="utf-8"))[1]
        for page in ("../README.md", "README.zh.md")
    ]
    assert find_numbers(tables[0]) == find_numbers(tables[1])


# ----- the command


def command(folder, *options):
    small = ("--dataset", "digits", "--backend", "numpy", "--limit", 60, "--epochs", 1, "--seeds", 2)
    return run_here("lecture", *small, "--out", folder, *options)


@pytest.mark.slow
def test_tables_and_pictures_of_a_command(tmp_path):
    out = tmp_path / "out"
    result = command(out, "--only", "steps,features")
    assert result.returncode == 0, result.stderr
    assert "minutes left" in result.stderr
    assert result.stderr.splitlines()[-1].endswith("out has tables.md and the pictures")
    text = (out / "tables.md").read_text(encoding="utf-8")
    assert re.findall(r"^(\w+)$", text, re.MULTILINE) == ["steps", "width", "batch", "features", "noise"]
    assert [path.name for path in out.glob("*.png")] == ["lecture-steps.png"]
    before = {p: p.stat().st_mtime_ns for p in (out / "results").rglob("*.json")}
    assert "minutes left" not in command(out, "--only", "steps").stderr
    assert {p: p.stat().st_mtime_ns for p in (out / "results").rglob("*.json")} == before
    assert_refused(command(out, "--limit", 50), "'examples': 60", "'examples': 50", "another folder")
    next((out / "results" / "linear").rglob("outcome.json")).write_text("{}")
    assert_refused(command(out, "--only", "steps"), "outcome.json is of another setting", "remove it")
    (out / "file").touch()
    assert_refused(command(out / "file", "--only", "steps"), "file", "cannot be created")


def test_list_and_refused_options():
    result = run_here("lecture", "--list")
    listed = [line.split()[1] for line in result.stdout.splitlines()]
    assert listed == [setting.name for settings in TABLES.values() for setting in settings]
    assert_refused(run_here("lecture", "--only", "stepss"), "stepss", "steps")
    assert_refused(run_here("lecture", "--only", "steps", "--pages", "docs"), "--only")
    for option in ("--epochs", "--limit", "--seeds"):
        for value in ("-1", "x"):
            assert_refused(run_here("lecture", option, value), option.strip("-"))


def test_a_stopped_training_continues_and_ends_with_the_same_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "LONG_EPOCH", 1)
    training = run.Training(replace(LECTURE, epochs=3), 1)
    plans = [run.Plan(tmp_path / name, [LECTURE], 2, 10, SMALL, NUMPY) for name in "ab"]
    whole = plans[0].train(training)
    evaluate = Sequential.evaluate
    monkeypatch.setattr(Sequential, "evaluate", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        plans[1].train(training)
    assert len(state_files(plans[1].folder / training.folder)) == 1
    monkeypatch.setattr(Sequential, "evaluate", evaluate)
    assert plans[1].train(training) == whole == plans[1].outcome(training)
    assert state_files(plans[1].folder / training.folder) == []


def test_the_search_takes_the_best_rate_on_held_out_images(tmp_path):
    setting = replace(LECTURE, tried=(1e-9, 3e-2), epochs=2, search_epochs=2, activation="relu")
    plan = run.Plan(tmp_path, [setting], 2, 10, SMALL, NUMPY)
    first = plan.searches(setting)[0].select(SMALL)
    np.testing.assert_array_equal(first.x_test, SMALL.x_train[100:])
    np.testing.assert_array_equal(first.x_train, SMALL.x_train[:100])
    plan.run()
    collected = plan.collect()
    assert collected["lecture"]["value"] == 3e-2
    accuracies = collected["lecture"]["samples"]["accuracy"]
    assert len(accuracies) == 2
    row = make_grids(collected)["steps"][1]
    assert row[1:3] == ["0.03", "4"]
    assert row[-1] == f"{statistics.mean(accuracies):.2f} ± {statistics.stdev(accuracies):.2f}"


def test_noise_strength():
    """The noise is a share of 255, added to the original pixels and clipped to 0..255."""

    def evaluate(x, y):
        seen.append(x)
        return SimpleNamespace(accuracy=np.mean(y))

    seen, model = [], SimpleNamespace(backend=NUMPY, evaluate=evaluate)
    data = SimpleNamespace(x_test=np.full((500, 40), 128, np.uint8), y_test=np.asarray([0, 1]))
    assert set(measures.noise_accuracies(model, data, 1).values()) == {50.0}
    assert [round(float(x.std()) / 255, 2) for x in seen[:3]] == [0.0, 0.1, 0.2]
    assert (seen[-1].min(), seen[-1].max(), seen[-1].dtype) == (0, 255, np.float32)
