"""Made-up command lines: each ends with exit code 2 and one sentence, or does what it says; never with a
traceback.
"""

import os
import runpy
import sys

import numpy as np
import pytest
from test_command_lines import SCRIPTS

TIMES = int(os.environ.get("DNN_HOSTILE", "1"))
ODD = ("", "x", "-1", "0", "1.5", "nan", "inf", "1e400", "9" * 30, "-", "--", "\u00e9\u4e2d", "../..",
       "/dev/null", "None", "[]", "0x10", " ", "\x01", "-0", "1e-400", "true")  # fmt: skip
OPTIONS = {
    "train": {
        "--dataset": "digits", "--hidden": "4", "--activation": "relu", "--loss": "mean_squared_error",
        "--optimizer": "sgd", "--learning-rate": "0.1", "--schedule": "constant", "--warmup": "1",
        "--batch-size": "50",
        "--epochs": "1", "--seed": "3", "--limit": "60", "--backend": "numpy", "--device": "cpu",
        "--dtype": "float64", "--precision": "float32", "--checkpoint-every": "9", "--keep": "2",
        "--resume": "nowhere",
    },
    "evaluate": {"--dataset": "digits", "--backend": "numpy", "--device": "cpu"},
    "predict": {"--backend": "numpy", "--device": "cpu"},
    "agree": {"--backends": "numpy", "--levels": "L0", "--dataset": "digits", "--seed": "1",
              "--mutant": "tf32", "--epochs": "1", "--seeds": "1", "--limit": "10"},
    "benchmark": {"--contenders": "numpy", "--rotations": "1", "--updates": "5", "--batch-size": "5",
                  "--activation": "relu", "--dataset": "random", "--sweep": "depht", "--profile": "nunpy"},
    "lecture": {"--only": "lecturee", "--dataset": "digits", "--backend": "numpy"},
    "gpu_check": {"--parts": "doctro", "--device": "cpu"},
    "faults": {"--backends": "nunpy"},
}  # fmt: skip


def call(script, arguments, capsys):
    """(exit code, stderr) of a script run in this process."""
    before = sys.argv
    sys.argv = [f"{script}.py", *arguments]
    try:
        runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="__main__")
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.argv = before
    return code, capsys.readouterr().err


@pytest.mark.parametrize("script", OPTIONS)
def test_odd_values(script, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(SCRIPTS))
    rng = np.random.default_rng(len(script))
    small = ["--dataset", "digits", "--hidden", "4", "--epochs", "1", "--limit", "60", "--quiet"]
    always = {"train": small, "evaluate": ["nowhere"], "predict": ["nowhere", "no.png"],
              "lecture": ["--only", "lectre"],
              "gpu_check": ["--parts", "doctro"]}.get(script, [])  # fmt: skip
    codes = []
    for i in range(60 * TIMES):
        options = OPTIONS[script]
        chosen = list(rng.choice(list(options), int(rng.integers(1, 3))))
        if script in ("agree", "benchmark", "faults"):
            # Each with one value that cannot be right, so that nothing long is begun.
            chosen = [n for n in chosen if n not in ("--backends", "--contenders")]
            chosen.append("--backends" if script != "benchmark" else "--contenders")
        arguments = list(always)
        for name in chosen:
            wild = rng.integers(3) > 0 or name in ("--backends", "--contenders")
            arguments += [str(name), str(rng.choice(ODD)) if wild else options[name]]
        if script == "train":
            arguments += ["--run-dir", str(tmp_path / f"run-{i}")]
        code, said = call(script, arguments, capsys)
        codes.append(code)
        assert "Traceback" not in said, arguments
        if code != 0:
            assert code in (2, 3), (arguments, code, said)
            last = said.strip().splitlines()[-1]
            assert "error: " in last or code == 3, (arguments, said)
            assert len(last) < 900, last
    assert 2 in codes or 3 in codes


def test_values_that_no_option_has(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(SCRIPTS))
    for script in OPTIONS:
        for arguments in (["--nonsense"], ["--help", "--nonsense"], ["a", "b", "c", "--d"]):
            code, said = call(script, arguments, capsys)
            assert code in (0, 2, 3)
            assert "Traceback" not in said
    assert not list(tmp_path.iterdir())
