"""Convert models to torch.nn modules and back, with bit-identical weights.

``dnn.interop.torch.layers`` has the tables of layers and activations,
``dnn.interop.torch.losses_and_optimizers`` those of losses and optimizers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backends import Backend, InputError
from backends.errors import short_repr, shorten
from dnn.interop.torch.layers import (
    ACTIVATION_TWINS,
    LAYER_TWINS,
    activation_module,
    activation_of,
    twin_of,
    twin_of_layer,
    unwrap,
)
from dnn.interop.torch.twins import LayerTwin, NoTwin, Tensors
from dnn.layers import Block, Layer
from dnn.layers.containers import Container
from dnn.sequential import Sequential
from dnn.validation.settings import require_kind

if TYPE_CHECKING:
    import torch

CONTAINER_CLASSES = ("Sequential", "Residual", "Parallel")
"""Modules that contain converted layers. ``ChannelsLast`` is a wrapper and not listed."""


def layer_modules(layer: Layer, dtype: Any, device: Any) -> dict[str, torch.nn.Module]:
    """Return the modules of a built layer by name, with its weights and buffers: transform, then activation.

    Raises NoTwin: torch.nn has no equivalent.
    """
    import torch

    from dnn.interop.torch.modules import Branch

    twin = twin_of_layer(layer)
    module = twin.make_module(layer).to(dtype=dtype, device=device)
    for inner in layer.inner if isinstance(layer, Container) else ():
        parts = layer_modules(inner, dtype, device)
        if len(parts) > 1 and not isinstance(layer, Block):
            parts = {inner.name: Branch(OrderedDict(parts))}
        for name, part in parts.items():
            module.add_module(name, part)
    ours = {**layer.value, **layer.state}
    with torch.no_grad():
        for short, tensor, axes in _tensors(module, {**twin.parameters, **twin.state}):
            values = np.array(layer.backend.to_host(ours[short]))
            tensor.permute(axes).copy_(torch.from_numpy(values))
    modules = {layer.name: module}
    if twin.has_activation and layer.activation != "linear":
        modules[f"{layer.name}_{layer.activation}"] = activation_module(layer.activation)
    return modules


def to_torch(model: Sequential, device: Any = None, *, logits: bool | None = None) -> torch.nn.Sequential:
    """Return the model's twin: an ``nn.Sequential`` with the model's layer names and copies of its weights.

    Its input is the model's, so images are (B, H, W, C). An augmentation becomes an ``nn.Identity``: the twin
    predicts the same, and trains without augmentation. If the twin lacks the model's last activation, its
    attribute ``left_out`` names it. Its ``input_shape`` is the model's.

    Args:
        device: a torch device; None: the model's device if it runs on torch, else the CPU.
        logits: True: leave out the last activation, for ``nn.CrossEntropyLoss`` and ``nn.BCEWithLogitsLoss``.
            False: keep it, so that the twin returns what ``predict`` returns. None: True if the model is
            compiled with a loss that contains the activation (softmax in cross-entropy).

    Raises NoTwin: torch.nn has no equivalent of a layer.

    >>> from backends import get_backend
    >>> from dnn import Dense
    >>> model = Sequential([Dense(2, "relu"), Dense(2)], input_shape=(3,), backend=get_backend("numpy"))
    >>> to_torch(model)[0]
    Linear(in_features=3, out_features=2, bias=True)
    """
    import torch

    require_kind("model", model, Sequential)
    require_kind("logits", logits, bool, None)
    require_kind("device", device, str, torch.device, None)
    if device is None:
        device = model.backend.device if model.backend.name == "torch" else "cpu"
    try:
        device = torch.device(device)
    except RuntimeError as error:
        raise InputError(
            f"device is {short_repr(device)}, expected a device of torch ({shorten(error)})"
        ) from None
    dtype = getattr(torch, model.backend.dtype_name)
    modules: dict[str, torch.nn.Module] = {}
    for layer in model.layers:
        modules.update(layer_modules(layer, dtype, device))
    twin = torch.nn.Sequential(OrderedDict(modules))
    last = model.layers[-1].activation
    if logits is None:
        logits = model.loss is not None and model.loss.activation == last
    if logits and last != "linear":
        within = twin
        while type(within[-1]) is torch.nn.Sequential:
            within = within[-1]
        within._modules.popitem()
        twin.left_out = last
    twin.input_shape = model.input_shape
    return twin


def _tensors(module: Any, table: Tensors) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    """Yield (our short name, tensor t of the module, axes). Our array is t.permute(axes)."""
    for short, (theirs, axes) in table.items():
        tensor = getattr(unwrap(module), theirs)
        if tensor is not None:  # None: a layer without bias
            yield short, tensor, axes


def twin_parameters(
    module: torch.nn.Module, state: bool = False
) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    """Yield (our name, parameter p, axes) for every parameter of a twin. Our array is p.permute(axes).

    With ``state`` yield the buffers instead.
    """
    import torch

    for name, child in module.named_children():
        twin = twin_of(child)
        if twin is not None:
            for short, tensor, axes in _tensors(child, twin.state if state else twin.parameters):
                yield f"{name}.{short}", tensor, axes
        elif isinstance(child, torch.nn.Sequential):  # a Branch
            yield from twin_parameters(child, state)
        if twin is not None and twin.modules[0] in CONTAINER_CLASSES:
            yield from ((f"{name}.{n}", tensor, axes) for n, tensor, axes in twin_parameters(child, state))


def _list_children(module: Any) -> list[tuple[str, torch.nn.Module]]:
    """Return (name, module) of each child of an ``nn.Sequential``.

    Raises:
        NoTwin: another module, since its ``forward`` may combine its children in any way.
        InputError: it has no children.
    """
    import torch

    sequential = torch.nn.Sequential
    if not isinstance(module, sequential) or type(module).forward is not sequential.forward:
        raise NoTwin(
            f"module is {type(module).__name__}, expected an nn.Sequential, since the forward method of "
            f"another module cannot be converted; put its parts into an nn.Sequential in their order"
        )
    if not len(module):
        raise InputError("module holds no layer, expected an nn.Sequential with at least one")
    return list(module._modules.items())  # named_children() skips repeated modules


def _require_twin(name: str, child: torch.nn.Module) -> LayerTwin:
    twin = twin_of(child)
    module = unwrap(child)
    if twin is not None and type(module).__name__.endswith(("2d", "Conv1d")) and module is child:
        raise NoTwin(
            f"module {name!r} is {child}, which takes (B, C, ...), expected it within "
            f"dnn.interop.torch.modules.ChannelsLast, since our images are (B, H, W, C)"
        )
    wanted = [] if twin is None else [theirs for theirs, _ in twin.parameters.values()]
    if twin is not None and twin.has_activation:
        wanted.remove("bias")  # optional for these layers
    if twin is None or any(getattr(module, theirs, None) is None for theirs in wanted):
        known = [n for entry in LAYER_TWINS.values() for n in entry.modules]
        known += [n for n, _ in ACTIVATION_TWINS.values()]
        raise NoTwin(f"module {name!r} is {child}, expected one of {', '.join(known)}, with weight and bias")
    return twin


class Pair(NamedTuple):
    """A layer of ours and the module from which it was converted."""

    layer: Layer
    module: torch.nn.Module
    twin: LayerTwin
    inner: list[Pair]  # children of a container


def _convert_modules(children: list[tuple[str, torch.nn.Module]]) -> list[Pair]:
    """Convert modules in sequence to our layers."""
    pairs: list[Pair] = []
    i = 0
    while i < len(children):
        name, child = children[i]
        i += 1
        # Modules that torch numbered ("0") get our default names.
        own = "" if name.isdecimal() else name
        alone = activation_of(child)
        if alone is not None:
            twin = LAYER_TWINS["Activation"]
            pairs.append(Pair(twin.make_layer(child, alone, own), child, twin, []))
            continue
        twin = _require_twin(name, child)
        activation = "linear"
        if twin.has_activation and i < len(children):
            following, after = children[i]
            next_one = activation_of(after)
            if next_one is not None and (following.isdecimal() or following == f"{name}_{next_one}"):
                activation = next_one
                i += 1
        inner = []
        given = unwrap(child)
        if twin.modules[0] in CONTAINER_CLASSES:
            inner = _convert_container(child)
            given = SimpleNamespace(inner=[p.layer for p in inner], merge=getattr(child, "merge", None))
        pairs.append(Pair(twin.make_layer(given, activation, own), unwrap(child), twin, inner))
    return pairs


def _convert_container(module: torch.nn.Sequential) -> list[Pair]:
    """Convert the children of a container to our layers: in sequence, or each branch by itself."""
    items = list(module._modules.items())
    if type(module).__name__ == "Sequential":
        return _convert_modules(items)
    branches = (list(m._modules.items()) if type(m).__name__ == "Branch" else [(n, m)] for n, m in items)
    return [pair for branch in branches for pair in _convert_modules(branch)]


def _values(pairs: list[Pair], before: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Yield (our name, array) for all parameters and buffers of the modules."""
    for layer, module, twin, inner in pairs:
        for short, tensor, axes in _tensors(module, {**twin.parameters, **twin.state}):
            yield f"{before}{layer.name}.{short}", tensor.permute(axes).detach().cpu().numpy()
        yield from _values(inner, f"{before}{layer.name}.")


