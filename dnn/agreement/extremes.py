"""L1: where exp overflows, where two numbers are equal, and what becomes of a NaN.

Activations inside Dense, whose W is 1 here, so that z is x to the last bit; and losses, example by example.
"""

from collections.abc import Iterator
from dataclasses import replace
from math import sqrt

import numpy as np

from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.cases import loss_variants
from dnn.agreement.contender import Contender
from dnn.agreement.draws import normal
from dnn.agreement.kernels import judge_activation
from dnn.agreement.records import Record
from dnn.agreement.setup import Setup
from dnn.agreement.state import Named
from dnn.layers import Dense
from dnn.losses import Loss

HALF = (0.0, 1e-3, 0.3, 1.0, 5.0, 12.0, 16.6, 20.5, 40.0, 88.0, 104.0, 1e4)
WIDE = np.asarray([*HALF, *(-z for z in HALF)], dtype=np.float32)
"""One row: powers e^z below and above float32's range and 1's rounding, and 0 of both signs."""
NAN = float("nan")


def _rows(seed: int) -> np.ndarray:
    """z (rows, 24): WIDE, usual numbers far from 0 and near it, ties, and one NaN in the last row."""
    usual = 2.0 * normal(seed, "extremes", (6, len(WIDE)))
    usual[0] += 1000.0
    usual[1] -= 1000.0
    ties = np.rint(usual[2])
    z = np.concatenate([WIDE[None], WIDE[None] / 100.0, usual, ties[None], usual[:1]]).astype(np.float32)
    z[-1, 3] = NAN
    return z


def extreme_level(setup: Setup) -> Iterator[Record]:
    """Activations in ULP as in L0; a loss's value and gradient to a few u of what they are made of."""
    # Others round z itself, in the product.
    exact = [c for c in setup.contenders if c.unit == bounds.U]
    for kind in ACTIVATIONS:
        yield from _activation(replace(setup, contenders=exact), kind)
    for name, loss in loss_variants():
        yield from _loss(setup, name, loss)


def _activation(setup: Setup, kind: str) -> list[Record]:
    x = _rows(setup.seed)
    width = len(WIDE)
    dy = setup.normal("extreme cotangent", x.shape)
    one = {"W": np.eye(width, dtype=np.float32), "b": np.zeros(width, dtype=np.float32)}

    def ask(c: Contender) -> Named:
        found = c.use(Dense(width, kind), (width,), one, [(x, dy)])
        names = {kind: "y", f"{kind}'": "dx", f"{kind} in evaluation": "y in evaluation"}
        return {name: found[tensor] for name, tensor in names.items()}

    # 0 times NaN is NaN: one in a row makes all z of that row NaN.
    z = np.where(np.isnan(x).any(axis=1, keepdims=True), np.float32(NAN), x)
    return judge_activation(setup, "Dense extremes", kind, z, dy, ask)


def _loss(setup: Setup, name: str, loss: Loss) -> list[Record]:
    # A NaN is in one of the last rows.
    outputs = np.resize(_rows(setup.seed)[:, 1:-1], (24, 11))
    y = np.arange(24) % 11
    one_hot = np.eye(11, dtype=np.float32)[y]
    forms = (("", y), (" rows", one_hot)) if loss.rows else (("", y),)

    def ask(c: Contender) -> Named:
        found: Named = {}
        for i, row in enumerate(outputs):
            for form, targets in forms:
                value, gradient = c.loss(loss, row[None], targets[i : i + 1])
                if loss.kink is not None and not c.kinks:
                    there = loss.kink(row[None], one_hot[i : i + 1]) == 0
                    gradient[there] = wanted[f"dy {i}{form}"][there]
                found |= {f"loss {i}{form}": np.asarray(value), f"dy {i}{form}": gradient}
        return found

    def error(tensor: str, got: np.ndarray, wanted: np.ndarray) -> float:
        """Beside 1, the largest of the numbers that are added up (1/C in the gradient of a mean over C), and
        the value itself."""
        most = 1.0 if loss.activation == "softmax" or tensor.startswith("loss") else 1.0 / len(outputs[0])
        same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
        row = outputs[int(tensor.split()[1])]
        if tensor.startswith("dy") and np.isnan(row).any():
            return 0.0  # whether a comparison with NaN is false or its opposite true is nowhere defined
        far = np.where(same, 0.0, np.abs(got - wanted) / (most + np.abs(wanted)))
        return float(np.max(np.where(np.isnan(far), np.inf, far)))

    value = bounds.U * (sqrt(outputs.shape[1]) + 10.0)
    slope = value if loss.kink is None else bounds.U * bounds.STEP
    wanted = ask(setup.oracle)
    case = f"{name} extremes"
    return setup.judge(case, ask, lambda t, _: slope if t.startswith("dy") else value, error, wanted=wanted)
