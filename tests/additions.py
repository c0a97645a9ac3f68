"""One toy of each kind that CONTRIBUTING.md describes, as the text that its list of files asks for.

test_contributing.py adds them to a copy of the checkout.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Addition(NamedTuple):
    """Text for one file: a new file, or text to append, or to insert before the text ``before``."""

    file: str
    text: str
    before: str = ""

    def write(self, root: Path) -> None:
        path = root / self.file
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if self.before:
            assert old.count(self.before) == 1, (
                f"{self.file} has {old.count(self.before)} times {self.before!r}"
            )
            new = old.replace(self.before, self.text + self.before)
        else:
            new = old + self.text
        path.write_text(new, encoding="utf-8")


def document_part(line: str) -> list[Addition]:
    """Return a line for the list of components and one for the changelog."""
    return [Addition("docs/guide/parts.md", f"\n- {line}\n"), Addition("CHANGELOG.md", f"- {line}\n")]


ACTIVATION = [
    Addition(
        "backends/reference/activations.py",
        """    "softsign": ActivationFunction(
        lambda xp, z: z / (1.0 + xp.abs(z)),
        lambda xp, dy, z, y: dy * (1.0 - xp.abs(y)) ** 2,
        from_output=True,
    ),
""",
        before='    "softplus": ActivationFunction(\n',
    ),
    Addition("dnn/interop/torch/layers.py", '\nACTIVATION_TWINS.add("softsign", ("Softsign", {}))\n'),
    Addition("dnn/interop/onnx/activations.py", '\nACTIVATION_NODES.add("softsign", one_node("Softsign"))\n'),
    Addition("tests/dnn/test_outsiders.py", '\nTORCH["softsign"] = torch.nn.functional.softsign\n'),
    *document_part("The activation softsign."),
]

KERNEL = [
    Addition(
        "backends/numba/softsign.py",
        '''"""softsign in one pass."""

import numpy as np

from backends.dispatch import override
from backends.numba.compilation import jit_cached


@jit_cached
def _softsign(z, y):
    for place in np.ndindex(z.shape):
        y[place] = z[place] / (1 + abs(z[place]))


@override(kinds=("softsign",))
def activation(xp, kind, z, y):
    _softsign(z, y)
''',
    ),
    Addition(
        "backends/numba/backend.py",
        "from backends.numba import softsign\n\n\n",
        before="@dataclass(frozen=True, eq=False)\nclass NumbaBackend",
    ),
    Addition("backends/numba/backend.py", "softsign, ", before="optimizers, random, warping)"),
]

LOSS = [
    Addition(
        "dnn/losses.py", '    "Huber",\n', before='    "MeanSquaredError", "SparseCategoricalCrossentropy",\n'
    ),
    Addition(
        "dnn/losses.py",
        '''@dataclass(frozen=True)
class Huber(Regression):
    """Squares up to a distance of delta, then straight lines; torch.nn.HuberLoss."""

    delta: Positive = 1.0

    name = "huber"
    examples = ({}, {"delta": 0.3})

    def compute(self, xp: Any, outputs: Array, targets: Array) -> tuple[Array, Array]:
        far = outputs - targets
        near = xp.clip(far, -self.delta, self.delta)
        return xp.mean(near * (far - 0.5 * near), axis=1), near / outputs.shape[1]


''',
        before="LOSSES: Table",
    ),
    Addition("dnn/losses.py", "Huber, ", before="MeanSquaredError, MeanAbsoluteError, Hinge,\n"),
    Addition("dnn/losses.py", "Positive, ", before="Share, assign, require_number"),
    Addition(
        "dnn/interop/torch/losses_and_optimizers.py",
        '\nLOSS_TWINS.add("huber", LossTwin("HuberLoss", lambda loss: {"delta": loss.delta}))\n',
    ),
    Addition(
        "tests/dnn/test_outsiders.py",
        """
