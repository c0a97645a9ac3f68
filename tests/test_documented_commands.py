"""The command lines in README.md, CONTRIBUTING.md and docs/ run, and have options that exist.

They run with small settings added from the table SMALL, which must name each of them.
"""

import re
import shlex
import shutil

import pytest
from command_lines import run_here, serving, succeed
from documents import PROJECT, ROOT, blocks_of, each_document, text_of
from helpers import others_slow
from PIL import Image
from small_sets import small_set, write_raw_files

from dnn.datasets import load_dataset

SHELL_TEXT = "".join(block.text for block in blocks_of("sh")).replace("\\\n", "")
PARTS = {part for line in SHELL_TEXT.splitlines() for part in line.split("&&")}
COMMANDS = sorted({" ".join(shlex.split(part, comments=True)) for part in PARTS} - {""})
"""Each command of the shell blocks, without its comment."""
SCRIPT_LINES = [c.removeprefix("python scripts/") for c in COMMANDS if c.startswith("python scripts/")]
OTHER_LINES = [c for c in COMMANDS if not c.startswith("python scripts/")]
TRAIN = "--dataset digits --hidden 16 --epochs 1 --quiet --run-dir runs/{n}"
TIME = "--dataset digits --updates 50 --rotations 1 --contenders numpy"
SMALL = {
    "train.py --backend auto": TRAIN,
    "train.py --blocks 8 --batch-size 800": TRAIN,
    "train.py --help": "",
    "train.py --backend cupy": TRAIN,  # without a GPU this and the next four warn and go on with NumPy
    "train.py --backend cupy --graphs": TRAIN,
    "train.py --backend torch --device cuda": TRAIN,
    "train.py --backend torch --device cuda --graphs": TRAIN,
    "train.py --backend cupy --precision tf32": TRAIN,
    "train.py --backend numpy --precision reproducible --epochs 1 --limit 1000": TRAIN,
    "train.py --backend torch --precision reproducible --epochs 1 --limit 1000": TRAIN,
    "evaluate.py runs/NAME --backend torch": "",
    "predict.py runs/NAME digit.png": "--backend numpy",
    "draw.py runs/NAME": "",
    "export.py runs/NAME model.onnx": "",
    "export.py runs/NAME pixels.onnx --input uint8": "",
    "doctor.py": "",
    "agree.py": "--quick --levels L0 --dataset digits --backends numpy",
    "agree.py --quick": "--levels L0 --dataset digits --backends numpy",
    "agree.py --mutant tf32": "--quick --levels L2 --dataset digits",
    "benchmark.py": TIME,
    "benchmark.py --pages docs": TIME,
    "benchmark.py --workloads --rotations 12 --pages docs": "--updates 1 --rotations 1 --contenders numpy",
    "readme_results.py": "--dataset digits --limit 100 --epochs 1",
    "readme_results.py --presets": "--limit 100 --epochs 1",
    "gpu_check.py": "--parts doctor",
    "gpu_check.py --json gpu.json": "--parts doctor",
    "lecture.py --list": "",
    "lecture.py --pages docs": "--dataset digits --limit 60 --epochs 1 --seeds 1 --backend numpy",
    "examples/predict_disease.py": "--seeds 1",
    "examples/find_anomalies.py": "--seeds 1",
    "examples/from_scratch.py --library torch --activation sigmoid": "--epochs 1",
}
"""Command line in a document -> options that the test adds to make the run short."""
EXIT_CODES = {
    "agree.py --mutant tf32": {1},
    "gpu_check.py": {0, 3},
    "gpu_check.py --json gpu.json": {0, 3},
}
"""Where it is not 0: a mutant must fail, and gpu_check ends with 3 on a machine without a GPU."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with what the documents' commands read: pages, a run, a picture, a small MNIST."""
    place = tmp_path_factory.mktemp("place")
    shutil.copy(ROOT / "README.md", place)
    shutil.copytree(ROOT / "docs", place / "docs")
    options = TRAIN.replace("{n}", "NAME").split()
    succeed("train", *options, "--backend", "numpy", cwd=place)
    digit = load_dataset("digits").x_test[0].reshape(8, 8)
    Image.fromarray(digit).resize((80, 80)).save(place / "digit.png")
    write_raw_files(place / "data", small_set())
    return place


QUICK_LINES = ["train.py --backend auto", "evaluate.py runs/NAME --backend torch"]


@pytest.mark.parametrize("command", others_slow(SCRIPT_LINES, QUICK_LINES))
def test_command_lines_run(command, place, monkeypatch):
    assert command in SMALL, "a new command line: give it small settings in SMALL"
    name = str(SCRIPT_LINES.index(command))
    script, *arguments = f"{command} {SMALL[command]}".replace("{n}", name).split()
    script = script.removesuffix(".py")
    monkeypatch.chdir(place)
    if script == "examples/from_scratch":
        monkeypatch.delenv("DNN_DATA_DIR", raising=False)  # so that it reads the small MNIST in ./data
    if script == "draw":  # runs until Ctrl-C
        pytest.importorskip("uvicorn", reason="the page's server")
        with serving(*arguments):
            return
    done = run_here(script, *arguments)
    assert done.returncode in EXIT_CODES.get(command, {0}), done.stderr
    assert "Traceback" not in done.stderr


SOURCES = "".join(
    text_of(path)
    for folder in ("dnn/commands", "scripts", "tests/faults")
    for path in (ROOT / folder).rglob("*.py")
)


def assert_options_exist(line):
    assert [option for option in re.findall(r"--[\w-]+", line) if f'"{option}"' not in SOURCES] == []


@pytest.mark.parametrize("command", OTHER_LINES)
def test_other_command_lines_exist(command):
    """The targets of make, and the options of scripts under torchrun."""
    program, *arguments = command.split()
    if program == "make":
        assert f"\n{arguments[0]}:" in text_of("Makefile")
    elif program == "torchrun":
        assert_options_exist(" ".join(arguments).partition("scripts/")[2])


@each_document
def test_extras_exist(document):
    extras = PROJECT["project"]["optional-dependencies"]
    named = re.findall(r"pip install [^`\n]*?\[([\w,]+)\]", text_of(document))
    assert {extra for some in named for extra in some.split(",")} <= set(extras)


@each_document
def test_command_lines_in_text_have_real_options(document):
    for line in re.findall(r"`python (?:scripts/|-m tests)([^`]*)`", text_of(document)):
        assert_options_exist(line)
