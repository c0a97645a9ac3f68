"""Normalisation of columns over the batch, and of rows.

Both keep what they subtracted (mean) and multiplied with (inverse, 1 / sqrt(variance + epsilon)), from
which backward makes the normalised numbers x^ = (x - mean) inverse again.
"""

from typing import Any

from backends.reference.declaration import kernel
from backends.reference.signatures import Array, Arrays, Numbers


@kernel(writes=("running", "kept", "y"))
def batch_norm(
    xp: Any, x: Array, gamma: Array, beta: Array, running: Arrays, settings: Numbers, kept: Arrays, y: Array
) -> None:
    """``y = x^ gamma + beta`` with mean and variance of each column (Ioffe and Szegedy 2015, algorithm 1).

    running = (1 - momentum) running + momentum now, of the mean and of the variance divided by N - 1
    (that within y is divided by N), as torch.nn.BatchNorm1d. N is at least 2.

    Reads x (N, n), gamma, beta (n,), running: mean and variance (n,), and settings: momentum and epsilon;
    writes running, kept: mean and inverse (n,), and y (N, n).
    """
    running_mean, running_variance = running
    momentum, epsilon = settings
    mean, inverse = kept
    n = x.shape[0]
    mean[...] = xp.mean(x, axis=0)
    centred = x - mean
    variance = xp.mean(centred * centred, axis=0)
    inverse[...] = 1.0 / xp.sqrt(variance + epsilon)
    y[...] = centred * (inverse * gamma) + beta
    running_mean[...] = (1.0 - momentum) * running_mean + momentum * mean
    running_variance[...] = (1.0 - momentum) * running_variance + (momentum * n / (n - 1)) * variance


@kernel(writes=("gradients",), aliases=(("dy", "gradients[2]"),))
def batch_norm_backward(xp: Any, dy: Array, x: Array, kept: Arrays, gamma: Array, gradients: Arrays) -> None:
    """``dgamma = sum_i dy x^``, ``dbeta = sum_i dy``, ``dx = gamma inverse (dy - dbeta/N - x^ dgamma/N)``.

    Reads dy, x (N, n), kept: mean and inverse (n,), gamma (n,); writes the gradients: dgamma, dbeta (n,) and
    dx (N, n; may be dy itself) unless that is None.
    """
    mean, inverse = kept
    dgamma, dbeta, dx = gradients
    n = x.shape[0]
    normal = (x - mean) * inverse
    dgamma[...] = xp.sum(dy * normal, axis=0)
    dbeta[...] = xp.sum(dy, axis=0)
    if dx is not None:
        dx[...] = (gamma * inverse) * (dy - dbeta / n - normal * (dgamma / n))


@kernel(writes=("kept", "y"))
def layer_norm(xp: Any, x: Array, gamma: Array, beta: Array, epsilon: float, kept: Arrays, y: Array) -> None:
    """``y = x^ gamma + beta`` with mean and variance (divided by n) of each row (Ba et al. 2016).

    Reads x (N, n), gamma, beta (n,); writes kept: mean and inverse (N,), and y (N, n).
    """
    mean, inverse = kept
    mean[...] = xp.mean(x, axis=1)
    centred = x - mean[:, None]
    inverse[...] = 1.0 / xp.sqrt(xp.mean(centred * centred, axis=1) + epsilon)
    y[...] = centred * inverse[:, None] * gamma + beta


@kernel(writes=("gradients",), aliases=(("dy", "gradients[2]"),))
def layer_norm_backward(xp: Any, dy: Array, x: Array, kept: Arrays, gamma: Array, gradients: Arrays) -> None:
    """``dgamma = sum_i dy x^``, ``dbeta = sum_i dy`` and, with g = gamma dy and means over the row,
    ``dx = inverse (g - mean(g) - x^ mean(g x^))``.

    Reads dy, x (N, n), kept: mean and inverse (N,), gamma (n,); writes the gradients: dgamma, dbeta (n,) and
    dx (N, n; may be dy itself) unless that is None.
    """
    mean, inverse = kept
    dgamma, dbeta, dx = gradients
    normal = (x - mean[:, None]) * inverse[:, None]
    dgamma[...] = xp.sum(dy * normal, axis=0)
    dbeta[...] = xp.sum(dy, axis=0)
    if dx is not None:
        g = dy * gamma
        along = xp.mean(g * normal, axis=1, keepdims=True)
        dx[...] = inverse[:, None] * (g - xp.mean(g, axis=1, keepdims=True) - normal * along)
