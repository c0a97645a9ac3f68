"""Convert torch.nn modules to our models, with bit-identical weights.

Modules are read in their order, together with the shape of one example. Networks of plain image modules have
channels first; their weights become those of a network with channels last (``dnn.interop.torch.layouts``).
"""

from __future__ import annotations

from collections import deque
from copy import copy
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from backends import Backend, InputError
from backends.backend import FLOAT_DTYPES
from backends.errors import reraise
from dnn.inputs.arrays import dtype_name
from dnn.interop import NoTwin
from dnn.interop.torch.convert import tensors_of
from dnn.interop.torch.layers import LAYER_TWINS, activation_module, activation_of
from dnn.interop.torch.layouts import Layout, Order, rows_in
from dnn.interop.torch.module_checks import (
    NamedModule,
    copy_trainable,
    example_shape,
    list_children,
    require_twin,
    require_untied,
    require_vector,
    takes_channels_first,
)
from dnn.interop.torch.twins import LayerTwin, nn_module, unwrap
from dnn.layers import Layer, Parallel
from dnn.sequential import Sequential
from dnn.settings.checks import require_kind
from dnn.typing import Shape

if TYPE_CHECKING:
    import torch


# A layer, the module from which it was converted, their twin, and torch's position of each of our features.
Converted = tuple[Layer, Any, LayerTwin, Order]


@dataclass
class ModuleReader:
    """Converts modules in sequence."""

    shape: Shape  # of one of our examples, before the next module
    layout: Layout  # channels last if image modules are within ``ChannelsLast``, or if there are none
    converted: list[Converted]  # gets the layers that are not containers

    def read(self, children: list[NamedModule], path: str = "") -> list[Layer]:
        """Return the layers of these modules, whose names in messages begin with ``path``.

        Raises NoTwin or InputError, with the name of the module.
        """
        rest = deque(children)
        layers = []
        while rest:
            name, child = rest.popleft()
            layer = self._read_one(name, child, rest, path)
            if name.isdecimal():  # modules that torch numbered get our default names
                layer.store("name", "")
            layers.append(layer)
        return layers

    def _read_one(self, name: str, child: Any, rest: deque[NamedModule], path: str) -> Layer:
        """Convert a module; take from ``rest`` the activation or Flatten that becomes part of our layer."""
        label = f"module {path + name!r} is {child}"
        alone = activation_of(child)
        twin = LAYER_TWINS["Activation"] if alone else require_twin(label, child)
        if twin.modules[0] in ("Sequential", "Residual", "Parallel"):
            return self._read_container(child, twin, name, path + name)
        module = unwrap(child)
        self._require_input(module, label, is_plain=module is child)
        if type(module).__name__ == "Unflatten":
            size = list(self.layout.of_ours(tuple(module.unflattened_size)))
            module = SimpleNamespace(dim=module.dim, unflattened_size=size)
        if type(module).__name__.startswith("Adaptive") and not self._is_global(module, rest):
            module = self._fixed_pooling(module, label)
            twin = require_twin(label, module)
        activation = alone or "linear"
        last = child
        if twin.has_activation and rest:
            following, after = rest[0]
            next_one = activation_of(after)
            if next_one is not None and (following.isdecimal() or following == f"{name}_{next_one}"):
                activation = next_one
                last = rest.popleft()[1]
        with reraise(InputError, f"{label}:", error_type=NoTwin):
            layer = twin.make_layer(module, activation, name)
        shaped = copy(layer)  # a layer gets its shapes once
        shaped.set_shape(self.shape)
        self.shape = shaped.output_shape
        if type(last).__name__ == "Softmax":
            axes = len(self.shape) + 1
            expected = 1 if self.layout.is_first else axes - 1
            if last.dim is None or last.dim % axes != expected:
                raise NoTwin(f"{label}: {last}", f"dim={expected}, over channels or features")
        order = self.layout.pass_layer(shaped, twin, label)
        self.converted.append((layer, module, twin, order))
        return layer

    def _require_input(self, module: Any, label: str, *, is_plain: bool) -> None:
        """Raise NoTwin or InputError unless the module takes examples of this shape and layout."""
        shape = self.shape
        theirs = self.layout.of_torch(shape)
        kind = type(module).__name__
        rank = {"2d": 3, "1d": 2}.get(kind[-2:])
        if rank and (kind, len(shape)) != ("BatchNorm1d", 1):
            if len(shape) != rank:
                expected = "(C, H, W)" if rank == 3 else "(C, L)"
                raise InputError(f"{label}, which takes {expected}", f"such examples, got shape {theirs}")
            if is_plain != self.layout.is_first:
                expected = "either all image modules within dnn.interop.torch.modules.ChannelsLast, or none"
                raise NoTwin(f"{label}, {'not ' * is_plain}within ChannelsLast", expected)
        for setting in ("in_features", "in_channels", "num_features"):
            count = getattr(module, setting, shape[-1])
            if count != shape[-1]:
                taken = f"{count} {setting.partition('_')[2]}"
                got = f"{label}, which takes {taken}, but gets examples of {theirs}"
                raise InputError(got, "the input_shape that the module takes, (C, H, W) for plain images")
        if kind == "LayerNorm" and module.normalized_shape != theirs[-1:]:
            expected = f"normalized_shape={theirs[-1:]}, the last axis alone"
            raise NoTwin(f"{label}, on examples of {theirs}", expected)

    def _is_global(self, module: Any, rest: deque[NamedModule]) -> bool:
        """Return whether this pooling and the next Flatten are a global pooling; then consume the Flatten."""
        if not rest or module.output_size not in (1, (1, 1)):
            return False
        after = rest[0][1]
        is_flatten = type(after).__name__ == "Flatten" and (after.start_dim, after.end_dim) == (1, -1)
        if is_flatten:
            rest.popleft()
        return is_flatten

    def _fixed_pooling(self, module: Any, label: str) -> Any:
        """Return the pooling with the same windows. Raises NoTwin: the windows have different sizes."""
        pixels = self.shape[:-1]
        size = module.output_size
        sizes = size if isinstance(size, tuple) else (size,) * len(pixels)
        windows, excess = zip(*(divmod(p, n or p) for p, n in zip(pixels, sizes, strict=True)), strict=True)
        if any(excess):
            raise NoTwin(f"{label} of {pixels} pixels", "an output size that divides them, for equal windows")
        return nn_module(type(module).__name__.removeprefix("Adaptive"), windows)

    def _read_container(self, module: Any, twin: LayerTwin, name: str, path: str) -> Layer:
        """Convert a container with its children, and follow the shape of an example."""
        kind = twin.modules[0]
        items = list(module._modules.items())
        if kind == "Sequential":
            inner = self.read(items, f"{path}.")
        else:
            inner = self._read_branches(module, kind, items, path)
        settings = SimpleNamespace(inner=inner, merge=getattr(module, "merge", "add"))
        layer = twin.make_layer(settings, "linear", name)
        if isinstance(layer, Parallel):
            self.shape = layer.shape_after(self.shape)
        return layer

    def _read_branches(self, module: Any, kind: str, items: list[NamedModule], path: str) -> list[Layer]:
        """Convert each branch of a Parallel, or the one branch of a Residual beside its shortcut."""
        label = f"module {path!r} is a {kind}"
        branches = [[], items]
        if kind == "Parallel":
            branches = [
                list(part._modules.items()) if type(part).__name__ == "Branch" else [(name, part)]
                for name, part in items
            ]
        inner = []
        layouts = []
        for branch in branches:
            reader = ModuleReader(self.shape, copy(self.layout), self.converted)
            inner += reader.read(branch, f"{path}.")
            layouts.append(reader.layout)
        last = len(self.shape)
        axis = 1 if self.layout.is_first else last  # of channels or features
        if getattr(module, "merge", "add") != "add" and module.axis not in (axis, axis - last - 1):
            raise NoTwin(f"{label} with axis={module.axis}", f"axis={axis}, that of channels or features")
        self.layout.merge(layouts, label)
        return inner


