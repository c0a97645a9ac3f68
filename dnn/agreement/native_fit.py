"""A whole training in native PyTorch: torch.nn, autograd and torch.optim, as a user of PyTorch writes it.

Given are the weights, the rows of each batch, the masks of dropout, and the learning rates.
"""

from collections.abc import Callable
from functools import partial
from math import log
from typing import Any

import numpy as np

import dnn.interop.torch as twin
from backends import Array, Backend, get_backend
from dnn.agreement import textbook
from dnn.agreement.cases import FitCase
from dnn.agreement.state import Named
from dnn.interop.torch import convert
from dnn.losses import get_loss


def _mean_loss(case: FitCase, backend: Backend, y: Array) -> Callable[..., Array]:
    """The loss of outputs z (B, C) of these rows, weighted: torch's own mean knows no sample weights."""
    import torch

    ignored = get_loss(case.loss).ignored
    kept = {} if ignored is None else {"ignore_index": ignored}
    often = np.ones(len(y)) if case.sample_weight is None else case.sample_weight
    often = backend.from_host(often).to(backend.dtype)

    def mean_loss(z: Array, rows: Any = slice(None), classes: Any = None) -> Array:
        each = partial(torch.nn.functional.cross_entropy, weight=classes, reduction="none", **kept)
        # With outputs of 0 each loss is log C times what the class counts, and 0 if it is ignored.
        counts = each(torch.zeros_like(z), y[rows]) / log(case.classes)
        total = (counts * often[rows]).sum()  # 0 of a batch in which nothing counts
        return (each(z, y[rows]) * often[rows]).sum() / torch.where(total == 0, 1.0, total)

    return mean_loss


def _with_penalty(value: Any, case: FitCase, module: Any) -> Any:
    """Return the loss plus l1 sum |W| + l2 sum W^2 of each dense layer."""
    for name, child in module.named_children():
        if name.startswith("dense") and hasattr(child, "weight"):
            value = value + case.l1 * child.weight.abs().sum() + case.l2 * child.weight.square().sum()
    return value


def fit(case: FitCase, backend: Backend) -> Named:
    """What ``textbook.fit`` returns, from a torch Backend that only moves data."""
    import torch

    dtype = backend.dtype_name
    module = twin.to_torch(case.model(get_backend("numpy", dtype=dtype)), backend.device)
    x = backend.from_host(case.images).to(backend.dtype)
    y = backend.from_host(case.labels)
    optimizer = twin.torch_optimizer(case.optimizer, module)
    ignored = get_loss(case.loss).ignored
    mean_loss = _mean_loss(case, backend, y)
    table = np.ones(case.classes, dtype)
    table[list(case.class_weight or ())] = list((case.class_weight or {}).values())
    done = 0
    during = []
    after = []
    last = 0.0

    def outputs(rows: Array) -> Array:
        h = x[rows]
        for child in module:
            if isinstance(child, torch.nn.Dropout):
                h = h * backend.from_host(textbook.mask(case, done, len(h)).astype(dtype))
            else:
                h = child(h)
        return h

    def scores(z: Array, classes: Any = None) -> list[float]:
        right = (z.argmax(1) == y)[y != (-1 if ignored is None else ignored)]
        return [float(mean_loss(z, classes=classes)), float(right.sum()) / len(right)]

    def used() -> Array:
        with torch.no_grad():
            return module.eval()(x)

    before = scores(used())
    in_training = backend.from_host(table)
    for epoch in range(1, case.epochs + 1):
        module.train()
        z = torch.zeros((len(y), case.classes), dtype=backend.dtype, device=backend.device)
        for rows in backend.from_host(textbook.order(case, epoch)).split(case.batch_size):
            optimizer.zero_grad()
            made = outputs(rows)
            value = _with_penalty(mean_loss(made, rows, in_training), case, module)
            value.backward()
            for group in optimizer.param_groups:
                group["lr"] = last = textbook.rate(case.optimizer.learning_rate, done)
            optimizer.step()
            done += 1
            z[rows] = made.detach()
        during.append(scores(z, in_training))
        after.append(scores(used()))
    loss, accuracy = zip(*during, *after, strict=True)
    found: dict[str, Any] = {"before": before, "loss": loss, "accuracy": accuracy, "learning rate": [last]}
    found["predictions"] = used().softmax(1)
    for state in (False, True):
        found |= {name: p.detach().permute(axes) for name, p, axes in convert.twin_parameters(module, state)}
    host = {name: v.cpu().numpy() if hasattr(v, "cpu") else v for name, v in found.items()}
    return {name: np.asarray(v, dtype=np.float64) for name, v in host.items()}
