"""Groups of arrays and of numbers in the kernels' signatures; a kernel's first line takes them apart."""

from typing import Any

Array = Any
Arrays = tuple[Array, ...]
"""An optimizer's slots, what a layer's forward keeps for its backward, or a layer's gradients: (dW, db, dx)
or (dgamma, dbeta, dx), whose dx is None where nothing before the layer is trained."""
Numbers = tuple[Any, ...]
"""Settings, such as (beta1, beta2, epsilon)."""
