"""Gradient transforms before the optimizer step: L1 and L2 penalty, clipping."""

from backends.reference.arithmetic import clip, quotient, sign
from backends.reference.declaration import KernelBase, kernel
from backends.reference.signatures import Array

NORM_FLOOR = 1e-6  # added to the norm, so that a gradient of 0 causes no division by 0; torch's value


class GradientKernels(KernelBase):
    """Gradient transforms."""

    @kernel(writes=("g",))
    def penalty(self, w: Array, g: Array, l1: float, l2: float) -> None:
        """``g = g + l1 sign(w) + 2 l2 w``, the gradient of l1 sum |w| + l2 sum w^2; sign(0) = 0.

        A term with factor 0 is skipped, so an infinite w gives no NaN there. Reads w (n,); writes g (n,).
        """
        if l2 != 0.0:
            g[...] = g + (2.0 * l2) * w
        if l1 != 0.0:
            g[...] = g + l1 * sign(self.xp, w)

    @kernel(writes=("g",))
    def clip_norm(self, g: Array, limit: float) -> None:
        """``g = g min(1, limit / (norm(g) + 1e-6))``, as torch.nn.utils.clip_grad_norm_ (norm 2).

        As in torch, a NaN norm makes all of g NaN; an infinite norm makes g 0 (NaN where g is infinite).
        Reads and writes g (n,).
        """
        xp = self.xp
        norm = xp.sqrt(xp.sum(g * g, axis=0, keepdims=True))
        factor = quotient(xp, limit, norm + NORM_FLOOR)
        g[...] = g * clip(xp, factor, high=1.0)

    @kernel(writes=("g",))
    def clip_value(self, g: Array, limit: float) -> None:
        """``g = min(max(g, -limit), limit)`` element by element, as torch.nn.utils.clip_grad_value_.

        NaN stays NaN. Reads and writes g (n,).
        """
        g[...] = clip(self.xp, g, -limit, limit)
