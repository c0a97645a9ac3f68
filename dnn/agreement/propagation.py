"""How far float32 may be from the oracle in one network, on one batch: from the variance of every number.

First-order propagation of independent errors (JCGM 100:2008, 5.1.2; Higham 2002, 3.8, calls it running error
analysis): the network goes forward and backward once more, with variances in units of u^2 beside the numbers.
Those of x W are var(x) W^2, those of f(z) are f'(z)^2 var(z); squares are taken element by element. Each
operation adds its own:

- a rounding of r, uniform in +-u|r|: r^2 / 3; a function such as exp, off by up to 3 u: 3 r^2;
- a sum of k terms t in any order: k / 9 (r^2 + 3/2 sum t^2), the roundings of k partial sums that walk at
  random, with a drift, to the result r (Higham and Mary 2019 for the sqrt(k), 2020 for the walk).

So an activation that flattens, a bias that is most of z, a mean over the batch and P - Y that cancels count
as much as they do here. Errors that are not independent, as of equal rows, are what SAFETY_FACTOR is for.
"""

from typing import Any

import numpy as np

from backends.reference import ACTIVATIONS
from dnn.agreement.bounds import PIECEWISE_ULP, norm
from dnn.agreement.cases import Case
from dnn.agreement.state import Named
from dnn.losses import Loss, get_loss

SAFETY_FACTOR = 6.0
"""Bound / root mean square error. Correct backends reach 2.5 of these 6."""
SLOPE_STEP = 1e-6
"""Of the difference of f' that gives f''."""
Pair = tuple[np.ndarray, np.ndarray]
"""Numbers and their variances."""


def product(a: Pair, b: Pair) -> Pair:
    """a b for a (n, k) and b (k, m), each element a sum of k terms."""
    x, var_x = a
    y, var_y = b
    r = x @ y
    xx = x * x
    yy = y * y
    return r, var_x @ yy + xx @ var_y + x.shape[1] / 9.0 * (r * r + 1.5 * (xx @ yy))


def without_error(x: np.ndarray) -> Pair:
    """What everyone is given."""
    return x, np.zeros_like(x)


class Function:
    """An activation f at z (N, n), whose variances are ``var``."""

    def __init__(self, kind: str, z: np.ndarray, var: Any = 0.0) -> None:
        self.f = ACTIVATIONS[kind]
        self.softmax = kind == "softmax"
        self.z = z
        self.var = var
        self.own = 1.0 / 3.0 if kind in PIECEWISE_ULP else 3.0
        self.y = self.f.forward(np, z)

    def slope(self, dy: Any, step: float = 0.0) -> np.ndarray:
        """f'(z + step) dy."""
        z = self.z + step
        return np.asarray(self.f.backward(np, dy, z, self.f.forward(np, z)))

    def propagate(self, var: np.ndarray) -> np.ndarray:
        """The variances of J e for errors e with these, J = df/dz. Softmax: J = diag(y) - y y^T = J^T."""
        if not self.softmax:
            return np.asarray(self.slope(1.0) ** 2 * var)
        yy = self.y**2
        return np.asarray(yy * ((1.0 - 2.0 * self.y) * var + np.sum(yy * var, axis=1, keepdims=True)))

    def forward(self) -> Pair:
        """f(z)."""
        return self.y, self.propagate(self.var) + self.own * self.y**2

    def backward(self, dy: np.ndarray, var: np.ndarray) -> Pair:
        """dz = f'(z) dy, which the error of z reaches by f''. What is rounded has the size of dy, since f'
        may be a difference, as in 1 - y^2. Softmax: d dz_i / dz_k = dz_i (i = k) - dz_i y_k - y_i dz_k.
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
    """d = s (P - Y) at the outputs (B, C), P their softmax or sigmoid or themselves, Y the ``rows``. With a
    kink d takes a few values only, whatever the error of P.
    """
    if loss.kink is not None:
        return d, 2.0 * d * d
    p = Function(loss.activation or "linear", *outputs)
    s = norm(d) / norm(p.y - rows)
    return d, s * s * p.forward()[1] + 2.0 * d * d


def error_limits(case: Case, values: Named, x: np.ndarray, y: np.ndarray, d: np.ndarray) -> dict[str, float]:
    """Bound / u of eta for "z NAME" of each layer, "outputs", and "d NAME.W" and "d NAME.b".

    Args:
        values: the parameters. x (B, n), y (B,): a batch.
        d: the loss's gradient with respect to the outputs, (B, C).
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
