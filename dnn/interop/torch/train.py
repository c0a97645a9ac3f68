"""Train a twin by autograd and torch.optim on the same batches as ``Sequential.fit``.

This is a plain PyTorch loop that shares only the order of the batches with us. Accuracies are compared with
it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backends import Backend, InputError, get_backend
from dnn.interop.torch.layers import activation_of
from dnn.interop.torch.losses_and_optimizers import torch_loss, torch_optimizer
from dnn.interop.torch.module_checks import example_shape, takes_channels_first
from dnn.losses import Loss, get_loss
from dnn.optimizers import Optimizer, get_optimizer
from dnn.random import permutation, stream_key
from dnn.training.history import History
from dnn.validation.arrays import dtype_name
from dnn.validation.batches import ValidatedBatches
from dnn.validation.examples import Examples, InputPipeline
from dnn.validation.rows import Rows
from dnn.validation.settings import positive_integer, require_kind

if TYPE_CHECKING:
    import torch


def _as_floats(backend: Backend, examples: Examples | ValidatedBatches) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (x, y) with all examples in memory, x as floats."""
    if not isinstance(examples, Examples) or examples.weights is not None:
        got = "validation_data has three parts or is an iterable, or the loss has an ignore_index"
        raise InputError(got, "(x, y) for a torch twin")
    x, y, _ = examples
    if isinstance(x, Rows):
        x = backend.from_host(x.take(np.arange(x.shape[0])))
    return x.to(backend.dtype), y


def _require_logits(module: torch.nn.Module, loss: Loss) -> None:
    """Reject a module that ends with an activation that the loss already contains."""
    if loss.activation is not None and activation_of([*module.modules()][-1]) == loss.activation:
        raise InputError(
            f"module ends with {loss.activation}, which the loss {loss.name} contains",
            "one without: to_torch(model, logits=True)",
        )


def _count_correct(outputs: torch.Tensor, targets: torch.Tensor, threshold: float) -> torch.Tensor:
    """Count correct predictions. A single output is positive above the threshold."""
    if outputs.shape[1] == 1:
        return ((outputs > threshold) == (targets > 0.5)).sum()
    classes = targets if targets.ndim == 1 else targets.argmax(1)
    return (outputs.argmax(1) == classes).sum()


def evaluate(
    module: torch.nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    batch_size: int = 1000,
    threshold: float = 0.5,
) -> tuple[float, float]:
    """Return (mean loss, accuracy) for x (N, ...) and y (N,) or (N, C) on the module's device.

    Args:
        threshold: a single output above it counts as positive, as in ``dnn.losses``.
    """
    import torch

    total = 0.0
    correct = 0
    training = module.training
    module.eval()
    with torch.no_grad():
        for part_x, part_y in zip(x.split(batch_size), y.split(batch_size), strict=True):
            outputs = module(part_x)
            total += float(loss(outputs, part_y)) * len(part_x)
            correct += int(_count_correct(outputs, part_y, threshold))
    module.train(training)
    return total / len(x), correct / len(x)


def _update(
    module: torch.nn.Module,
    optimizer: Any,
    rate: float,
    x: torch.Tensor,
    y: torch.Tensor,
    loss: Callable[..., Any],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Make one update; return the outputs (B, C) and the mean loss before it."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    outputs = module(x)
    value = loss(outputs, y)
    value.backward()
    optimizer.step()
    return outputs.detach(), value.detach()


def _parameters_of(module: Any) -> Sequence[Any]:
    """Return the parameters of a module. Raises InputError: no nn.Sequential, or no parameters."""
    import torch

    parameters = list(require_kind("module", module, torch.nn.Sequential).parameters())
    if not parameters:
        raise InputError("module has no parameters", "an nn.Sequential with a Linear")
    return parameters


def _make_pipeline(backend: Backend, module: Any, parameters: Sequence[Any], loss: Loss) -> InputPipeline:
    """Return the checks of examples for a module whose sizes its parameters show."""
    expected = "a twin from to_torch, or an nn.Sequential that starts with a Linear"
    try:
        shape = example_shape(module, None)
    except InputError:
        raise InputError("module does not show the shape of its examples", expected) from None
    return InputPipeline(
        backend, shape,
        int(parameters[-1].shape[0]), loss.ignored_class, loss.check_targets,
        getattr(module[0], "num_embeddings", None), takes_channels_first(module),
    )  # fmt: skip


def fit(
    module: torch.nn.Sequential,
    x: Any,
    y: Any,
    *,
    batch_size: int = 100,
    epochs: int = 1,
    validation_data: tuple[Any, Any] | None = None,
    seed: int = 0,
    loss: str | Loss = "categorical_crossentropy",
    optimizer: str | Optimizer = "adam",
) -> History:
    """Train a twin.

    Args:
        module: a twin, or an ``nn.Sequential`` that starts with a Linear; it sets the device and dtype.
        x, y, batch_size, epochs, validation_data: as in ``Sequential.fit``, without sample weights.
        seed: of the shuffles; the model's seed gives the model's batches.
        loss, optimizer: as in ``Sequential.compile``.

    Returns the history: loss, accuracy, val_loss, val_accuracy and seconds of each epoch.

    Raises InputError: an invalid argument; the module is unchanged.
    """
    parameters = _parameters_of(module)
    backend = get_backend("torch", parameters[0].device, dtype_name(parameters[0]))
    epochs = positive_integer("epochs", epochs)
    batch_size = positive_integer("batch_size", batch_size)
    loss = get_loss(loss)
    optimizer = get_optimizer(optimizer)
    pipeline = _make_pipeline(backend, module, parameters, loss)
    examples, held = pipeline.validate_training(x, y, validation_data=validation_data)
    x, y = _as_floats(backend, examples)
    validation = None if held is None else _as_floats(backend, held)
    _require_logits(module, loss)
    loss_of = torch_loss(loss)
    rates = optimizer.rates().tolist()
    key = stream_key(seed, "shuffle")
    adapt = torch_optimizer(optimizer, module)
    history = History()
    module.train()
    done = 0
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        total, right = x.new_zeros(2)
        for index in permutation(backend, key, epoch, len(x)).split(batch_size):
            rate = rates[min(done, len(rates) - 1)]
            outputs, value = _update(module, adapt, rate, x[index], y[index], loss_of)
            done += 1
            total += value * len(index)  # read once an epoch, not once an update
            right += _count_correct(outputs, y[index], loss.threshold)
        logs = {"loss": float(total) / len(x), "accuracy": float(right) / len(x)}
        logs["seconds"] = time.perf_counter() - start
        if validation is not None:
            logs["val_loss"], logs["val_accuracy"] = evaluate(
                module, *validation, loss_of, threshold=loss.threshold
            )
        history.add(epoch, logs)
    return history
