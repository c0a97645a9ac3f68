"""Compiled elementwise loops: activations, the loss, Adam."""

import numpy as np

from backends.numba.compilation import jit_helper
from backends.reference.activations import GELU_CUBIC, GELU_SLOPE, SATURATION_BOUND

# In compiled code. Activations from GATED on are z sigmoid(v(z)); their derivative needs z.
ACTIVATION_CODES = {"linear": 0, "sigmoid": 1, "relu": 2, "tanh": 3, "silu": 4, "gelu": 5}
GATED = 4


@jit_helper
def sigmoid(z):  # type: ignore[no-untyped-def]
    """1 / (1 + exp(-z)) in float32, written so that a loop over it is vectorised.

    exp(t) = 2^n exp(r), |r| <= ln 2 / 2, with the polynomial of Cephes' expf (Moshier); the error is below
    2 ULP. For z < -88.3 the result is 0 instead of a denormal number.
    """
    f = np.float32
    t = min(max(-z, f(-87.0)), f(88.3))
    n = np.floor(t * f(1.44269504088896341) + f(0.5))
    r = t - n * f(0.693359375)
    r -= n * f(-2.12194440e-4)
    q = f(1.9875691500e-4)
    for c in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        q = q * r + f(c)
    power = np.int32((np.int32(n) + 127) << 23).view(f)  # 2^n: n + 127 as the exponent's bits
    e = (q * r * r + r + f(1.0)) * power
    s = f(1.0) / (f(1.0) + e)
    s = f(0.0) if z < f(-88.3) else s
    return s if z == z else z


@jit_helper
def tanh(z):  # type: ignore[no-untyped-def]
    """tanh(z) in float32: near 0 the polynomial of Cephes' tanhf (Moshier), else 2 sigmoid(2 z) - 1."""
    f = np.float32
    t = z * z
    q = f(-5.70498872745e-3)
    for c in (2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1):
        q = q * t + f(c)
    s = f(2.0) * sigmoid(f(2.0) * z) - f(1.0)
    return q * t * z + z if t < f(0.390625) else s


@jit_helper
def activate(y, slopes, kind):  # type: ignore[no-untyped-def]
    """y = f(y), and slopes = f'(y) of a gated activation; ``kind`` is a code of ACTIVATION_CODES."""
    f = np.float32
    for j in range(y.shape[0]):  # compiled once for each kind
        if kind == 1:
            y[j] = sigmoid(y[j])
        elif kind == 2:
            y[j] = f(0) if y[j] < 0 else y[j]  # NaN stays NaN
        elif kind == 3:
            y[j] = tanh(y[j])
        elif kind >= GATED:
            low = f(-SATURATION_BOUND) if y[j] < f(-SATURATION_BOUND) else y[j]
            z = f(SATURATION_BOUND) if low > f(SATURATION_BOUND) else low
            v = z
            slope = f(1.0)
            if kind != GATED:
                v = f(GELU_SLOPE) * (z + f(GELU_CUBIC) * (z * z * z))
                slope = f(GELU_SLOPE) * (f(1.0) + f(3.0 * GELU_CUBIC) * (z * z))
            s = sigmoid(v)
            y[j] = low * s
            slopes[j] = s + z * (s * sigmoid(-v)) * slope


@jit_helper
def multiply_by_derivative(dz, y, slopes, kind):  # type: ignore[no-untyped-def]
    """dz *= f'(z), computed from y = f(z); of a gated activation, ``slopes`` is f'(z)."""
    f = np.float32
    for j in range(y.shape[0]):
        if kind == 1:
            dz[j] *= y[j] - y[j] * y[j]
        elif kind == 2:
            dz[j] = f(0) if y[j] <= 0 else dz[j]
        elif kind == 3:
            dz[j] *= f(1) - y[j] * y[j]
        elif kind >= GATED:
            dz[j] *= slopes[j]


@jit_helper
def cross_entropy(logits, targets, index, smoothing):  # type: ignore[no-untyped-def]
    """Return (sum of the losses, number of correct predictions).

    Overwrites ``logits`` (B, C) with their gradient, (softmax - target) / B. The target of an example is
    1 - e + e / C for its class and e / C for the others, with e = ``smoothing``.
    """
    f = np.float32
    rows = f(logits.shape[0])
    classes = f(logits.shape[1])
    loss = f(0.0)
    right = f(0.0)
    for i in range(logits.shape[0]):
        row = logits[i]
        target = targets[index[i]]
        best = np.argmax(row)  # the first NaN counts as the maximum
        top = row[best]
        expected = row[target] - top  # logit - top, weighted with the target
        total = f(0.0)
        shifts = f(0.0)
        for j in range(row.shape[0]):
            shift = row[j] - top
            shifts += shift
            row[j] = np.exp(shift)
            total += row[j]
        if smoothing > f(0):
            expected = (f(1) - smoothing) * expected + smoothing * (shifts / classes)
        loss += np.log(total) - expected
        right += f(best == target)
        for j in range(row.shape[0]):
            expected = smoothing / classes + (f(1) - smoothing) * f(j == target)
            row[j] = (row[j] / total - expected) / rows
    return loss, right


def adam_loop(p, g, m, v, step):  # type: ignore[no-untyped-def]
    """A step of Adam, or of AdamW, which first multiplies p by ``decay``."""
    rate, beta1, rest1, beta2, rest2, epsilon, floor, decay = step
    zero = p.dtype.type(0)
    for i in range(p.shape[0]):
        mi = beta1 * m[i] + rest1 * g[i]
        vi = beta2 * v[i] + rest2 * (g[i] * g[i])
        mi = zero if abs(mi) < floor else mi
        vi = zero if vi < floor else vi
        m[i] = mi
        v[i] = vi
        # Divide first: rate * mi may be a denormal number.
        p[i] = decay * p[i] - rate * (mi / (np.sqrt(vi) + epsilon))


adam = jit_helper(adam_loop)
