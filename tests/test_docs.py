"""README.md, CONTRIBUTING.md and docs/: what they show runs.

The Python blocks of a document run in order in one namespace; only MNIST is replaced by a small data set. The
guide's blocks run on three backends and print what the guide says, and notebooks what they store.
"""

import json
import re

import pytest
from documents import CHINESE, DOCUMENTS, GUIDE, NOTEBOOKS, blocks, text_of
from helpers import others_slow
from own_parts import TABLES
from small_sets import large_digits

import backends
import dnn.datasets
from dnn.datasets import load_dataset
from dnn.interop.onnx import LAYER_NODES


def small_mnist(name, *arguments, **settings):
    """``load_dataset`` with the digits in the middle of 28 x 28 pixels as MNIST."""
    return large_digits() if name == "mnist" else load_dataset(name)


@pytest.fixture
def python_blocks(monkeypatch, tmp_path):
    """Yield a document's Python blocks. Each runs before the next is requested, in its own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # a page may change it
    monkeypatch.setattr(dnn.datasets, "load_dataset", small_mnist)
    for table in (*TABLES, LAYER_NODES):  # a page may add to them
        monkeypatch.setattr(table, "_entries", dict(table._entries))

    def run_each(document):
        namespace = {"__name__": "document"}
        for block in blocks(document):
            if block.language == "python":
                text = "\n" * block.line + block.text  # so that a traceback has the document's lines
                exec(compile(text, str(document), "exec", dont_inherit=True), namespace)
                yield block

    return run_each


OTHERS = [document for document in DOCUMENTS if document not in [*GUIDE, *CHINESE]]


@pytest.mark.parametrize("document", OTHERS, ids=lambda path: path.name)
def test_python_blocks_run(document, python_blocks):
    for _ in python_blocks(document):
        pass


@pytest.mark.parametrize("name", others_slow(["numpy", "numba", "torch"], ["numpy"]))
@pytest.mark.parametrize("document", GUIDE, ids=lambda path: path.name)
def test_guide_runs_on_each_backend(document, name, make_backend, python_blocks, monkeypatch, capsys):
    make_backend(name)  # or skip the test
    get_backend = backends.get_backend

    def other(library, *arguments, **options):
        return get_backend(name if library == "numpy" else library, *arguments, **options)

    monkeypatch.setattr(backends, "get_backend", other)
    for block in python_blocks(document):
        assert_printed(capsys.readouterr().out, printed_text(block))


EXECUTED = [path for path in NOTEBOOKS if path.name != "gpu.ipynb"]  # which installs libraries


@pytest.mark.slow
@pytest.mark.parametrize("notebook", EXECUTED, ids=lambda path: path.name)
def test_notebooks_print_what_they_store(notebook, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for cell in json.loads(text_of(notebook))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), namespace)
            stored = "".join(line for output in cell["outputs"] for line in output["text"])
            assert_printed(capsys.readouterr().out, stored)


def printed_text(block):
    """Return what a Python block prints according to the document: the "text" block after it, or ""."""
    after = block.line + block.text.count("\n") + 3  # a closing fence, and an empty line
    return "".join(b.text for b in blocks(block.document) if (b.line, b.language) == (after, "text"))


EPOCH = re.compile(r"^epoch +\d+/\d+  .*\n", re.MULTILINE)
NUMBER = r"-?\b\d+(?:\.\d*)?(?:e[-+]\d+)?"


def assert_printed(found, wanted):
    """Compare words and integers exactly and other numbers approximately, since rounding differs.

    Pages may leave out the lines that ``fit`` prints.
    """
    if not EPOCH.search(wanted):
        found = EPOCH.sub("", found)
    assert re.sub(NUMBER, "0", found).split() == re.sub(NUMBER, "0", wanted).split(), found
    for one, two in zip(re.findall(NUMBER, found), re.findall(NUMBER, wanted), strict=True):
        near = {"rel": 0.05, "abs": 0.03} if "." in two else {"rel": 0.0, "abs": 0.0}
        assert float(one) == pytest.approx(float(two), **near), found
