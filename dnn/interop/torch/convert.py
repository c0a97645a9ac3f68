"""Our networks as torch.nn modules and back, weights bit by bit.

The table of layers and activations is in ``dnn.interop.torch.layers``, those of losses and optimizers in
``dnn.interop.torch.losses_and_optimizers``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from backends import Backend, InputError
from dnn.interop.torch.layers import (
    ACTIVATION_TWINS,
    LAYER_TWINS,
    LayerTwin,
    NoTwin,
    activation_module,
    activation_of,
    core,
    twin_of,
)
from dnn.layers import Layer
from dnn.sequential import Sequential

if TYPE_CHECKING:
    import torch


def layer_modules(layer: Layer, dtype: Any, device: Any) -> dict[str, torch.nn.Module]:
    """A built layer's modules by name, its weights and state copied: the transform, then the activation.

    Raises:
        NoTwin: torch.nn has nothing that does the same.
    """
    import torch

    kind = type(layer).__name__
    if kind not in LAYER_TWINS:
        raise NoTwin(f"layer {layer.name!r} is {kind}, expected one of {', '.join(LAYER_TWINS)}")
    twin = LAYER_TWINS[kind]
    module = twin.make(layer).to(dtype=dtype, device=device)
    backend = layer.backend
    with torch.no_grad():
        for short, (name, axes) in twin.parameters.items():
            values = torch.from_numpy(np.array(backend.to_host(layer.value[short])))
            getattr(core(module), name).permute(axes).copy_(values)
        for short, name in twin.state.items():
            values = torch.from_numpy(np.array(backend.to_host(layer.state[short])))
            getattr(core(module), name).copy_(values)
    modules = {layer.name: module}
    if twin.activated and layer.activation != "linear":
        modules[f"{layer.name}_{layer.activation}"] = activation_module(layer.activation)
    return modules


def to_torch(model: Sequential, device: Any = None) -> torch.nn.Sequential:
    """The model's twin: an ``nn.Sequential`` with the model's layer names and copies of its weights.

    It takes what the model takes: images (B, H, W, C), channels last. Where the model is compiled with a
    loss that contains the last activation (softmax in cross-entropy), the twin ends with logits, as
    ``nn.CrossEntropyLoss`` takes them; its attribute ``left_out`` then names the activation, as
    ``input_shape`` has the model's.

    Args:
        device: a torch device; None: the model's own if it runs on torch, else the CPU.

    Raises:
        NoTwin: a layer that torch.nn does not have.

    >>> from backends import get_backend
    >>> from dnn import Dense
    >>> model = Sequential([Dense(2, "relu"), Dense(2)], input_shape=(3,), backend=get_backend("numpy"))
    >>> to_torch(model)[0]
    Linear(in_features=3, out_features=2, bias=True)
    """
    import torch

    if device is None:
        device = model.backend.device if model.backend.name == "torch" else "cpu"
    dtype = getattr(torch, model.backend.dtype_name)
    modules: dict[str, torch.nn.Module] = {}
    for layer in model.layers:
        modules.update(layer_modules(layer, dtype, device))
    twin = torch.nn.Sequential()
    last = model.layers[-1]
    if model.loss is not None and model.loss.activation == last.activation:
        modules.popitem()
        twin.left_out = last.activation
    twin.input_shape = model.input_shape
    for name, module in modules.items():
        twin.add_module(name, module)
    return twin


def twin_parameters(
    module: torch.nn.Module,
) -> Iterator[tuple[str, torch.nn.Parameter, tuple[int, ...]]]:
    """Every parameter of a twin as (our name, the parameter p, axes): ours is p.permute(axes)."""
    for name, child in module.named_children():
        twin = twin_of(child)
        if twin is not None:
            for short, (theirs, axes) in twin.parameters.items():
                yield f"{name}.{short}", getattr(core(child), theirs), axes


def twin_states(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Every buffer of a twin that stands for a layer's state, by our name."""
    for name, child in module.named_children():
        twin = twin_of(child)
        if twin is not None:
            for short, theirs in twin.state.items():
                yield f"{name}.{short}", getattr(core(child), theirs)


