"""All parameters of a model in one flat vector, all gradients in another, with named views.

So an optimizer updates one vector, a gradient norm is one call, and a checkpoint saves the views. Each view
starts on a 64-byte boundary. The padding between views is 0 and stays 0, because its gradient is 0. The
state of layers, which is saved but not trained, consists of small separate arrays.
"""

from collections.abc import Iterable, Mapping
from math import prod

import numpy as np

from backends import Array, Backend, InputError
from dnn.inputs.arrays import dtype_name
from dnn.keras_names import Uncallable
from dnn.typing import DeviceArrays, HostArrays, Shape

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector register
MAX_PARAMETERS = 2**36  # parameters: at least 256 GB


def copy_to_host(backend: Backend, arrays: DeviceArrays) -> HostArrays:
    """Return host copies of named arrays of this backend."""
    return {name: np.array(backend.to_host(array)) for name, array in arrays.items()}


def set_arrays(arrays: Iterable[Array], values: Iterable[Array]) -> None:
    """Copy values into arrays of the same backend."""
    for array, new in zip(arrays, values, strict=True):
        array[...] = new


class Parameters(Uncallable):
    """Flat vectors of values and gradients, with a view into both for each named parameter.

    Args:
        backend: allocates the vectors.
        shapes: name -> shape, in the order of the views in memory.
        state: name -> array of the backend that is not trained, such as running means.
    Attributes:
        vector, gradient_vector: (n,) in the backend's dtype.
        by_name, gradient_by_name: name -> view of the parameter's shape.
    Raises InputError: more than MAX_PARAMETERS numbers, or a name in both shapes and state.
    """

    explained_as = "parameters"

    def __init__(
        self, backend: Backend, shapes: Mapping[str, Shape], state: DeviceArrays | None = None
    ) -> None:
        self.backend = backend
        self.shapes = dict(shapes)
        self.state = dict(state or {})
        if both := sorted(self.shapes.keys() & self.state.keys()):
            raise InputError(f"a parameter and a state are named {both[0]!r}", "each name once")
        unit = _ALIGNMENT // np.dtype(backend.dtype_name).itemsize
        self._starts = {}
        end = 0
        for name, shape in self.shapes.items():
            self._starts[name] = end
            end += -(-prod(shape) // unit) * unit
        if end > MAX_PARAMETERS:
            raise InputError(f"the network has {end} parameters", f"at most {MAX_PARAMETERS}")
        self.vector = backend.zeros(end)
        self.gradient_vector = backend.zeros(end)
        self.by_name = self.views(self.vector)
        self.gradient_by_name = self.views(self.gradient_vector)

    def initialise(self, values: HostArrays) -> None:
        """Set parameters from float64 host arrays by name."""
        for name, array in values.items():
            host = np.ascontiguousarray(array.astype(self.backend.dtype_name))
            self.by_name[name][...] = self.backend.from_host(host)

    def views(self, vector: Array) -> dict[str, Array]:
        """Return name -> view into a vector that has the layout of ``self.vector``, such as a moment."""
        views = {}
        for name, shape in self.shapes.items():
            start = self._starts[name]
            views[name] = self.backend.view(vector[start : start + prod(shape)], shape)
        return views

    @property
    def count(self) -> int:
        """Number of trained parameters, without the padding."""
        return sum(prod(shape) for shape in self.shapes.values())

    @property
    def is_finite(self) -> bool:
        """Whether no parameter is NaN or infinite; waits for the device."""
        xp = self.backend.xp
        return bool(xp.all(xp.isfinite(self.vector)))

    def clear(self) -> None:
        """Zero both vectors, padding included: clipping by a norm of NaN may have made the padding NaN."""
        self.vector[...] = 0.0
        self.gradient_vector[...] = 0.0

    def to_host(self) -> HostArrays:
        """Return host copies of all parameters and of the state, by name."""
        return copy_to_host(self.backend, {**self.by_name, **self.state})

    def load(self, values: Mapping[str, np.ndarray]) -> None:
        """Set all parameters and the state from a dict as ``to_host`` returns it.

        Raises InputError: a missing or unknown name, or a wrong shape or dtype; then nothing is written.
        """
        arrays = {**self.by_name, **self.state}
        if not isinstance(values, Mapping):
            cure = f"write {{name: array, ...}} with the names {', '.join(arrays)}"
            raise InputError(f"values is a {type(values).__name__}", "a dict as to_host() returns it", cure)
        if set(values) != set(arrays):
            raise InputError(f"weights are named {sorted(values)}", f"{sorted(arrays)}")
        for name, array in values.items():
            shape = tuple(arrays[name].shape)
            dtype = dtype_name(arrays[name])
            if (array.shape, str(array.dtype)) != (shape, dtype):
                got = f"weights {name!r} have shape {array.shape} and dtype {array.dtype}"
                raise InputError(got, f"{shape} and {dtype}")
        self.clear()
        for name, array in values.items():
            arrays[name][...] = self.backend.from_host(np.ascontiguousarray(array))
