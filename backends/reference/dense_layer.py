"""The dense layer: product, bias and activation in one, so that a backend can fuse them."""

from typing import Any

from backends.reference.activations import activation, activation_backward, from_output
from backends.reference.declaration import kernel
from backends.reference.signatures import Array, Arrays


@kernel(writes=("y",), kinds=from_output)
def dense(xp: Any, kind: str, x: Array, W: Array, b: Array, y: Array) -> None:
    """``y = f(x W + b)``.

    Reads x (B, n_in), W (n_in, n_out), b (n_out,); writes y (B, n_out).
    """
    y[...] = xp.matmul(x, W) + b
    activation(xp, kind, y, y)


@kernel(writes=("dz", "gradients"), kinds=from_output, aliases=(("dy", "dz"),))
def dense_backward(
    xp: Any, kind: str, dy: Array, x: Array, y: Array, W: Array, dz: Array, gradients: Arrays
) -> None:
    """``dz = f'(z) dy``, ``dW = x^T dz``, ``db = sum_i dz_i``, ``dx = dz W^T``.

    All kinds compute f'(z) from y = f(z), so z need not be stored.

    Reads dy, y (B, n_out), x (B, n_in), W (n_in, n_out); writes dz (B, n_out; may be dy itself) and the
    gradients: dW, db of the shapes of W, b, and dx (B, n_in) unless dx is None (the first layer).
    """
    dW, db, dx = gradients
    activation_backward(xp, kind, dy, y, y, dz)
    dW[...] = xp.matmul(x.T, dz)
    db[...] = xp.sum(dz, axis=0)
    if dx is not None:
        dx[...] = xp.matmul(dz, W.T)
