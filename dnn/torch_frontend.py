"""The native PyTorch twin of a network: torch.nn modules, autograd and torch.optim.

It is what a PyTorch user would write instead of ours: same architecture, same weights, same batches, but
no line of our arithmetic. ``to_torch`` and ``from_torch`` carry the weights over bit by bit, and ``fit``
takes the arguments of ``Sequential.fit``.

Each table below maps our names to torch's; a new layer, activation, loss or optimizer is one line there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from backends import Backend, InputError, get_backend
from dnn import inputs
from dnn.callbacks import Callback, History, Progress
from dnn.layers import Dense, Layer
from dnn.losses import LOSSES, Loss
from dnn.model import METRICS, Sequential
from dnn.names import look_up
from dnn.optimizers import OPTIMIZERS, Optimizer
from dnn.random import permutation, stream_key
from dnn.schedules import Schedule

if TYPE_CHECKING:
    import torch

Array = Any

# --------------------------------------------------------------------------- the tables


@dataclass(frozen=True)
class LayerTwin:
    """How one of our layers with parameters stands in torch.

    Args:
        module: its class in torch.nn.
        make: (our layer) -> arguments of that class.
        back: (the module, activation, name) -> our layer.
        parameters: our short name -> (torch's name, whether ours is its transpose).
    """

    module: str
    make: Callable[[Any], tuple[Any, ...]]
    back: Callable[[Any, str, str], Layer]
    parameters: Mapping[str, tuple[str, bool]]


@dataclass(frozen=True)
class OptimizerTwin:
    """One of our optimizers in torch.optim.

    Args:
        name: of the class there.
        arguments: (our settings) -> its keyword arguments.
        slots: our slot -> the key in torch's state of a parameter.
    """

    name: str
    arguments: Callable[[Any], dict[str, Any]]
    slots: Mapping[str, str]


def rate_table(optimizer: Optimizer) -> list[float]:
    """The learning rate of update 0, 1, ...; past the end the last one holds."""
    rate = optimizer.learning_rate
    return [float(r) for r in rate.rates()] if isinstance(rate, Schedule) else [float(rate)]


def first_rate(optimizer: Optimizer) -> float:
    """What torch.optim starts with."""
    return rate_table(optimizer)[0]


LAYER_TWINS: Mapping[str, LayerTwin] = MappingProxyType(
    {
        "Dense": LayerTwin(
            "Linear",
            lambda layer: (layer.input_shape[0], layer.units),
            lambda module, activation, name: Dense(module.out_features, activation, name=name),
            {"W": ("weight", True), "b": ("bias", False)},  # torch's weight is (n_out, n_in)
        ),
    }
)

ACTIVATION_TWINS: Mapping[str, tuple[str, dict[str, Any]]] = MappingProxyType(
    {
        "sigmoid": ("Sigmoid", {}),
        "tanh": ("Tanh", {}),
        "relu": ("ReLU", {}),
        "softmax": ("Softmax", {"dim": -1}),
    }
)
"""Our activation -> (class in torch.nn, keyword arguments); "linear" is no module at all."""

LOSS_TWINS: Mapping[str, tuple[str, bool]] = MappingProxyType(
    {
        "categorical_crossentropy": ("CrossEntropyLoss", False),
        "mean_squared_error": ("MSELoss", True),
    }
)
"""Our loss -> (class in torch.nn, whether it needs class numbers as one-hot rows)."""

OPTIMIZER_TWINS: Mapping[str, OptimizerTwin] = MappingProxyType(
    {
        "sgd": OptimizerTwin(
            "SGD",
            lambda o: {"lr": first_rate(o), "momentum": o.momentum, "nesterov": o.nesterov},
            {"velocity": "momentum_buffer"},
        ),
        "adam": OptimizerTwin(
            "Adam",
            lambda o: {"lr": first_rate(o), "betas": (o.beta1, o.beta2), "eps": o.epsilon},
            {"m": "exp_avg", "v": "exp_avg_sq"},
        ),
    }
)


# --------------------------------------------------------------------------- networks


def activation_module(kind: str) -> torch.nn.Module:
    """The torch.nn module of an activation ("linear": nn.Identity)."""
    from torch import nn

    if kind == "linear":
        return nn.Identity()
    name, arguments = look_up("activation", kind, ACTIVATION_TWINS)
    module: torch.nn.Module = getattr(nn, name)(**arguments)
    return module


def layer_modules(layer: Layer, dtype: Any, device: Any) -> dict[str, torch.nn.Module]:
    """A built layer's modules by name, its weights copied: the transform, then the activation."""
    import torch

    twin = look_up("layer", type(layer).__name__, LAYER_TWINS)
    module = getattr(torch.nn, twin.module)(*twin.make(layer), dtype=dtype, device=device)
    backend = layer._backend
    assert backend is not None
    with torch.no_grad():
        for short, (name, transposed) in twin.parameters.items():
            values = torch.from_numpy(np.array(backend.to_host(layer.value[short])))
            getattr(module, name).copy_(values.T if transposed else values)
    modules = {layer.name: module}
    if layer.activation != "linear":
        modules[f"{layer.name}_{layer.activation}"] = activation_module(layer.activation)
    return modules


def to_torch(model: Sequential, device: Any = None) -> torch.nn.Sequential:
    """The model's twin: an ``nn.Sequential`` with the model's layer names and copies of its weights.

    Where the model is compiled with a loss that contains the last activation (softmax in
    cross-entropy), the twin ends with logits, as ``nn.CrossEntropyLoss`` takes them; its attribute
    ``left_out`` then names the activation.

    Args:
        device: a torch device; None: the model's own if it runs on torch, else the CPU.

    Raises:
        InputError: a layer or activation without a twin.

    >>> from backends import get_backend
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
        del modules[f"{last.name}_{last.activation}"]
        twin.left_out = last.activation
    for name, module in modules.items():
        twin.add_module(name, module)
    return twin


def twin_parameters(module: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Parameter, bool]]:
    """Every parameter of a twin as (our name, the parameter, whether ours is its transpose)."""
    twins = {twin.module: twin for twin in LAYER_TWINS.values()}
    for name, child in module.named_children():
        twin = twins.get(type(child).__name__)
        if twin is not None:
            for short, (theirs, transposed) in twin.parameters.items():
                yield f"{name}.{short}", getattr(child, theirs), transposed


def from_torch(
    module: torch.nn.Sequential,
    backend: Backend,
    *,
    output_activation: str | None = None,
    seed: int = 0,
) -> Sequential:
    """Our model with a twin's architecture, layer names and weights, bit by bit.

    Args:
        module: an ``nn.Sequential`` of modules that have a twin here, from ``to_torch`` or not.
        backend: where the model shall live, of the module's dtype: nothing is rounded unasked.
        output_activation: of the last layer if the module ends with logits; None: what ``to_torch``
            left out, else "linear".
        seed: of the model's shuffles.

    Raises:
        InputError: a module without a twin, or another dtype than the backend's.
    """
    by_module = {twin.module: twin for twin in LAYER_TWINS.values()}
    kinds = {name: kind for kind, (name, _) in ACTIVATION_TWINS.items()}
    children = list(module.named_children())
    layers: list[Layer] = []
    for i, (name, child) in enumerate(children):
        kind = type(child).__name__
        if kind in kinds and i > 0 and type(children[i - 1][1]).__name__ in by_module:
            continue
        twin = by_module.get(kind)
        if twin is None or any(getattr(child, n) is None for n, _ in twin.parameters.values()):
            raise InputError(
                f"module {name!r} is {child}, expected one of {', '.join(by_module)} with a bias, each "
                f"followed by at most one of {', '.join(kinds)}"
            )
        after = children[i + 1][1] if i + 1 < len(children) else None
        activation = kinds.get(type(after).__name__, "linear")
        if after is None:
            activation = output_activation or str(getattr(module, "left_out", "linear"))
        # A module that torch numbered itself ("0") gets our usual name.
        layers.append(twin.back(child, activation, None if name.isdecimal() else name))  # type: ignore[arg-type]
    if not layers:
        raise InputError("module holds no layer, expected an nn.Sequential with at least one")
    weights = [
        (p.T if transposed else p).detach().cpu().numpy() for _, p, transposed in twin_parameters(module)
    ]
    model = Sequential(layers, input_shape=(weights[0].shape[0],), backend=backend, seed=seed)
    model.parameters.load(dict(zip(model.parameters.shapes, weights, strict=True)))
    return model


# --------------------------------------------------------------------------- training


def torch_loss(loss: str | Loss) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """A loss as a function of outputs (B, C) and targets (B,) or (B, C), the batch's mean."""
    from torch import nn

    name = loss if isinstance(loss, str) else loss.name
    look_up("loss", name, LOSSES)
    kind, one_hot = look_up("loss with a twin in torch", name, LOSS_TWINS)
    module = getattr(nn, kind)()
    if not one_hot:
        return module  # type: ignore[no-any-return]

    def with_rows(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if targets.ndim == 1:
            targets = nn.functional.one_hot(targets, outputs.shape[1]).to(outputs.dtype)
        return module(outputs, targets)

    return with_rows


def torch_optimizer(
    optimizer: str | Optimizer, module: torch.nn.Module, fused: bool = False
) -> torch.optim.Optimizer:
    """The torch.optim optimizer with our settings, over the module's parameters.

    Args:
        fused: torch's one-kernel implementation: faster, but the code that our torch backend's Adam
            uses too, hence not the default where independence counts.
    """
    import torch

    if isinstance(optimizer, str):
        optimizer = look_up("optimizer", optimizer, OPTIMIZERS)()  # type: ignore[call-arg]
    twin = look_up("optimizer with a twin in torch", optimizer.name, OPTIMIZER_TWINS)
    arguments = twin.arguments(optimizer)
    if fused:
        arguments["fused"] = True
    made: torch.optim.Optimizer = getattr(torch.optim, twin.name)(module.parameters(), **arguments)
    return made


def _admit(backend: Backend, argument: str, x: Any, shape: tuple[int, ...]) -> torch.Tensor:
    """All examples in memory on the device as floats, images scaled once."""
    x = inputs.examples(backend, argument, x, shape)
    scale = inputs.scale_of(x)
    return x if scale == 1.0 else x.to(backend.dtype).mul_(scale)


def evaluate(
    module: torch.nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    batch_size: int = 1000,
) -> tuple[float, float]:
    """(mean loss, share of right predictions) over x (N, n) and y (N,) or (N, C) on the device."""
    import torch

    total, correct = 0.0, 0
    with torch.no_grad():
        for part_x, part_y in zip(x.split(batch_size), y.split(batch_size), strict=True):
            outputs = module(part_x)
            classes = part_y if part_y.ndim == 1 else part_y.argmax(1)
            total += float(loss(outputs, part_y)) * len(part_x)
            correct += int((outputs.argmax(1) == classes).sum())
    return total / len(x), correct / len(x)


def fit(
    module: torch.nn.Sequential,
    x: Any,
    y: Any,
    *,
    batch_size: int = 100,
    epochs: int = 1,
    validation_data: tuple[Any, Any] | None = None,
    callbacks: Sequence[Callback] = (),
    shuffle: bool = True,
    seed: int = 0,
    loss: str | Loss = "categorical_crossentropy",
    optimizer: str | Optimizer | torch.optim.Optimizer = "adam",
    metrics: Sequence[str] = METRICS,
    first_epoch: int = 1,
    fused: bool = False,
) -> History:
    """Train a twin by autograd and torch.optim on the batches that ``Sequential.fit`` takes.

    Args:
        module: on its device, in its dtype; a twin whose first layer is linear.
        x, y, batch_size, epochs, validation_data, callbacks, shuffle: as in ``Sequential.fit``.
        seed: of the shuffles: the model's seed gives the model's batches.
        loss, optimizer, metrics: as in ``Sequential.compile``; a torch.optim optimizer is taken as it
            is, so that a second fit may go on with its state.
        first_epoch: the number of the first epoch, 1 more than those trained before.
        fused: see ``torch_optimizer``.

    Returns:
        loss, accuracy, val_loss, val_accuracy and seconds of each epoch.

    Raises:
        InputError: an argument that does not fit; nothing was changed.
    """
    import torch

    example = next(iter(module.parameters()))
    last = list(module.parameters())[-1]
    backend = get_backend("torch", example.device, str(example.dtype).removeprefix("torch."))
    shape, outputs = (int(example.shape[1]),), int(last.shape[0])
    batch_size = inputs.positive_integer("batch_size", batch_size)
    epochs = inputs.positive_integer("epochs", epochs)
    x = _admit(backend, "x", x, shape)
    n = len(x)
    if batch_size > n:
        raise InputError(f"batch_size is {batch_size}, expected at most the {n} examples in x")
    y = inputs.targets(backend, "y", y, n, outputs)
    if validation_data is not None:
        held_x = _admit(backend, "validation_data[0]", validation_data[0], shape)
        held_y = inputs.targets(backend, "validation_data[1]", validation_data[1], len(held_x), outputs)
    loss_of = torch_loss(loss)
    rates: list[float] = []  # torch's own optimizer keeps its own rate
    if not isinstance(optimizer, torch.optim.Optimizer):
        if isinstance(optimizer, str):
            optimizer = look_up("optimizer", optimizer, OPTIMIZERS)()  # type: ignore[call-arg]
        rates = rate_table(optimizer)
        optimizer = torch_optimizer(optimizer, module, fused)
    key = stream_key(seed, "shuffle")
    classes = y if y.ndim == 1 else y.argmax(1)
    updates = -(-n // batch_size)
    history = History()
    watchers = (history, *callbacks)
    last_epoch = first_epoch + epochs - 1
    for watcher in watchers:
        watcher.on_train_begin(first_epoch, last_epoch, updates)
    try:
        for epoch in range(first_epoch, last_epoch + 1):
            start = time.perf_counter()
            order = permutation(backend, key, epoch, n) if shuffle else torch.arange(n).to(x.device)
            total = torch.zeros((), dtype=x.dtype, device=x.device)
            correct = torch.zeros((), dtype=torch.int64, device=x.device)

            def read(examples: int, total: Array = total, correct: Array = correct) -> tuple[float, float]:
                return float(total) / examples, float(correct) / examples

            for update, index in enumerate(order.split(batch_size), 1):
                if len(rates) > 1:
                    done = (epoch - 1) * updates + update - 1
                    for group in optimizer.param_groups:
                        group["lr"] = rates[min(done, len(rates) - 1)]
                optimizer.zero_grad(set_to_none=True)
                out = module(x[index])
                value = loss_of(out, y[index])
                value.backward()
                optimizer.step()
                total += value.detach() * len(index)  # read once an epoch, not once an update
                if metrics:
                    correct += (out.detach().argmax(1) == classes[index]).sum()
                seen = min(update * batch_size, n)
                for watcher in watchers:
                    if watcher.every and (update % watcher.every == 0 or update == updates):
                        watcher.on_progress(
                            Progress(epoch, last_epoch, update, updates, seen, lambda s=seen, r=read: r(s))  # type: ignore[misc]
                        )
            mean, accuracy = read(n)
            logs = {"loss": mean, "seconds": time.perf_counter() - start}
            if metrics:
                logs["accuracy"] = accuracy
            if validation_data is not None:
                logs["val_loss"], held = evaluate(module, held_x, held_y, loss_of)
                if metrics:
                    logs["val_accuracy"] = held
            for watcher in watchers:
                watcher.on_epoch_end(epoch, logs)
    finally:
        for watcher in watchers:
            watcher.on_train_end()
    return history
