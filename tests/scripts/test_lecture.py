"""lecture.py: its files, and that what is done is not done again."""

import csv

import pytest
from command_lines import assert_refused, run
from lecture_experiments.experiments import EXPERIMENTS, STEPS
from lecture_experiments.remarks import REMARKS, on_noise, remarks
from lecture_experiments.run import Outcome
from PIL import Image

SMALL = ("--dataset", "digits", "--backend", "numpy")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("lecture") / "out"
    result = run("lecture", *SMALL, "--only", "linear,lecture,depth-1-relu", "--out", out)
    assert result.returncode == 0, result.stderr
    assert "linear" in result.stdout
    return out


def test_page_csv_and_pictures(folder):
    page = (folder / "lecture.md").read_text(encoding="utf-8")
    assert "拟牛顿法" in page
    assert "no hidden layer" in page
    rows = list(csv.DictReader((folder / "lecture.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["experiment"] for row in rows] == [
        n for n in EXPERIMENTS if n in ("linear", "lecture", "depth-1-relu")
    ]
    assert all(0.3 < float(row["accuracy"]) < 1 for row in rows)
    for name in ("curves", "depth", "confusion", "mistakes", "weights", "noise"):
        assert f"(lecture-{name}.png)" in page
        with Image.open(folder / f"lecture-{name}.png") as image:
            assert min(image.size) > 300


def test_what_is_done_is_not_done_again(folder):
    before = {p: p.stat().st_mtime_ns for p in (folder / "results").iterdir()}
    result = run("lecture", *SMALL, "--only", "linear", "--out", folder)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert {p: p.stat().st_mtime_ns for p in (folder / "results").iterdir()} == before


def test_results_of_another_seed_are_not_mixed_in(folder):
    assert_refused(
        run("lecture", *SMALL, "--only", "linear", "--seed", 1, "--out", folder), "seed", "another folder"
    )


def test_the_list_and_a_typo():
    result = run("lecture", "--list")
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(EXPERIMENTS)
    assert_refused(run("lecture", "--only", "lecturee"), "lecturee", "lecture")


def test_the_steps_are_experiments():
    assert set(STEPS) <= set(EXPERIMENTS)


def outcome(name, accuracy):
    return Outcome(name, {"loss": [1.0]}, accuracy, 1.0, 1, 1.0, "numpy", "mnist", 60_000, 0)


def test_remarks_follow_from_the_figures():
    """The same claims, other results, other sentences; and none without its experiments."""
    needed = {name for remark in REMARKS for name in remark.needs}
    assert needed <= set(EXPERIMENTS)
    well = dict(remarks({name: outcome(name, 0.98) for name in needed}))
    badly = dict(remarks({name: outcome(name, 0.98 if name == "lecture" else 0.1) for name in needed}))
    assert list(well) == list(badly) == [remark.told for remark in REMARKS]
    deep = "Deep networks of sigmoids do not train."
    assert "guessing" in badly[deep]
    assert "guessing" not in well[deep]
    assert "the wall comes late" in well[deep]
    faster = "Quasi-Newton methods converge faster."
    assert "600" in badly[faster]
    assert "600" not in well[faster]
    assert remarks({"lecture": outcome("lecture", 0.98)}) == []


def test_what_is_said_of_noise_follows_from_the_figures():
    fallen, steady = [0.98] + [0.5] * 8, [0.98] * 9
    assert "98.0 to 50.0 %" in on_noise({"lecture": fallen})
    assert "not absorbed" in on_noise({"lecture": fallen})
    assert "not absorbed" not in on_noise({"lecture": steady})
    assert on_noise({"linear": steady}) == ""
