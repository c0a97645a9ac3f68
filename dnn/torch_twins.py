"""Our networks as torch.nn modules and back, weights bit by bit.

Each table maps our names to torch's; a new layer, activation, loss or optimizer is one line there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from backends import Backend, InputError
from dnn.layers import Dense, Layer
from dnn.model import Sequential
from dnn.names import look_up
from dnn.optimizers import Optimizer
from dnn.schedules import Schedule

if TYPE_CHECKING:
    import torch

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


@dataclass(frozen=True)
class LossTwin:
    """One of our losses in torch.nn.

    Args:
        module: its class there.
        arguments: (our loss) -> its keyword arguments.
        rows: class numbers become one-hot rows for it.
        translate: (outputs, targets) -> the module's two arguments.
    """

    module: str
    arguments: Callable[[Any], dict[str, Any]] = lambda loss: {}
    rows: bool = True
    translate: Callable[[Any, Any], tuple[Any, Any]] = lambda outputs, targets: (outputs, targets)


def rate_table(optimizer: Optimizer) -> list[float]:
    """The learning rate of update 0, 1, ...; past the end the last one holds."""
    rate = optimizer.learning_rate
    return [float(r) for r in rate.rates()] if isinstance(rate, Schedule) else [float(rate)]


def first_rate(optimizer: Optimizer) -> float:
    """What torch.optim starts with."""
    return rate_table(optimizer)[0]


def _adam_arguments(o: Any) -> dict[str, Any]:
    return {"lr": first_rate(o), "betas": (o.beta1, o.beta2), "eps": o.epsilon}


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

_CROSS_ENTROPY = LossTwin(
    "CrossEntropyLoss", lambda loss: {"label_smoothing": loss.label_smoothing}, rows=False
)
LOSS_TWINS: Mapping[str, LossTwin] = MappingProxyType(
    {
        "categorical_crossentropy": _CROSS_ENTROPY,
        "sparse_categorical_crossentropy": _CROSS_ENTROPY,
        "binary_crossentropy": LossTwin("BCEWithLogitsLoss"),
        "mean_squared_error": LossTwin("MSELoss"),
        "mean_absolute_error": LossTwin("L1Loss"),
        # max(0, 1 - s y) is what this module makes of s y for the target -1.
        "hinge": LossTwin(
            "HingeEmbeddingLoss",
            translate=lambda y, t: (y.where(t > 0, -y), -y.new_ones(y.shape)),
        ),
    }
)

OPTIMIZER_TWINS: Mapping[str, OptimizerTwin] = MappingProxyType(
    {
        "sgd": OptimizerTwin(
            "SGD",
            lambda o: {"lr": first_rate(o), "momentum": o.momentum, "nesterov": o.nesterov},
            {"velocity": "momentum_buffer"},
        ),
        "adagrad": OptimizerTwin(
            "Adagrad",
            lambda o: {"lr": first_rate(o), "eps": o.epsilon},
            {"total": "sum"},
        ),
        "rmsprop": OptimizerTwin(
            "RMSprop",
            lambda o: {"lr": first_rate(o), "alpha": o.decay, "eps": o.epsilon, "momentum": o.momentum},
            {"v": "square_avg", "velocity": "momentum_buffer"},
        ),
        "adamw": OptimizerTwin(
            "AdamW",
            lambda o: {**_adam_arguments(o), "weight_decay": o.weight_decay},
            {"m": "exp_avg", "v": "exp_avg_sq"},
        ),
        "adam": OptimizerTwin(
            "Adam",
            _adam_arguments,
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
