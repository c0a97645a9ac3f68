"""README.md, CONTRIBUTING.md and docs/: what they show runs, and what they name exists.

The Python blocks of a document run in order in one namespace; only MNIST is replaced by a small data set. The
guide's blocks run on three backends and print what the guide says. Command lines run with small settings
added from the table SMALL, which must name each of them.
"""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from command_lines import SCRIPTS, run_here, serving
from documents import (
    DOCUMENTS,
    GUIDE,
    NAMES,
    OTHER_LINES,
    ROOT,
    SCRIPT_LINES,
    blocks,
    blocks_of,
    find_numbers,
    printed_text,
    reading_list,
)
from helpers import others_slow
from PIL import Image
from small_sets import small_set, write_raw_files

import backends
import dnn.datasets
from dnn import LAYERS, LOSSES
from dnn.interop.onnx import LAYER_NODES

SPINE_LINES = 2300
README_LINES = 150
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ENTRY_POINT_GROUPS = ("dnn.backends",)
NEED_NOT_BE_OPENED = {
    "backends": "gives its names only",
    "backends.processor": "names the processor, and says whether there is a GPU's driver",
    "backends.smoke_test": "tries a backend out",
    "backends.errors": "two exceptions and the form of their messages",
    "backends.numpy.blas": "how many threads NumPy's products have",
    "backends.numpy.products": "x @ W",
    "backends.plan": "an update as data",
    "backends.table": "a mapping",
    "backends.threads": "number of threads of a product",
    "backends.reference": "the kernels by name",
    "backends.reference.control": "names of the elements of the control array",
    "backends.reference.declaration": "what a kernel writes, for the checks",
    "backends.reference.quotient": "a / b",
    "backends.reference.signatures": "names of types",
    "backends.reproducible": "the same bits on every backend, if asked for",
    "dnn.io.": "saving",
    "dnn.callbacks.progress_bar": "what fit prints",
    "dnn.copies": "copies of a model",
    "dnn.hints": "warnings, and a table of the layers",
    "dnn.keras_names": "says what to use instead of a name of Keras",
    "dnn.training.sparse": "sparse batches, taken as they are by the first Dense layer",
    "dnn.layers": "gives its names only",
    "dnn.layers.buffers": "arrays that are made once",
    "dnn.layers.containers": "calls layers one after another, and backward in the opposite order",
    "dnn.layers.activated": "f after z, and f' before the gradients",
    "dnn.layers.initializers": "the weights at the start",
    "dnn.layers.input": "the shape of an example",
    "dnn.layers.model_part": "the error of a layer without a model",
    "dnn.losses": "a loss's kernel and the activation in it",
    "dnn.metrics": "counts right predictions",
    "dnn.optimizers": "gives its names only",
    "dnn.optimizers.regularizers": "adds the price of large weights to the gradients",
    "dnn.optimizers.schedules": "a table of rates",
    "dnn.random": "random numbers by key",
    "dnn.training": "gives its names only",
    "dnn.training.runners": "chooses how updates run",
    "dnn.training.callback": "watches",
    "dnn.training.evaluation": "forward and loss, without training",
    "dnn.training.history": "lists of numbers",
    "dnn.training.planning": "the same updates as data, for a backend that is faster so",
    "dnn.training.state": "saving",
    "dnn.training.totals": "adds up losses",
    "dnn.training.stream": "batches from an iterable",
    "dnn.validation.": "refuses what does not fit",
    "dnn.distributed.": "processes that share a batch",
}
"""Modules outside of the reading list that a file in it imports, and what is enough to know;
a name with a dot at its end stands for all that is in it."""