TORCH_LOSSES["huber"] = lambda o, targets, dense: torch.nn.functional.huber_loss(o, dense)
TORCH_LOSSES["huber delta"] = lambda o, targets, dense: torch.nn.functional.huber_loss(o, dense, delta=0.3)
""",
    ),
    *document_part("The loss Huber, with its delta."),
]

OPTIMIZER = [
    Addition(
        "backends/reference/optimizers.py",
        '''

@optimizer_step()
def lion(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    """Lion (Chen et al. 2023).

    p = p - rate (sign(beta1 m + (1 - beta1) g) + weight_decay p);  m = beta2 m + (1 - beta2) g
    """
    (m,), (beta1, beta2, weight_decay) = slots, settings
    control[UPDATES] = control[UPDATES] + 1.0
    p[...] = p - control[RATE] * (xp.sign(beta1 * m + (1.0 - beta1) * g) + weight_decay * p)
    m[...] = _flush(xp, beta2 * m + (1.0 - beta2) * g, control[UPDATES])
''',
    ),
    Addition(
        "dnn/optimizers/rules.py",
        '''

@dataclass(frozen=True)
class Lion(Optimizer):
    """p = p - rate (sign(beta1 m + (1 - beta1) g) + weight_decay p);  m = beta2 m + (1 - beta2) g.

    Chen et al. 2023. torch.optim has no such optimizer.
    """

    learning_rate: float | Schedule = 1e-4
    beta1: Share = 0.9
    beta2: Share = 0.99
    weight_decay: NotNegative = 0.0

    name = "lion"
    slots = ("m",)
    examples = ({}, {"weight_decay": 0.1})
''',
    ),
    Addition(
        "dnn/optimizers/__init__.py",
        "from dnn.optimizers.rules import Lion\n",
        before="from dnn.optimizers.schedules",
    ),
    Addition("dnn/optimizers/__init__.py", '"Lion", ', before='"Optimizer", "RMSprop"]'),
    Addition("dnn/optimizers/__init__.py", ", Lion", before="\nOPTIMIZERS: Table"),
    Addition("tests/dnn/interop/torch/test_train.py", '\nNOT_IN_TORCH.add("lion")\n'),
    Addition(
        "tests/dnn/test_outsiders.py",
        """

def test_lion_is_its_paper(make_backend):
    from dnn.optimizers import Lion, OptimizerState

    backend = make_backend("numpy", "float64")
    parameters = Parameters(backend, {"p": (3,)})
    state = OptimizerState(Lion(0.5, weight_decay=0.1), parameters, backend)
    parameters.load({"p": np.asarray([1.0, -2.0, 0.0])})
    p, m = np.asarray([1.0, -2.0, 0.0]), np.zeros(3)
    for g in np.random.default_rng(0).normal(size=(5, 3)):
        parameters.gradient["p"][...] = g
        state.step()
        p, m = p - 0.5 * (np.sign(0.9 * m + 0.1 * g) + 0.1 * p), 0.99 * m + 0.01 * g
    np.testing.assert_allclose(parameters.to_host()["p"], p, rtol=1e-12)
