"""Batch normalization (of columns) and layer normalization (of rows).

Forward writes ``stats``: the mean, and the inverse 1 / sqrt(variance + epsilon). From these backward
recomputes the normalized values x^ = (x - mean) inverse.
"""

from backends.reference.arithmetic import quotient, sum_rows
from backends.reference.declaration import KernelBase, kernel
from backends.reference.signatures import Array, Arrays, Numbers


class NormalizationKernels(KernelBase):
    """Normalization of columns and of rows, and its gradients."""

    @kernel(writes=("running", "stats", "y"))
    def batch_norm(
        self, x: Array, gamma: Array, beta: Array, running: Arrays, settings: Numbers, stats: Arrays, y: Array
    ) -> None:
        """``y = x^ gamma + beta`` with mean and variance of each column (Ioffe and Szegedy 2015).

        running = (1 - momentum) running + momentum current, for mean and variance. As in
        torch.nn.BatchNorm1d, the running variance is divided by N - 1, the variance within y by N. N is at
        least 2.

        Reads x (N, n), gamma, beta (n,), running: mean and variance (n,), and settings: momentum and epsilon;
        writes running, stats: mean and inverse (n,), and y (N, n).
        """
        xp = self.xp
        running_mean, running_variance = running
        momentum, epsilon = settings
        mean, inverse = stats
        n = x.shape[0]
        first = quotient(xp, sum_rows(xp, x), n)
        centered = x - first
        rest = quotient(xp, sum_rows(xp, centered), n)  # corrects the rounding of ``first``
        mean[...] = first + rest
        centered = centered - rest
        variance = quotient(xp, sum_rows(xp, centered * centered), n)
        inverse[...] = 1.0 / xp.sqrt(variance + epsilon)
        y[...] = centered * (inverse * gamma) + beta
        running_mean[...] = (1.0 - momentum) * running_mean + momentum * mean
        running_variance[...] = (1.0 - momentum) * running_variance + (momentum * n / (n - 1)) * variance

    @kernel(writes=("gradients",), aliases=(("dy", "gradients[2]"),))
    def batch_norm_backward(
        self, dy: Array, x: Array, stats: Arrays, gamma: Array, gradients: Arrays
    ) -> None:
        """``dgamma = sum_i dy x^``, ``dbeta = sum_i dy``,
        ``dx = gamma inverse (dy - dbeta/N - x^ dgamma/N)``.

        Reads dy, x (N, n), stats: mean and inverse (n,), gamma (n,); writes the gradients: dgamma, dbeta (n,)
        and dx (N, n; may be dy itself) unless dx is None.
        """
        xp = self.xp
        mean, inverse = stats
        dgamma, dbeta, dx = gradients
        n = x.shape[0]
        normal = (x - mean) * inverse
        dgamma[...] = sum_rows(xp, dy * normal)
        dbeta[...] = sum_rows(xp, dy)
        if dx is not None:
            dx[...] = (gamma * inverse) * (dy - quotient(xp, dbeta, n) - normal * quotient(xp, dgamma, n))

    @kernel(writes=("stats", "y"))
    def layer_norm(
        self, x: Array, gamma: Array, beta: Array, epsilon: float, stats: Arrays, y: Array
    ) -> None:
        """``y = x^ gamma + beta`` with mean and variance (divided by n) of each row (Ba et al. 2016).

        Reads x (N, n), gamma, beta (n,); writes stats: mean and inverse (N,), and y (N, n).
        """
        xp = self.xp
        mean, inverse = stats
        mean[...] = xp.mean(x, axis=1)
        centered = x - mean[:, None]
        inverse[...] = 1.0 / xp.sqrt(xp.mean(centered * centered, axis=1) + epsilon)
        y[...] = centered * inverse[:, None] * gamma + beta

    @kernel(writes=("gradients",), aliases=(("dy", "gradients[2]"),))
    def layer_norm_backward(
        self, dy: Array, x: Array, stats: Arrays, gamma: Array, gradients: Arrays
    ) -> None:
        """``dgamma = sum_i dy x^``, ``dbeta = sum_i dy``, ``dx = inverse (g - mean(g) - x^ mean(g x^))``.

        Here g = gamma dy, and the means are over the row.

        Reads dy, x (N, n), stats: mean and inverse (N,), gamma (n,); writes the gradients: dgamma, dbeta (n,)
        and dx (N, n; may be dy itself) unless dx is None.
        """
        xp = self.xp
        mean, inverse = stats
        dgamma, dbeta, dx = gradients
        normal = (x - mean[:, None]) * inverse[:, None]
        dgamma[...] = sum_rows(xp, dy * normal)
        dbeta[...] = sum_rows(xp, dy)
        if dx is not None:
            g = dy * gamma
            along = xp.mean(g * normal, axis=1, keepdims=True)
            dx[...] = inverse[:, None] * (g - xp.mean(g, axis=1, keepdims=True) - normal * along)
