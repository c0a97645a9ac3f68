"""The native PyTorch twin of a network: torch.nn modules, autograd and torch.optim.

It is what a PyTorch user would write instead of ours: same architecture, same weights, same batches, but
no line of our arithmetic. ``to_torch`` and ``from_torch`` (``dnn.torch_twins``) carry the weights over,
and ``fit`` takes the arguments of ``Sequential.fit``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from backends import Backend, get_backend
from dnn import inputs
from dnn.callbacks import Callback, History, Progress
from dnn.losses import LOSSES, Loss
from dnn.model import METRICS
from dnn.names import look_up
from dnn.optimizers import OPTIMIZERS, Optimizer
from dnn.random import permutation, stream_key
from dnn.torch_twins import LOSS_TWINS, OPTIMIZER_TWINS, from_torch, rate_table, to_torch

if TYPE_CHECKING:
    import torch

__all__ = ["evaluate", "fit", "from_torch", "to_torch", "torch_loss", "torch_optimizer"]

Array = Any


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


def _as_floats(backend: Backend, x: torch.Tensor) -> torch.Tensor:
    """All admitted examples in memory as floats, images scaled once."""
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
    training = module.training
    module.eval()
    with torch.no_grad():
        for part_x, part_y in zip(x.split(batch_size), y.split(batch_size), strict=True):
            outputs = module(part_x)
            classes = part_y if part_y.ndim == 1 else part_y.argmax(1)
            total += float(loss(outputs, part_y)) * len(part_x)
            correct += int((outputs.argmax(1) == classes).sum())
    module.train(training)
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
        module: on its device, in its dtype; a twin, or a module whose first layer is linear.
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
    shape = getattr(module, "input_shape", (int(example.shape[1]),))
    outputs = int(last.shape[0])
    epochs = inputs.positive_integer("epochs", epochs)
    x, y = inputs.training_data(backend, x, y, batch_size, shape, outputs)
    x, n = _as_floats(backend, x), len(x)
    if validation_data is not None:
        held_x, held_y = inputs.validation_pair(backend, validation_data, shape, outputs)
        held_x = _as_floats(backend, held_x)
    loss_of = torch_loss(loss)
    rates: list[float] = []  # torch's own optimizer keeps its own rate
    if not isinstance(optimizer, torch.optim.Optimizer):
        if isinstance(optimizer, str):
            optimizer = look_up("optimizer", optimizer, OPTIMIZERS)()  # type: ignore[call-arg]
        rates = rate_table(optimizer)
        optimizer = torch_optimizer(optimizer, module, fused)
    module.train()
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
