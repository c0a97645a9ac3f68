"""The layer GroupNormalization, with its kernels, its counterparts and their cases."""

from additions.addition import Addition, document_part

LAYER = [
    Addition(
        "backends/reference/group_norm.py",
        '''"""Normalisation of groups of channels, over all places of an example."""

from typing import Any

from backends.reference.declaration import KernelBase, kernel
from backends.reference.signatures import Array, Arrays


def _parts(xp: Any, x: Array, groups: int) -> Array:
    """x (N, places, n) as (N, places, groups, n / groups)."""
    return xp.reshape(x, (*x.shape[:2], groups, x.shape[2] // groups))


class GroupNormKernels(KernelBase):
    """Group normalisation and its gradients."""

    @kernel(writes=("stats", "y"))
    def group_norm(
        self, x: Array, gamma: Array, beta: Array, groups: int, epsilon: float, stats: Arrays, y: Array
    ) -> None:
        """``y = x^ gamma + beta`` with mean and variance of each group of channels (Wu and He 2018).

        Reads x (N, places, n), gamma, beta (n,); writes stats: mean and inverse (N, groups), and y like x.
        """
        xp = self.xp
        mean, inverse = stats
        parts = _parts(xp, x, groups)
        mean[...] = xp.mean(parts, axis=(1, 3))
        centred = parts - mean[:, None, :, None]
        inverse[...] = 1.0 / xp.sqrt(xp.mean(centred * centred, axis=(1, 3)) + epsilon)
        y[...] = xp.reshape(centred * inverse[:, None, :, None], x.shape) * gamma + beta

    @kernel(writes=("gradients",))
    def group_norm_backward(
        self, dy: Array, x: Array, stats: Arrays, gamma: Array, groups: int, gradients: Arrays
    ) -> None:
        """``dgamma = sum dy x^``, ``dbeta = sum dy``, ``dx = inverse (g - mean(g) - x^ mean(g x^))``.

        Reads dy, x (N, places, n), stats: mean and inverse (N, groups), gamma (n,); writes the gradients:
        dgamma, dbeta (n,) and dx (N, places, n) unless that is None.
        """
        xp = self.xp
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
    Addition(
        "backends/reference/__init__.py",
        "from backends.reference.group_norm import GroupNormKernels\n",
        before="from backends.reference.losses",
    ),
    Addition("backends/reference/__init__.py", "GroupNormKernels, ", before="GatherKernels, DenseKernels"),
    Addition(
        "dnn/layers/group_normalization.py",
        '''"""GroupNormalization: statistics of groups of channels over all pixels of an example."""

from dataclasses import field
from math import prod

import numpy as np

from backends import Array
from dnn.layers.layer import Layer, Shape
from dnn.random import Key
from dnn.settings.checks import Count, NotNegative


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
        buffers = self._buffers(x)
        buffers.x = x
        value = self.value
        statistics = buffers.mean, buffers.inverse
        settings = self.groups, self.epsilon
        y = self._rows(buffers.y)
        kernels = self.backend.kernels
        kernels.group_norm(self._rows(x), value["gamma"], value["beta"], *settings, statistics, y)
        return buffers.y

    def backward(self, dy: Array) -> Array | None:
        """Call the kernel; its docstring has the formula."""
        buffers = self._buffers(dy)
        statistics = buffers.mean, buffers.inverse
        dx = None if not self._needs_dx else self._rows(buffers.dx)
        out = self.gradient["gamma"], self.gradient["beta"], dx
        rows = self._rows(dy), self._rows(buffers.x)
        kernels = self.backend.kernels
        kernels.group_norm_backward(*rows, statistics, self.value["gamma"], self.groups, out)
        return buffers.dx if self._needs_dx else None
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
    return nn_module("GroupNorm", *arguments)


LAYER_TWINS.add(
    "GroupNormalization",
    LayerTwin(
        ("GroupNorm",),
        _group_norm,
        lambda module, activation, name: LAYERS["GroupNormalization"](
            module.num_groups, epsilon=module.eps, name=name
        ),
        _SCALES,
        acts_on="channels",
    ),
)
""",
    ),
    Addition("dnn/interop/torch/layers.py", "LAYERS, ", before="Activation, Layer\n"),
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
        "dnn/agreement/calls/dense_calls.py",
        """

def group_norm_calls(draw: Draw) -> Iterator[Call]:
    \"\"\"Yield calls of group normalisation.\"\"\"
    for batch, (places, n, groups) in cover_pairs(BATCHES, ((1, 6, 2), (35, 8, 4), (4, 5, 1))):
        x, gamma, beta = draw(batch, places, n) / 2.0 + 1.0, draw(n) + 5.0, draw(n)
        stats = output_array(batch, groups), output_array(batch, groups)
        y = output_array(*x.shape)
        k = places * n // groups
        arguments = x, gamma, beta, groups, 0.01, stats, y
        yield Call("group_norm", arguments, k)
        parts = x.reshape(batch, places, groups, n // groups)
        mean, variance = parts.mean(axis=(1, 3)), parts.var(axis=(1, 3))
        stats = single(mean), single(1.0 / np.sqrt(variance + 0.01))
        for dx in (None, output_array(*x.shape)):
            gradients = output_array(n), output_array(n), dx
            given = draw(*x.shape) + x + 2.0, x, stats, gamma, groups, gradients
            yield Call("group_norm_backward", given, max(k, batch * places))
""",
    ),
    Addition(
        "dnn/agreement/level0_kernels.py",
        "dense_calls.group_norm_calls, ",
        before="image_calls.convolution_calls",
    ),
    *document_part("The layer GroupNormalization."),
]
