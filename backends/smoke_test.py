"""Smoke test of a backend: that its library can be imported does not show that it works."""

from backends.backend import Backend
from backends.errors import BackendUnavailable, shorten


def run_smoke_test(backend: Backend) -> None:
    """Write into views of an array, run a small dense layer, and compare the results.

    This fails if arrays cannot be written in place, or if cuBLAS, the kernel compiler, its headers or code
    for this GPU is missing.

    Raises BackendUnavailable: an operation failed or gave a wrong result; the message ends with ``CURE``.
    """
    trying = "an array of its dtype"
    try:
        flat = backend.zeros(4)
        _expect(str(backend.to_host(flat).dtype), backend.dtype_name)
        trying = "writing into a view of an array"
        W = backend.view(flat, (2, 2))
        W[...] = 1.0
        _expect(backend.to_host(flat).tolist(), [1.0, 1.0, 1.0, 1.0])
        trying = "a product and a compiled kernel"
        y = backend.zeros((2, 2))
        backend.kernels.dense(W, W, flat[:2], y)
        backend.kernels.activation("relu", y, y)
        backend.synchronize()
        _expect(backend.to_host(y).tolist(), [[3.0, 3.0], [3.0, 3.0]])
    except Exception as error:  # each library raises its own types
        why = shorten(f"{type(error).__name__}: {error}", limit=300)
        raise BackendUnavailable(
            f"backend {backend.name!r} cannot run on {backend.device}: {trying} fails ({why}); {backend.CURE}"
        ) from None


def _expect(found: object, expected: object) -> None:
    if found != expected:
        raise ValueError(f"it gave {found}, expected {expected}")
