"""Checks of a torch.nn module before it is converted, and what it says about the shape of its examples."""

from collections.abc import Iterator
from math import prod
from typing import Any

from backends import InputError
from dnn.interop import NoTwin
from dnn.interop.torch.layers import ACTIVATION_TWINS, LAYER_TWINS, activation_of
from dnn.interop.torch.layouts import Layout
from dnn.interop.torch.twins import LayerTwin, Module, is_sequential, unwrap
from dnn.layers import Layer
from dnn.settings.checks import positive_integer, require_kind
from dnn.typing import Shape

NamedModule = tuple[str, Module]
REWRITE = (
    "write its forward as an nn.Sequential, activations too, "
    "and x + f(x) in it as dnn.interop.torch.Residual(f)"
)
IMAGES = "for images give input_shape=(C, H, W), and call the model with x.transpose(0, 2, 3, 1)"
HOOKS = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"
IMAGE_KINDS = ("Conv", "MaxPool", "AvgPool", "AdaptiveAvgPool", "AdaptiveMaxPool", "BatchNorm2d")


def list_children(module: Any) -> list[NamedModule]:
    """Return (name, module) of each child of an ``nn.Sequential``.

    Raises NoTwin: another module, since its ``forward`` may combine its children in any way; or hooks,
    parametrizations, or a ``forward`` set on an object. InputError: not a module.
    """
    import torch

    require_kind("module", module, torch.nn.Module)
    if not is_sequential(module):
        expected = "an nn.Sequential, since no other forward method can be converted"
        raise NoTwin(f"module is {type(module).__name__}", expected, f"{_nearest_way(module)}; {IMAGES}")
    for name, inner in module.named_modules():
        is_parametrized = hasattr(inner, "parametrizations")
        if is_parametrized or "forward" in vars(inner) or any(getattr(inner, hooks) for hooks in HOOKS):
            got = f"module {name!r} has a parametrization, a hook, or a forward of its own"
            cure = "remove it, as parametrize.remove_parametrizations or remove_weight_norm of torch.nn.utils"
            raise NoTwin(got, "a module without them", cure)
    return list(module._modules.items())  # named_children() skips repeated modules


def _nearest_way(module: Module) -> str:
    """Return how to convert a module that is no ``nn.Sequential``. Raises NoTwin: a part has no twin."""
    if twin_of(module) is not None:
        return "use nn.Sequential(module)"
    children = list(module.named_children())
    if len(children) == 1 and is_sequential(children[0][1]):
        return (
            f"convert module.{children[0][0]}, if the forward method of {type(module).__name__} only calls it"
        )
    for name, part in module.named_modules():
        home = type(part).__module__
        if home.startswith("torch.nn.") and "container" not in home and activation_of(part) is None:
            require_twin(f"module {name!r} is {part}" if name else f"module is {part}", part)
    return REWRITE


def require_untied(module: Module) -> None:
    """Raise NoTwin if two modules, or two places of one module, have the same parameter or buffer."""
    owners: dict[int, str] = {}
    named = *module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)
    for name, tensor in named:
        first = owners.setdefault(tensor.data_ptr(), name)
        if first != name and tensor.numel():
            cure = "give one of the modules a copy, as copy.deepcopy(module) returns"
            raise NoTwin(f"module has one array as {first!r} and {name!r}", "an array for each", cure)


