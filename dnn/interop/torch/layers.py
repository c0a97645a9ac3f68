"""Our layers and activations as torch.nn modules and back: a new one is an entry in a table here.

One of your own: ``LAYER_TWINS.add("Mine", LayerTwin(...))``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backends import InputError
from backends.table import Table
from dnn.layers import (
    ELU,
    GELU,
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Block,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    LayerNormalization,
    LeakyReLU,
    MaxPooling2D,
    Parallel,
    Rescaling,
    Reshape,
    Residual,
)
from dnn.layers.augmentation import Augmentation
from dnn.validation.settings import look_up

Module = Any  # torch.nn.Module
Tensors = Mapping[str, tuple[str, tuple[int, ...]]]


class NoTwin(InputError):
    """A layer or module that has no counterpart on the other side."""


@dataclass(frozen=True)
class LayerTwin:
    """How one of our layers stands in torch."""

    modules: tuple[str, ...]  # the classes in torch.nn that it becomes; for images within ``ChannelsLast``
    # (our built layer) -> the module. Raises NoTwin where torch cannot do the same.
    make: Callable[[Any], Module]
    # (the module, without ChannelsLast, activation, name) -> our layer. For a container
    # the first is its settings and our layers, ``inner``.
    back: Callable[[Any, str, str | None], Layer]
    # Our short name -> (torch's name, axes): ours is torch's with its axes in this order
    parameters: Tensors = field(default_factory=dict)
    # The same for what is not trained, which is a buffer in torch.
    state: Tensors = field(default_factory=dict)
    activated: bool = False  # whether our layer contains an activation, which is a module of its own in torch


def _nn(name: str, *arguments: Any, **options: Any) -> Module:
    import torch

    return getattr(torch.nn, name)(*arguments, **options)


def _own(name: str, *arguments: Any) -> Module:
    """A module of ours, which torch.nn lacks."""
    from dnn.interop.torch import modules

    return getattr(modules, name)(*arguments)


def _images(name: str, *arguments: Any, **options: Any) -> Module:
    """A module of torch.nn for our images."""
    return _own("ChannelsLast", _nn(name, *arguments, **options))


def _border(layer: Any) -> tuple[int, int]:
    """The padding as torch takes it: the same above and below, left and right."""
    (top, bottom), (left, right) = layer.counted
    if (top, left) != (bottom, right):
        raise NoTwin(
            f"layer {layer.name!r} has padding {layer.counted}, expected equal sides, since torch.nn has no "
            f"others; take other strides or padding in pixels"
        )
    return top, left


def _pool_border(layer: Any) -> tuple[int, int]:
    border = _border(layer)
    if any(2 * p > k for p, k in zip(border, layer.size, strict=True)):
        raise NoTwin(
            f"layer {layer.name!r} has padding {border}, expected at most half its pool_size {layer.size}, "
            f"as torch.nn takes it"
        )
    return border


def _make_batch_norm(layer: Any) -> Module:
    axes = len(layer.input_shape)
    arguments = {"eps": layer.epsilon, "momentum": layer.momentum}
    if axes == 1:
        return _nn("BatchNorm1d", layer.input_shape[0], **arguments)
    if axes == 3:
        return _images("BatchNorm2d", layer.input_shape[2], **arguments)
    raise NoTwin(f"layer {layer.name!r} takes {layer.input_shape}, expected (n,) or images (H, W, C)")


def _make_reshape(layer: Any) -> Module:
    if len(layer.input_shape) != 1:
        raise NoTwin(
            f"layer {layer.name!r} takes {layer.input_shape}, expected one axis; put Flatten() before"
        )
    return _nn("Unflatten", 1, layer.output_shape)


def _same(module: Module, **expected: Any) -> None:
    """Refuse settings of a module that ours do not have."""
    for name, value in expected.items():
        if getattr(module, name) != value:
            raise NoTwin(f"module {module} has {name}={getattr(module, name)!r}, expected {value!r}")


def _back_embedding(module: Module, activation: str, name: str | None) -> Layer:
    _same(module, padding_idx=None, max_norm=None)
    return Embedding(module.num_embeddings, module.embedding_dim, name=name)


def _back_conv(module: Module, activation: str, name: str | None) -> Layer:
    _same(module, padding_mode="zeros")
    return Conv2D(
        module.out_channels, module.kernel_size, activation,
        strides=module.stride, padding=module.padding, dilation=module.dilation, groups=module.groups,
        use_bias=module.bias is not None, name=name,
    )  # fmt: skip


def _back_conv1d(module: Module, activation: str, name: str | None) -> Layer:
    _same(module, groups=1, dilation=(1,), padding_mode="zeros")
    (size,), (stride,) = module.kernel_size, module.stride
    padding = module.padding if isinstance(module.padding, str) else module.padding[0]
    return Conv1D(
        module.out_channels, size, activation, strides=stride, padding=padding,
        use_bias=module.bias is not None, name=name,
    )  # fmt: skip


def _back_pool(layer_class: type[MaxPooling2D | AveragePooling2D], **expected: Any) -> Callable[..., Layer]:
    def back(module: Module, activation: str, name: str | None) -> Layer:
        _same(module, **expected)
        options = {n: getattr(module, n) for n in ("ceil_mode", "count_include_pad") if hasattr(module, n)}
        return layer_class(
            module.kernel_size, strides=module.stride, padding=module.padding, name=name, **options
        )

    return back


def _back_batch_norm(module: Module, activation: str, name: str | None) -> Layer:
    _same(module, affine=True, track_running_stats=True)
    return BatchNormalization(momentum=module.momentum, epsilon=module.eps, name=name)


def _back_layer_norm(module: Module, activation: str, name: str | None) -> Layer:
    if len(module.normalized_shape) != 1:
        raise NoTwin(f"module {module} normalises {module.normalized_shape}, expected the last axis alone")
    return LayerNormalization(epsilon=module.eps, name=name)


def _back_activation(module: Module, activation: str, name: str | None) -> Layer:
    return Activation(activation, name=name)


def _back_plain(layer_class: type[Layer]) -> Callable[..., Layer]:
    return lambda module, activation, name: layer_class(name=name)


_VECTOR = (0,)
_SCALES = {"gamma": ("weight", _VECTOR), "beta": ("bias", _VECTOR)}

LAYER_TWINS: Table[LayerTwin] = Table("layer with a twin in torch", {
    "Dense": LayerTwin(
        ("Linear",),
        lambda layer: _nn("Linear", layer.input_shape[0], layer.units, layer.use_bias),
        lambda module, activation, name: Dense(
            module.out_features, activation, use_bias=module.bias is not None, name=name
        ),
        {"W": ("weight", (1, 0)), "b": ("bias", _VECTOR)},  # torch's weight is (n_out, n_in)
        activated=True,
    ),
    "Embedding": LayerTwin(
        ("Embedding",),
        lambda layer: _own("Embedding", layer.input_dim, layer.output_dim),
        _back_embedding,
        {"W": ("weight", (0, 1))},
    ),
    "Conv2D": LayerTwin(
        ("Conv2d",),
        lambda layer: _images(
            "Conv2d", layer.input_shape[2], layer.filters, layer.size, layer.strides, _border(layer),
            layer.spacing, layer.groups, bias=layer.use_bias,
        ),
        _back_conv,
        {"W": ("weight", (2, 3, 1, 0)), "b": ("bias", _VECTOR)},  # torch's is (n_out, n_in, h, w)
        activated=True,
    ),
    "Conv1D": LayerTwin(
        ("Conv1d",),
        lambda layer: _images(
            "Conv1d", layer.input_shape[1], layer.filters, layer.kernel_size, layer.strides,
            _border(layer)[1], bias=layer.use_bias,
        ),
        _back_conv1d,
        {"W": ("weight", (2, 1, 0)), "b": ("bias", _VECTOR)},  # torch's is (n_out, n_in, k)
        activated=True,
    ),
    "MaxPooling2D": LayerTwin(
        ("MaxPool2d",),
        lambda layer: _images(
            "MaxPool2d", layer.size, layer.strides, _pool_border(layer), ceil_mode=layer.ceil_mode
        ),
        _back_pool(MaxPooling2D, dilation=1),
    ),
    "AveragePooling2D": LayerTwin(
        ("AvgPool2d",),
        lambda layer: _images(
            "AvgPool2d", layer.size, layer.strides, _pool_border(layer), layer.ceil_mode,
            layer.count_include_pad,
        ),
        _back_pool(AveragePooling2D),
    ),
    "GlobalAveragePooling2D": LayerTwin(
        ("GlobalAverage",), lambda layer: _own("GlobalAverage"), _back_plain(GlobalAveragePooling2D)
    ),
    "GlobalMaxPooling2D": LayerTwin(
        ("GlobalMax",), lambda layer: _own("GlobalMax"), _back_plain(GlobalMaxPooling2D)
    ),
    "BatchNormalization": LayerTwin(
        ("BatchNorm1d", "BatchNorm2d"),
        _make_batch_norm,
        _back_batch_norm,
        _SCALES,
        {"running_mean": ("running_mean", _VECTOR), "running_variance": ("running_var", _VECTOR)},
    ),
    "LayerNormalization": LayerTwin(
        ("LayerNorm",),
        lambda layer: _nn("LayerNorm", layer.input_shape[-1], layer.epsilon),
        _back_layer_norm,
        _SCALES,
    ),
    "Dropout": LayerTwin(
        ("Dropout",),
        lambda layer: _nn("Dropout", layer.rate),
        lambda module, activation, name: Dropout(module.p, name=name),
    ),
    "Flatten": LayerTwin(("Flatten",), lambda layer: _nn("Flatten"), _back_plain(Flatten)),
    "Reshape": LayerTwin(
        ("Unflatten",),
        _make_reshape,
        lambda module, activation, name: Reshape(tuple(module.unflattened_size), name=name),
    ),
    "Rescaling": LayerTwin(
        ("Scale",),
        lambda layer: _own("Scale", layer.scale, layer.offset),
        lambda module, activation, name: Rescaling(module.scale, module.offset, name=name),
    ),
    "Activation": LayerTwin(
        ("Identity",), lambda layer: activation_module(layer.activation), _back_activation
    ),
    # With the settings that names have, each of these comes back as an Activation.
    "LeakyReLU": LayerTwin(
        ("LeakyReLU",),
        lambda layer: _nn("LeakyReLU", layer.slope),
        lambda module, activation, name: LeakyReLU(module.negative_slope, name=name),
    ),
    "ELU": LayerTwin(
        ("ELU",),
        lambda layer: _nn("ELU", layer.alpha),
        lambda module, activation, name: ELU(module.alpha, name=name),
    ),
    "GELU": LayerTwin(
        ("GELU",),
        lambda layer: _nn("GELU", approximate=layer.approximate),
        lambda module, activation, name: GELU(module.approximate, name=name),
    ),
    # Made empty; ``dnn.interop.torch.convert`` puts in what is within.
    "Block": LayerTwin(
        ("Sequential",),
        lambda layer: _nn("Sequential"),
        lambda module, activation, name: Block(module.inner, name=name),
    ),
    "Residual": LayerTwin(
        ("Residual",),
        lambda layer: _own("Residual", "add"),
        lambda module, activation, name: Residual(module.inner[1].layers, name=name),
    ),
    "Parallel": LayerTwin(
        ("Parallel",),
        lambda layer: _own("Parallel", layer.merge),
        lambda module, activation, name: Parallel(module.inner, merge=module.merge, name=name),
    ),
    # Random in training alone: what the network predicts does not change without them.
    "Augmentation": LayerTwin(("Identity",), lambda layer: _nn("Identity"), _back_activation),
})  # fmt: skip
"""Our layer -> its twin; "Augmentation" is that of all of them. GaussianNoise has none in torch.nn."""

ACTIVATION_TWINS: Table[tuple[str, dict[str, Any]]] = Table("activation", {
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "relu": ("ReLU", {}),
    "softmax": ("Softmax", {"dim": -1}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.01}),
    "elu": ("ELU", {"alpha": 1.0}),
    "gelu": ("GELU", {"approximate": "tanh"}),
    "silu": ("SiLU", {}),
    "softplus": ("Softplus", {"beta": 1.0, "threshold": 40.0}),  # at 20 it would leave out 2e-9
})  # fmt: skip
"""Our activation -> (class in torch.nn, keyword arguments); "linear" is no module at all."""


def activation_module(activation: str) -> Module:
    """The torch.nn module of an activation ("linear": nn.Identity)."""
    if activation == "linear":
        return _nn("Identity")
    name, arguments = look_up("activation", activation, ACTIVATION_TWINS)
    return _nn(name, **arguments)


def activation_of(module: Module) -> str | None:
    """Our name of an activation module; None for any other module, or one whose settings make it a layer.

    Raises NoTwin: one with settings that ours do not have.
    """
    if type(module).__name__ == "Identity":
        return "linear"
    for activation, (name, arguments) in ACTIVATION_TWINS.items():
        if type(module).__name__ == name:
            # Softmax along axis 1 of (B, n) is along the last one; which it is shows only in use.
            fixed = {k: v for k, v in arguments.items() if k not in ("dim", "threshold")}
            if name in LAYER_TWINS and any(getattr(module, k) != v for k, v in fixed.items()):
                return None
            _same(module, **fixed)
            return activation
    return None


def core(module: Module) -> Module:
    """The module of torch.nn itself: what ``ChannelsLast`` wraps, or the module."""
    return module.inner if type(module).__name__ == "ChannelsLast" else module


def twin_of_layer(layer: Layer) -> LayerTwin:
    """The table's entry for a layer: its class's, or for an augmentation that of all of them.

    Raises NoTwin: there is none.
    """
    name = type(layer).__name__
    if name not in LAYER_TWINS and isinstance(layer, Augmentation):
        name = "Augmentation"
    if name not in LAYER_TWINS:
        raise NoTwin(f"layer {layer.name!r} is {name}, expected one of {', '.join(LAYER_TWINS)}")
    return LAYER_TWINS[name]


def twin_of(module: Module) -> LayerTwin | None:
    """The table's entry for a module; None where there is none."""
    kind = type(core(module))
    if not kind.__module__.startswith(("torch.nn.", "dnn.interop.torch.")):
        return None  # somebody's own of the same name
    name = kind.__name__
    return next((twin for twin in LAYER_TWINS.values() if name in twin.modules), None)
