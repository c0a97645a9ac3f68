"""The examples with small settings: they print a table, and the network has learned something."""

import importlib
import re
from pathlib import Path

import command_lines
import pytest
from command_lines import assert_refused

EXAMPLES = Path(__file__).resolve().parents[2] / "scripts" / "examples"


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


def test_means_and_standard_errors_over_the_seeds(monkeypatch, capsys):
    monkeypatch.syspath_prepend(EXAMPLES)
    example = importlib.import_module("_example")
    example.compare(3, "data", ("method", "a", "b"), {"one": lambda seed: (seed + 4, 0.5)})
    assert capsys.readouterr().out.split()[4:] == ["one", "5.0000", "+-", "0.5774", "0.5000", "+-", "0.0000"]


def test_predict_disease():
    options = ("--seeds", 1)
    first, table = read(run("predict_disease", *options))
    assert first == "569 tumours, 212 malignant; 10 folds, seeds: 1"
    network, logistic = table.values()
    assert min(*network, *logistic) > 0.85
    assert network[1] > 0.97  # AUROC


def test_find_anomalies():
    first, table = read(run("find_anomalies", "--seeds", 2))
    assert first.startswith("digits: 721 training images of 0 to 4; 360 test images")
    ours, components = (row[0] for row in table.values())
    assert 0.8 < components < ours <= 1


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("predict_disease", ("--seeds", 0), ["seeds", "0"]),
        ("predict_disease", ("--backend", "nunpy"), ["nunpy", "numpy"]),
    ],
)
def test_rejects_settings_out_of_range(name, arguments, words):
    assert_refused(run(name, *arguments), *words)