def _example_shape(module: torch.nn.Sequential, given: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape of one example: as given, or stored by ``to_torch``, or of the first Linear's
    input.
    """
    require_kind("input_shape", given, tuple, list, None)
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
    """Return a model with the module's architecture, layer names and bit-identical weights and buffers.

    Args:
        module: an ``nn.Sequential`` of modules with a twin, from ``to_torch`` or not. An activation after
            Linear or Conv2d becomes part of that layer, unless it has its own name. An ``nn.Identity``, as
            from an augmentation, becomes ``Activation("linear")``.
        backend: of the model. Its dtype must be the module's, so that nothing is rounded.
        input_shape: of one example; None: as stored by ``to_torch``, or of the first Linear's input.
        output_activation: last activation if the module ends with logits; None: as left out by ``to_torch``,
            else "linear".
        seed: of the model's shuffles.

    Raises:
        NoTwin: not an ``nn.Sequential``, a module without a twin, or settings that our layer lacks.
        InputError: a dtype other than the backend's, no modules, or no input_shape.
    """
    children = _list_children(module)
    require_kind("output_activation", output_activation, str, None)
    ending = output_activation or str(getattr(module, "left_out", "linear"))
    if ending != "linear":
        children.append(("0", activation_module(ending)))
    pairs = _convert_modules(children)
    shape = _example_shape(module, input_shape)
    model = Sequential([p.layer for p in pairs], input_shape=shape, backend=backend, seed=seed)
    model.parameters.load({**model.parameters.to_host(), **dict(_values(pairs))})
    return model