TRAIN = "--dataset digits --hidden 16 --epochs 1 --quiet --run-dir runs/{n}"
TIME = "--dataset digits --hidden 16 --updates 20 --rotations 1 --contenders numpy"
IMAGES = "--dataset digits --epochs 1 --limit 100 --seeds 1 --backend numpy"
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
    "benchmark.py --rotations 24 --contenders numpy numba torch pytorch pytorch-fused torch-compile jax "
    "keras-jax sklearn": TIME,
    "gpu_check.py": "--parts doctor",
    "gpu_check.py --json gpu.json": "--parts doctor",
    "lecture.py --list": "",
    "examples/predict_disease.py": "--epochs 1 --folds 2 --seeds 1 --backend numpy",
    "examples/find_anomalies.py": IMAGES,
    "examples/find_anomalies.py --normal 5 6 7 8 9": IMAGES,
    "examples/find_anomalies.py --dataset mnist --limit 5000 --epochs 20": IMAGES,
    "examples/from_scratch.py": "--epochs 1",
    "examples/from_scratch.py --library torch --activation sigmoid": "--epochs 1",
}
"""A command line as it stands in a document -> what is added to make it small."""
EXIT_CODES = {"agree.py --mutant tf32": {1}, "gpu_check.py": {0, 3}, "gpu_check.py --json gpu.json": {0, 3}}
"""Where it is not 0: a mutant must fail, and gpu_check ends with 3 on a machine without a GPU."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_block_is_checked(document):
    for block in blocks(document):
        assert block.language in ("python", "sh", "toml", "mermaid", "text", "{toctree}", "{eval-rst}"), block
    prose = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"\n\n {4}\S", prose), "an indented block, expected ```"


# ----- Python


def small_mnist(name, *arguments, **settings):
    """``load_dataset`` with the digits in the middle of 28 x 28 pixels as MNIST."""
    data = load_dataset("digits")
    if name != "mnist":
        return data

    def padded(x):
        return np.pad(x.reshape(-1, 8, 8), ((0, 0), (10, 10), (10, 10))).reshape(-1, 784)

    return dnn.datasets.Dataset(
        name, padded(data.x_train), data.y_train, padded(data.x_test), data.y_test, (28, 28), 10
    )


load_dataset = dnn.datasets.load_dataset


@pytest.fixture
def python_blocks(monkeypatch, tmp_path):
    """Yield a document's Python blocks. Each runs before the next is requested, in its own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # a page may change it
    monkeypatch.setattr(dnn.datasets, "load_dataset", small_mnist)
    for table in (LAYERS, LOSSES, LAYER_NODES):  # a page may add to them
        monkeypatch.setattr(table, "_entries", dict(table._entries))

    def run_each(document):
        namespace = {"__name__": "document"}
        for block in blocks(document):
            if block.language == "python":
                text = "\n" * block.line + block.text  # so that a traceback has the document's lines
                exec(compile(text, str(document), "exec", dont_inherit=True), namespace)
                yield block

    return run_each


# README.zh.md has README.md's programs: see test_both_readmes_have_the_same_numbers.
OTHERS = [document for document in DOCUMENTS if document not in GUIDE and document.name != "README.zh.md"]

# The program on this page takes 6 s; array-agreement/tests cover what it does.
QUICK_DOCUMENTS = [document for document in OTHERS if document.name != "agreement-for-your-code.md"]


@pytest.mark.parametrize("document", others_slow(OTHERS, QUICK_DOCUMENTS), ids=lambda path: path.name)
def test_python_blocks_run(document, python_blocks):
    for _ in python_blocks(document):
        pass


@pytest.mark.parametrize("name", others_slow(["numpy", "numba", "torch"], ["numpy"]))
@pytest.mark.parametrize("document", GUIDE, ids=lambda path: path.name)
def test_guide_runs_on_each_backend(document, name, make_backend, python_blocks, monkeypatch, capsys):
    make_backend(name)  # or skip the test
    get_backend = backends.get_backend

    def other(given, *arguments, **options):
        return get_backend(name if given == "numpy" else given, *arguments, **options)

    monkeypatch.setattr(backends, "get_backend", other)
    for block in python_blocks(document):
        assert_printed(capsys.readouterr().out, printed_text(block))


NUMBER = r"-?\b\d+(?:\.\d*)?(?:e[-+]\d+)?"


def assert_printed(found, wanted):
    """Compare words and integers exactly and other numbers approximately, since rounding differs."""
    assert re.sub(NUMBER, "0", found).split() == re.sub(NUMBER, "0", wanted).split(), found
    for one, two in zip(re.findall(NUMBER, found), re.findall(NUMBER, wanted), strict=True):
        near = {"rel": 0.05, "abs": 0.03} if "." in two else {"rel": 0.0, "abs": 0.0}
        assert float(one) == pytest.approx(float(two), **near), found


def test_wrong_guide_output_is_found():
    assert_printed("300 of 999: 0.502", "300 of 999: 0.5")
    for found in ("301 of 999: 0.5", "300 of 999: 0.54", "300 in 999: 0.5", "300 of 999:", ""):
        with pytest.raises(AssertionError):
            assert_printed(found, "300 of 999: 0.5")


