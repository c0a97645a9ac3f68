"""An array API namespace that passes every call to one function, the hook.

The arrays have ``__array_namespace__``, so array-api-compat, SciPy, scikit-learn and array-api-extra find the
namespace. In a *wide* namespace an array declares float32 and stores float64, or declares float64 and stores
long double. So code that reads its dtype or the eps of its dtype behaves as in the declared dtype.
"""

import operator
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any
from weakref import WeakValueDictionary

import array_api_compat.numpy as numpy_xp
import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from array_agreement.targets import InputError, caller_location
from array_agreement.trees import leaves, tree_map

WIDER_DTYPES = {np.dtype(narrow): np.dtype(wide) for narrow, wide in ("fd", "FD", "dg", "DG")}
"""From a declared dtype to the dtype that its values are stored in."""
if np.finfo(np.longdouble).eps == np.finfo(np.float64).eps:  # Windows, and macOS on ARM
    WIDER_DTYPES.update({np.dtype(char): np.dtype(char) for char in "dD"})
DEFAULT_DTYPES = {np.dtype(double): np.dtype(single) for double, single in ("df", "DF")}
"""From NumPy's default dtypes to the ones of libraries with the default float32."""
COMPLEX_DTYPES = {np.dtype(real): np.dtype(pair) for real, pair in ("fF", "dD")}
DTYPE_QUERIES = ("result_type", "can_cast", "isdtype", "finfo", "iinfo")
"""Calls without an array result, which bypass the hook."""
VALUE_DTYPES = ("roots", "linalg.eig", "linalg.eigvals")
"""Calls with a dtype that depends on values: NumPy returns complex numbers only if there are any."""
GRID_ARGUMENTS = ("start", "stop", "step")
"""Arguments of linspace and arange that decide in which dtype NumPy computes."""
STANDARD_NAMES = {"power": "pow", "absolute": "abs", "invert": "bitwise_invert"}
"""From NumPy's name of a ufunc to its name in the array API standard, if they differ."""


_SPACES: "WeakValueDictionary[int, WatchedNamespace]" = WeakValueDictionary()
"""All namespaces by their ids: a namespace that is pickled in this process stays the same object."""


def find_space(key: int, wide: bool, default: str, run: int) -> "WatchedNamespace":
    """Return the namespace with this id, or a new one in another process. ``run`` tells pickles of runs apart."""
    return _SPACES.get(key) or WatchedNamespace(wide, default)


def unwrap(x: Any) -> Any:
    """Return the stored value of an ``Array``; return other objects unchanged."""
    return x.value if isinstance(x, Array) else x


def unwrap_narrow(x: Any) -> Any:
    """Convert an ``Array`` to NumPy in its declared dtype; return other objects unchanged."""
    return x.value.astype(x.dtype, copy=False) if isinstance(x, Array) else x


def _dtype_or_type(x: Any) -> Any:
    """Return the part of an argument that decides dtypes: its dtype, the string itself, or its type."""
    if isinstance(x, ARRAYS):
        return x.dtype
    if isinstance(x, type) and issubclass(x, np.generic):
        return np.dtype(x)
    return x if isinstance(x, (str, np.dtype)) else type(x)


def complex_if(x: Any, dtype: Any) -> Any:
    """Return ``dtype``, or the complex dtype of the same precision if the array ``x`` is complex."""
    return COMPLEX_DTYPES.get(dtype, dtype) if x.dtype.kind == "c" else dtype


def _widen(dtype: Any) -> Any:
    """Return the dtype that values of a declared dtype are stored in."""
    return WIDER_DTYPES.get(dtype, dtype)


def _narrow_long_double(x: Any) -> Any:
    """Convert long double to float64; return other objects unchanged."""
    narrow = {"g": "d", "G": "D"}.get(getattr(getattr(x, "dtype", None), "char", ""))
    return x.astype(narrow) if narrow else x


