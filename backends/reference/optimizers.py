"""Optimizer steps on flat vectors, and penalties and clipping of the gradient. All steps have one signature:

p         (n,) parameters, written
g         (n,) their gradient
slots     the optimizer's state, (n,) each, written
control   (4,) numbers that change with every update, indexed by RATE, BIAS_1, BIAS_2 and UPDATES; written
settings  the optimizer's numbers; its first line unpacks them in order
"""

from backends.reference.arithmetic import clip, quotient, sign
from backends.reference.declaration import KernelBase, kernel
from backends.reference.signatures import Array, Arrays, Numbers

# Indices into the control array. It is on the device, so an update never reads from the device and can be
# recorded as a CUDA graph. Each is a slice: ``control[RATE]`` is a view (1,), which every array library can
# read and write.
RATE = slice(0, 1)  # the learning rate of the next update
BIAS_1 = slice(1, 2)  # Adam's 1 - beta1^t after t updates; other optimizers do not use it
BIAS_2 = slice(2, 3)  # Adam's 1 - beta2^t
UPDATES = slice(3, 4)  # number of updates so far
MOMENT_FLOOR = 1e-36
FLUSH_EVERY = 32
"""Every 32nd update, optimizer moments smaller than MOMENT_FLOOR become zero.

If the gradient of a weight becomes 0 (as of a border pixel), its moments shrink by a constant factor per
update until they are denormal numbers, and a multiplication then costs a hundred times as much. A moment of
1e-36 moves a weight by less than 1e-10 of the learning rate. With the usual factor 0.9 it takes 42 updates
from there to the first denormal number, so every 32nd update is often enough.
"""

NORM_FLOOR = 1e-6  # added to the norm, so that a gradient of 0 causes no division by 0; torch's value

optimizer_step = kernel(writes=("p", "slots", "control"))


def count_update(control: Array) -> None:
    """Advance the number of updates, in place: a slice of ``control`` is a view."""
    updates = control[UPDATES]
    updates += 1.0


def advance_adam_control(control: Array, beta1: float, beta2: float) -> None:
    """Advance the number of updates, and c = beta c + (1 - beta): it is 1 - beta^t without cancellation."""
    for entry, beta in ((control[BIAS_1], beta1), (control[BIAS_2], beta2)):
        entry *= beta
        entry += 1.0 - beta
    count_update(control)


class OptimizerKernels(KernelBase):
    """The step of every optimizer, and what changes the gradient before it: penalties, clipping."""

    def _flush(self, moment: Array, updates: Array) -> Array:
        """Return the moment; every FLUSH_EVERY-th update, numbers below MOMENT_FLOOR become 0."""
        xp = self.xp
        # NaN < floor is false, so NaN stays NaN.
        tiny = (xp.abs(moment) < MOMENT_FLOOR) & (xp.remainder(updates, float(FLUSH_EVERY)) == 0)
        return xp.where(tiny, xp.zeros_like(moment), moment)

    @optimizer_step
    def sgd(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        """Stochastic gradient descent, as torch.optim.SGD (dampening 0).

        v = momentum v + g; p = p - rate v, or with Nesterov p = p - rate (g + momentum v)
        (Sutskever et al. 2013). With momentum 0 the velocity is neither read nor written.
        """
        (velocity,) = slots
        momentum, nesterov = settings
        rate = control[RATE]
        count_update(control)
        if momentum == 0.0:
            p[...] = p - rate * g
            return
        velocity[...] = self._flush(momentum * velocity + g, control[UPDATES])
        p[...] = p - rate * (g + momentum * velocity if nesterov else velocity)

    @optimizer_step
    def adam(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        """Adam (Kingma and Ba 2015, algorithm 1), epsilon placed as in torch.optim.Adam.

        m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;  c_i = 1 - beta_i^t
        p = p - rate / c1 * m / (sqrt(v / c2) + epsilon)

        A third slot is the largest v so far, which then replaces v (AMSGrad, Reddi et al. 2018). A fourth
        setting is AdamW's weight decay (Loshchilov and Hutter 2019): first p = p (1 - rate decay).
        """
        xp = self.xp
        (m, v, *largest), (beta1, beta2, epsilon, *decay) = slots, settings
        if decay:
            p[...] = p * (1.0 - control[RATE] * decay[0])
        advance_adam_control(control, beta1, beta2)
        rate_over_c1 = control[RATE] / control[BIAS_1]
        m[...] = self._flush(beta1 * m + (1.0 - beta1) * g, control[UPDATES])
        v[...] = self._flush(beta2 * v + (1.0 - beta2) * (g * g), control[UPDATES])
        if largest:
            largest[0][...] = self._flush(xp.maximum(largest[0], v), control[UPDATES])
            v = largest[0]
        p[...] = p - rate_over_c1 * m / (xp.sqrt(v) / xp.sqrt(control[BIAS_2]) + epsilon)

    @optimizer_step
    def adagrad(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        """Adagrad (Duchi et al. 2011), as torch.optim.Adagrad with lr_decay 0.

        total = total + g^2;  p = p - rate g / (sqrt(total) + epsilon)
        """
        (total,) = slots
        (epsilon,) = settings
        count_update(control)
        total[...] = self._flush(total + g * g, control[UPDATES])
        p[...] = p - control[RATE] * (g / (self.xp.sqrt(total) + epsilon))

    @optimizer_step
    def rmsprop(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        """RMSprop (Tieleman and Hinton 2012), as torch.optim.RMSprop.

        v = decay v + (1 - decay) g^2;  s = g / (sqrt(v) + epsilon)
        p = p - rate s, or with momentum  velocity = momentum velocity + s;  p = p - rate velocity

        With momentum 0 the velocity is neither read nor written. A third slot is the mean of g; its square
        is then subtracted from v in s (centered, Graves 2013).
        """
        xp = self.xp
        (v, velocity, *mean), (decay, epsilon, momentum) = slots, settings
        rate = control[RATE]
        count_update(control)
        v[...] = self._flush(decay * v + (1.0 - decay) * (g * g), control[UPDATES])
        square = v
        if mean:
            mean[0][...] = self._flush(decay * mean[0] + (1.0 - decay) * g, control[UPDATES])
            square = v - mean[0] * mean[0]
            square = xp.where(square < 0, xp.zeros_like(v), square)  # rounding may make it negative
        s = g / (xp.sqrt(square) + epsilon)
        if momentum != 0.0:
            velocity[...] = self._flush(momentum * velocity + s, control[UPDATES])
            s = velocity
        p[...] = p - rate * s

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
