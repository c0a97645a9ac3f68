"""CuPy on an NVIDIA GPU: CUDA kernels of one launch where the reference would need many.

A network this small is launch-bound: each kernel started from Python costs 5 to 15 us, more than its work.
None of the CUDA text (``sources``) has run on a GPU yet: ``describe()`` says so. What can be checked without
one is: tests/backends/cupy/test_sources.py and tests/backends/test_overrides.py.
"""

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any, ClassVar

import numpy as np

from backends.backend import Backend, Step
from backends.cupy import compiled, dense, layers, optimizers, update
from backends.cupy.diagnosis import INSTALL, usable_devices
from backends.dispatch import Kernel, Override, overrides_in
from backends.errors import BackendUnavailable, InputError, shown
from backends.plan import Plan
from backends.recording import Recorded
from backends.reference.signatures import Array


class CupyGraphs(Recorded):
    """Recorded on a stream of its own, which the default one cannot be, and replayed on the current one."""

    def record(self, n: int) -> Callable[[], None]:
        import cupy

        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            stream.begin_capture()
            try:
                self.eagerly(n)
            finally:
                graph = stream.end_capture()
        launch: Callable[[], None] = graph.launch
        return launch


@dataclass(frozen=True, eq=False)
class CupyBackend(Backend):
    """CuPy arrays on one CUDA device.

    CuPy works on the current device of the thread. ``make`` sets it, and what is called through the Backend
    (arrays, kernels, captured steps) sets it for as long as it takes, so that two devices can be used.
    """

    graphs: bool = False

    OVERRIDES: ClassVar[Sequence[Override]] = (*overrides_in(dense, layers, optimizers), *optimizers.STEPS)
    CURE: ClassVar[str] = f"nvidia-smi shows whether the GPU is free; what CuPy needs comes with {INSTALL}"

    @property
    def device_type(self) -> str:
        return "cuda"

    @cached_property
    def _bind(self) -> Callable[[str, str | None], Kernel]:
        import cupy

        bind = super()._bind
        if cupy.cuda.runtime.getDeviceCount() == 1:
            return bind

        def on_device(name: str, kind: str | None) -> Kernel:
            kernel: Any = bind(name, kind)
            return partial(_on, self.device, kernel.func, *kernel.args)

        return cache(on_device)

    def zeros(self, shape: int | tuple[int, ...], dtype: Any = None) -> Array:
        with self.device:  # array-api-compat's functions ignore ``device``
            return super().zeros(shape, dtype)

    def capture(self, step: Step, unroll: int = 25) -> Callable[[int], None]:
        run = partial(_on, self.device, super().capture(step, unroll))

        def warned(n: int) -> None:
            only = "only updates of Dense layers, with the cross-entropy of class numbers and without TF32"
            warnings.warn(f"CuPy records as CUDA graphs {only}; these go one by one", stacklevel=2)
            run(n)

        return warned if self.graphs else run

    def planned(self, plan: Plan) -> Callable[[int], None] | None:
        with self.device:
            step = update.planned(plan, self, compiled.bound) if self.graphs else None
            if step is not None:
                return partial(_on, self.device, CupyGraphs(step, plan.unroll))
            step = update.planned(plan, self, compiled.bound, self.xp.matmul)
        return None if step is None else self.capture(step)

    def to_host(self, array: Array) -> np.ndarray:
        import cupy

        with self.device:
            host: np.ndarray = cupy.asnumpy(array)
        return host

    def from_host(self, array: np.ndarray, dtype: Any = None) -> Array:
        import cupy

        with self.device:
            return cupy.asarray(array, dtype=dtype)

    def synchronize(self) -> None:
        self.device.synchronize()

    def describe_library(self) -> dict[str, Any]:
        import cupy

        runtime = cupy.cuda.runtime
        properties = runtime.getDeviceProperties(self.device.id)
        return {
            "cupy": cupy.__version__,
            "device_name": properties["name"].decode(),
            "cuda": runtime.runtimeGetVersion(),
            "driver": runtime.driverGetVersion(),
            "tf32": tf32(),
            "threads": None,
            "graphs": self.graphs,
            "tested_on_gpu": False,
        }


def _on(device: Any, function: Callable[..., None], *arguments: Any) -> None:
    """The call, with this as the current device."""
    with device:
        function(*arguments)


def tf32(wanted: bool | None = None) -> bool:
    """Whether float32 products are of TF32 factors, after setting it; a switch of the whole process.

    CuPy's documented switch, CUPY_TF32, is read once, at the first product; the private one that it sets is
    taken where CuPy has it, since it works at any time.
    """
    try:
        from cupy._core import _routines_linalg as linalg

        kinds = {True: linalg.COMPUTE_TYPE_TF32, False: linalg.COMPUTE_TYPE_DEFAULT}
        if wanted is not None:
            linalg.set_compute_type(np.dtype("float32"), kinds[wanted])
        return bool(linalg.get_compute_type(np.dtype("float32")) == kinds[True])
    except (ImportError, AttributeError):
        if wanted is not None:
            os.environ["CUPY_TF32"] = str(int(wanted))
        return os.environ.get("CUPY_TF32") == "1"


def make(
    device: Any, dtype: str, fused: bool, precision: str = "float32", graphs: bool = False
) -> CupyBackend:
    """The factory that ``get_backend("cupy")`` calls."""
    count = usable_devices()
    import array_api_compat.cupy as xp
    import cupy

    text = "0" if device is None else str(device).removeprefix("cuda").removeprefix(":") or "0"
    if isinstance(device, cupy.cuda.Device):
        text = str(device.id)
    if not text.isdecimal() or len(text) > 9:
        raise InputError(f"device is {shown(device)}, expected 'cuda' or 'cuda:N' for the backend 'cupy'")
    if int(text) >= count:
        got = f"backend 'cupy' has {count} CUDA device(s), got device {device!r}"
        raise BackendUnavailable(f"{got}; expected cuda:0 to cuda:{count - 1}")
    place = cupy.cuda.Device(int(text))
    place.use()
    tf32(precision == "tf32")
    return CupyBackend("cupy", xp, place, dtype, fused, precision, graphs)
