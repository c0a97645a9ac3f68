"""Convert arrays of other libraries, lists and data frames to NumPy arrays or arrays of the backend.

An array on the model's device is shared through DLPack without a copy. Anything on the host becomes a NumPy
array. Arrays on other devices are errors.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from backends import Array, Backend, InputError
from backends.errors import reraise, short_repr, shorten
from dnn.inputs.advice import FILL_CURE, as_code, expression_of, first_element, is_date, number_cure

NUMBER_KINDS = "fiub"  # NumPy's dtype.kind of numbers: float, int, unsigned int, bool


def refuse_dates(argument: str, data: Any) -> None:
    """Raise InputError if an array, or a column of a data frame, holds dates or times."""
    for name, dtype, code, value in _columns(argument, data):
        if getattr(dtype, "kind", "") in ("m", "M") or is_date(value):
            _refuse_column(argument, name, dtype, code, value)


def _is_frame(data: Any) -> bool:
    """Return whether the data are a data frame."""
    return hasattr(data, "columns") and hasattr(data, "dtypes")


def _columns(argument: str, data: Any) -> Iterator[tuple[Any, Any, str, Any]]:
    """Yield (name, dtype, expression, first element) of each column of a data frame, or of an array."""
    if _is_frame(data):
        for name, dtype in zip(data.columns, data.dtypes, strict=True):
            code = f"{expression_of(argument)}[{name!r}]"
            yield name, dtype, code, first_element(data[name])
    else:
        yield getattr(data, "name", None), getattr(data, "dtype", None), "", first_element(data)


def _label(argument: str, name: Any) -> str:
    return argument if name is None else f"column {name!r} of {argument}"


def _refuse_column(argument: str, name: Any, dtype: Any, code: str, value: Any) -> None:
    cure = number_cure(argument, dtype, value, code)
    raise InputError(f"{_label(argument, name)} is {dtype}", "numbers", cure)


HOST_DEVICE_TYPES = (1, 3, 11)
"""DLPack's device types with host memory: kDLCPU, kDLCUDAHost and kDLROCMHost (pinned)."""


def as_array(backend: Backend, argument: str, data: Any) -> Array:
    """Return a NumPy array or an array of the backend, of any shape and dtype.

    Args:
        argument: name of the array in messages.
        data: an array of NumPy, of the backend, or of another library on the model's device or the host;
            lists of numbers, a data frame or a column of one, or an object with ``__array__``.
    Raises InputError: no numbers, another device, or a subclass with other semantics (a masked array).
    """
    if type(data) is np.ndarray or isinstance(data, np.memmap):
        return data
    if hasattr(data, "tocsr"):
        raise InputError(f"{argument} is sparse", "a dense array", f"use {as_code(argument, data)}")
    data = detach(argument, data)
    if isinstance(data, np.ma.MaskedArray):
        code = as_code(argument, data)
        got = f"{argument} is a numpy.ma.MaskedArray"
        raise InputError(got, "an array without gaps", f"fill them, as {code}.filled({code}.mean()) does")
    if isinstance(data, (type, np.ndarray)) or backend.owns(data):
        backend.check(argument, data)
        if "strided" not in str(getattr(data, "layout", "strided")):
            cure = f"use {as_code(argument, data)}.to_dense()"
            raise InputError(f"{argument} is sparse", "a dense array", cure)
        return data
    if hasattr(data, "__dlpack_device__"):
        return _from_dlpack(backend, argument, data)
    if not isinstance(data, (list, tuple)) and not hasattr(data, "__array__"):
        kind = f"{type(data).__module__}.{type(data).__qualname__}"
        raise InputError(f"{argument} is a {kind}", "an array, a list of numbers, or a data frame")
    return _to_numpy(backend, argument, data)


def detach(argument: str, data: Any) -> Any:
    """Return a tensor of torch without its gradient, and any other object unchanged.

    Raises InputError: a nested tensor, which has no shape, or a sparse matrix that is damaged.
    """
    if hasattr(data, "check_format") and not isinstance(data, type):
        got = f"{argument} is a damaged sparse matrix"
        with reraise(ValueError, got, "indices inside its shape", "SciPy would read other memory"):
            data.check_format()  # all indices; SciPy's constructors do not look at them
    if getattr(data, "is_nested", False) is True:
        cure = f"use {as_code(argument, data)}.to_padded_tensor(0.0)"
        raise InputError(f"{argument} is a nested tensor", "a dense array", cure)
    return data.detach() if getattr(data, "requires_grad", False) is True else data


def _from_dlpack(backend: Backend, argument: str, data: Any) -> Array:
    """Share the memory as an array of the backend, or as a NumPy array if it is on the host."""
    try:
        device = data.__dlpack_device__()
        if device[0] not in HOST_DEVICE_TYPES or "cpu" in str(getattr(data, "device", "cpu")).lower():
            if tuple(device) == tuple(backend.zeros(0).__dlpack_device__()):
                array = backend.xp.from_dlpack(data)
                if backend.owns(array):
                    return array
            if device[0] in HOST_DEVICE_TYPES:
                return np.from_dlpack(data)
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError) as error:
        got = f"{argument} cannot be read through DLPack ({shorten(error)})"
        cure = f"convert it, as {as_code(argument, data)}.float() does in PyTorch"
        raise InputError(got, "a dense numeric array", cure) from None
    kind = f"{type(data).__module__}.{type(data).__qualname__} on device {data.device}"
    why = "arrays are not copied between devices implicitly"
    expected = f"an array on device {backend.device} or on the host, since {why}"
    cure = "move it there, or convert it with backend.from_host(numpy_array)"
    raise InputError(f"{argument} is a {kind}", expected, cure)


def _to_numpy(backend: Backend, argument: str, data: Any) -> np.ndarray:
    """Convert lists, data frames, their columns and similar objects to a NumPy array."""
    is_frame = _is_frame(data)
    kinds = set()
    plain = None  # NumPy's dtype for one of pandas' nullable dtypes
    gaps = []
    for name, dtype, code, value in _columns(argument, data):
        kind = getattr(dtype, "kind", None)  # dtypes of other data frame libraries lack it
        if isinstance(kind, str) and kind not in NUMBER_KINDS:
            _refuse_column(argument, name, dtype, code, value)
        kinds.add(str(dtype))
        plain = getattr(dtype, "numpy_dtype", None)
        if plain is not None and (missing := np.asarray((data[name] if is_frame else data).isna())).any():
            gaps.append(f"{_label(argument, name)} holds NA, first in example {missing.argmax()}")
    if gaps:
        raise InputError(gaps[0], "numbers", FILL_CURE)
    try:
        array = np.asarray(data, dtype=backend.dtype_name if len(kinds) > 1 else plain)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise InputError(
            f"{argument} is {short_repr(data)}", f"an array of numbers ({shorten(error)})"
        ) from None
    if is_frame and array.dtype.kind == "f" and not np.all(np.isfinite(array)):
        row, column = np.argwhere(~np.isfinite(array))[0]
        got = f"column {data.columns[column]!r} of {argument} holds NaN or infinity, first in example {row}"
        raise InputError(got, "finite numbers", FILL_CURE)
    return array
