"""LayerTwin: how a layer converts to a torch module and back, and the functions that the table uses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backends import InputError
from dnn.layers import Activation, Conv1D, Conv2D, Layer, LayerNormalization, Reshape

Module = Any  # torch.nn.Module
Tensors = Mapping[str, tuple[str, tuple[int, ...]]]


class NoTwin(InputError):
    """A layer, module, loss or optimizer has no counterpart in the other library."""


@dataclass(frozen=True)
class LayerTwin:
    """How one of our layer classes converts to torch and back."""

    modules: tuple[str, ...]  # class names of the modules; image modules are wrapped in ``ChannelsLast``
    # Our built layer -> module. Raises NoTwin if torch has no equivalent.
    make_module: Callable[[Any], Module]
    # (module without ChannelsLast, activation, name) -> our layer. For a container the first argument is a
    # namespace with its settings and our layers, ``inner``.
    make_layer: Callable[[Any, str, str], Layer]
    # Our short name -> (torch's name, axes). Our array is torch's permuted by axes.
    parameters: Tensors = field(default_factory=dict)
    # The same for the buffers.
    state: Tensors = field(default_factory=dict)
    has_activation: bool = False  # whether our layer contains an activation; in torch it is a module
    # What the module treats alike: "elements", "channels" of (B, C, ...), or "features" of vectors (B, n).
    # "axes": their order matters; "": unknown. Networks with channels first need it.
    acts_on: str = ""


def nn_module(name: str, *arguments: Any, **options: Any) -> Module:
    import torch

    return getattr(torch.nn, name)(*arguments, **options)


def own_module(name: str, *arguments: Any, **options: Any) -> Module:
    """Return a module of ``dnn.interop.torch.modules``."""
    from dnn.interop.torch import modules

    return getattr(modules, name)(*arguments, **options)


def image_module(name: str, *arguments: Any, **options: Any) -> Module:
    """Return a torch.nn module wrapped for images with channels last."""
    return own_module("ChannelsLast", nn_module(name, *arguments, **options))


def conv_padding(layer: Any, first: int = 0) -> Any:
    """Return a convolution's padding as torch takes it, of the axes from ``first`` on.

    With strides of 1 it is "same" too, which pads an even window unequally.
    """
    return "same" if layer.padding == "same" and layer.steps == (1, 1) else equal_padding(layer)[first:]


def equal_padding(layer: Any) -> tuple[int, int]:
    """Return the padding (top and bottom, left and right). Raises NoTwin: opposite sides differ."""
    (top, bottom), (left, right) = layer.counted_borders
    if (top, left) != (bottom, right):
        raise NoTwin(
            f"layer {layer.name!r} has padding {layer.counted_borders}",
            "equal padding on opposite sides, as torch.nn requires",
            "choose other strides or padding in pixels",
        )
    return top, left


def pool_padding(layer: Any) -> tuple[int, int]:
    around = equal_padding(layer)
    if any(2 * p > k for p, k in zip(around, layer.size, strict=True)):
        raise NoTwin(
            f"layer {layer.name!r} has padding {around}",
            f"at most half its pool_size {layer.size}, as torch.nn requires",
        )
    return around


def make_batch_norm(layer: Any) -> Module:
    axes = len(layer.input_shape)
    arguments = {"eps": layer.epsilon, "momentum": layer.momentum}
    if axes == 1:
        return nn_module("BatchNorm1d", layer.input_shape[0], **arguments)
    if axes in (2, 3):
        return image_module(f"BatchNorm{axes - 1}d", layer.input_shape[-1], **arguments)
    raise NoTwin(f"layer {layer.name!r} takes {layer.input_shape}", "(n,), (T, C) or (H, W, C)")


def make_reshape(layer: Any) -> Module:
    if len(layer.input_shape) != 1:
        raise NoTwin(f"layer {layer.name!r} takes {layer.input_shape}", "rank 1", "add Flatten() before it")
    return nn_module("Unflatten", 1, layer.output_shape)


def require_same(module: Module, **expected: Any) -> None:
    """Reject settings of a module that our layer does not have."""
    for name, value in expected.items():
        if getattr(module, name) != value:
            raise NoTwin(f"module {module} has {name}={getattr(module, name)!r}", f"{value!r}")


def unwrap_number(value: Any) -> Any:
    """Return the only entry of a tuple of one, as torch's modules for sequences store a number."""
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def layer_maker(
    layer_class: type[Layer], settings: Mapping[str, str] | None = None, **expected: Any
) -> Callable[..., Layer]:
    """Return a function (module, activation, name) that makes our layer.

    Args:
        settings: our argument -> attribute of the module.
        expected: required values of attributes of the module.
    """

    def make(module: Module, activation: str, name: str) -> Layer:
        require_same(module, **expected)
        given = {ours: unwrap_number(getattr(module, theirs)) for ours, theirs in (settings or {}).items()}
        return layer_class(name=name, **given)

    return make


