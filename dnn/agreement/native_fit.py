"""A whole training in native PyTorch: torch.nn, autograd and torch.optim, as a user of PyTorch writes it.

Given are the weights, the rows of each batch, the masks of dropout, and the learning rates.
"""

from typing import Any

import numpy as np

import dnn.interop.torch as twin
from backends import Array, Backend, get_backend
from dnn.agreement import textbook
from dnn.agreement.cases import FitCase
from dnn.agreement.state import Named
from dnn.interop.torch import convert


def fit(case: FitCase, backend: Backend) -> Named:
    """What ``textbook.fit`` returns, from a torch Backend that only moves data."""
    import torch

    dtype = backend.dtype_name
    module = twin.to_torch(case.model(get_backend("numpy", dtype=dtype)), backend.device)
    loss_of, x = twin.torch_loss(case.loss), backend.from_host(case.images).to(backend.dtype)
    y, optimizer = backend.from_host(case.labels), twin.torch_optimizer(case.optimizer, module)
    done, during, after, last = 0, [], [], 0.0

    def outputs(rows: Array) -> Array:
        h = x[rows]
        for child in module:
            if isinstance(child, torch.nn.Dropout):
                h = h * backend.from_host(textbook.mask(case, done, len(h)).astype(dtype))
            else:
                h = child(h)
        return h

    def scores(z: Array) -> list[float]:
        return [float(loss_of(z, y)), float((z.argmax(1) == y).sum()) / len(y)]

    def used() -> Array:
        with torch.no_grad():
            return module.eval()(x)

    before = scores(used())
    for epoch in range(1, case.epochs + 1):
        module.train()
        z = torch.zeros((len(y), case.classes), dtype=backend.dtype, device=backend.device)
        for rows in backend.from_host(textbook.order(case, epoch)).split(case.batch_size):
            optimizer.zero_grad()
            made = outputs(rows)
            value = loss_of(made, y[rows])
            for name, child in module.named_children():
                if name.startswith("dense") and hasattr(child, "weight"):
                    value = value + case.l1 * child.weight.abs().sum() + case.l2 * child.weight.square().sum()
            value.backward()
            for group in optimizer.param_groups:
                group["lr"] = last = textbook.rate(case.optimizer.learning_rate, done)
            optimizer.step()
            done += 1
            z[rows] = made.detach()
        during.append(scores(z))
        after.append(scores(used()))
    loss, accuracy = zip(*during, *after, strict=True)
    found: dict[str, Any] = {"before": before, "loss": loss, "accuracy": accuracy, "learning rate": [last]}
    found["predictions"] = used().softmax(1)
    for state in (False, True):
        found |= {name: p.detach().permute(axes) for name, p, axes in convert.twin_parameters(module, state)}
    host = {name: v.cpu().numpy() if hasattr(v, "cpu") else v for name, v in found.items()}
    return {name: np.asarray(v, dtype=np.float64) for name, v in host.items()}
