"""Arrays of the estimators: choose a backend for X, split X, and return results on X's device.

"On X's device" means in X's library and on its device if scikit-learn dispatches
(``array_api_dispatch=True``), else in NumPy.
"""

import contextlib
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._array_api import get_namespace_and_device, move_to

from backends import Array, Backend, BackendUnavailable, InputError, get_backend
from dnn.validation.arrays import dtype_name


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
    library = xp.__name__.rpartition(".")[2]
    if library == "numpy" and device is None and hasattr(X, "tocsr"):
        with contextlib.suppress(BackendUnavailable):  # numba's optimizers are twice as fast on wide matrices
            return get_backend("numba", None, dtype)
    if library == "numpy":
        return get_backend("numpy" if device is None else "auto", device, dtype)
    found = "strict" if library == "array_api_strict" else library
    return get_backend(found, place if device is None else device, dtype)


def move_beside(X: Array, array: Array) -> Array:
    """Move an array to X's device. None stays None."""
    xp, _, device = get_namespace_and_device(X)
    return move_to(array, xp=xp, device=device)


def move_result(backend: Backend, array: Array, X: Array) -> Array:
    """Move an array of the backend to X's device, without a copy if X belongs to the backend."""
    return array if backend.owns(X) else move_beside(X, backend.to_host(array))


def split_rows(X: Array, classes: Array | None, fraction: float, seed: int) -> tuple[Array, Array]:
    """Return the sorted row indices for training and for validation, on X's device.

    Args:
        classes: (n,) class indices on X's device, for a stratified split; None: a random split.
        fraction: share of the rows for validation; their number is rounded up.

    Raises InputError: a part would have fewer than two rows.
    """
    xp, _, device = get_namespace_and_device(X)
    n = int(X.shape[0])
    count = int(np.ceil(fraction * n))
    if not 2 <= count <= n - 2:
        raise InputError(
            f"validation_fraction is {fraction} of {n} examples",
            "a share that leaves two examples or more in each part",
            "change it, or use more examples",
        )
    order = xp.asarray(check_random_state(seed).permutation(n), device=device)
    if classes is not None:  # sorted by class, then every k-th is held out
        order = xp.take(order, xp.argsort(xp.take(classes, order), stable=True))
    places = ((np.arange(count) + 0.5) * n / count).astype(np.int64)
    rest = np.setdiff1d(np.arange(n), places)
    train, held = (xp.sort(xp.take(order, xp.asarray(part, device=device))) for part in (rest, places))
    return train, held