""",
    ),
    *document_part("The optimizer Lion."),
]

LAYER = [
    Addition(
        "backends/reference/group_norm.py",
        '''"""Normalisation of groups of channels, over all places of an example."""

from typing import Any

from backends.reference.declaration import kernel
from backends.reference.signatures import Array, Arrays


def _parts(xp: Any, x: Array, groups: int) -> Array:
    """x (N, places, n) as (N, places, groups, n / groups)."""
    return xp.reshape(x, (*x.shape[:2], groups, x.shape[2] // groups))


@kernel(writes=("stats", "y"))
def group_norm(
    xp: Any, x: Array, gamma: Array, beta: Array, groups: int, epsilon: float, stats: Arrays, y: Array
) -> None:
    """``y = x^ gamma + beta`` with mean and variance of each group of channels (Wu and He 2018).

    Reads x (N, places, n), gamma, beta (n,); writes stats: mean and inverse (N, groups), and y like x.
    """
    mean, inverse = stats
    parts = _parts(xp, x, groups)
    mean[...] = xp.mean(parts, axis=(1, 3))
    centred = parts - mean[:, None, :, None]
    inverse[...] = 1.0 / xp.sqrt(xp.mean(centred * centred, axis=(1, 3)) + epsilon)
    y[...] = xp.reshape(centred * inverse[:, None, :, None], x.shape) * gamma + beta


@kernel(writes=("gradients",))
def group_norm_backward(
    xp: Any, dy: Array, x: Array, stats: Arrays, gamma: Array, groups: int, gradients: Arrays
) -> None:
    """``dgamma = sum dy x^``, ``dbeta = sum dy``, ``dx = inverse (g - mean(g) - x^ mean(g x^))``.

    Reads dy, x (N, places, n), stats: mean and inverse (N, groups), gamma (n,); writes the gradients: dgamma,
    dbeta (n,) and dx (N, places, n) unless that is None.
    """
    (mean, inverse), (dgamma, dbeta, dx) = stats, gradients
    normal = (_parts(xp, x, groups) - mean[:, None, :, None]) * inverse[:, None, :, None]
    dgamma[...] = xp.sum(dy * xp.reshape(normal, x.shape), axis=(0, 1))
    dbeta[...] = xp.sum(dy, axis=(0, 1))
    if dx is not None:
        g = _parts(xp, dy * gamma, groups)
        along = xp.mean(g * normal, axis=(1, 3), keepdims=True)
        found = inverse[:, None, :, None] * (g - xp.mean(g, axis=(1, 3), keepdims=True) - normal * along)
        dx[...] = xp.reshape(found, x.shape)
''',
    ),
    Addition("backends/reference/__init__.py", '"group_norm", ', before='"gather", "activations"'),
    Addition(
        "dnn/layers/group_normalization.py",
        '''"""GroupNormalization: statistics of groups of channels over all pixels of an example."""

from dataclasses import field
from math import prod

import numpy as np

from backends import Array, Backend
from dnn.layers.layer import Layer, Shape
from dnn.random import Key
from dnn.validation.settings import Count, NotNegative


class GroupNormalization(Layer):
    """Normalise each group of channels to mean 0 and variance 1 (Wu and He 2018); torch.nn.GroupNorm."""

    groups: Count
    epsilon: NotNegative = field(default=1e-5, kw_only=True)

    examples = ({"groups": 2},)
    buffers = ("y", "dx")

    def shape_after(self, input_shape: Shape) -> Shape:
        if input_shape[-1] % self.groups:
            expected = f"a multiple of its {self.groups} groups"
            raise self.input_error(f"got {input_shape[-1]} channels", expected)
        return input_shape

    def bind(self, backend: Backend) -> None:
        self._normalize, self._normalize_backward = backend.kernels("group_norm")

    def parameter_shapes(self) -> dict[str, Shape]:
        return {"gamma": self.input_shape[-1:], "beta": self.input_shape[-1:]}

    def initial_values(self, key: Key) -> dict[str, np.ndarray]:
        return {"gamma": np.ones(self.input_shape[-1]), "beta": np.zeros(self.input_shape[-1])}

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        mean, inverse = (self.backend.zeros((batch, self.groups)) for _ in range(2))
        return {**super().make_buffers(batch, training), "mean": mean, "inverse": inverse}

    def _rows(self, x: Array) -> Array:
        """x (B, ..., n) as (B, places, n)."""
        return self.backend.view(x, (x.shape[0], prod(self.input_shape[:-1]), self.input_shape[-1]))

    def forward(self, x: Array, *, training: bool) -> Array:
        """y = x^ gamma + beta; keeps x, mean and inverse."""
        buffers = self._buffers[x.shape[0]]
        buffers.x = x
        value = self.value
        statistics = buffers.mean, buffers.inverse
        settings = self.groups, self.epsilon
        y = self._rows(buffers.y)
        self._normalize(self._rows(x), value["gamma"], value["beta"], *settings, statistics, y)
        return buffers.y

    def backward(self, dy: Array) -> Array | None:
        """Call the kernel; its docstring has the formula."""
        buffers = self._buffers[dy.shape[0]]
        statistics = buffers.mean, buffers.inverse
        dx = None if self._first else self._rows(buffers.dx)
        out = self.gradient["gamma"], self.gradient["beta"], dx
        rows = self._rows(dy), self._rows(buffers.x)
        self._normalize_backward(*rows, statistics, self.value["gamma"], self.groups, out)
        return None if self._first else buffers.dx
''',
    ),
    Addition(
        "dnn/layers/__init__.py",
        "from dnn.layers.group_normalization import GroupNormalization\n",
        before="from dnn.layers.layer import Layer\n",
    ),
    Addition(
        "dnn/layers/__init__.py",
        '"GroupNormalization",\n    ',
        before='"Input", "Layer", "LayerNormalization"',
    ),
    Addition(
        "dnn/interop/torch/layers.py",
        """

