"""Backend: one array library, one device and one dtype, as an explicit object.

It has what the array API standard lacks: transfers to and from the host, synchronization, capturing a step,
a description of the device, and the kernels. For everything else use ``backend.xp``, the library's array-API
namespace.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np

from backends.claims import finally_call
from backends.errors import InputError
from backends.plan import Plan, PlanForms
from backends.processor import this_processor
from backends.reference import Kernels, overrides
from backends.reference.declaration import Wrap
from backends.reference.signatures import Array

FLOAT_DTYPES = ("float32", "float64")
Step = Callable[[], None]
Facts = dict[str, Any]
RunUpdates = Callable[[int], None]  # makes so many updates


@dataclass(frozen=True, eq=False)
class Backend:
    """One array library on one device with one dtype; immutable. A process may have several."""

    name: str  # "numpy", "torch", ...
    xp: Any = field(repr=False)  # the array-api-compat (or array-api-strict) namespace
    device: Any  # the library's own device object
    dtype_name: str  # "float32" or "float64": the dtype of parameters, activations and gradients
    fused: bool = True  # False forces the reference kernels
    precision: str = "float32"  # or "tf32" (CUDA rounds factors to 10 bits), or "reproducible"
    # Called with (name, kernel), returns the kernel to use instead; see ``with_wrapper``.
    wrap: Wrap | None = field(default=None, kw_only=True, repr=False)
    kernels: Kernels = field(init=False, repr=False)  # each kernel is a method
    # Why "auto" chose this backend; None: it was requested by name.
    reason: str | None = field(default=None, kw_only=True, repr=False)

    # Of xp: returns faster functions for ``backends.reproducible``, with its bits, by name.
    REPRODUCIBLE_FUNCTIONS: ClassVar[Any] = staticmethod(lambda xp: {})
    CURE = "use another backend"  # advice in the error if it cannot run

    def __post_init__(self) -> None:
        uses_references = not self.fused or self.precision == "reproducible"
        kernels = (Kernels if uses_references else self.kernel_class())(self.xp)
        object.__setattr__(self, "kernels", kernels.with_wrapper(self.wrap) if self.wrap else kernels)

    def kernel_class(self) -> type[Kernels]:
        """Return the library's class of kernels for this device."""
        return Kernels

    @property
    def device_type(self) -> str:
        """ "cpu", "cuda" or "mps"."""
        return "cpu"

    @property
    def dtype(self) -> Any:
        """The library's dtype object."""
        return getattr(self.xp, self.dtype_name)

    def with_wrapper(self, wrap: Wrap) -> Self:
        """Return a copy of this backend with ``wrap(name, kernel)`` instead of each kernel."""
        inner = self.wrap or (lambda name, kernel: kernel)
        return replace(self, wrap=lambda name, kernel: wrap(name, inner(name, kernel)))

    # ----- arrays

    def zeros(self, shape: int | tuple[int, ...], dtype: Any = None) -> Array:
        """Return zeros on the device, by default in the backend's dtype; memory is aligned to 64 bytes."""
        return self.xp.zeros(shape, dtype=dtype or self.dtype, device=self.device)

    def indices(self, start: int, stop: int) -> Array:
        """Return the integers from ``start`` to below ``stop`` on the device, int64."""
        return self.xp.arange(start, stop, dtype=self.xp.int64, device=self.device)

    def from_host(self, array: np.ndarray, dtype: Any = None) -> Array:
        """Move a NumPy array to this device, as ``dtype`` (default: its own).

        On the CPU the result may share memory with ``array``: write to neither.
        """
        return self.xp.asarray(array, dtype=dtype, device=self.device)

    def to_host(self, array: Array) -> np.ndarray:
        """Return the values of one of this backend's arrays as a NumPy array on the host."""
        return np.asarray(array)

    def view(self, array: Array, shape: tuple[int, ...]) -> Array:
        """Return a view with another shape; it shares memory with ``array``.

        Raises ValueError: the shape needs a copy.
        """
        try:
            return self.xp.reshape(array, shape, copy=False)
        except AttributeError as error:  # raised by CuPy instead of ValueError
            raise ValueError(str(error)) from None

    def owns(self, array: Any) -> bool:
        """Return whether ``array`` is an array of this library on this device."""
        return isinstance(array, self.array_type) and array.device == self.device

    @property
    def array_type(self) -> Any:
        """The library's array class."""
        return type(self.xp.empty(0, device=self.device))

    def check(self, argument: str, array: Any) -> None:
        """Check that ``array`` belongs to this library and device; arrays are never copied implicitly.

        Raises InputError: it does not; names ``argument``.
        """
        if self.owns(array):
            return
        kind = type(array)
        where = f" on device {array.device}" if isinstance(array, self.array_type) else ""
        ours = f"an array of the backend {self.name!r} on device {self.device} (or a host NumPy array)"
        got = f"{argument} is a {kind.__module__}.{kind.__qualname__}{where}"
        raise InputError(got, ours, "convert it with backend.from_host(numpy_array)")

    # ----- running

    def isolated(self) -> AbstractContextManager[None]:
        """Return a context in which the calling program's modes, such as ``np.seterr``, have no effect."""
        return np.errstate(all="ignore")

    def synchronize(self) -> None:
        """Wait until the device has finished all work (returns at once on the CPU)."""

    def capture(self, step: Step, forms: set[str] | None = None) -> RunUpdates:
        """Return ``run(n)``, which calls ``step`` n times.

        ``step`` has no arguments and only writes to arrays allocated beforehand. So a backend may record it
        once and replay it, several steps at a time; it then adds "graphs" to ``forms``. This default is a
        plain loop.
        """

        def run(n: int) -> None:
            for _ in range(n):
                step()

        return run

    @property
    def plan_forms(self) -> PlanForms | None:
        """The plans that ``compile_plan`` compiles; None: not declared."""
        return None

    def compile_plan(self, plan: Plan) -> RunUpdates | None:
        """Return ``run(n)``, which makes n updates of this plan; None: run the update layer by layer.

        None for all plans that ``plan_forms`` does not contain.
        """
        return None

    # ----- threads of matrix products: one, fixed, unless the library's backend overrides this

    @property
    def thread_count(self) -> int:
        """Number of threads of a product."""
        return 1

    def set_threads(self, n: int) -> None:
        """Use n threads for products from now on, process-wide.

        Raises InputError: the library cannot do that; the message has the cure.
        """
        raise InputError(f"threads is {n}", f"None: the backend {self.name!r} does not support it")

    @contextmanager
    def in_threads(self, n: int) -> Iterator[None]:
        """Return a context in which products use n threads; 1 is the calling thread alone.

        Raises InputError: as ``set_threads``.
        """
        with finally_call(partial(self._ensure_threads, self.thread_count)):
            self._ensure_threads(n)
            yield

    def _ensure_threads(self, n: int) -> None:
        if self.thread_count != n:
            self.set_threads(n)

    # ----- description

    def describe(self) -> Facts:
        """Return library versions, device, processor, threads, floating-point modes; saved with every run."""
        small = self.from_host(np.asarray([1e-30], dtype=np.float32))
        with self.isolated():
            flushed = float(self.to_host(small * 1e-10)[0]) == 0.0
        processor = this_processor()
        return {
            "backend": self.name,
            "device": str(self.device),
            "processor": processor.name,
            "instruction_set": processor.instruction_set,
            "dtype": self.dtype_name,
            "numpy": np.__version__,
            "threads": self.thread_count,
            "array_api": str(getattr(self.xp, "__array_api_version__", "unknown")),
            "precision": self.precision,
            "fused_kernels": len(overrides(type(self.kernels))),
            "denormals_flushed": flushed,
            **self.describe_library(),
            **({"reason": self.reason} if self.reason else {}),
        }

    def describe_library(self) -> Facts:
        """Return the library's own entries of ``describe``."""
        return {}
