"""A whole training in native PyTorch: torch.nn, autograd and torch.optim, as a user of PyTorch writes it.

Given are the weights, the rows of each batch, the masks of dropout, and the learning rates.
"""

import numpy as np

import dnn.interop.torch as twin
from backends import Array, Backend, get_backend
from dnn.agreement import textbook
from dnn.agreement.cases import FitCase
from dnn.agreement.state import Named
from dnn.interop.torch import convert
from dnn.losses import get_loss


class NativeProgram:
    """A ``textbook.Training``; the torch Backend only moves data."""

    def __init__(self, case: FitCase, backend: Backend) -> None:
        self.case = case
        self.backend = backend
        self.module = twin.to_torch(
            case.model(get_backend("numpy", dtype=backend.dtype_name)), backend.device
        )
        self.optimizer = twin.torch_optimizer(case.optimizer, self.module)
        self.x = self.move(case.images)
        self.updates = 0

    def move(self, array: np.ndarray) -> Array:
        return self.backend.from_host(array).to(self.backend.dtype)

    def numbers(self) -> Named:
        found: Named = {}
        for state in (False, True):
            for name, p, axes in convert.twin_parameters(self.module, state):
                found[name] = p.detach().permute(axes).cpu().numpy().astype(np.float64)
        return found

    def predict(self) -> np.ndarray:
        import torch

        with torch.no_grad():
            return self.probabilities(self.module.eval()(self.x))

    def probabilities(self, z: Array) -> np.ndarray:
        found: np.ndarray = z.detach().softmax(1).cpu().numpy()
        return found

    def outputs(self, rows: Array) -> Array:
        """z (B, C) in training, with the masks that are given."""
        import torch

        h = self.x[rows]
        for child in self.module.train():
            if isinstance(child, torch.nn.Dropout):
                h = h * self.move(textbook.mask(self.case, self.updates, len(h)))
            else:
                h = child(h)
        return h

    def mean_loss(self, z: Array, rows: np.ndarray) -> Array:
        """The weighted mean, or 0 if nothing counts: torch itself takes no weights of examples."""
        import torch

        case = self.case
        ignored = get_loss(self.case.loss).ignored
        table = np.ones(case.classes)
        often = np.ones(len(rows))
        for number, factor in (case.class_weight or {}).items():
            table[number] = factor
        if case.sample_weight is not None:
            often = case.sample_weight[rows]
        y = self.backend.from_host(case.labels[rows])
        classes = self.move(table)
        counts = self.move(often)
        options = {} if ignored is None else {"ignore_index": ignored}
        each = torch.nn.functional.cross_entropy(z, y, weight=classes, reduction="none", **options)
        total = (counts * classes[y] * (y != ignored)).sum()
        return (each * counts).sum() / torch.where(total == 0, 1.0, total)

    def learn(self, rows: np.ndarray) -> np.ndarray:
        self.optimizer.zero_grad()
        z = self.outputs(self.backend.from_host(rows))
        value = self.mean_loss(z, rows)
        for name, child in self.module.named_children():
            if name.startswith("dense") and hasattr(child, "weight"):
                l1 = child.weight.abs().sum()
                l2 = child.weight.square().sum()
                value = value + self.case.l1 * l1 + self.case.l2 * l2
        value.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = textbook.rate(self.case.optimizer.learning_rate, self.updates)
        self.optimizer.step()
        self.updates += 1
        return self.probabilities(z)


def fit(case: FitCase, backend: Backend) -> Named:
    """What ``textbook.fit`` returns, from a torch Backend."""
    return textbook.train(case, NativeProgram(case, backend))
