"""The dense layer: product, bias and activation in one, so that a backend can fuse them."""

from backends.errors import InputError
from backends.reference.activations import ACTIVATIONS, ActivationKernels
from backends.reference.declaration import kernel
from backends.reference.signatures import Array, Arrays


def require_from_output(activation: str) -> None:
    """Raise InputError if the activation's derivative needs z, which a dense layer does not store."""
    if not ACTIVATIONS[activation].from_output:
        got = f"activation is {activation!r}, whose derivative needs z"
        raise InputError(got, "one with from_output", "use 'linear', and the kernel 'activation' after it")


class DenseKernels(ActivationKernels):
    """The dense layer and its gradients; ``activation`` names f, which must have ``from_output``."""

    @kernel(writes=("y",))
    def dense(self, activation: str, x: Array, W: Array, b: Array, y: Array) -> None:
        """``y = f(x W + b)``.

        Reads x (B, n_in), W (n_in, n_out), b (n_out,); writes y (B, n_out).
        """
        require_from_output(activation)
        y[...] = self.xp.matmul(x, W) + b
        self.activation(activation, y, y)

    @kernel(writes=("dz", "gradients"), aliases=(("dy", "dz"),))
    def dense_backward(
        self, activation: str, dy: Array, x: Array, y: Array, W: Array, dz: Array, gradients: Arrays
    ) -> None:
        """``dz = f'(z) dy``, ``dW = x^T dz``, ``db = sum_i dz_i``, ``dx = dz W^T``.

        f'(z) is computed from y = f(z), so z need not be stored.

        Reads dy, y (B, n_out), x (B, n_in), W (n_in, n_out); writes dz (B, n_out; may be dy itself) and the
        gradients: dW, db of the shapes of W, b, and dx (B, n_in) unless dx is None (the first layer).
        """
        require_from_output(activation)
        xp = self.xp
        dW, db, dx = gradients
        self.activation_backward(activation, dy, y, y, dz)
        dW[...] = xp.matmul(x.T, dz)
        db[...] = xp.sum(dz, axis=0)
        if dx is not None:
            dx[...] = xp.matmul(dz, W.T)