def _complex_log1p(z: Any) -> Any:
    """Return log(1 + z), which NumPy computes with an absolute error of u, not a relative one."""
    return 0.5 * np.log1p(z.real * (2 + z.real) + z.imag**2) + 1j * np.arctan2(z.imag, 1 + z.real)


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
    function: Callable[..., Any]
    args: Any
    kwargs: dict[str, Any]
    wide: bool
    dtypes: Any = None

    def __post_init__(self) -> None:
        self.leaves = [*leaves(self.args), *leaves(self.kwargs)]
        """All arguments, without the tuples, lists and dicts that they are in."""
        self.arrays = [x for x in self.leaves if isinstance(x, Array)]
        """The array arguments, positional ones first."""

    def run(self, array: Callable[[Any], Any], dtype: Callable[[Any], Any] = lambda d: d) -> Any:
        """Call the function with ``dtype(d)`` for each dtype d and ``array(x)`` for all other arguments."""

        def leaf(x: Any) -> Any:
            is_dtype = isinstance(x, (type, np.dtype)) and isinstance(_dtype_or_type(x), np.dtype)
            return dtype(np.dtype(x)) if is_dtype else array(x)

        kwargs = {key: tree_map(leaf, value) for key, value in self.kwargs.items()}
        return self.function(*tree_map(leaf, self.args), **kwargs)

    def compute(self, array: Callable[[Any], Any] = unwrap) -> Any:
        """Compute the result with NumPy from ``array(x)`` of each argument, by default its stored value.

        Functions that have no long double, such as linear algebra, compute in float64.
        """
        if not self.wide:
            return self.run(array)
        if self.name == "log1p" and self.arrays and self.arrays[0].value.dtype.kind == "c":
            return _complex_log1p(array(self.arrays[0]))
        try:
            return self.run(array, _widen)
        except TypeError:
            double = {np.dtype("f"): np.dtype("d"), np.dtype("F"): np.dtype("D")}
            return self.run(lambda x: _narrow_long_double(array(x)), lambda dtype: double.get(dtype, dtype))


def _declare(call: Call) -> None:
    """Give a call the arguments that it derives from its dtype, which is wider where NumPy computes.

    NumPy's linspace and arange compute in long double only if they are asked to.
    """
    if call.name in ("linspace", "arange") and call.dtypes in WIDER_DTYPES:
        wide = _widen(call.dtypes).type
        n = 2 if call.name == "linspace" else 3
        given = {**dict(enumerate(call.args[:n])), **call.kwargs}
        ends = {k: wide(unwrap(x)) for k, x in given.items() if k in (0, 1, 2, *GRID_ARGUMENTS) and x is not None}
        call.args = tuple(ends.get(i, x) for i, x in enumerate(call.args))
        call.kwargs = {**call.kwargs, **{k: x for k, x in ends.items() if k in call.kwargs}, "dtype": call.dtypes}
    if call.name in ("linalg.pinv", "linalg.matrix_rank") and len(call.leaves) == 1:
        (x,) = call.arrays
        call.kwargs = {"rtol": max(x.shape[-2:]) * float(np.finfo(x.dtype).eps)}