def _group_norm(layer: Any) -> Module:
    arguments = layer.groups, layer.input_shape[-1], layer.epsilon
    return (image_module if len(layer.input_shape) == 3 else nn_module)("GroupNorm", *arguments)


LAYER_TWINS.add(
    "GroupNormalization",
    LayerTwin(
        ("GroupNorm",),
        _group_norm,
        lambda module, activation, name: LAYERS["GroupNormalization"](
            module.num_groups, epsilon=module.eps, name=name
        ),
        _SCALES,
    ),
)
""",
    ),
    Addition("dnn/interop/torch/layers.py", "    LAYERS,\n", before="    AveragePooling2D,\n    Batch"),
    Addition(
        "dnn/interop/onnx/layers.py",
        '''

def _group_norm(write: Writer, layer: Any, x: Value) -> Value:
    """A group is a channel of an InstanceNormalization."""
    groups, n, shape = layer.groups, layer.input_shape[-1], layer.input_shape
    apart = write.constant("groups", (0, groups, -1), "int64")
    whole = write.constant("shape", (0, n, *shape[:-1]), "int64")
    one, zero = write.constant("ones", np.ones(groups)), write.constant("zeros", np.zeros(groups))
    x = write.to_channels_first(x) if len(shape) > 1 else x
    parts = write.node("Reshape", x, apart, shape=(groups, -1))
    normal = write.node("InstanceNormalization", parts, one, zero, epsilon=layer.epsilon)
    back = write.node("Reshape", normal, whole, shape=shape, channels_first=len(shape) > 1)
    scaled = write.node("Mul", write.to_channels_last(back), write.parameter("gamma"))
    return write.node("Add", scaled, write.parameter("beta"))


LAYER_NODES.add("GroupNormalization", _group_norm)
''',
    ),
    Addition(
        "tests/layer_cases.py",
        """

def group_norm_cases(num: Any, kind: str | None) -> Iterator[Case]:
    for batch in BATCHES:
        for places, n, groups in ((1, 6, 2), (35, 8, 4), (4, 5, 1)):
            yield {
                "x": 2 * num.finite(batch, places, n) + 1,
                **_scales(num, n),
                "groups": groups,
                "epsilon": 1e-5,
                "stats": (num.garbage(batch, groups), num.garbage(batch, groups)),
                "y": num.garbage(batch, places, n),
            }


def group_norm_backward_cases(num: Any, kind: str | None) -> Iterator[Case]:
    for case in group_norm_cases(num, None):
        KERNELS["group_norm"].function(npx, *case.values())
        n = case["x"].shape[-1]
        for first in (False, True):
            dx = None if first else num.garbage(*case["x"].shape)
            yield {
                "dy": num.finite(*case["x"].shape) + 2,
                **{name: case[name] for name in ("x", "stats", "gamma", "groups")},
                "gradients": (num.garbage(n), num.garbage(n), dx),
            }
""",
    ),
    *document_part("The layer GroupNormalization."),
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
        "dnn/commands/train.py",
        '    add("--remark", default="", metavar="TEXT", help="kept in config.json")\n',
        before='    add("--limit", type=int, metavar="N", help="train on the first N images only")\n',
    ),
    Addition(
        "tests/scripts/test_hostile_values.py",
        '        "--remark": "a remark",\n',
        before='        "--dataset": "digits", "--hidden"',
    ),
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

SECTIONS = {
    "An activation": ACTIVATION,
    "A faster kernel": KERNEL,
    "A loss": LOSS,
    "An optimizer": OPTIMIZER,
    "A layer": LAYER,
    "A callback": CALLBACK,
    "A command-line option": OPTION,
}
"""Heading of CONTRIBUTING.md -> what its list of files asks for."""
