"""Arrays of the estimators: choose a backend for X, and return results on X's device.

"On X's device" means in X's library and on its device if scikit-learn dispatches
(``array_api_dispatch=True``), else in NumPy.
"""

import contextlib
from typing import Any

from sklearn.utils._array_api import get_namespace_and_device, move_to

from backends import Array, Backend, BackendUnavailable, get_backend
from dnn.inputs.arrays import dtype_name


def backend_for(name: str, device: Any, dtype: str | None, X: Array) -> Backend:
    """Return the backend with this name, or for "auto" the backend of X's library.

    Args:
        device: None: X's device for "auto", else the backend's default device.
        dtype: None: X's dtype.

    Raises:
        InputError: X's library has no backend.
        BackendUnavailable: the backend cannot run here.
    """
    xp, _, place = get_namespace_and_device(X)
    dtype = dtype or dtype_name(X)
    if name != "auto":
        return get_backend(name, device, dtype)
    library = xp.__name__.rpartition(".")[2].removeprefix("array_api_")  # of array_api_strict
    if library == "numpy" and device is None and hasattr(X, "tocsr"):
        with contextlib.suppress(BackendUnavailable):  # numba's optimizers are twice as fast on wide matrices
            return get_backend("numba", None, dtype)
    if library == "numpy":
        return get_backend("numpy" if device is None else "auto", device, dtype)
    return get_backend(library, place if device is None else device, dtype)


def move_beside(X: Array, array: Array) -> Array:
    """Move an array to X's device. None stays None."""
    xp, _, device = get_namespace_and_device(X)
    return move_to(array, xp=xp, device=device)


def move_result(backend: Backend, array: Array, X: Array) -> Array:
    """Move an array of the backend to X's device, without a copy if X belongs to the backend."""
    return array if backend.owns(X) else move_beside(X, backend.to_host(array))
