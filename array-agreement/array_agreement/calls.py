"""Arrays and calls of a watched namespace: what a call computes, and in which dtype."""

import operator
import sys
from dataclasses import dataclass
from typing import Any, NoReturn

import array_api_compat.numpy as numpy_xp
import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from array_agreement.targets import Function, InputError, caller_location, is_user_code, words
from array_agreement.values import leaves, tree_map

WIDER_DTYPES = {np.dtype(narrow): np.dtype(wide) for narrow, wide in ("fd", "FD", "dg", "DG")}
"""From a declared dtype to the dtype that its values are stored in."""
if np.finfo(np.longdouble).eps == np.finfo(np.float64).eps:  # Windows, and macOS on ARM
    WIDER_DTYPES.update({np.dtype(char): np.dtype(char) for char in "dD"})
STANDARD_NAMES = {"power": "pow", "absolute": "abs", "invert": "bitwise_invert"}
"""From NumPy's name of a ufunc to its name in the array API standard, if they differ."""


CURE = (
    "expected functions of an argument xp, which every library has. Write def f(xp, x), and xp.exp(x) for "
    "torch.exp(x). Convert a torch.nn module by from_torch of array-api-dnn, and compare its outputs by "
    "compare_outputs"
)


def unwrap(x: Any) -> Any:
    """Return the stored value of an ``Array``; return other objects unchanged."""
    return x.value if isinstance(x, Array) else x


def unwrap_narrow(x: Any) -> Any:
    """Convert an ``Array`` to NumPy in its declared dtype; return other objects unchanged."""
    return x.value.astype(x.dtype, copy=False) if isinstance(x, Array) else x


class Array(NDArrayOperatorsMixin):
    """An array with the stored NumPy array ``value`` and the declared ``dtype``, which may be narrower.

    ``computed`` is False if no call of the namespace produced it: for inputs and converted NumPy arrays.
    ``written`` is "file:line" of the first write into an argument. Eigenvalues are ``unordered``.
    """

    device = "cpu"
    written = ""
    unordered = False

    def __init__(self, space: Any, value: Any, dtype: Any, computed: bool = True):
        self.space = space
        self.value = value
        self.dtype = dtype
        self.computed = computed

    def __getattr__(self, name: str) -> Any:
        if name not in ("T", "mT"):
            cure = "other methods are functions there, such as xp.sum(x)"
            raise AttributeError(
                f"array has no attribute {name}, expected one of the array API standard; {cure}"
            )
        return Array(self.space, getattr(self.value, name), self.dtype)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __copy__(self) -> "Array":
        return Array(self.space, self.value.copy(), self.dtype, self.computed)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return self.space

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        """Pass operators and element-wise functions of NumPy and SciPy, which are all ufuncs, to the hook."""
        if method != "__call__":  # np.sum computes outside the namespace, like np.mean
            return getattr(ufunc, method)(*map(np.asarray, args), **kwargs)
        name = STANDARD_NAMES.get(ufunc.__name__, ufunc.__name__)
        if not hasattr(numpy_xp, name):
            name = f"special.{name}"
        elif is_user_code(sys._getframe(1)):  # no operator
            self.space.numpy_places.add(caller_location())
        result = self.space.apply(name, ufunc, args, kwargs)
        if out:
            self[...] = result
        return self if out else result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        self.space.has_left = self.space.wide
        self.space.numpy_places.add(caller_location())
        return np.array(unwrap_narrow(self), dtype=dtype)

    @classmethod
    def __torch_function__(cls, function: Any, *_: Any) -> NoReturn:
        """Reject a call of torch itself, also by a torch.nn.Module. Raises InputError."""
        raise InputError(f"torch itself ({function.__name__}) is called at {caller_location()}, {CURE}")

    @property
    def __jax_array__(self) -> NoReturn:
        """Reject a call of JAX itself, which asks for this attribute. Raises InputError."""
        raise InputError(f"JAX itself is called at {caller_location()}, {CURE}")

    def to_device(self, device: Any, /, *, stream: Any = None) -> "Array":
        return self

    def __getitem__(self, key: Any) -> "Array":
        return Array(self.space, np.asarray(self.value[tree_map(unwrap, key)]), self.dtype)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.computed = True
        for x in self.space.inputs:
            if np.may_share_memory(x.value, self.value):
                x.written = x.written or caller_location()
        value = value if isinstance(value, Array) else np.asarray(value, dtype=self.dtype)
        self.value[tree_map(unwrap, key)] = unwrap(value)


