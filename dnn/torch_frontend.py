"""The native PyTorch twin of a network: torch.nn modules, autograd and torch.optim.

It is what a PyTorch user would write instead of ours: same architecture, same weights, same batches, but
no line of our arithmetic. ``to_torch`` and ``from_torch`` (``dnn.torch_twins``) carry the weights over,
and ``fit`` takes the arguments of ``Sequential.fit``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from backends import Backend, InputError, get_backend
from dnn import inputs
from dnn.callbacks import Callback, History, Progress
from dnn.losses import Loss, get_loss
from dnn.model import METRICS
from dnn.names import look_up
from dnn.optimizers import Optimizer, get_optimizer
from dnn.random import permutation, stream_key
from dnn.torch_goal_twins import LOSS_TWINS, OPTIMIZER_TWINS, rate_table
from dnn.torch_twins import from_torch, to_torch

if TYPE_CHECKING:
    import torch

__all__ = ["evaluate", "fit", "from_torch", "to_torch", "torch_loss", "torch_optimizer"]

Array = Any


def torch_loss(loss: str | Loss) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """A loss as a function of outputs (B, C) and targets (B,) or (B, C), the batch's mean."""
    from torch import nn

    loss = get_loss(loss)
    twin = look_up("loss with a twin in torch", loss.name, LOSS_TWINS)
    module = getattr(nn, twin.module)(**twin.arguments(loss))
    if not twin.rows:
        return module  # type: ignore[no-any-return]

    def with_rows(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if targets.ndim == 1:
            targets = nn.functional.one_hot(targets, outputs.shape[1]).to(outputs.dtype)
        return module(*twin.translate(outputs, targets))

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

    optimizer = get_optimizer(optimizer)
    twin = look_up("optimizer with a twin in torch", optimizer.name, OPTIMIZER_TWINS)
    arguments = twin.arguments(optimizer)
    if fused:
        arguments["fused"] = True
    made: torch.optim.Optimizer = getattr(torch.optim, twin.name)(module.parameters(), **arguments)
    if optimizer.clip_norm is not None or optimizer.clip_value is not None:
        made.register_step_pre_hook(_clipping(optimizer, module))
    return made


def _clipping(optimizer: Optimizer, module: torch.nn.Module) -> Callable[..., None]:
    """What torch.optim calls before each step: torch's own clipping, with our settings."""
    from torch.nn import utils

    def clip(*_: Any) -> None:
        if optimizer.clip_norm is not None:
            utils.clip_grad_norm_(module.parameters(), optimizer.clip_norm)
        if optimizer.clip_value is not None:
            utils.clip_grad_value_(module.parameters(), optimizer.clip_value)

    return clip


def _as_floats(backend: Backend, x: torch.Tensor) -> torch.Tensor:
    """All admitted examples in memory as floats, images scaled once."""
    scale = inputs.scale_of(x)
    return x if scale == 1.0 else x.to(backend.dtype).mul_(scale)


def _right(outputs: torch.Tensor, targets: torch.Tensor, boundary: float) -> torch.Tensor:
    """How many predictions are right; with one output: on the target's side of the boundary."""
    if outputs.shape[1] == 1:
        return ((outputs > boundary) == (targets > 0.5)).sum()
    classes = targets if targets.ndim == 1 else targets.argmax(1)
    return (outputs.argmax(1) == classes).sum()


def evaluate(
    module: torch.nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    batch_size: int = 1000,
    boundary: float = 0.5,
) -> tuple[float, float]:
    """(mean loss, share of right predictions) over x (N, n) and y (N,) or (N, C) on the device; boundary as
    in ``dnn.losses``."""
    import torch

    total, correct = 0.0, 0
    training = module.training
    module.eval()
    with torch.no_grad():
        for part_x, part_y in zip(x.split(batch_size), y.split(batch_size), strict=True):
            outputs = module(part_x)
            total += float(loss(outputs, part_y)) * len(part_x)
            correct += int(_right(outputs, part_y, boundary))
    module.train(training)
    return total / len(x), correct / len(x)


def _no_state() -> NoReturn:
    raise InputError("the native twin's training cannot be saved and gone on with, expected Sequential.fit")


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
        module: on its device, in its dtype; a twin, or a module whose first layer is linear.
        x, y, batch_size, epochs, validation_data, callbacks, shuffle: as in ``Sequential.fit``; weights of
            examples and callbacks that need our model (EarlyStopping) are refused.
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
    shape = getattr(module, "input_shape", (int(example.shape[1]),))
    outputs = int(last.shape[0])
    epochs = inputs.positive_integer("epochs", epochs)
    x, y = inputs.training_data(backend, x, y, batch_size, shape, outputs)
    x, n = _as_floats(backend, x), len(x)
    if validation_data is not None:
        held_x, held_y, weights = inputs.validation_triple(backend, validation_data, shape, outputs)
        if weights is not None:
            raise InputError("validation_data has three parts, expected (x, y) for a torch twin")
        held_x = _as_floats(backend, held_x)
    loss = get_loss(loss)
    loss.check_targets(backend, "y", y)
    loss_of = torch_loss(loss)
    rates: list[float] = []  # torch's own optimizer keeps its own rate
    if not isinstance(optimizer, torch.optim.Optimizer):
        optimizer = get_optimizer(optimizer)
        rates = rate_table(optimizer)
        optimizer = torch_optimizer(optimizer, module, fused)
    module.train()
    key = stream_key(seed, "shuffle")
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
                out, wanted = module(x[index]), y[index]
                value = loss_of(out, wanted)
                value.backward()
                optimizer.step()
                total += value.detach() * len(index)  # read once an epoch, not once an update
                if metrics:
                    correct += _right(out.detach(), wanted, loss.boundary)
                seen = min(update * batch_size, n)
                now = Progress(epoch, last_epoch, update, updates, seen, partial(read, seen), _no_state)
                for watcher in watchers:
                    if watcher.every and (update % watcher.every == 0 or update == updates):
                        watcher.on_progress(now)
            mean, accuracy = read(n)
            logs = {"loss": mean, "seconds": time.perf_counter() - start}
            if metrics:
                logs["accuracy"] = accuracy
            if validation_data is not None:
                logs["val_loss"], held = evaluate(module, held_x, held_y, loss_of, boundary=loss.boundary)
                if metrics:
                    logs["val_accuracy"] = held
            for watcher in watchers:
                watcher.on_epoch_end(epoch, logs)
    finally:
        for watcher in watchers:
            watcher.on_train_end()
    return history
