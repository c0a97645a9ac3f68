"""What a script cannot do at its end, it refuses before its work."""

import json

import pytest
from command_lines import assert_refused, run_here


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "benchmark --json none/x.json",
            "expected a file in an existing folder",
        ),
        ("benchmark --pages none", "none/speed.md cannot be written"),
        ("lecture --pages none", "none/lecture.md cannot be written"),
        ("readme_results --seed=3", "--seed=3 is set by this command, expected other options of train.py"),
        ("readme_results --backend torch", "--backend is set by this command"),
        ("examples/from_scratch --epochs 0", "--epochs is 0, expected an integer of at least 1"),
    ],
)
def test_refused_at_once(tmp_path, command, words):
    assert_refused(run_here(command, cwd=tmp_path), words)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("kept", [None, ["--other"]])
def test_results_of_another_call_do_not_become_figures(tmp_path, kept):
    run = tmp_path / "runs/readme/numpy-0"
    for folder in (tmp_path / "docs", run):
        folder.mkdir(parents=True)
    (tmp_path / "docs/lecture.md").touch()
    (run / "result.json").write_text("{}")
    if kept is not None:
        (run / "call.json").write_text(json.dumps(kept))
    result = run_here("readme_results", cwd=tmp_path)
    assert_refused(result, "numpy-0 holds a training with other options; move this folder away")
