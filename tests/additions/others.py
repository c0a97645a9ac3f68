"""A kernel, a callback, a command-line option and a backend."""

from additions.addition import Addition, document_part

KERNEL = [
    Addition(
        "backends/numba/log_sigmoid.py",
        '''"""log(sigmoid(z)) in one pass."""

import numpy as np

from backends.numba.compilation import jit_cached
from backends.numpy.kernels import NumpyKernels


@jit_cached
def _log_sigmoid(z, y):
    for place in np.ndindex(z.shape):
        y[place] = np.minimum(z[place], 0.0) - np.log1p(np.exp(-abs(z[place])))


class NumbaActivations(NumpyKernels):
    """Activations as compiled loops."""

    def activation(self, name, z, y):
        if name == "log_sigmoid":
            _log_sigmoid(z, y)
        else:
            super().activation(name, z, y)
''',
    ),
    Addition(
        "backends/numba/kernels.py",
        "from backends.numba.log_sigmoid import NumbaActivations\n",
        before="from backends.numpy.kernels",
    ),
    Addition("backends/numba/kernels.py", "NumbaActivations, ", before="NumpyKernels):"),
]

CALLBACK = [
    Addition(
        "dnn/callbacks/epoch_counter.py",
        '''"""The number of the epoch, as a number beside the loss."""

from typing import Any

from dnn.training.callback import Callback


class EpochCounter(Callback):
    """Adds "epoch_number" to the history."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        logs["epoch_number"] = float(epoch)
''',
    ),
    Addition(
        "dnn/callbacks/__init__.py",
        "from dnn.callbacks.epoch_counter import EpochCounter\n",
        before="from dnn.callbacks.loggers",
    ),
    Addition("dnn/callbacks/__init__.py", '    "EpochCounter",\n', before='    "CSVLogger", "Callback",'),
    Addition(
        "dnn/__init__.py",
        "from dnn.callbacks.epoch_counter import EpochCounter\n",
        before="from dnn.callbacks.loggers",
    ),
    Addition("dnn/__init__.py", '    "EpochCounter",\n', before='    "LBFGS", "BackendUnavailable",'),
    Addition(
        "tests/dnn/callbacks/test_epoch_counter.py",
        """from helpers import small_data, small_model

import dnn
from backends import get_backend


def test_epoch_counter():
    history = small_model(get_backend("numpy")).fit(*small_data(), epochs=3, callbacks=[dnn.EpochCounter()])
    assert history.history["epoch_number"] == [1.0, 2.0, 3.0]
""",
    ),
    *document_part("The callback EpochCounter."),
]

OPTION = [
    Addition(
        "dnn/commands/train_options.py",
        '    add("--remark", default="", metavar="TEXT", help="kept in config.json")\n',
        before='    add("--limit", type=int, metavar="N"',
    ),
    Addition(
        "dnn/commands/train_options.py", '    **_options("remark"),\n', before='    **_options("hidden '
    ),
    Addition("tests/scripts/test_options.py", '"remark": "", ', before='"hidden": [500, 500], "activation"'),
    Addition(
        "tests/dnn/commands/test_train.py",
        """

def test_a_remark_is_kept(tmp_path):
    from command_lines import run_here

    words = "--dataset digits --hidden 4 --epochs 1 --backend numpy --quiet --remark hello --run-dir".split()
    assert run_here("train", *words, tmp_path / "run").returncode == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["remark"] == "hello"
""",
    ),
    Addition("docs/guide/commands.md", "\n`train --remark TEXT` is kept in `config.json`.\n"),
    Addition("CHANGELOG.md", "- `train --remark`.\n"),
]

BACKEND = [
    Addition(
        "mylib.py",
        '''"""A backend of another package: NumPy's arrays and the reference kernels."""

import array_api_compat.numpy as xp

from backends import Backend


def make(device, dtype, fused):
    return Backend("mylib", xp, "cpu", dtype, fused)
''',
    ),
    Addition("mylib-0.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: mylib\nVersion: 0.1\n"),
    Addition("mylib-0.1.dist-info/entry_points.txt", "[dnn.backends]\nmylib = mylib:make\n"),
]
