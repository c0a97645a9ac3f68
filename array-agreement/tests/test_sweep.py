"""A sweep finds planted and real errors, each in its class of elements, and raises no false alarm."""

import json
import os
import subprocess
import sys
import types
from functools import partial

import array_api_compat.numpy as numpy_xp
import numpy as np
import pytest
import torch

from array_agreement import InputError, check_call, sweep
from array_agreement.__main__ import main
from array_agreement.functions import expressions
from array_agreement.sweeps import run_case
from array_agreement.targets import find_target

NUMPY_ERRS = ("divide", "log1p", "pow", "sign")
"""Complex functions in which NumPy's results are wrong, as mpmath shows."""


@pytest.mark.parametrize("target", ["numpy", pytest.param("strict", marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_special_values_raise_no_false_alarm(target, dtype):
    for expression, kind in expressions():
        if expression.group != "elementwise" or kind != dtype:
            continue
        for verdict in run_case(find_target(target), expression, dtype, "special 1000").values():
            right = verdict["kind"] in ("agrees", "not judged")
            may_err = expression.name in NUMPY_ERRS and dtype.startswith("complex")
            assert right or (may_err and verdict["kind"] in ("wrong", "undecided")), verdict


def planted(name, make):
    """Return NumPy with a function ``make(right function)`` in place of one of its own."""
    path, _, short = name.rpartition(".")
    right = getattr(numpy_xp, path) if path else numpy_xp
    wrong = types.SimpleNamespace(**{**vars(right), short: make(getattr(right, short))})
    return types.SimpleNamespace(**{**vars(numpy_xp), path: wrong}) if path else wrong


def where(condition, change):
    """Change the results of a function where ``condition`` holds for its first argument."""
    return lambda f: (
        lambda x, *args, **kwargs: np.where(
            condition(x), change(f(x, *args, **kwargs)), f(x, *args, **kwargs)
        )
    )


TINY = np.finfo(np.float32).smallest_normal
PLANTED = {
    "exp": ("ordinary", where(lambda x: (x > 0.5) & (x < 20), lambda r: r * np.float32(1 + 2e-5))),
    "sin": ("large", where(lambda x: (np.abs(x) > 1e30) & np.isfinite(x), lambda r: -r)),
    "log": ("denormal", where(lambda x: (x > 0) & (x < TINY), lambda r: r + 1)),
    "add": ("special", where(np.isinf, lambda r: np.nan * r)),
    "isnan": ("ordinary", where(lambda x: x == 1, np.logical_not)),
    "round": ("ordinary", where(lambda x: np.abs(x) == 0.5, lambda r: r + 1)),
    "max": ("special", lambda f: lambda x, axis=None: np.nanmax(x, axis=axis)),
    "cumulative_sum": ("ordinary", lambda f: lambda x, **k: f(x * (np.arange(x.shape[1]) != 1024), **k)),
    "sort": ("ordinary", lambda f: lambda x, **k: np.flip(f(x, **k)) if x.shape[1] > 9e3 else f(x, **k)),
    "linalg.svdvals": ("large", lambda f: lambda x: f(x) * np.float32(0.5 if np.abs(x).max() > 1e15 else 1)),
    "fft.rfft": ("ordinary", lambda f: lambda x, **k: np.conj(f(x, **k)) if x.shape[-1] == 15 else f(x, **k)),
    "roll": ("ordinary", lambda f: lambda x, n, axis: f(x, n * (n != 2 or np.isnan(x).any()), axis=axis)),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_planted_errors_are_found_in_their_class(name):
    cls, make = PLANTED[name]
    report = sweep(planted(name, make), name, ["float32"])
    assert [(v["function"], v["class"], v["kind"]) for v in report.new] == [(name, cls, "wrong")]


def test_a_sweep_that_is_resumed_gives_the_same_report(tmp_path, monkeypatch):
    rest = iter(range(7))

    def interrupted(*case):
        if next(rest, None) is None:
            raise KeyboardInterrupt
        return run_case(*case)

    options = {"functions": "log1p,sum", "dtypes": ["complex64"]}
    whole = sweep("numpy", report=tmp_path / "whole", **options)
    with monkeypatch.context() as patch:
        patch.setattr("array_agreement.sweeps.run_case", interrupted)
        cut = sweep("numpy", report=tmp_path / "cut", **options)
    assert cut.interrupted
    assert len(cut.cases) == 7
    with (tmp_path / "cut.jsonl").open("a") as file:
        file.write('\n["xp.sum')  # cut by a crash
    resumed = sweep("numpy", report=tmp_path / "cut", resume=True, **options)
    assert resumed.n_left == 0
    assert resumed.verdicts == whole.verdicts
    assert json.loads((tmp_path / "cut.json").read_text()) == json.loads(
        (tmp_path / "whole.json").read_text()
    )


def test_a_process_that_dies_is_a_finding_and_ends_no_sweep(tmp_path):
    (tmp_path / "dying.py").write_text(
        "import os\nfrom array_api_compat.numpy import *\nfrom array_api_compat import numpy as np\n"
        "def exp(x):\n    return os._exit(7) if np.any(np.isnan(x)) else np.exp(x)\n"
    )
    arguments = "sweep dying --functions exp,sin --dtypes float32 --report out"
    command = [sys.executable, "-m", "array_agreement", *arguments.split()]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(tmp_path)])}
    run = partial(subprocess.run, cwd=tmp_path, env=environment, capture_output=True)
    assert run(command).returncode == 7
    assert run([*command, "--resume"]).returncode == 1
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["cases left"] == 0
    (finding,) = (v for v in report["verdicts"] if v["kind"] != "agrees")
    assert (finding["function"], finding["value"]) == ("exp", "the process died")
    assert run([sys.executable, "-c", finding["program"]]).returncode == 7


def test_a_program_shows_the_finding_and_a_known_one_is_expected(tmp_path):
    options = {"functions": "log1p,vector_norm", "dtypes": ["complex64"]}
    report = sweep("numpy", **options)
    assert {v["class"] for v in report.new} >= {"ordinary", "denormal"}
    for finding in report.new:
        assert len(finding["program"].splitlines()) <= 6
        assert "array_agreement" not in finding["program"]
        done = subprocess.run([sys.executable, "-c", finding["program"]], capture_output=True, text=True)
        result, correct = done.stdout.splitlines()
        assert result.partition(":")[2].strip() != correct.partition(":")[2].strip()
    (tmp_path / "known.json").write_text(
        '[{"function": "log1p", "from": "1", "below": "99", "reason": "#1"}]'
    )
    assert not sweep("numpy", known=tmp_path / "known.json", **options).new
    (tmp_path / "known.json").write_text('[{"function": "log1p", "below": "1", "reason": "fixed"}]')
    assert sweep("numpy", known=tmp_path / "known.json", **options).new


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pytorch"], "'pytorch' is no array library here"),
        (["numpy", "--functions", "sine"], "no function matches 'sine'"),
        (["numpy", "--dtypes", "float16"], "dtypes are ['float16'], expected some of bool"),
        (["numpy", "--known", "missing.json"], "missing.json cannot be read"),
        (["numpy", "--budget", "10"], "'10' is no time"),
    ],
)
def test_errors_of_the_command(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        sys.exit(main(["sweep", *arguments]))
    assert message in capsys.readouterr().err


def test_the_command_fails_only_with_findings(capsys):
    assert main(["sweep", "numpy", "--functions", "exp", "--dtypes", "float32", "--budget", "1min"]) == 0
    assert "0 left" in capsys.readouterr().out


def test_a_single_call():
    x = np.linspace(-3, 3, 50)
    assert check_call(np.exp, x) <= 1
    assert check_call(torch.asin, torch.asarray(x)) <= 4
    assert check_call(numpy_xp.pow, np.abs(x), x) <= 4
    wrong = {
        "log1p": (lambda x: np.log(1 + x + 1e-14), -0.4),
        "square": (lambda x: 0 * x, np.uint64(2**31)),
    }
    for name, (f, argument) in wrong.items():
        message = rf"{name}\({argument}\) = .* an error of .* ulp, expected at most 4"
        with pytest.raises(AssertionError, match=message):
            check_call(types.FunctionType(f.__code__, {"np": np}, name), np.asarray(argument))
    with pytest.raises(InputError, match="no correct result of sort_complex"):
        check_call(np.sort_complex, x)
    with pytest.raises(InputError, match="no correct result of <lambda>"):
        check_call(lambda x: x, x)
