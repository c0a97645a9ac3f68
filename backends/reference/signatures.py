"""Types in the kernels' signatures: arrays, and tuples of them that a kernel's first line unpacks."""

from collections.abc import Callable
from typing import Any

Array = Any
Arrays = tuple[Array, ...]
"""An optimizer's slots, ``stats`` of a normalization, or a layer's gradients: (dW, db, dx) or (dgamma,
dbeta, dx). dx is None if no layer before is trained."""
Key = tuple[int, int]
"""Two 32-bit words that identify a random stream."""
Numbers = tuple[Any, ...]
"""Settings, such as (beta1, beta2, epsilon)."""
LossFunction = Callable[[Array, Array, Array, Array], None]
"""(outputs, targets, losses, gradient); see ``backends.reference.losses``."""
OptimizerStep = Callable[[Array, Array, Arrays, Array, Numbers], None]
"""(p, g, slots, control, settings); see ``backends.reference.optimizers``."""
