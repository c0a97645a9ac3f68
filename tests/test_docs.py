"""README.md, CONTRIBUTING.md and docs/: what they show runs.

The Python blocks of a document run in order in one namespace; only MNIST is replaced by a small data set. The
guide's blocks run on three backends and print what the guide says.
"""

from __future__ import annotations

import re
import tomllib

import numpy as np
import pytest
from documents import CHINESE, DOCUMENTS, GUIDE, NAMES, blocks, blocks_of, printed_text
from helpers import others_slow

import backends
import dnn.datasets
from dnn import LAYERS, LOSSES
from dnn.interop.onnx import LAYER_NODES


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_block_is_checked(document):
    for block in blocks(document):
        assert block.language in ("python", "sh", "toml", "mermaid", "text", "{toctree}", "{eval-rst}"), block
    prose = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"\n\n {4}\S", prose), "an indented block, expected ```"


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


OTHERS = [document for document in DOCUMENTS if document not in [*GUIDE, *CHINESE]]

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


@pytest.mark.parametrize("block", blocks_of("toml"), ids=lambda block: f"{block.document.name}:{block.line}")
def test_toml_blocks_parse(block):
    assert tomllib.loads(block.text)