def from_torch(
    module: torch.nn.Sequential,
    backend: Backend | str = "auto",
    *,
    input_shape: Shape | None = None,
    output_activation: str | None = None,
    seed: int = 0,
) -> Sequential:
    """Return a model with the module's architecture, layer names and bit-identical weights and buffers.

    A module of plain image modules takes (B, C, H, W); the model takes the same images as (B, H, W, C),
    ``x.transpose(0, 2, 3, 1)``. The weights are permuted, also those behind a Flatten. A module without
    parameters that require gradients becomes a frozen layer; a BatchNorm must then be in eval mode.

    Args:
        module: an ``nn.Sequential`` of modules with a twin, from ``to_torch`` or not. An activation after
            Linear or Conv2d becomes part of that layer, unless it has its own name. An ``nn.Identity``, as
            from an augmentation, becomes ``Activation("linear")``.
        backend: of the model, or its name. Its dtype must be the module's, so that nothing is rounded.
        input_shape: of one example that the module takes, (C, H, W) for plain image modules; None: as stored
            by ``to_torch``, or from the first Linear.
        output_activation: last activation if the module ends with logits; None: as left out by ``to_torch``,
            else "linear".
        seed: of the model's shuffles.

    Raises:
        NoTwin: not an ``nn.Sequential``, a module without a twin, settings that our layer lacks, tied or
            partly frozen parameters.
        InputError: a dtype other than the backend's, or no input_shape.
    """
    children = list_children(module)
    require_kind("output_activation", output_activation, str, None)
    shape = example_shape(module, input_shape)
    layout = Layout(takes_channels_first(module))
    ours = layout.of_ours(shape)
    ending = output_activation or str(getattr(module, "left_out", "linear"))
    if ending != "linear":
        last = activation_module(ending)
        if layout.is_first and ending == "softmax":
            last.dim = 1
        children.append(("0", last))
    reader = ModuleReader(ours, layout, [])
    layers = reader.read(children)
    require_vector(reader.shape, layout)
    layout.finish()
    model = Sequential(layers, input_shape=ours, backend=backend, seed=seed)
    for parameter in module.parameters():
        if (dtype := dtype_name(parameter)) != model.backend.dtype_name:
            cure = f"use module.{'float' if model.backend.dtype_name == 'float32' else 'double'}()"
            cure += f", or a backend with dtype={dtype!r}" * (dtype in FLOAT_DTYPES)
            raise InputError(f"module has parameters of dtype {dtype}", model.backend.dtype_name, cure)
    require_untied(module)
    names = {id(inner): name for name, inner in module.named_modules()}
    for layer, source, twin, order in reader.converted:
        copy_trainable(layer, source, twin, names.get(id(source), layer.name), module.training)
        values = {**layer.value, **layer.state}
        for short, tensor, _ in tensors_of(source, twin):
            rows = tensor.cpu().numpy()[rows_in(order, short)]
            values[short][...] = model.backend.from_host(np.ascontiguousarray(rows))
    return model
