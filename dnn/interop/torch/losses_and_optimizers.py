"""Tables of losses and optimizers with their counterparts in torch.nn and torch.optim."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.table import Table
from dnn.interop.torch.twins import find_twin
from dnn.losses import Loss, get_loss
from dnn.optimizers import Optimizer, get_optimizer
from dnn.settings.checks import require_kind

if TYPE_CHECKING:
    import torch

Arguments = dict[str, Any]  # keyword arguments of a class of torch


@dataclass(frozen=True)
class OptimizerTwin:
    """The counterpart of an optimizer in torch.optim."""

    name: str  # class in torch.optim
    arguments: Callable[[Any], Arguments]  # our optimizer -> keyword arguments without lr
    slots: Mapping[str, str]  # our slot -> the key in torch's state of a parameter


@dataclass(frozen=True)
class LossTwin:
    """The counterpart of a loss in torch.nn."""

    module: str  # class in torch.nn
    arguments: Callable[[Any], Arguments] = lambda loss: {}  # our loss -> keyword arguments
    rows: bool = True  # whether class indices are converted to one-hot rows
    # (outputs, targets) -> the module's two arguments
    translate: Callable[[Any, Any], tuple[Any, Any]] = lambda outputs, targets: (outputs, targets)


def _tensor(numbers: float | tuple[float, ...]) -> torch.Tensor:
    import torch

    return torch.as_tensor(numbers, dtype=torch.float64)


def _cross_entropy(loss: Any) -> Arguments:
    ignored = {} if loss.ignored_class is None else {"ignore_index": loss.ignored_class}
    return {"label_smoothing": loss.label_smoothing, **ignored}


_CROSS_ENTROPY = LossTwin("CrossEntropyLoss", _cross_entropy, rows=False)
LOSS_TWINS: Table[LossTwin] = Table("loss with a twin in torch", {
    "categorical_crossentropy": _CROSS_ENTROPY,
    "sparse_categorical_crossentropy": _CROSS_ENTROPY,
    "binary_crossentropy": LossTwin(
        "BCEWithLogitsLoss", lambda loss: {"pos_weight": _tensor(loss.pos_weight)}
    ),
    "mean_squared_error": LossTwin("MSELoss"),
    "mean_absolute_error": LossTwin("L1Loss"),
    # For the target -1 this module computes max(0, 1 - input), here with input = s y.
    "hinge": LossTwin(
        "HingeEmbeddingLoss", translate=lambda y, t: (y.where(t > 0, -y), -y.new_ones(y.shape))
    ),
})  # fmt: skip

_MOMENTS = {"m": "exp_avg", "v": "exp_avg_sq", "largest": "max_exp_avg_sq"}


def _adam(o: Any) -> Arguments:
    return {"betas": (o.beta1, o.beta2), "eps": o.epsilon, "amsgrad": o.amsgrad}


OPTIMIZER_TWINS: Table[OptimizerTwin] = Table("optimizer with a twin in torch", {
    "sgd": OptimizerTwin(
        "SGD", lambda o: {"momentum": o.momentum, "nesterov": o.nesterov}, {"velocity": "momentum_buffer"}
    ),
    "adagrad": OptimizerTwin("Adagrad", lambda o: {"eps": o.epsilon}, {"total": "sum"}),
    "rmsprop": OptimizerTwin(
        "RMSprop",
        lambda o: {"alpha": o.decay, "eps": o.epsilon, "momentum": o.momentum, "centered": o.centered},
        {"v": "square_avg", "velocity": "momentum_buffer", "mean": "grad_avg"},
    ),
    "adam": OptimizerTwin("Adam", _adam, _MOMENTS),
    "adamw": OptimizerTwin("AdamW", lambda o: {**_adam(o), "weight_decay": o.weight_decay}, _MOMENTS),
})  # fmt: skip


def torch_loss(loss: str | Loss) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return a function of outputs (B, C) and targets (B,) or (B, C) that computes the batch's mean loss.

    Raises NoTwin: LOSS_TWINS has no entry for the loss.
    """
    from torch import nn

    loss = get_loss(loss)
    twin = find_twin("loss", loss.name, LOSS_TWINS)
    module = getattr(nn, twin.module)(**twin.arguments(loss))
    if not twin.rows:
        return module  # type: ignore[no-any-return]

    def with_rows(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if targets.ndim == 1:
            targets = nn.functional.one_hot(targets, outputs.shape[1]).to(outputs.dtype)
        return module(*twin.translate(outputs, targets))

    return with_rows


def torch_optimizer(optimizer: str | Optimizer, module: torch.nn.Module) -> torch.optim.Optimizer:
    """Return the torch.optim optimizer with our settings for the module's parameters.

    Raises NoTwin: OPTIMIZER_TWINS has no entry for the optimizer.
    """
    import torch

    optimizer = get_optimizer(optimizer)
    require_kind("module", module, torch.nn.Module)
    twin = find_twin("optimizer", optimizer.name, OPTIMIZER_TWINS)
    arguments = {"lr": float(optimizer.rates()[0]), **twin.arguments(optimizer)}
    made = getattr(torch.optim, twin.name)(module.parameters(), **arguments)

    def clip(*_: Any) -> None:
        """Clip the gradients with torch's own functions."""
        utils = torch.nn.utils
        if optimizer.clip_norm is not None:
            utils.clip_grad_norm_(module.parameters(), optimizer.clip_norm)
        if optimizer.clip_value is not None:
            utils.clip_grad_value_(module.parameters(), optimizer.clip_value)

    made.register_step_pre_hook(clip)
    return made
