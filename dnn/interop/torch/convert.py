"""Convert models to torch.nn modules, with bit-identical weights; ``module_reader`` converts back.

``dnn.interop.torch.layers`` has the tables of layers and activations,
``dnn.interop.torch.losses_and_optimizers`` those of losses and optimizers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import nullcontext
from copy import copy
from typing import TYPE_CHECKING, Any

from backends.errors import reraise, short_repr
from dnn.interop import NoTwin
from dnn.interop.torch.layers import activation_module, twin_of_layer
from dnn.interop.torch.layouts import Layout, rows_in
from dnn.interop.torch.module_checks import twin_of
from dnn.interop.torch.twins import LayerTwin, Module, nn_module, unwrap
from dnn.io.notices import warn
from dnn.layers import Block, GlobalAveragePooling2D, Layer, Reshape, Residual
from dnn.layers.containers import Container
from dnn.sequential import Sequential
from dnn.settings.checks import one_of, require_kind

if TYPE_CHECKING:
    import torch


def layer_modules(layer: Layer, layout: Layout) -> dict[str, Module]:
    """Return the modules of a built layer by name, with its weights and buffers: transform, then activation.

    They are on the CPU, in the dtype of the layer's backend. ``layout`` follows the layer.

    Raises NoTwin: torch.nn has no equivalent.
    """
    import torch

    twin = twin_of_layer(layer)
    module = twin.make_module(layer).to(dtype=getattr(torch, layer.backend.dtype_name))
    if not layout.is_first and twin.acts_on == "channels" and len(layer.input_shape) > 1:
        module = nn_module("ChannelsLast", module)
    order = None
    if isinstance(layer, Container):
        _add_inner(module, layer, layout)
    else:
        order = layout.pass_layer(layer, twin, f"layer {layer.name!r} is {type(layer).__name__}")
        if type(layer) is Reshape:
            if len(layer.input_shape) != 1:
                got = f"layer {layer.name!r} takes {layer.input_shape}"
                raise NoTwin(got, "rank 1", "add Flatten() before it")
            module.unflattened_size = layout.of_torch(layer.output_shape)
    ours = {**layer.value, **layer.state}
    for short, tensor, _ in tensors_of(module, twin):
        tensor[rows_in(order, short)] = torch.tensor(layer.backend.to_host(ours[short]))
    if not layer.trainable:
        module.requires_grad_(False)
        module.train(not layer.uses_batch_statistics)
    modules = {layer.name: module}
    if isinstance(layer, GlobalAveragePooling2D):
        modules[f"{layer.name}_flatten"] = torch.nn.Flatten()
    if twin.has_activation and layer.activation != "linear":
        modules[f"{layer.name}_{layer.activation}"] = activation_module(layer.activation)
    for made in modules.values():
        if layout.is_first and type(made) is torch.nn.Softmax:
            made.dim = 1  # the channels, or the features of a vector
    return modules


def _add_inner(module: Any, layer: Layer, layout: Layout) -> None:
    """Add the modules of the inner layers to that of their container."""
    from dnn.interop.torch.modules import Branch

    if isinstance(layer, Residual):
        after = copy(layout)
        _add_inner(module, layer.inner[1], after)
        layout.merge([layout, after], f"layer {layer.name!r}")
        return
    is_block = isinstance(layer, Block)
    layouts = []
    for inner in layer.inner:
        layouts.append(layout if is_block else copy(layout))
        parts = layer_modules(inner, layouts[-1])
        if len(parts) > 1 and not is_block:
            parts = {inner.name: Branch(OrderedDict(parts))}
        for name, part in parts.items():
            module.add_module(name, part)
    if not is_block:
        module.axis = 1 if layout.is_first else -1
        layout.merge(layouts, f"layer {layer.name!r}")


def to_torch(
    model: Sequential, device: Any = None, *, logits: bool | None = None, data_format: str = "channels_last"
) -> torch.nn.Sequential:
    """Return the model's twin: an ``nn.Sequential`` with the model's layer names and copies of its weights.

    The modules of frozen layers require no gradients, and a frozen BatchNorm is in eval mode: call ``eval``
    on it again after ``twin.train()``. An augmentation becomes an ``nn.Identity``: the twin predicts the
    same, and trains without augmentation. If the twin lacks the model's last activation, its attribute
    ``left_out`` names it. Its ``input_shape`` is that of one example.

    Args:
        device: a torch device; None: the model's device if it runs on torch, else the CPU.
        logits: True: leave out the last activation, for ``nn.CrossEntropyLoss`` and ``nn.BCEWithLogitsLoss``.
            False: keep it, so that the twin returns what ``predict`` returns. None: True if the model is
            compiled with a loss that contains the activation (softmax in cross-entropy); a notice says so.
        data_format: "channels_last": it takes the model's images (B, H, W, C). "channels_first": it takes
            (B, C, H, W) and consists of modules of torch.nn, unless a container or a Rescaling needs ours.

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
    one_of(("channels_last", "channels_first"))("data_format", data_format)
    if device is None:
        device = model.backend.device if model.backend.name == "torch" else "cpu"
    with reraise(RuntimeError, f"device is {short_repr(device)}", "a device of torch"):
        device = torch.device(device)
    layout = Layout(data_format == "channels_first")
    modules = {}
    # The twin can be trained outside of the modes. An interrupt could leave torch in a mode of a device.
    on_cpu = nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")
    with torch.inference_mode(False), on_cpu:
        for layer in model.layers:
            modules.update(layer_modules(layer, layout))
    twin = torch.nn.Sequential(OrderedDict(modules)).to(device)
    last = model.layers[-1].activation
    if is_default := logits is None:
        logits = model.reads_logits
    if logits and last != "linear":
        within = twin
        while type(within[-1]) is torch.nn.Sequential:
            within = within[-1]
        within._modules.popitem()
        if is_default:
            warn(f"to_torch leaves out {last!r}, which the loss contains; logits=False keeps it")
        twin.left_out = last
    layout.finish()
    twin.input_shape = layout.of_torch(model.input_shape)
    return twin


def tensors_of(module: Any, twin: LayerTwin) -> Iterator[tuple[str, Any, Any]]:
    """Yield (our short name, tensor, gradient or None) of each parameter and buffer, with axes in our order.

    Tensors and gradients are views of the module's.
    """
    for short, (theirs, axes) in twin.tensors.items():
        tensor = getattr(unwrap(module), theirs)
        if tensor is not None:  # None: a layer without bias
            gradient = None if tensor.grad is None else tensor.grad.permute(axes)
            yield short, tensor.detach().permute(axes), gradient


def twin_tensors(module: Module) -> Iterator[tuple[str, Any, Any]]:
    """Yield ``tensors_of`` all modules of a twin, with our full names."""
    import torch

    for name, child in module.named_children():
        twin = twin_of(child)
        if twin is not None:
            for short, tensor, gradient in tensors_of(child, twin):
                yield f"{name}.{short}", tensor, gradient
        if isinstance(child, torch.nn.Sequential):
            before = {"Branch": "", "Residual": f"{name}.block."}.get(type(child).__name__, f"{name}.")
            yield from ((before + n, tensor, gradient) for n, tensor, gradient in twin_tensors(child))