class WatchedNamespace:
    """An array API namespace over ``base``. Callers may replace ``hook`` between runs.

    Args:
        wide: store arrays in wider dtypes than they declare; see WIDER_DTYPES.
        default: name of the default floating-point dtype.
        root: the main namespace, if this one is an extension such as ``linalg``.
        base: the namespace that implements the calls.

    Attributes:
        hook: maps a ``Call`` to its result; ``Call.compute`` at first.
        default_places: "file:line" of each call with a result in the default dtype.
        n_runs: number of runs of a function so far.
        n_calls: number of calls with an array among their arguments.
        has_left: True once an array was converted to NumPy. What comes back from there has unknown rounding
            errors, so it becomes the result of a call named "from_numpy".
    """

    def __init__(self, wide: bool, default: str = "float64", root: Any = None, base: Any = numpy_xp):
        self.wide = wide
        self.default = default
        self.default_places = set[str]()
        self.n_runs = 0
        self.n_calls = 0
        self.has_left = False
        self._base = base
        self._root = root or self
        self._path = base.__name__.rpartition(".")[2] + "." if root else ""
        self.__name__ = f"{__name__}.{self._path}"
        self._dtypes = dict[Any, Any]()
        self.hook: Callable[[Call], Any] = Call.compute
        _SPACES[id(self)] = self

    def __reduce__(self) -> Any:
        return find_space, (id(self), self.wide, self.default, self._root.n_runs)

    def __getattr__(self, name: str) -> Any:
        """Wrap a function or an extension of ``base``. scipy.special is an extension once it is imported."""
        special = sys.modules.get("scipy.special") if name == "special" and not self._path else None
        value = special or getattr(self._base, name)
        if isinstance(value, ModuleType):
            value = WatchedNamespace(self.wide, self.default, self._root, value)
        elif callable(value) and not isinstance(value, type) and not name.startswith("__"):
            value = partial(self._call, name, value)
        setattr(self, name, value)
        return value

    def _call(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if name in DTYPE_QUERIES:
            return function(*(x.dtype if isinstance(x, Array) else x for x in args), **kwargs)
        return self._root.apply(self._path + name, function, args, kwargs)

    def __array_namespace_info__(self) -> Any:
        info = self._base.__array_namespace_info__()
        self._root.default_places.add(caller_location())
        defaults = {**info.default_dtypes(), "real floating": np.dtype(self.default)}
        info.default_dtypes = lambda *, device=None: defaults
        return info

    def apply(self, name: str, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        """Pass a call to the hook and wrap its results.

        They declare the dtypes that NumPy returns for the same call in the declared dtypes of its arguments.
        """
        call = Call(name, function, args, kwargs, self.wide)
        if name == "linalg.lstsq" and not all(np.isfinite(x.value).all() for x in call.arrays):
            raise np.linalg.LinAlgError("numbers are not finite")  # LAPACK may never end, nor be interrupted
        key = (name, *kwargs, *map(_dtype_or_type, call.leaves))
        if key not in self._dtypes or name in VALUE_DTYPES:
            declared = call.run(unwrap_narrow)
            found = tree_map(lambda x: getattr(x, "dtype", None), declared)
            dtypes = tree_map(lambda dtype: self._declared_dtype(dtype, key), found)
            by_default = any(self._is_default(dtype, key) for dtype in leaves(found))
            self._dtypes[key] = getattr(declared, "_make", type(declared)), dtypes, by_default
        make, call.dtypes, by_default = self._dtypes[key]
        if by_default:
            self.default_places.add(caller_location())
        if self.wide:
            _declare(call)
        self.n_calls += bool(call.arrays)
        result = self.hook(call)

        def wrap(x: Any, dtype: Any) -> Any:
            if dtype is None:
                return x
            value = np.asarray(x)
            dtype = complex_if(value, dtype)
            return Array(self, value.astype(self.storage(dtype), copy=False), dtype)

        several = isinstance(call.dtypes, tuple | list)
        if several and len(result) != len(call.dtypes):  # unstack and nonzero return a varying number
            call.dtypes = call.dtypes[:1] * len(result)
        return make(map(wrap, result, call.dtypes)) if several else wrap(result, call.dtypes)

    def _is_default(self, dtype: Any, arguments: Any) -> bool:
        """Return whether a result of NumPy's ``dtype`` has it for want of another one, as in ``zeros(3)``."""
        requested = {x for x in leaves(arguments) if isinstance(x, np.dtype)}
        return self.wide and dtype in DEFAULT_DTYPES and not requested & DEFAULT_DTYPES.keys()

    def _declared_dtype(self, dtype: Any, arguments: Any) -> Any:
        """Return the dtype that a result of NumPy's ``dtype`` declares, which may be the default dtype."""
        is_narrow = self.default == "float32" and self._is_default(dtype, arguments)
        return DEFAULT_DTYPES[dtype] if is_narrow else dtype

    def storage(self, declared: Any) -> Any:
        """Return the dtype that values of a declared dtype are stored in.

        Raises InputError: there are no bounds for float16 and long double.
        """
        if np.dtype(declared).char in "egG":
            raise InputError(f"dtype is {declared}, expected float32, float64 or complex; convert with dtype=")
        return _widen(declared) if self.wide else declared

    def asarray(self, x: Any, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Any:
        """Convert to an ``Array``. Numbers and NumPy arrays are rounded to their declared dtype."""
        if isinstance(x, Array):
            dtype = x.dtype if dtype is None else dtype  # NumPy's float64 == None
            result = x if not copy and dtype == x.dtype else self.astype(x, dtype)
            result.computed = x.computed
            return result
        inner = tree_map(unwrap_narrow, x)
        narrow = np.array(inner, dtype=dtype, copy=copy)
        requested = [tree_map(_dtype_or_type, inner), dtype and np.dtype(dtype)]
        if self._root._is_default(narrow.dtype, requested):
            self._root.default_places.add(caller_location())
        declared = self._root._declared_dtype(narrow.dtype, requested)
        value = narrow.astype(declared, copy=False).astype(self.storage(declared), copy=False)
        from_python = not any(isinstance(x, np.ndarray | np.generic) for x in leaves(inner))
        result = Array(self._root, value, declared, computed=from_python and self._root.n_calls > 0)
        if self._root.has_left and not from_python:
            result = self._root.apply("from_numpy", np.asarray, (result,), {})
            result.computed = False
        return result

    from_dlpack = asarray


class Array(NDArrayOperatorsMixin):
    """An array with the stored NumPy array ``value`` and the declared ``dtype``, which may be narrower.

    ``computed`` is False if no call of the namespace produced it: for inputs and converted NumPy arrays.
    """

    device = "cpu"

    def __init__(self, space: WatchedNamespace, value: Any, dtype: Any, computed: bool = True):
        self.space = space
        self.value = value
        self.dtype = dtype
        self.computed = computed

    def __getattr__(self, name: str) -> Any:
        if name not in ("T", "mT"):
            raise AttributeError(f"array has no attribute {name}, expected one of the array API standard")
        return Array(self.space, getattr(self.value, name), self.dtype)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __copy__(self) -> "Array":
        return Array(self.space, self.value.copy(), self.dtype, self.computed)

    def __array_namespace__(self, api_version: str | None = None) -> WatchedNamespace:
        return self.space

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        """Pass operators and element-wise functions of NumPy and SciPy, which are all ufuncs, to the hook."""
        name = STANDARD_NAMES.get(ufunc.__name__, ufunc.__name__)
        name = name if hasattr(numpy_xp, name) else f"special.{name}"
        result = self.space.apply(name, ufunc, args, kwargs)
        if out:
            self[...] = result
        return self if out else result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        self.space.has_left = self.space.wide
        return np.array(unwrap_narrow(self), dtype=dtype)

    def to_device(self, device: Any, /, *, stream: Any = None) -> "Array":
        return self

    def __getitem__(self, key: Any) -> "Array":
        return Array(self.space, np.asarray(self.value[tree_map(unwrap, key)]), self.dtype)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.computed = True
        value = value if isinstance(value, Array) else np.asarray(value, dtype=self.dtype)
        self.value[tree_map(unwrap, key)] = unwrap(value)


for _dunder in ("bool", "int", "float", "complex", "index", "len"):
    setattr(Array, f"__{_dunder}__", lambda self, d=_dunder: getattr(self.value, f"__{d}__")())
for _name in ("shape", "ndim", "size"):
    setattr(Array, _name, property(operator.attrgetter(f"value.{_name}")))
ARRAYS = (Array, np.ndarray, np.generic)
