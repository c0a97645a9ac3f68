"""One interface to several array libraries: NumPy, CuPy, PyTorch and array-api-strict.

>>> from backends import get_backend
>>> backend = get_backend("numpy")
>>> backend.zeros((2, 3)).shape
(2, 3)
"""

from backends.backend import Backend
from backends.errors import BackendUnavailable, InputError
from backends.reference.signatures import Array
from backends.registry import available_backends, backend_names, get_backend

__all__ = [
    "Array", "Backend", "BackendUnavailable", "InputError", "available_backends", "backend_names",
    "get_backend",
]  # fmt: skip
