"""All of a model's parameters in one flat vector, all gradients in another, with named views.

An optimizer is then a textbook line over one vector, a gradient norm one call, a checkpoint the views. Each
view starts on a 64-byte boundary; the few numbers between views are 0 and stay 0, since their gradient is.
Beside them the state of layers, which is saved and loaded but not trained: small arrays of their own.
"""

from collections.abc import Mapping
from math import prod

import numpy as np

from backends import Array, Backend, InputError
from dnn.validation.arrays import dtype_name

Shape = tuple[int, ...]
_ALIGNMENT = 64  # bytes: a cache line, and the widest vector register
MAX_PARAMETERS = 2**36  # parameters; 256 GB and more


class Parameters:
    """Flat values and gradients, and for each name a view of its shape into both.

    Args:
        backend: where the vectors live.
        shapes: name -> shape, in the order in which they lie.
        state: name -> array of the backend that is not trained (running means).
    Attributes:
        values, gradients: (n,) vectors of the backend's dtype; value, gradient: name -> view.
    """

    def __init__(
        self, backend: Backend, shapes: Mapping[str, Shape], state: Mapping[str, Array] | None = None
    ) -> None:
        self.backend = backend
        self.shapes = dict(shapes)
        self.state = dict(state or {})
        step = _ALIGNMENT // np.dtype(backend.dtype_name).itemsize
        self._starts = {}
        end = 0
        for name, shape in self.shapes.items():
            self._starts[name] = end
            end += -(-prod(shape) // step) * step
        if end > MAX_PARAMETERS:
            raise InputError(f"the network has {end} parameters, expected at most {MAX_PARAMETERS}")
        self.values = backend.zeros(end)
        self.gradients = backend.zeros(end)
        self.value, self.gradient = self.views(self.values), self.views(self.gradients)

    def views(self, vector: Array) -> dict[str, Array]:
        """Name -> view of its shape into a vector that lies as the values do (an optimizer's, say)."""
        view = self.backend.view
        places = ((n, self._starts[n], shape) for n, shape in self.shapes.items())
        return {name: view(vector[start : start + prod(s)], s) for name, start, s in places}

    @property
    def count(self) -> int:
        """Numbers that are trained (without the padding)."""
        return sum(prod(shape) for shape in self.shapes.values())

    def clear(self) -> None:
        """Zero both vectors, with what lies between the views: after NaN in a norm it may be NaN too."""
        self.values[...] = 0.0
        self.gradients[...] = 0.0

    def to_host(self) -> dict[str, np.ndarray]:
        """Copies of all values and of the state, by name."""
        arrays = {**self.value, **self.state}
        return {name: np.array(self.backend.to_host(array)) for name, array in arrays.items()}

    def load(self, values: Mapping[str, np.ndarray]) -> None:
        """Set all values and the state, as ``to_host`` returns them; all are compared before one is written.
        Raises InputError: a missing or unknown name, another shape, another dtype.
        """
        arrays = {**self.value, **self.state}
        if set(values) != set(arrays):
            raise InputError(f"weights are named {sorted(values)}, expected {sorted(arrays)}")
        for name, array in values.items():
            shape = tuple(arrays[name].shape)
            dtype = dtype_name(arrays[name])
            if tuple(array.shape) != shape:
                raise InputError(f"weights {name!r} have shape {tuple(array.shape)}, expected {shape}")
            if str(array.dtype) != dtype:
                got = f"weights {name!r} have dtype {array.dtype}"
                raise InputError(got, dtype, "convert them with astype")
        self.clear()
        for name, array in values.items():
            arrays[name][...] = self.backend.from_host(np.ascontiguousarray(array))
