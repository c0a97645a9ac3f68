"""L2's bounds: propagate the variance of every float32 rounding through a network on one batch.

This is first-order propagation of independent errors (JCGM 100:2008, 5.1.2), or running error analysis
(Higham 2002, 3.8). The network is run forward and backward once more, with a variance beside each number, in
units of u^2: var(x W) = var(x) W^2 and var(f(z)) = f'(z)^2 var(z), with element-wise squares. Each operation
adds a variance of its own:

- a rounding of r, uniform in +-u|r|: r^2 / 3; a function such as exp, with an error of up to 3 u: 3 r^2;
- a sum of k terms t in any order: k / 9 (r^2 + 3/2 sum t^2), the roundings of k partial sums, which form a
  random walk with drift to the result r (Higham and Mary 2019 for sqrt(k), 2020 for the walk).

The bounds thus account for a saturated activation, a dominant bias, a mean over the batch, and cancellation
in P - Y. SAFETY_FACTOR covers errors that are not independent, such as those of equal rows.
"""

from typing import Any

import numpy as np

from backends.reference import ACTIVATIONS
from dnn.agreement.bounds import PIECEWISE_ULP, norm
from dnn.agreement.cases import Case
from dnn.agreement.state import Named
from dnn.losses import Loss, get_loss

SAFETY_FACTOR = 6.0
"""Bound divided by the root mean square error. Correct backends reach 2.5."""
SLOPE_STEP = 1e-6
"""Step of the central difference that approximates f''."""
Pair = tuple[np.ndarray, np.ndarray]
"""(numbers, their variances)."""


def product(a: Pair, b: Pair) -> Pair:
    """Return the matrix product of a (n, k) and b (k, m)."""
    x, var_x = a
    y, var_y = b
    r = x @ y
    xx = x * x
    yy = y * y
    return r, var_x @ yy + xx @ var_y + x.shape[1] / 9.0 * (r * r + 1.5 * (xx @ yy))


def without_error(x: np.ndarray) -> Pair:
    """Return the pair of numbers that all contenders get, with variance 0."""
    return x, np.zeros_like(x)


class Function:
    """An activation f at z (N, n) with the variances ``var`` of z."""

    def __init__(self, kind: str, z: np.ndarray, var: Any = 0.0) -> None:
        self.f = ACTIVATIONS[kind]
        self.softmax = kind == "softmax"
        self.z = z
        self.var = var
        self.own = 1.0 / 3.0 if kind in PIECEWISE_ULP else 3.0
        self.y = self.f.forward(np, z)

    def slope(self, dy: Any, step: float = 0.0) -> np.ndarray:
        """Return f'(z + step) dy."""
        z = self.z + step
        return np.asarray(self.f.backward(np, dy, z, self.f.forward(np, z)))

    def propagate(self, var: np.ndarray) -> np.ndarray:
        """Return the variances of J e for errors e with variances ``var``, J = df/dz.

        For softmax J = diag(y) - y y^T = J^T.
        """
        if not self.softmax:
            return np.asarray(self.slope(1.0) ** 2 * var)
        yy = self.y**2
        return np.asarray(yy * ((1.0 - 2.0 * self.y) * var + np.sum(yy * var, axis=1, keepdims=True)))

    def forward(self) -> Pair:
        """Return f(z) and its variances."""
        return self.y, self.propagate(self.var) + self.own * self.y**2

    def backward(self, dy: np.ndarray, var: np.ndarray) -> Pair:
        """Return dz = f'(z) dy and its variances, for dy (N, n) with variances ``var``.

        The error of z enters through f''. The rounding has the size of dy, since f' may be a difference, as
        in 1 - y^2. For softmax, the derivative of dz_i with respect to z_k is dz_i [i = k] - dz_i y_k - y_i
        dz_k.
        """
        dz = self.slope(dy)
        if self.softmax:
            yy = self.y**2
            moved = dz**2 * (self.var + np.sum(yy * self.var, axis=1, keepdims=True))
            moved += yy * np.sum(dz**2 * self.var, axis=1, keepdims=True)
            size = yy * (dy**2 + np.sum(yy * dy**2, axis=1, keepdims=True))
        else:
            bend = (self.slope(1.0, SLOPE_STEP) - self.slope(1.0, -SLOPE_STEP)) / (2.0 * SLOPE_STEP)
            moved = (bend * dy) ** 2 * self.var
            size = dz**2 if self.own < 1.0 else dy**2
        return dz, self.propagate(var) + moved + self.own * size


def loss_gradient(loss: Loss, outputs: Pair, d: np.ndarray, rows: np.ndarray) -> Pair:
    """Return the loss's gradient d = s (P - Y) with its variances.

    If the loss has a kink, d takes only a few values, so the error of P does not matter.

    Args:
        outputs: (B, C); P is their softmax, sigmoid or identity. rows: Y (B, C).
    """
    if loss.kink is not None:
        return d, 2.0 * d * d
    p = Function(loss.activation or "linear", *outputs)
    s = norm(d) / norm(p.y - rows)
    return d, s * s * p.forward()[1] + 2.0 * d * d


def error_limits(case: Case, values: Named, x: np.ndarray, y: np.ndarray, d: np.ndarray) -> dict[str, float]:
    """Return the bound of eta, in units of u, for "z NAME", "outputs", "d NAME.W" and "d NAME.b".

    Args:
        values: the parameters. x, y: a batch (B, n) and (B,).
        d: (B, C), the loss's gradient with respect to the outputs.
    """
    W = {name: values[f"{name}.W"] for name in case.products}
    found: dict[str, float] = {}
    inputs: list[Pair] = []
    functions: list[Function] = []

    def note(tensor: str, pair: Pair) -> None:
        found[tensor] = 1.0 + SAFETY_FACTOR * float(np.sqrt(np.sum(pair[1]))) / (norm(pair[0]) or 1.0)

    for name, w in W.items():
        inputs.append(functions[-1].forward() if functions else without_error(x))
        z, var = product(inputs[-1], without_error(w))
        z += values[f"{name}.b"]
        functions.append(Function(case.activation, z, var + z * z / 3.0))
        note(f"z {name}", (z, functions[-1].var))
    outputs = functions[-1].z, functions[-1].var
    note("outputs", outputs)
    back = loss_gradient(get_loss(case.loss), outputs, d, np.eye(case.classes)[y])
    for i, (name, w) in reversed(list(enumerate(W.items()))):
        h, var = inputs[i]
        note(f"d {name}.W", product((h.T, var.T), back))
        note(f"d {name}.b", product(without_error(np.ones((1, len(h)))), back))
        if i:
            back = functions[i - 1].backward(*product(back, without_error(w.T)))
    return found
