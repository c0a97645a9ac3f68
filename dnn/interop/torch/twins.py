"""LayerTwin: how a layer converts to a torch module and back, and the functions that the table uses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from backends.table import Table
from dnn.interop import NoTwin
from dnn.layers import LAYERS, Layer
from dnn.layers.containers import Container
from dnn.layers.dense import Affine
from dnn.layers.normalization import Normalization

Module = Any  # torch.nn.Module
T = TypeVar("T")
Tensors = Mapping[str, tuple[str, tuple[int, ...]]]


@dataclass(frozen=True)
class LayerTwin:
    """How one of our layer classes converts to torch and back."""

    modules: tuple[str, ...]  # class names of the modules
    # Our built layer -> module. Raises NoTwin if torch has no equivalent.
    make_module: Callable[[Any], Module]
    # (module without ChannelsLast, activation, name) -> our layer. For a container the first argument is a
    # namespace with its settings and our layers, ``inner``.
    make_layer: Callable[[Any, str, str], Layer]
    # Our short name of a parameter or buffer -> (torch's name, axes). Our array is torch's permuted by axes.
    tensors: Tensors = field(default_factory=dict)
    has_activation: bool = False  # whether our layer contains an activation; in torch it is a module
    # What the module treats alike: "elements", "channels" of (B, C, ...), or "features" of vectors (B, n).
    # "": anything else. Networks with channels first need it. With channels last, modules that act on the
    # channels of images or sequences are wrapped in ``ChannelsLast``.
    acts_on: str = ""


def find_twin(kind: str, name: str, twins: Table[T]) -> T:
    """Return the entry of this name. Raises NoTwin: the table has none."""
    if name not in twins:
        raise NoTwin(f"{kind} {name!r} has no counterpart in torch", f"one of {', '.join(twins)}")
    return twins[name]


def nn_module(name: str, *arguments: Any, **options: Any) -> Module:
    """Return the class from ``dnn.interop.torch.modules`` if it is defined there, else from torch.nn."""
    import torch

    from dnn.interop.torch import modules

    home = modules if hasattr(modules, name) else torch.nn
    return getattr(home, name)(*arguments, **options)


def torch_padding(layer: Any) -> Any:
    """Return the padding of a convolution or pooling as torch takes it: "same", or a number for each axis.

    "same" pads an even window unequally. torch has it for convolutions with strides of 1.

    Raises NoTwin: opposite sides differ.
    """
    if layer.padding == "same" and layer.stride_pair == (1, 1) and isinstance(layer, Affine):
        return "same"
    (top, bottom), (left, right) = layer.counted_borders
    if (top, left) != (bottom, right):
        raise NoTwin(
            f"layer {layer.name!r} has padding {layer.counted_borders}",
            "equal padding on opposite sides, as torch.nn requires",
            "choose other strides or padding in pixels",
        )
    return (top, left)[3 - len(layer.input_shape) :]  # a sequence is stored as an image of one row


def require_same(module: Module, **expected: Any) -> None:
    """Reject settings of a module that our layer does not have."""
    for name, value in expected.items():
        if unwrap_number(getattr(module, name)) != value:
            raise NoTwin(f"module {module} has {name}={getattr(module, name)!r}", f"{value!r}")


def unwrap_number(value: Any) -> Any:
    """Return the number of a tuple of equal numbers, as torch's modules store a number for each axis."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def settings_twin(
    layer_name: str, module_name: str, settings: Mapping[str, str], *, for_images: str = "",
    tensors: Tensors | None = None, acts_on: str = "elements", **expected: Any,
) -> tuple[str, LayerTwin]:  # fmt: skip
    """Return a layer's name and its twin; each setting of the layer is one argument of the torch module.

    The module of a layer with weights also takes the number of its inputs, and that of a Dense or a
    convolution whether it has a bias.

    Args:
        settings: our argument -> the name of the module's argument, and of its attribute.
        for_images: name of the module for images, if it is another one.
        expected: other arguments of the module, and required values of its attributes.
    """
    layer_class: Any = LAYERS[layer_name]
    is_affine = issubclass(layer_class, Affine)
    names = module_name, for_images or module_name

    def make_module(layer: Any) -> Module:
        options = {theirs: getattr(layer, ours) for ours, theirs in settings.items()}
        if "padding" in settings:
            options["padding"] = torch_padding(layer)
        if is_affine:
            options["bias"] = layer.use_bias
        width = layer.input_shape[-1:] if issubclass(layer_class, (Affine, Normalization)) else ()
        return nn_module(names[len(layer.input_shape) == 3], *width, **options, **expected)

    def make_layer(module: Module, activation: str, name: str) -> Layer:
        require_same(module, **expected)
        options = {ours: unwrap_number(getattr(module, theirs)) for ours, theirs in settings.items()}
        if is_affine:
            options |= {"activation": activation, "use_bias": module.bias is not None}
        inner = [module.inner] if issubclass(layer_class, Container) else []
        layer: Layer = layer_class(*inner, name=name, **options)
        return layer

    return layer_name, LayerTwin(names, make_module, make_layer, tensors or {}, is_affine, acts_on)


def is_sequential(module: Module) -> bool:
    """Return whether it is an ``nn.Sequential``, or of a subclass with the same ``forward``."""
    import torch

    return getattr(type(module), "forward", None) is torch.nn.Sequential.forward


def unwrap(module: Module) -> Module:
    """Return the torch.nn module inside a ``ChannelsLast``, or the module itself."""
    return module.inner if type(module).__name__ == "ChannelsLast" else module
