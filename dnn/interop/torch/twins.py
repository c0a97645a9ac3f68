"""How a layer of ours stands in torch: what its module is made with, and what a module becomes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backends import InputError
from dnn.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv1D,
    Conv2D,
    Embedding,
    Layer,
    LayerNormalization,
    MaxPooling2D,
    Reshape,
)

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
    back: Callable[[Any, str, str], Layer]
    # Our short name -> (torch's name, axes): ours is torch's with its axes in this order
    parameters: Tensors = field(default_factory=dict)
    # The same for what is not trained, which is a buffer in torch.
    state: Tensors = field(default_factory=dict)
    activated: bool = False  # whether our layer contains an activation, which is a module of its own in torch


def nn_module(name: str, *arguments: Any, **options: Any) -> Module:
    import torch

    return getattr(torch.nn, name)(*arguments, **options)


def own_module(name: str, *arguments: Any) -> Module:
    """A module of ours, which torch.nn lacks."""
    from dnn.interop.torch import modules

    return getattr(modules, name)(*arguments)


def image_module(name: str, *arguments: Any, **options: Any) -> Module:
    """A module of torch.nn for our images."""
    return own_module("ChannelsLast", nn_module(name, *arguments, **options))


def border(layer: Any) -> tuple[int, int]:
    """The padding as torch takes it: the same above and below, left and right."""
    (top, bottom), (left, right) = layer.counted
    if (top, left) != (bottom, right):
        raise NoTwin(
            f"layer {layer.name!r} has padding {layer.counted}, expected equal sides, since torch.nn has no "
            f"others; take other strides or padding in pixels"
        )
    return top, left


def pool_border(layer: Any) -> tuple[int, int]:
    around = border(layer)
    if any(2 * p > k for p, k in zip(around, layer.size, strict=True)):
        raise NoTwin(
            f"layer {layer.name!r} has padding {around}, expected at most half its pool_size {layer.size}, "
            f"as torch.nn takes it"
        )
    return around


def make_batch_norm(layer: Any) -> Module:
    axes = len(layer.input_shape)
    arguments = {"eps": layer.epsilon, "momentum": layer.momentum}
    if axes == 1:
        return nn_module("BatchNorm1d", layer.input_shape[0], **arguments)
    if axes == 3:
        return image_module("BatchNorm2d", layer.input_shape[2], **arguments)
    raise NoTwin(f"layer {layer.name!r} takes {layer.input_shape}, expected (n,) or images (H, W, C)")


def make_reshape(layer: Any) -> Module:
    if len(layer.input_shape) != 1:
        raise NoTwin(
            f"layer {layer.name!r} takes {layer.input_shape}, expected one axis; put Flatten() before"
        )
    return nn_module("Unflatten", 1, layer.output_shape)


def require_same(module: Module, **expected: Any) -> None:
    """Refuse settings of a module that ours do not have."""
    for name, value in expected.items():
        if getattr(module, name) != value:
            raise NoTwin(f"module {module} has {name}={getattr(module, name)!r}, expected {value!r}")


def back_embedding(module: Module, activation: str, name: str) -> Layer:
    require_same(module, padding_idx=None, max_norm=None)
    return Embedding(module.num_embeddings, module.embedding_dim, name=name)


def back_conv(module: Module, activation: str, name: str) -> Layer:
    require_same(module, padding_mode="zeros")
    return Conv2D(
        module.out_channels, module.kernel_size, activation,
        strides=module.stride, padding=module.padding, dilation=module.dilation, groups=module.groups,
        use_bias=module.bias is not None, name=name,
    )  # fmt: skip


def back_conv1d(module: Module, activation: str, name: str) -> Layer:
    require_same(module, groups=1, dilation=(1,), padding_mode="zeros")
    (size,) = module.kernel_size
    (stride,) = module.stride
    padding = module.padding if isinstance(module.padding, str) else module.padding[0]
    return Conv1D(
        module.out_channels, size, activation, strides=stride, padding=padding,
        use_bias=module.bias is not None, name=name,
    )  # fmt: skip


def back_pool(layer_class: type[MaxPooling2D | AveragePooling2D], **expected: Any) -> Callable[..., Layer]:
    def back(module: Module, activation: str, name: str) -> Layer:
        require_same(module, **expected)
        options = {n: getattr(module, n) for n in ("ceil_mode", "count_include_pad") if hasattr(module, n)}
        return layer_class(
            module.kernel_size, strides=module.stride, padding=module.padding, name=name, **options
        )

    return back


def back_batch_norm(module: Module, activation: str, name: str) -> Layer:
    require_same(module, track_running_stats=True)
    return BatchNormalization(momentum=module.momentum, epsilon=module.eps, name=name)


def back_layer_norm(module: Module, activation: str, name: str) -> Layer:
    if len(module.normalized_shape) != 1:
        raise NoTwin(f"module {module} normalises {module.normalized_shape}, expected the last axis alone")
    return LayerNormalization(epsilon=module.eps, name=name)


def back_activation(module: Module, activation: str, name: str) -> Layer:
    return Activation(activation, name=name)


def back_reshape(module: Module, activation: str, name: str) -> Layer:
    require_same(module, dim=1)
    return Reshape(tuple(module.unflattened_size), name=name)


def back_plain(layer_class: type[Layer], **expected: Any) -> Callable[..., Layer]:
    def back(module: Module, activation: str, name: str) -> Layer:
        require_same(module, **expected)
        return layer_class(name=name)

    return back
