"""L1: compare the value and the gradient of every loss, for random and for extreme outputs."""

from collections.abc import Iterator
from math import sqrt

import numpy as np

from dnn.agreement import bounds
from dnn.agreement.activations import extreme_inputs
from dnn.agreement.cases import loss_variants
from dnn.agreement.contender import Contender
from dnn.agreement.propagation import Function
from dnn.agreement.records import Record
from dnn.agreement.setup import Setup
from dnn.agreement.single_layers import LARGE_BATCH_SIZE, LATER_BATCH_SIZES
from dnn.agreement.state import Named
from dnn.losses import Loss
from dnn.random import host_uniform, stream_key


def loss_level(setup: Setup) -> Iterator[Record]:
    """Compare every loss for class indices and for target rows, in several batch sizes."""
    outputs = 2.0 * setup.normal("outputs", (LARGE_BATCH_SIZE, 10))
    y = np.floor(
        10.0 * host_uniform(stream_key(setup.seed, "agreement classes"), (LARGE_BATCH_SIZE,))
    ).astype(np.int64)
    rows = np.abs(setup.normal("target rows", outputs.shape))
    rows /= rows.sum(axis=1, keepdims=True)
    for name, loss in loss_variants():
        for n in (setup.sizes.batch, *LATER_BATCH_SIZES[:2], LARGE_BATCH_SIZE):
            label = "" if n == setup.sizes.batch else f" {n}"
            one_hot = np.eye(10)[y[:n]]
            yield from judge_loss(setup, f"{name} classes{label}", loss, outputs[:n], y[:n], one_hot)
            if loss.rows:
                yield from judge_loss(setup, f"{name} rows{label}", loss, outputs[:n], rows[:n], rows[:n])
        yield from judge_extreme_losses(setup, name, loss)


def judge_loss(
    setup: Setup, name: str, loss: Loss, outputs: np.ndarray, targets: np.ndarray, rows: np.ndarray
) -> list[Record]:
    """Compare a batch's mean loss and its gradient.

    Args:
        outputs: (B, C). targets: (B,) class indices or (B, C). rows: the targets as (B, C).
    """

    def ask(c: Contender) -> Named:
        value, gradient = c.loss(loss, outputs, targets)
        return {"loss": np.asarray(value), "dy": gradient}

    batch, classes = outputs.shape
    expected = ask(setup.oracle)
    p = Function(loss.activation or "linear", outputs.astype(np.float64)).y
    summed = classes if loss.activation == "softmax" else 0
    size = float(np.sqrt(np.mean(outputs * outputs)))
    kappa = 0.0 if loss.kink is not None else bounds.norm(p) / bounds.norm(p - rows)
    bound = {
        "loss": bounds.loss_value(batch, classes, size, float(expected["loss"])),
        "dy": bounds.loss_gradient(summed, kappa),
    }
    return setup.judge(name, ask, lambda tensor, _: bound[tensor], expected=expected)


def judge_extreme_losses(setup: Setup, name: str, loss: Loss) -> list[Record]:
    """Compare the loss and gradient of single examples with extreme outputs, within a few u of their
    terms.
    """
    # One of the last rows contains a NaN.
    outputs = np.resize(extreme_inputs(setup)[:, 1:-1], (24, 11))
    y = np.arange(24) % 11
    one_hot = np.eye(11, dtype=np.float32)[y]
    forms = (("", y), (" rows", one_hot)) if loss.rows else (("", y),)

    def ask(c: Contender) -> Named:
        found: Named = {}
        for i, row in enumerate(outputs):
            for form, targets in forms:
                value, gradient = c.loss(loss, row[None], targets[i : i + 1])
                if loss.kink is not None and not c.matches_kinks:
                    there = loss.kink(row[None], one_hot[i : i + 1]) == 0
                    gradient[there] = expected[f"dy {i}{form}"][there]
                found |= {f"loss {i}{form}": np.asarray(value), f"dy {i}{form}": gradient}
        return found

    def error(tensor: str, got: np.ndarray, expected: np.ndarray) -> float:
        """Return the error relative to 1 + abs(expected), or for the gradient of a mean over C values to
        1/C + abs(expected).
        """
        most = 1.0 if loss.activation == "softmax" or tensor.startswith("loss") else 1.0 / len(outputs[0])
        same = (got == expected) | (np.isnan(got) & np.isnan(expected))
        row = outputs[int(tensor.split()[1])]
        if tensor.startswith("dy") and np.isnan(row).any():
            return 0.0  # a gradient chosen by a comparison with NaN is not defined
        far = np.where(same, 0.0, np.abs(got - expected) / (most + np.abs(expected)))
        return float(np.max(np.where(np.isnan(far), np.inf, far)))

    value = bounds.U * (sqrt(outputs.shape[1]) + 10.0)
    slope = value if loss.kink is None else bounds.U * bounds.STEP_GRADIENT_UNITS
    expected = ask(setup.oracle)
    case = f"{name} extremes"
    return setup.judge(
        case, ask, lambda t, _: slope if t.startswith("dy") else value, error, expected=expected
    )
