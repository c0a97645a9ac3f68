"""The closed set of kernels, each in standard array API: the definition of correct.

Everything that a backend may replace by something faster is here, and nothing else is. A kernel takes
the array namespace ``xp`` first, reads some arrays and writes others *in place*; it returns nothing.
Which are written is stated in each docstring; every other array is left as it was. Kernels with a
*kind* (an activation, a form of target) take it second and are bound once for each kind.

Symbols: B batch size, n_in and n_out widths, x input, W and b weights and bias, z = x W + b, y output,
dy the gradient of the loss with respect to y. Derivatives at kinks: relu'(0) = 0. NaN passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

Array = Any  # an array of whichever library the backend speaks

MOMENT_FLOOR = 1e-36
FLUSH_EVERY = 32
"""Every 32nd update, optimizer moments smaller than this become zero.

A weight whose gradient has become 0 (a border pixel's) keeps moments that shrink by a constant factor
an update, sink into denormal numbers and stay there, where one multiplication costs a hundred times the
usual. At 1e-36 a moment moves a weight by less than 1e-10 of the learning rate, and at the usual factor
of 0.9 it is 42 updates from there to the first denormal number, so looking every 32nd update is enough.
"""


# --------------------------------------------------------------------------- picking a batch


def gather_rows(xp: Any, rows: Array, index: Array, out: Array, scale: float) -> None:
    """``out[i] = rows[index[i]] * scale`` in the dtype of ``out``.

    Reads rows (N, ...) of any dtype and index (B,) int64; writes out (B, ...).
    """
    picked = xp.astype(xp.take(rows, index, axis=0), out.dtype)
    out[...] = picked if scale == 1.0 else picked * scale


# --------------------------------------------------------------------------- activations


def _sigmoid(xp: Any, z: Array) -> Array:
    # exp of a negative number only, so that nothing overflows and small results keep their digits.
    e = xp.exp(-xp.abs(z))
    return xp.where(z < 0, e, xp.ones_like(e)) / (1.0 + e)


def _softmax(xp: Any, z: Array) -> Array:
    e = xp.exp(z - xp.max(z, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


_FORWARD: Mapping[str, Callable[[Any, Array], Array]] = MappingProxyType(
    {
        "linear": lambda xp, z: z,
        "sigmoid": _sigmoid,
        "tanh": lambda xp, z: xp.tanh(z),
        # z < 0 rather than z > 0: a NaN then stays a NaN.
        "relu": lambda xp, z: xp.where(z < 0, xp.zeros_like(z), z),
        "softmax": _softmax,
    }
)

_BACKWARD: Mapping[str, Callable[[Any, Array, Array, Array], Array]] = MappingProxyType(
    {
        "linear": lambda xp, dy, z, y: dy,
        "sigmoid": lambda xp, dy, z, y: dy * y * (1.0 - y),
        "tanh": lambda xp, dy, z, y: dy * (1.0 - y * y),
        "relu": lambda xp, dy, z, y: xp.where(z <= 0, xp.zeros_like(dy), dy),
        "softmax": lambda xp, dy, z, y: y * (dy - xp.sum(dy * y, axis=-1, keepdims=True)),
    }
)

ACTIVATIONS = tuple(_FORWARD)


def activation(xp: Any, kind: str, z: Array, y: Array) -> None:
    """``y = f(z)`` element by element (softmax: over the last axis).

    Reads z (B, n); writes y (B, n), which may be z itself.
    """
    y[...] = _FORWARD[kind](xp, z)


def activation_backward(xp: Any, kind: str, dy: Array, z: Array, y: Array, dz: Array) -> None:
    """``dz = f'(z) * dy``, from whichever of z and y = f(z) is cheaper.

    Softmax: dz_i = y_i (dy_i - sum_j dy_j y_j). Reads dy, z, y (B, n); writes dz (B, n), which may be
    dy itself.
    """
    dz[...] = _BACKWARD[kind](xp, dy, z, y)


# --------------------------------------------------------------------------- the dense layer


def dense(xp: Any, kind: str, x: Array, W: Array, b: Array, y: Array) -> None:
    """``y = f(x W + b)``.

    Reads x (B, n_in), W (n_in, n_out), b (n_out,); writes y (B, n_out).
    """
    y[...] = xp.matmul(x, W) + b
    activation(xp, kind, y, y)


def dense_backward(
    xp: Any,
    kind: str,
    dy: Array,
    x: Array,
    y: Array,
    W: Array,
    dz: Array,
    dW: Array,
    db: Array,
    dx: Array | None,
) -> None:
    """``dz = f'(z) dy``, ``dW = x^T dz``, ``db = sum_i dz_i``, ``dx = dz W^T``.

    f'(z) follows from y = f(z), for all kinds here, so that z need not be kept.

    Reads dy, y (B, n_out), x (B, n_in), W (n_in, n_out); writes dz (B, n_out; may be dy itself),
    dW, db of the shapes of W, b, and dx (B, n_in) unless that is None (the first layer).
    """
    activation_backward(xp, kind, dy, y, y, dz)  # relu: y <= 0 where z <= 0
    dW[...] = xp.matmul(x.T, dz)
    db[...] = xp.sum(dz, axis=0)
    if dx is not None:
        dx[...] = xp.matmul(dz, W.T)


# --------------------------------------------------------------------------- losses

TARGETS = ("integer", "dense")
"""Forms of target: class numbers (B,) int64, or one value for each output (B, C)."""


def _as_dense(xp: Any, kind: str, targets: Array, like: Array) -> Array:
    """Targets as (B, C) in the dtype of ``like`` (B, C): class numbers become one-hot rows."""
    if kind == "dense":
        return targets
    classes = xp.arange(like.shape[1], dtype=targets.dtype, device=like.device)
    return xp.astype(targets[:, None] == classes[None, :], like.dtype)


def softmax_cross_entropy(
    xp: Any, kind: str, logits: Array, targets: Array, losses: Array, dlogits: Array
) -> None:
    """``losses_i = -sum_c t_ic log softmax(logits_i)_c`` and the gradient of their mean.

    With p = softmax(logits): dlogits = (p sum_c t_c - t) / B, and sum_c t_c is 1 for class numbers.
    Reads logits (B, C) and targets (B,) int64 or (B, C); writes losses (B,) and dlogits (B, C).
    """
    t = _as_dense(xp, kind, targets, logits)
    shifted = logits - xp.max(logits, axis=1, keepdims=True)
    e = xp.exp(shifted)
    total = xp.sum(e, axis=1, keepdims=True)
    # where(): a class of target 0 adds 0 to the loss even if its logit is -inf (0 * inf is NaN).
    terms = t * (xp.log(total) - shifted)
    losses[...] = xp.sum(xp.where(t == 0, xp.zeros_like(terms), terms), axis=1)
    dlogits[...] = (e / total * xp.sum(t, axis=1, keepdims=True) - t) / logits.shape[0]


def mean_squared_error(xp: Any, kind: str, y: Array, targets: Array, losses: Array, dy: Array) -> None:
    """``losses_i = mean_c (y_ic - t_ic)^2`` and the gradient of their mean, ``2 (y - t) / (B C)``.

    Reads y (B, C) and targets (B,) int64 or (B, C); writes losses (B,) and dy (B, C).
    """
    difference = y - _as_dense(xp, kind, targets, y)
    losses[...] = xp.mean(difference * difference, axis=1)
    dy[...] = difference * (2.0 / (y.shape[0] * y.shape[1]))


# --------------------------------------------------------------------------- optimizers


def _without_dust(xp: Any, moment: Array, updates: Array) -> Array:
    """The moment, on every FLUSH_EVERY-th update without what is below MOMENT_FLOOR."""
    # NaN < floor is false, so a NaN stays and is seen.
    dust = (xp.abs(moment) < MOMENT_FLOOR) & (xp.remainder(updates, float(FLUSH_EVERY)) == 0)
    return xp.where(dust, xp.zeros_like(moment), moment)


def sgd(
    xp: Any,
    p: Array,
    g: Array,
    velocity: Array,
    control: Array,
    momentum: float,
    nesterov: bool,
) -> None:
    """Stochastic gradient descent on flat vectors, as torch.optim.SGD (dampening 0).

    v = momentum v + g; p = p - rate v, or with Nesterov p = p - rate (g + momentum v)
    (Sutskever et al. 2013). With momentum 0 the velocity is neither read nor written.

    Reads g (n,); writes p (n,), velocity (n,) and control (4,): [rate, -, -, updates done].
    """
    rate = control[0:1]
    control[3:4] = control[3:4] + 1.0
    if momentum == 0.0:
        p[...] = p - rate * g
        return
    velocity[...] = _without_dust(xp, momentum * velocity + g, control[3:4])
    p[...] = p - rate * (g + momentum * velocity if nesterov else velocity)


def adam(
    xp: Any,
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    control: Array,
    beta1: float,
    beta2: float,
    epsilon: float,
) -> None:
    """Adam (Kingma and Ba 2015, algorithm 1) on flat vectors, epsilon placed as in torch.optim.Adam.

    m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;  c_i = 1 - beta_i^t
    p = p - rate / c1 * m / (sqrt(v / c2) + epsilon)

    c1 and c2 are kept by the recurrence c = beta c + (1 - beta), which unlike 1 - beta^t has no
    cancellation and is exact to a few roundings in float32.

    Reads g (n,); writes p, m, v (n,) and control (4,): [rate, c1, c2, updates done].
    """
    control[1:2] = beta1 * control[1:2] + (1.0 - beta1)
    control[2:3] = beta2 * control[2:3] + (1.0 - beta2)
    control[3:4] = control[3:4] + 1.0
    rate, c1, c2 = control[0:1], control[1:2], control[2:3]
    m[...] = _without_dust(xp, beta1 * m + (1.0 - beta1) * g, control[3:4])
    v[...] = _without_dust(xp, beta2 * v + (1.0 - beta2) * (g * g), control[3:4])
    p[...] = p - rate / c1 * m / (xp.sqrt(v) / xp.sqrt(c2) + epsilon)


# --------------------------------------------------------------------------- random numbers

_WORD = 0xFFFFFFFF
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def threefry(xp: Any, key: tuple[int, int], high: Array, low: Array, out: Array) -> None:
    """Threefry-2x32 with 20 rounds (Salmon et al. 2011): a random integer for each counter.

    A generator without state: the same key and counter give the same bits on every library. The
    32-bit words are held in int64, where the standard defines every operation used: no sum or shift
    of two words leaves 62 bits.

    Reads high and low (n,) or (1,) int64, the counter's words, each in [0, 2^32); writes out (n,)
    int64 in [0, 2^63): the first result word without its last bit, then the second word.
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ _PARITY)
    x0 = (high + keys[0]) & _WORD
    x1 = (low + keys[1]) & _WORD
    for group in range(5):
        for r in _ROTATIONS[group % 2]:
            x0 = (x0 + x1) & _WORD
            x1 = (((x1 << r) | (x1 >> (32 - r))) & _WORD) ^ x0
        x0 = (x0 + keys[(group + 1) % 3]) & _WORD
        x1 = (x1 + keys[(group + 2) % 3] + group + 1) & _WORD
    out[...] = ((x0 >> 1) << 32) | x1


# --------------------------------------------------------------------------- the set

KERNELS: Mapping[str, tuple[Callable[..., None], tuple[str, ...]]] = MappingProxyType(
    {
        "gather_rows": (gather_rows, ()),
        "activation": (activation, ACTIVATIONS),
        "activation_backward": (activation_backward, ACTIVATIONS),
        "dense": (dense, ACTIVATIONS),
        "dense_backward": (dense_backward, ACTIVATIONS),
        "softmax_cross_entropy": (softmax_cross_entropy, TARGETS),
        "mean_squared_error": (mean_squared_error, TARGETS),
        "sgd": (sgd, ()),
        "adam": (adam, ()),
        "threefry": (threefry, ()),
    }
)
"""Name -> (reference, kinds it is bound for; none: bound once, without a kind)."""