def _values(layer: Layer, module: torch.nn.Module, twin: LayerTwin) -> Iterator[tuple[str, np.ndarray]]:
    """Our names and a module's numbers, parameters and state."""
    for short, (theirs, axes) in twin.parameters.items():
        yield f"{layer.name}.{short}", getattr(module, theirs).permute(axes).detach().cpu().numpy()
    for short, theirs in twin.state.items():
        yield f"{layer.name}.{short}", getattr(module, theirs).detach().cpu().numpy()


def _twin_or_refuse(name: str, child: torch.nn.Module) -> LayerTwin:
    twin, module = twin_of(child), core(child)
    kind = type(module).__name__
    if twin is not None and kind.endswith("2d") and module is child:
        raise NoTwin(
            f"module {name!r} is {child}, which takes (B, C, H, W), expected it within "
            f"dnn.interop.torch.modules.ChannelsLast, since our images are (B, H, W, C)"
        )
    if twin is None or any(getattr(module, theirs, None) is None for theirs, _ in twin.parameters.values()):
        known = [n for entry in LAYER_TWINS.values() for n in entry.modules]
        known += [n for n, _ in ACTIVATION_TWINS.values()]
        raise NoTwin(f"module {name!r} is {child}, expected one of {', '.join(known)}, with weight and bias")
    return twin


def _example_shape(module: torch.nn.Sequential, given: tuple[int, ...] | None) -> tuple[int, ...]:
    """Of one example: as given, as ``to_torch`` left it, or what the first linear module takes."""
    shape = given or getattr(module, "input_shape", None)
    if shape is None:
        first = next((child for child in module if type(child).__name__ == "Linear"), None)
        if first is None:
            raise InputError("input_shape is None, expected the shape of one example for such a module")
        shape = (first.in_features,)
    return tuple(shape)


def from_torch(
    module: torch.nn.Sequential,
    backend: Backend,
    *,
    input_shape: tuple[int, ...] | None = None,
    output_activation: str | None = None,
    seed: int = 0,
) -> Sequential:
    """Our model with a twin's architecture, layer names, weights and state, bit by bit.

    Args:
        module: an ``nn.Sequential`` of modules that have a twin here, from ``to_torch`` or not. An
            activation after Linear or Conv2d becomes part of that layer, unless it has a name of its own.
        backend: where the model shall live, of the module's dtype: nothing is rounded unasked.
        input_shape: of one example; None: as ``to_torch`` left it, or what the first Linear takes.
        output_activation: of the last layer if the module ends with logits; None: what ``to_torch``
            left out, else "linear".
        seed: of the model's shuffles.

    Raises:
        NoTwin: a module without a twin, or with settings that ours do not have.
        InputError: another dtype than the backend's, no modules, or no input_shape.
    """
    children = list(module.named_children())
    if not children:
        raise InputError("module holds no layer, expected an nn.Sequential with at least one")
    pairs: list[tuple[Layer, torch.nn.Module, LayerTwin]] = []
    i = 0
    while i < len(children):
        name, child = children[i]
        i += 1
        # A module that torch numbered itself ("0") gets our usual name.
        own = None if name.isdecimal() else name
        kind = activation_of(child)
        if kind is not None:
            twin = LAYER_TWINS["Activation"]
            pairs.append((twin.back(child, kind, own), child, twin))
            continue
        twin, activation = _twin_or_refuse(name, child), "linear"
        if i == len(children):
            activation = output_activation or str(getattr(module, "left_out", "linear"))
        elif twin.activated:
            following, after = children[i]
            kind = activation_of(after)
            if kind is not None and (following.isdecimal() or following == f"{name}_{kind}"):
                activation = kind
                i += 1
        pairs.append((twin.back(core(child), activation, own), core(child), twin))
    shape = _example_shape(module, input_shape)
    model = Sequential([layer for layer, _, _ in pairs], input_shape=shape, backend=backend, seed=seed)
    values = {name: a for pair in pairs for name, a in _values(*pair)}
    model.parameters.load({**model.parameters.to_host(), **values})
    return model
