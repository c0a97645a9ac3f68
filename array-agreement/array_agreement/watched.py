"""An array API namespace that passes every call to one function, the hook.

The arrays have ``__array_namespace__``, so array-api-compat, SciPy, scikit-learn and array-api-extra find the
namespace. In a *wide* namespace an array declares float32 and stores float64, or declares float64 and stores
long double. So code that reads its dtype or the eps of its dtype behaves as in the declared dtype.
"""

import sys
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

import array_api_compat.numpy as numpy_xp
import numpy as np

from array_agreement.calls import (
    Array,
    Call,
    declare,
    dtype_or_type,
    unwrap_narrow,
    widen,
)
from array_agreement.targets import Function, InputError, caller_location, words
from array_agreement.values import complex_if, leaves, tree_map

DEFAULT_DTYPES = {np.dtype(double): np.dtype(single) for double, single in ("df", "DF")}
"""From NumPy's default dtypes to the ones of libraries with the default float32."""
DTYPE_QUERIES = words("result_type can_cast isdtype finfo iinfo")
"""Calls without an array result, which bypass the hook."""
_SPACES: "WeakValueDictionary[str, WatchedNamespace]" = WeakValueDictionary()
"""All namespaces by their keys: a namespace stays the same object when it comes back from a pickle."""


def find_space(key: str, run: int) -> "WatchedNamespace":
    """Return the namespace with this key in this process; ``run`` tells pickles apart."""
    return _SPACES[key]


class WatchedNamespace:
    """An array API namespace over ``base``. Callers may replace ``hook`` between runs.

    Args:
        wide: store arrays in wider dtypes than they declare; see WIDER_DTYPES.
        default: name of the default floating-point dtype.

    Attributes:
        hook: maps a ``Call`` to its result; ``Call.compute`` at first.
        default_places: "file:line" of each call with a result in the default dtype.
        inputs: the array arguments of the present run.
        numpy_places: "file:line" of each call of NumPy itself in the present run.
        n_runs: number of runs of a function so far, so that caches by pickles keep no result of another run.
        n_calls: number of calls with an array among their arguments, or that make one of numbers.
        has_left: True once an array was converted to NumPy. What comes back from there has unknown rounding
            errors, so it becomes the result of a call named "from_numpy".
        is_jax: model JAX, whose searchsorted returns int32, and which divides by reciprocals.
    """

    n_runs = 0
    n_calls = 0
    has_left = False
    is_jax = False

    def __init__(self, wide: bool, default: str = "float64"):
        self.wide = wide
        self.default = default
        self.default_places = set[str]()
        self.inputs = list[Array]()
        self.numpy_places = set[str]()
        self.__name__ = __name__
        self._dtypes = dict[Any, Any]()
        self.hook: Function = Call.compute
        self._key = uuid4().hex
        _SPACES[self._key] = self

    def __reduce__(self) -> Any:
        return find_space, (self._key, self.n_runs)

    def __getattr__(self, name: str) -> Any:
        """Wrap a function or an extension of NumPy. scipy.special is an extension once it is imported."""
        special = sys.modules.get("scipy.special") if name == "special" else None
        value = self._wrap(name, special or getattr(numpy_xp, name))
        setattr(self, name, value)
        return value

    def _wrap(self, name: str, value: Any) -> Any:
        if isinstance(value, ModuleType):
            functions = {key: x for key, x in vars(value).items() if callable(x)}
            return SimpleNamespace(**{key: self._wrap(f"{name}.{key}", x) for key, x in functions.items()})
        is_wrapped = callable(value) and not isinstance(value, type) and not name.startswith("__")
        return partial(self._call, name, value) if is_wrapped else value

    def _call(self, name: str, function: Function, /, *args: Any, **kwargs: Any) -> Any:
        if name in DTYPE_QUERIES:
            return function(*(x.dtype if isinstance(x, Array) else x for x in args), **kwargs)
        return self.apply(name, function, args, kwargs)

    def __array_namespace_info__(self) -> Any:
        info = numpy_xp.__array_namespace_info__()
        self.default_places.add(caller_location())
        defaults = {**info.default_dtypes(), "real floating": np.dtype(self.default)}
        info.default_dtypes = lambda *, device=None: defaults
        return info

    def apply(self, name: str, function: Function, args: Any, kwargs: dict[str, Any]) -> Any:
        """Pass a call to the hook and wrap its results.

        They declare the dtypes that NumPy returns for the same call in the declared dtypes of its arguments.
        """
        call = Call(name, function, args, kwargs, self.wide)
        if name == "linalg.lstsq" and not all(np.isfinite(x.value).all() for x in call.arrays):
            raise np.linalg.LinAlgError("numbers are not finite")  # LAPACK may never end, nor be interrupted
        key = (name, *kwargs, *map(dtype_or_type, call.leaves))
        if key not in self._dtypes:
            declared = call.run(unwrap_narrow)
            found = tree_map(lambda x: getattr(x, "dtype", None), declared)
            dtypes = tree_map(lambda dtype: self._declared_dtype(dtype, key), found)
            by_default = any(self._is_default(dtype, key) for dtype in leaves(found))
            self._dtypes[key] = getattr(declared, "_make", type(declared)), dtypes, by_default
        make, call.dtypes, by_default = self._dtypes[key]
        if name == "searchsorted" and self.is_jax:
            call.dtypes = np.dtype(np.int32)
        if by_default:
            self.default_places.add(caller_location())
        if self.wide:
            declare(call)
        self.n_calls += bool(call.arrays) or name in ("arange", "full", "linspace")
        result = self.hook(call)

        def wrap(x: Any, dtype: Any) -> Any:
            if dtype is None:
                return x
            value = np.asarray(x)
            dtype = complex_if(value, dtype)
            array = Array(self, value.astype(self.storage(dtype), copy=False), dtype)
            if name == "astype":
                array.unordered = call.arrays[0].unordered
            elif name.startswith("linalg.eig"):
                array.unordered = array.ndim < call.arrays[0].ndim
            return array

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
        if self.default == "float32" and self._is_default(dtype, arguments):
            return DEFAULT_DTYPES[dtype]
        return dtype

    def storage(self, declared: Any) -> Any:
        """Return the dtype that values of a declared dtype are stored in.

        Raises InputError: there are no bounds for float16 and long double.
        """
        if np.dtype(declared).char in "egG":
            raise InputError(f"dtype is {declared}, expected float32 or float64, for which there are bounds")
        return widen(declared) if self.wide else declared

    def asarray(self, x: Any, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Any:
        """Convert to an ``Array``. Numbers and NumPy arrays are rounded to their declared dtype."""
        if isinstance(x, Array):
            dtype = dtype or x.dtype
            result = x if not copy and dtype == x.dtype else self.astype(x, dtype)
            result.computed = x.computed
            return result
        inner = tree_map(unwrap_narrow, x)
        narrow = np.array(inner, dtype=dtype, copy=copy)
        requested = [tree_map(dtype_or_type, inner), dtype and np.dtype(dtype)]
        if self._is_default(narrow.dtype, requested):
            self.default_places.add(caller_location())
        declared = self._declared_dtype(narrow.dtype, requested)
        value = narrow.astype(declared, copy=False).astype(self.storage(declared), copy=False)
        from_python = not any(isinstance(x, np.ndarray | np.generic) for x in leaves(inner))
        result = Array(self, value, declared, computed=from_python and self.n_calls > 0)
        if self.has_left and not from_python:
            result = self.apply("from_numpy", np.asarray, (result,), {})
            result.computed = False
        return result

    from_dlpack = asarray