def pages_of(toctree):
    """Return the paths of the pages in a table of contents."""
    names = [line for line in toctree.text.splitlines() if line and not line.startswith(":")]
    return [toctree.document.parent / f"{name}.md" for name in names]


@pytest.mark.parametrize(
    "block", blocks_of("{eval-rst}", "{toctree}"), ids=lambda b: f"{b.document.name}:{b.line}"
)
def test_site_names_exist(block):
    """Sphinx checks this too (make docs), but the tests do not need it."""
    if block.language == "{toctree}":
        assert [page for page in pages_of(block) if not page.is_file()] == []
    for name in re.findall(r"^\.\. automodule:: (\S+)$", block.text, re.MULTILINE):
        importlib.import_module(name)
    for name in re.findall(r"^\.\. autoclass:: (\S+)$", block.text, re.MULTILINE):
        module, _, attribute = name.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), attribute), type)


def test_every_page_is_in_the_site():
    """Each page is in the table of contents of docs/index.md."""
    named = {page for block in blocks_of("{toctree}") for page in pages_of(block)}
    pages = {path for path in DOCUMENTS if ROOT / "docs" in path.parents}
    assert pages - named == {ROOT / "docs" / "index.md"}


# ----- command lines


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with what the documents' commands read: a run, a picture, a small MNIST."""
    place = tmp_path_factory.mktemp("place")
    options = TRAIN.replace("{n}", "NAME").split()
    assert run_here("train", *options, "--backend", "numpy", cwd=place).returncode == 0
    digit = load_dataset("digits").x_test[0].reshape(8, 8)
    Image.fromarray(digit).resize((80, 80)).save(place / "digit.png")
    write_raw_files(place / "data", small_set())
    return place


QUICK_LINES = ["train.py --backend auto", "evaluate.py runs/NAME --backend torch"]


@pytest.mark.parametrize("command", others_slow(SCRIPT_LINES, QUICK_LINES))
def test_command_lines_run(command, place, monkeypatch):
    assert command in SMALL, "a new command line: give it small settings in SMALL"
    script, *arguments = f"{command} {SMALL[command]}".replace(
        "{n}", str(SCRIPT_LINES.index(command))
    ).split()
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


def test_small_settings_are_all_used():
    assert set(SMALL) == set(SCRIPT_LINES)


