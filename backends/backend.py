"""Backend: one array library, one device and one dtype, as an object that is passed around.

It owns only what the array API standard lacks: moving data to and from the host, waiting for the device,
capturing a step, saying what it runs on; and it binds the kernels. Everything else goes straight
through ``backend.xp``, the library's own array-API namespace.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from typing import Any, ClassVar, Self

import numpy as np

from backends.dispatch import (
    Kernel,
    KernelKey,
    Override,
    bind_kernel,
    find_override,
    kernel_keys,
    usable_overrides,
)
from backends.errors import InputError
from backends.plan import Plan
from backends.processor import this_processor
from backends.reference.signatures import Array
from backends.threads import Threads

Step = Callable[[], None]
Wrap = Callable[[str, str | None, Kernel], Kernel]


@dataclass(frozen=True, eq=False)
class Backend(Threads):
    """Frozen; two of them (of one or two libraries) live side by side in one process."""

    name: str  # "numpy", "torch", ...
    xp: Any = field(repr=False)  # the array-api-compat (or array-api-strict) namespace
    device: Any  # the library's own device object
    dtype_name: str  # "float32" or "float64": the dtype of parameters, activations and gradients
    fused: bool = True  # False forces the reference kernels
    precision: str = "float32"  # or "tf32": CUDA may round the factors of float32 products to 10 bits
    # Given (name, kind, kernel), returns what is handed out in its place; see ``with_wrapper``.
    wrap: Wrap | None = field(default=None, kw_only=True, repr=False)
    threads: int | None = field(default=None, kw_only=True)  # what was asked for
    # Why "auto" took it; None: it was asked for by name.
    reason: str | None = field(default=None, kw_only=True, repr=False)
    # How updates are made here: "planned" or "layers", and "graphs" where they are replayed.
    update_forms: set[str] = field(default_factory=set, init=False, repr=False)

    OVERRIDES: ClassVar[Sequence[Override]] = ()
    CURE: ClassVar[str] = "take another backend"  # what to do where it cannot run

    def __post_init__(self) -> None:
        self._overrides  # noqa: B018  # now, so that what does not fit is an error here

    @property
    def device_type(self) -> str:
        """ "cpu", "cuda" or "mps": what an override may be limited to."""
        return "cpu"

    @cached_property
    def _overrides(self) -> Sequence[Override]:
        return usable_overrides(self.OVERRIDES, self.device_type) if self.fused else ()

    @cached_property
    def _bind(self) -> Callable[[str, str | None], Kernel]:
        return cache(partial(bind_kernel, self._overrides, self.xp, self.dtype_name))

    @property
    def overridden_kernels(self) -> tuple[KernelKey, ...]:
        """(name, kind) of each kernel that is an override here, and no reference."""
        chosen = partial(find_override, self._overrides, self.dtype_name)
        return tuple(key for key in kernel_keys() if chosen(*key))

    @property
    def dtype(self) -> Any:
        """The library's own dtype object."""
        return getattr(self.xp, self.dtype_name)

    def kernel(self, name: str, kind: str | None = None) -> Kernel:
        """The function that stands for this kernel here: ask once, when building, and keep it.

        Raises KeyError: there is no such kernel, or it has no such kind.
        """
        bound = self._bind(name, kind)
        return self.wrap(name, kind, bound) if self.wrap else bound

    def kernels(self, name: str, kind: str | None = None) -> tuple[Kernel, Kernel]:
        """This kernel, and the one of the way back, ``NAME_backward``."""
        return self.kernel(name, kind), self.kernel(f"{name}_backward", kind)

    def with_wrapper(self, wrap: Wrap) -> Self:
        """The same backend with ``wrap(name, kind, kernel)`` in place of each kernel."""
        inner = self.wrap or (lambda name, kind, kernel: kernel)
        return replace(self, wrap=lambda name, kind, kernel: wrap(name, kind, inner(name, kind, kernel)))

    # ----- arrays

    def zeros(self, shape: int | tuple[int, ...], dtype: Any = None) -> Array:
        """Zeros on the device, by default in the backend's dtype; starts on a 64-byte boundary."""
        return self.xp.zeros(shape, dtype=dtype or self.dtype, device=self.device)

    def from_host(self, array: np.ndarray, dtype: Any = None) -> Array:
        """A host NumPy array on this device, in ``dtype`` (default: as it is).

        On the CPU the result may share memory with ``array``: write to neither.
        """
        return self.xp.asarray(array, dtype=dtype, device=self.device)

    def to_host(self, array: Array) -> np.ndarray:
        """A host NumPy array with the values of one of this backend's arrays."""
        return np.asarray(array)

    def view(self, array: Array, shape: tuple[int, ...]) -> Array:
        """The same memory in another shape: what is written into one is in the other.

        Raises ValueError: it cannot be had without a copy.
        """
        try:
            return self.xp.reshape(array, shape, copy=False)
        except AttributeError as error:  # CuPy's way to say it
            raise ValueError(str(error)) from None

    def owns(self, array: Any) -> bool:
        """Whether it is an array of this library on this device."""
        return isinstance(array, self.array_type) and array.device == self.device

    @property
    def array_type(self) -> Any:
        """The library's array class."""
        return type(self.xp.empty(0, device=self.device))

    def check(self, argument: str, array: Any) -> None:
        """Refuse an array of another library or device: nothing is copied between them unasked.

        Raises InputError: naming the argument, what it is, what is expected, and the cure.
        """
        if self.owns(array):
            return
        kind = type(array)
        where = f" on device {array.device}" if isinstance(array, self.array_type) else ""
        ours = f"an array of the backend {self.name!r} on device {self.device} (or a host NumPy array)"
        got = f"{argument} is a {kind.__module__}.{kind.__qualname__}{where}"
        raise InputError(f"{got}, expected {ours}; convert it with backend.from_host(numpy_array)")

    # ----- running

    def synchronize(self) -> None:
        """Wait until everything asked of the device is done (nothing to wait for on the CPU)."""

    def capture(self, step: Step, unroll: int = 25) -> Callable[[int], None]:
        """A function ``run(n)`` that takes n steps.

        ``step`` takes no arguments and mutates arrays allocated beforehand, so that a backend may
        record it once and replay it, ``unroll`` steps at a time. Here it is a plain loop.
        """

        def run(n: int) -> None:
            for _ in range(n):
                step()

        return run

    def compile_plan(self, plan: Plan) -> Callable[[int], None] | None:
        """``run(n)`` for n whole updates of this plan; None: they go layer by layer, as they are defined."""
        return None

    # ----- saying what it is

    def describe(self) -> dict[str, Any]:
        """Library versions, device, processor, threads and floating-point modes: recorded with every run."""
        small = self.from_host(np.asarray([1e-30], dtype=np.float32))
        flushed = float(self.to_host(small * 1e-10)[0]) == 0.0
        processor = this_processor()
        return {
            "backend": self.name,
            "device": str(self.device),
            "processor": processor.name,
            "instruction_set": processor.instruction_set,
            "dtype": self.dtype_name,
            "numpy": np.__version__,
            "array_api": str(getattr(self.xp, "__array_api_version__", "unknown")),
            "precision": self.precision,
            "fused_kernels": len(self.overridden_kernels),
            "denormals_flushed": flushed,
            **self.describe_library(),
            **({"update_forms": ", ".join(sorted(self.update_forms))} if self.update_forms else {}),
            **({"reason": self.reason} if self.reason else {}),
        }

    def describe_library(self) -> dict[str, Any]:
        """What only this library knows about itself."""
        return {}