def copy_trainable(layer: Layer, module: Module, twin: LayerTwin, name: str, is_training: bool) -> None:
    """Freeze a built layer if no parameter of its module is trained.

    Args:
        name: of the module.
        is_training: whether the network is in training mode.
    Raises NoTwin: only some are trained; or a module with batch statistics is trained without them, or
        frozen with them.
    """
    tensors = [getattr(module, theirs) for short, (theirs, _) in twin.tensors.items() if short in layer.value]
    trained = {tensor is not None and tensor.requires_grad for tensor in tensors}
    if len(trained) > 1:
        got = f"module {name!r} trains only some of its parameters"
        cure = "call requires_grad_(False) on it, or requires_grad_(True) if it has weight and bias"
        raise NoTwin(got, "all of them, or none", cure)
    if not trained:
        return
    layer.trainable = trained.pop()
    mode = module.training
    if layer.uses_batch_statistics and mode != layer.trainable and (mode or is_training):
        got = f"module {name!r} has training={mode}, and its parameters requires_grad={layer.trainable}"
        why = f"call train({layer.trainable}) on it: a layer uses the statistics of batches if it is trained"
        raise NoTwin(got, "both or none", why)


def twin_of(module: Module) -> LayerTwin | None:
    """Return the twin of a module, or None."""
    kind = type(unwrap(module))
    name = kind.__name__
    if not kind.__module__.startswith(
        ("torch.nn.", "dnn.interop.torch.")
    ):  # a custom class may have a name of torch
        if not is_sequential(module):
            return None
        name = "Sequential"
    return next((twin for twin in LAYER_TWINS.values() if name in twin.modules), None)


def require_twin(label: str, child: Module) -> LayerTwin:
    """Return the twin of a module. Raises NoTwin: it has none."""
    twin = twin_of(child)
    module = unwrap(child)
    if twin is None:
        known = [n for entry in LAYER_TWINS.values() for n in dict.fromkeys(entry.modules)]
        known += [n for n, _ in ACTIVATION_TWINS.values()]
        is_log = type(module).__name__ == "LogSoftmax"
        cure = "; leave it out and give output_activation='softmax'" if is_log else ""
        if not type(module).__module__.startswith("torch.nn."):
            cure = f"; {REWRITE}"
        raise NoTwin(label, f"one of {', '.join(known)}{cure}")
    if module is not child and twin.acts_on != "channels":
        raise NoTwin(label, "a convolution, pooling or batch normalisation within ChannelsLast")
    return twin


def plain_modules(module: Module) -> Iterator[Module]:
    """Yield the modules in their order, without containers and what ``ChannelsLast`` wraps."""
    for child in module._modules.values():
        if child._modules and unwrap(child) is child:
            yield from plain_modules(child)
        else:
            yield child


def takes_channels_first(module: Module) -> bool:
    """Return whether the module has plain image modules, so that its images are (C, H, W)."""
    return any(type(m).__name__.startswith(IMAGE_KINDS) for m in plain_modules(module))


def example_shape(module: Any, input_shape: Shape | None) -> Shape:
    """Return the shape of one example: as given, or stored by ``to_torch``, or from the first Linear.

    Raises InputError: it is not known.
    """
    require_kind("input_shape", input_shape, tuple, list, None)
    shape = input_shape or getattr(module, "input_shape", None)
    for first in plain_modules(module) if shape is None else ():
        if type(unwrap(first)).__name__.startswith(IMAGE_KINDS):
            break
        if hasattr(first, "in_features"):
            return (first.in_features,)
    if shape is None:
        raise InputError("input_shape is None", "the shape of one example that the module takes", IMAGES)
    return tuple(positive_integer("input_shape", length) for length in shape)


def require_vector(shape: Shape, layout: Layout) -> None:
    """Raise InputError unless the network returns vectors; the cure names the modules to append.

    Args:
        shape: of one output of ours.
        layout: with channels first a Flatten alone has another order.
    """
    if len(shape) == 1:
        return
    cure = "nn.Sequential(*module, nn.Flatten())"
    if layout.is_first:
        cure = f"nn.Sequential(*module, nn.Flatten(), nn.Linear({prod(shape)}, 10)) for 10 outputs"
    if layout.is_first and len(shape) == 3:
        cure = f"nn.Sequential(*module, nn.AdaptiveAvgPool2d(1), nn.Flatten()), or {cure}"
    raise InputError(
        f"module returns examples of shape {layout.of_torch(shape)}", "vectors", f"convert {cure}"
    )