def test_make_train_installs_numba():
    if shutil.which("make") is None:
        pytest.skip("make: not installed")
    for words, extras in ((["CUDA="], "fast"), (["BACKEND=cupy", "CUDA=cuda12"], "fast,cuda12")):
        command = ["make", "--dry-run", "train", "VENV=none", *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert f"--editable '.[{extras}]'" in done.stdout


def source_of(script):
    """Return the text of a script, its command, and the modules that declare shared options."""
    commands = ROOT / "dnn" / "commands"
    shared = commands / "options.py", SCRIPTS / "examples" / "_example.py"
    files = ROOT / script, commands / Path(script).name, *shared
    return "".join(path.read_text(encoding="utf-8") for path in files if path.is_file())


@pytest.mark.parametrize("command", OTHER_LINES)
def test_other_command_lines_exist(command):
    """pip, make, python -m and bash commands are checked but not run."""
    program, *arguments = command.split()
    if program == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert arguments[0] in targets
    elif program == "bash":
        assert (ROOT / arguments[0]).is_file()
    elif program == "torchrun":
        (script,) = (word for word in arguments if word.startswith("scripts/"))
        source = source_of(script)
        ours = arguments[arguments.index(script) :]
        assert all(f'"{word}"' in source for word in ours if word.startswith("--"))
    elif program == ".":
        assert arguments == [".venv/bin/activate"]
    else:
        assert (program, arguments[:2]) in (
            ("pip", ["install", arguments[1]]),
            ("python", ["-m", "venv"]),
            ("python", ["-m", "pytest"]),
        )


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_extras_exist(document):
    extras = PROJECT["project"]["optional-dependencies"]
    named = re.findall(r"pip install [^`\n]*?\[([\w,]+)\]", document.read_text(encoding="utf-8"))
    assert {extra for some in named for extra in some.split(",")} <= set(extras)


@pytest.mark.parametrize("block", blocks_of("toml"), ids=lambda block: f"{block.document.name}:{block.line}")
def test_toml_blocks_parse(block):
    assert tomllib.loads(block.text)


# ----- names


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_links_and_paths_exist(document):
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    missing = [link for link in links if not (document.parent / link).exists()]
    paths = re.findall(r"\b(?:backends|dnn|docs|scripts|tests)/[\w/.-]*\w", text)
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()  # what a command may make
    expected = [path for path in paths if "NAME" not in path and f"/{path}/" not in ignored]
    missing += [path for path in expected if not (ROOT / path).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_modules_and_names_exist(document):
    """Checks names such as `dnn.metrics` and `dnn.lbfgs.minimise`."""
    for name in re.findall(r"`((?:backends|dnn)(?:\.\w+)+)[`(]", document.read_text(encoding="utf-8")):
        if name in ENTRY_POINT_GROUPS:
            continue
        module, _, attribute = name.rpartition(".")
        if not hasattr(importlib.import_module(module), attribute):
            importlib.import_module(name)


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_lines_are_short(document):
    """Under 120 characters, except tables, diagrams and Chinese, where a line break would be a space."""
    text = re.sub(r"^```mermaid\n.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    long = [line for line in text.splitlines() if len(line) >= 120 and not line.startswith("|")]
    assert long == [] or document.name.endswith(".zh.md") or document.name == "lecture.md"


def test_both_readmes_have_the_same_numbers():
    """The Chinese README has no additional numbers, and the same tables, programs and number of headings.

    Both are short.
    """
    pages = [ROOT / "README.md", ROOT / "docs" / "README.zh.md"]
    english, chinese = (path.read_text(encoding="utf-8") for path in pages)
    assert f"]({pages[1].relative_to(ROOT)})" in english[: english.index("\n## ")]
    assert Counter(find_numbers(chinese)) - Counter(find_numbers(english)) == Counter()
    assert len(find_numbers(chinese)) > 30
    rows = [
        [find_numbers(line) for line in text.splitlines() if line[:1] == "|"] for text in (english, chinese)
    ]
    assert [row for row in rows[1] if row not in rows[0]] == []
    one, two = (len(re.findall("^##", text, re.MULTILINE)) for text in (english, chinese))
    assert one == two > 5
    assert max(len(text.splitlines()) for text in (english, chinese)) <= README_LINES
    programs = [[b.text for b in blocks(page) if b.language in ("python", "text")] for page in pages]
    assert programs[0] == programs[1]


def test_every_package_is_described():
    """docs/architecture.md contains all layers of import-linter."""
    (contract,) = (c for c in PROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    rooms = {room for layer in contract["layers"] for room in re.split(r"\W+", layer)}
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert rooms <= set(re.findall(r"^- `(\w+)`:", text, re.MULTILINE))


# ----- the reading list


def test_reading_list_order():
    files = reading_list()
    assert files[:2] == ["scripts/examples/from_scratch.py", "docs/one-update.md"]
    assert files[-2:] == ["backends/registry.py", "backends/dispatch.py"]
    stops = ("dense_layer", "losses", "optimizer", "layer", "dense", "network", "step", "loop")
    names = [file.rpartition("/")[2].removesuffix(".py") for file in files]
    assert [name for name in names if name in stops] == list(stops)
    assert len(files) == len(set(files))
    library = [ROOT / file for file in files[2:]]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in library) <= SPINE_LINES


@pytest.mark.parametrize("name", [name for name in reading_list() if name.endswith(".py")])
def test_reading_list_is_self_contained(name):
    """The imports of its files are in the list, or are known not to be needed."""
    inside = {file.removesuffix(".py").replace("/", ".") for file in reading_list()}
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    for module in (node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)):
        if module.split(".")[0] in ("backends", "dnn") and module not in inside:
            assert {module, f"{module.rpartition('.')[0]}."} & NEED_NOT_BE_OPENED.keys(), module


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_command_lines_in_text_have_real_options(document):
    text = document.read_text(encoding="utf-8")
    text = text.replace("`python -m tests.faults", "`python tests/faults/__main__.py")
    for script, rest in re.findall(r"`python ((?:scripts|tests)/[\w/]+\.py)([^`]*)`", text):
        source = source_of(script)
        for option in re.findall(r"--[\w-]+", rest):
            assert f'"{option}"' in source, (script, option)
