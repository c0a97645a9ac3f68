"""Numbers and arrays of any library, also in nested objects, such as the arguments and results of a call."""

from collections.abc import Iterable
from itertools import islice
from types import ModuleType
from typing import Any

import numpy as np
from array_api_compat import is_array_api_obj

from array_agreement.targets import Function, to_numpy

argument_name = "argument {} after the call".format
"""The name of an argument among the outputs of a call, by its number."""


def tree_map(function: Function, tree: Any) -> Any:
    """Apply ``function`` to every leaf of nested tuples, lists and dicts. Named tuples become tuples."""
    if not isinstance(tree, tuple | list | dict):
        return function(tree)
    if isinstance(tree, dict):
        return {key: tree_map(function, leaf) for key, leaf in tree.items()}
    mapped = [tree_map(function, leaf) for leaf in tree]
    return mapped if isinstance(tree, list) else tuple(mapped)


def leaves(tree: Any) -> list[Any]:
    """Return the leaves of nested tuples, lists and dicts, in order."""
    found = list[Any]()
    tree_map(found.append, tree)
    return found


def complex_if(x: Any, dtype: Any) -> Any:
    """Return ``dtype``, or the complex dtype of the same precision if the array ``x`` is complex."""
    return np.result_type(dtype, 1j) if x.dtype.kind == "c" else dtype


def outputs(value: Any, name: str = "", depth: int = 99, limit: int | None = None) -> Iterable[Any]:
    """Yield (name, array or number) for each leaf of nested tuples, lists, dicts and result objects.

    Args:
        value: the nested object
        name: its name, or "" for a result
        depth: number of levels
        limit: number of parts of each object; with a limit, attributes may be private arrays
    """
    if isinstance(value, type | ModuleType) or depth < 0:
        return
    if isinstance(value, int | float | complex | np.generic) or is_array_api_obj(value):
        yield name or "result", value
        return
    if hasattr(value, "_asdict"):
        value = value._asdict()
    elif isinstance(value, tuple | list):  # torch's results are tuples with __match_args__
        names = getattr(value, "__match_args__", ())
        value = dict(zip(names if len(names) == len(value) else range(len(value)), value, strict=True))
    elif not isinstance(value, dict):
        value = getattr(value, "__dict__", {})
    public = ((k, x) for k, x in value.items() if str(k)[:1] != "_" or (limit and is_array_api_obj(x)))
    for key, item in islice(public, limit):
        yield from outputs(item, f"{name}.{key}".removeprefix("."), depth - 1, limit)


def convert_floats(x: Any, dtype: str | None) -> Any:
    """Convert an array to NumPy, and to this precision if it is inexact; return other objects unchanged."""
    if is_array_api_obj(x) and not isinstance(x, np.generic | type):
        x = to_numpy(x)
    is_inexact = isinstance(x, np.ndarray) and x.dtype.kind in "fc"
    return x.astype(complex_if(x, dtype)) if dtype and is_inexact else x


def convert_other(x: Any, xp: Any) -> Any:
    """Convert a NumPy number to Python, and a dtype of any library to that of ``xp``."""
    if isinstance(x, np.generic):
        return x.item()
    is_dtype = isinstance(x, type) or type(x).__name__.lower().endswith("dtype")
    name = str(x).rpartition(".")[2].strip("'>") if is_dtype else ""
    return getattr(xp, name) if name in np.__array_namespace_info__().dtypes() else x


def number_to_array(x: Any) -> Any:
    """Return a real or complex number, or a list of numbers, as an array; return other objects unchanged."""
    is_list = isinstance(x, list) and all(isinstance(y, int | float | complex) for y in leaves(x)) and x
    return np.asarray(x) if is_list or isinstance(x, float | complex | np.inexact) else x