for _dunder in words("bool int float complex index len"):
    setattr(Array, f"__{_dunder}__", lambda self, d=_dunder: getattr(self.value, f"__{d}__")())
for _name in ("shape", "ndim", "size"):
    setattr(Array, _name, property(operator.attrgetter(f"value.{_name}")))


def dtype_or_type(x: Any) -> Any:
    """Return the part of an argument that decides dtypes: its dtype, the string itself, or its type."""
    if isinstance(x, Array | np.ndarray | np.generic):
        return x.dtype
    if isinstance(x, type) and issubclass(x, np.generic):
        return np.dtype(x)
    return x if isinstance(x, (str, np.dtype)) else type(x)


def map_parts(function: Function, *arrays: Any) -> Any:
    """Apply a function of real arrays; to complex ones by parts, because 1j * inf has the real part NaN."""
    if arrays[0].dtype.kind != "c":
        return function(*arrays)
    real = function(*(x.real for x in arrays))
    result = np.empty(real.shape, np.result_type(real, 1j))
    result.real = real
    result.imag = function(*(x.imag for x in arrays))
    return result


def widen(dtype: Any) -> Any:
    """Return the dtype that values of a declared dtype are stored in."""
    return WIDER_DTYPES.get(dtype, dtype)


def _complex_log1p(z: Any) -> Any:
    """Return log(1 + z), which NumPy computes with an absolute error of u, not a relative one."""
    result = np.log(1 + z)
    change = z.real * (2 + z.real) + z.imag**2
    result.real = np.where(np.abs(change) < 0.5, 0.5 * np.log1p(change), result.real)
    result.imag = np.arctan2(z.imag, 1 + z.real)
    return result


@dataclass
class Call:
    """One call of the array API.

    Args:
        name: as in the standard, with its extension: "sum", "linalg.solve".
        function: the implementation on NumPy arrays.
        args: positional arguments.
        kwargs: keyword arguments.
        wide: compute in float64 where float32 is declared.
        dtypes: declared dtype of the result, nested like the result; None for results that are not arrays.
    """

    name: str
    function: Function
    args: Any
    kwargs: dict[str, Any]
    wide: bool
    dtypes: Any = None

    def __post_init__(self) -> None:
        self.leaves = leaves([self.args, self.kwargs])
        """All arguments, without the tuples, lists and dicts that they are in."""
        self.arrays = [x for x in self.leaves if isinstance(x, Array)]
        """The array arguments, positional ones first."""

    def run(self, array: Function, dtype: Function = lambda d: d) -> Any:
        """Call the function with ``dtype(d)`` for each dtype d and ``array(x)`` for all other arguments."""

        def leaf(x: Any) -> Any:
            is_dtype = isinstance(x, (type, np.dtype)) and isinstance(dtype_or_type(x), np.dtype)
            return dtype(np.dtype(x)) if is_dtype else array(x)

        return self.function(*tree_map(leaf, self.args), **tree_map(leaf, self.kwargs))

    def compute(self, array: Function = unwrap) -> Any:
        """Compute the result with NumPy from ``array(x)`` of each argument, by default its stored value.

        Functions that have no long double, such as linear algebra, compute in float64.
        """
        if not self.wide:
            return self.run(array)
        if self.name == "log1p" and self.arrays and self.arrays[0].value.dtype.kind == "c":
            return _complex_log1p(array(self.arrays[0]))
        try:
            return self.run(array, widen)
        except TypeError:
            double = {np.dtype(wide): np.dtype(narrow) for wide, narrow in ("gd", "GD")}

            def narrow(x: Any) -> Any:
                dtype = getattr(x, "dtype", None)
                return x.astype(double[dtype]) if dtype in double else x

            return self.run(lambda x: narrow(array(x)), lambda d: double.get(widen(d), widen(d)))


def declare(call: Call) -> None:
    """Write out arguments whose defaults depend on the dtype, because the oracle computes in a wider dtype.

    NumPy's linspace and arange compute in long double only if an argument is one.
    """
    if call.name in ("linspace", "arange") and call.dtypes in WIDER_DTYPES:
        first, *others = call.args
        call.args = (widen(call.dtypes).type(unwrap(first)), *others)
        call.kwargs = {**call.kwargs, "dtype": call.dtypes}
    if call.name in ("linalg.pinv", "linalg.matrix_rank") and len(call.leaves) == 1:
        (x,) = call.arrays
        call.kwargs = {"rtol": max(x.shape[-2:]) * float(np.finfo(x.dtype).eps)}
