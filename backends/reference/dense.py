"""The dense layer: product and bias in one, so that a backend can fuse them."""

from backends.reference.declaration import KernelBase, kernel
from backends.reference.signatures import Array, Arrays


class DenseKernels(KernelBase):
    """The dense layer, without its activation, and its gradients."""

    @kernel(writes=("z",))
    def dense(self, x: Array, W: Array, b: Array, z: Array) -> None:
        """``z = x W + b``.

        Reads x (B, n_in), W (n_in, n_out), b (n_out,); writes z (B, n_out).
        """
        z[...] = self.xp.matmul(x, W) + b

    @kernel(writes=("gradients",))
    def dense_backward(self, dz: Array, x: Array, W: Array, gradients: Arrays) -> None:
        """``dW = x^T dz``, ``db = sum_i dz_i``, ``dx = dz W^T``.

        Reads dz (B, n_out), x (B, n_in), W (n_in, n_out); writes the gradients: dW, db of the shapes of W, b,
        and dx (B, n_in) unless dx is None (the first layer).
        """
        xp = self.xp
        dW, db, dx = gradients
        dW[...] = xp.matmul(x.T, dz)
        db[...] = xp.sum(dz, axis=0)
        if dx is not None:
            dx[...] = xp.matmul(dz, W.T)