def settings_twin(
    layer_class: type[Layer], name: str, settings: Mapping[str, str],
    expected: Mapping[str, Any] | None = None, *, make: Callable[..., Module] = nn_module,
    parameters: Tensors | None = None, acts_on: str = "elements",
) -> LayerTwin:  # fmt: skip
    """Return the twin of a layer; each setting of the layer is one argument of the torch module.

    Args:
        settings: our argument -> argument and attribute of the module.
        expected: required values of other attributes of the module.
        make: ``nn_module`` or ``own_module``.
    """

    def make_module(layer: Any) -> Module:
        return make(name, **{theirs: getattr(layer, ours) for ours, theirs in settings.items()})

    make_layer = layer_maker(layer_class, settings, **(expected or {}))
    return LayerTwin((name,), make_module, make_layer, parameters or {}, acts_on=acts_on)


def pool_twin(layer_class: type[Layer], name: str, more: Mapping[str, str], **expected: Any) -> LayerTwin:
    """Return the twin of a pooling. ``more``, ``expected``: settings as in ``settings_twin``."""
    settings = {"pool_size": "kernel_size", "strides": "stride", "ceil_mode": "ceil_mode", **more}

    def make_module(layer: Any) -> Module:
        options = {theirs: getattr(layer, ours) for ours, theirs in settings.items()}
        return image_module(name, padding=pool_padding(layer)[3 - len(layer.input_shape) :], **options)

    make_layer = layer_maker(layer_class, {**settings, "padding": "padding"}, **expected)
    return LayerTwin((name,), make_module, make_layer, acts_on="channels")


def conv_twin(
    layer_class: type[Conv1D | Conv2D], name: str, axes: tuple[int, ...], more: tuple[str, ...],
    **expected: Any,
) -> LayerTwin:  # fmt: skip
    """Return the twin of a convolution.

    Args:
        axes: permutation of torch's weight to ours.
        more: settings with the same name in torch.
        expected: required values of other attributes of the module.
    """

    def make_module(layer: Any) -> Module:
        options = {option: getattr(layer, option) for option in more}
        return image_module(
            name, layer.input_shape[-1], layer.filters, layer.kernel_size, layer.strides,
            conv_padding(layer, 4 - len(axes)), bias=layer.use_bias, **options,
        )  # fmt: skip

    def make_layer(module: Module, activation: str, layer_name: str) -> Layer:
        require_same(module, padding_mode="zeros", **expected)
        size, strides, padding = map(unwrap_number, (module.kernel_size, module.stride, module.padding))
        options = {option: getattr(module, option) for option in more}
        return layer_class(
            module.out_channels, size, activation, strides=strides, padding=padding,
            use_bias=module.bias is not None, name=layer_name, **options,
        )  # fmt: skip

    parameters = {"W": ("weight", axes), "b": ("bias", (0,))}
    return LayerTwin((name,), make_module, make_layer, parameters, has_activation=True, acts_on="channels")


def layer_norm_from_module(module: Module, activation: str, name: str) -> Layer:
    if len(module.normalized_shape) != 1:
        raise NoTwin(f"module {module} normalises {module.normalized_shape}", "the last axis alone")
    return LayerNormalization(epsilon=module.eps, name=name)


def activation_from_module(module: Module, activation: str, name: str) -> Layer:
    return Activation(activation, name=name)


def reshape_from_module(module: Module, activation: str, name: str) -> Layer:
    require_same(module, dim=1)
    return Reshape(tuple(module.unflattened_size), name=name)


def is_sequential(module: Module) -> bool:
    """Whether it is an ``nn.Sequential``, or of a subclass with the same ``forward``."""
    sequential = nn_module("Sequential").__class__
    return isinstance(module, sequential) and type(module).forward is sequential.forward


def unwrap(module: Module) -> Module:
    """Return the torch.nn module inside a ``ChannelsLast``, or the module itself."""
    return module.inner if type(module).__name__ == "ChannelsLast" else module
