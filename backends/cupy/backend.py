"""CuPy on an NVIDIA GPU: CUDA kernels with one launch for many operations of the reference.

Small networks are launch-bound: starting a kernel from Python costs about 2 us, a function of CuPy more. The
CUDA kernels (``sources``) have not run on a GPU yet, as ``describe()`` says. Tests that need no GPU:
tests/backends/cupy/test_sources.py and tests/backends/test_overrides.py.
"""

import os
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from backends.backend import Backend, Facts, RunUpdates, Step
from backends.cupy import reproducible
from backends.cupy.diagnosis import INSTALL, require_usable_device
from backends.cupy.kernels import CupyKernels
from backends.cupy.update import FORMS, Update, can_be_planned
from backends.errors import BackendUnavailable, InputError, short_repr, shorten
from backends.plan import Plan, PlanForms
from backends.processor import require_tf32
from backends.recording import RecordedSteps
from backends.reference import Kernels
from backends.reference.signatures import Array


class CupyGraphs(RecordedSteps):
    """Steps recorded on a separate stream, as CUDA requires, and replayed on the current one."""

    def record(self, n: int) -> Step:
        import cupy

        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            stream.begin_capture()
            try:
                self.run_eagerly(n)
            finally:
                graph = stream.end_capture()
        launch: Step = graph.launch
        return launch


@dataclass(frozen=True, eq=False)
class CupyBackend(Backend):
    """CuPy arrays on the first visible CUDA device."""

    graphs: bool = False

    CURE = f"nvidia-smi shows whether the GPU is free; {INSTALL} installs what CuPy needs"

    REPRODUCIBLE_FUNCTIONS: ClassVar[Any] = staticmethod(reproducible.functions)

    @property
    def device_type(self) -> str:
        return "cuda"

    def kernel_class(self) -> type[Kernels]:
        return CupyKernels

    def capture(self, step: Step, forms: set[str] | None = None) -> RunUpdates:
        run = super().capture(step)

        def run_with_warning(n: int) -> None:
            only = "only float32 updates of small Dense layers with the cross-entropy of class numbers"
            warnings.warn(f"CuPy records {only} as CUDA graphs; these updates run one by one", stacklevel=2)
            run(n)

        return run_with_warning if self.graphs else run

    @property
    def plan_forms(self) -> PlanForms | None:
        uses_kernels = type(self.kernels) is CupyKernels and not self.kernels.is_wrapped
        return FORMS if uses_kernels and self.precision == "float32" else None

    def compile_plan(self, plan: Plan) -> RunUpdates | None:
        if not can_be_planned(plan, self):
            return None
        try:
            update = Update(plan, self)
            update.check()
        except Exception as error:  # CuPy's CompileException is not a RuntimeError
            why = shorten(f"{type(error).__name__}: {error}", limit=300)
            skipped = f"CuPy cannot run the kernels of a planned update ({why})"
            warnings.warn(f"{skipped}; updates run layer by layer", stacklevel=2)
            return None
        return CupyGraphs(update, forms=plan.forms) if self.graphs else super().capture(update)

    def to_host(self, array: Array) -> np.ndarray:
        import cupy

        host: np.ndarray = cupy.asnumpy(array)
        return host

    def synchronize(self) -> None:
        self.device.synchronize()

    def describe_library(self) -> Facts:
        import cupy

        runtime = cupy.cuda.runtime
        properties = runtime.getDeviceProperties(self.device.id)
        return {
            "cupy": cupy.__version__,
            "device_name": properties["name"].decode(),
            "cuda": runtime.runtimeGetVersion(),
            "driver": runtime.driverGetVersion(),
            "graphs": self.graphs,
            "tested_on_gpu": False,
        }


def set_tf32(wanted: bool) -> None:
    """Set whether float32 products use TF32, process-wide.

    CuPy reads its documented switch, CUPY_TF32, only once, at the first product. The private switch behind it
    works at any time, so it is used if CuPy has it.
    """
    try:
        from cupy._core import _routines_linalg as linalg

        kind = linalg.COMPUTE_TYPE_TF32 if wanted else linalg.COMPUTE_TYPE_DEFAULT
        linalg.set_compute_type(np.dtype("float32"), kind)
    except (ImportError, AttributeError):
        os.environ["CUPY_TF32"] = str(int(wanted))


def make(
    device: Any, dtype: str, fused: bool, precision: str = "float32", graphs: bool = False
) -> CupyBackend:
    """Return the backend; ``get_backend("cupy")`` calls this factory."""
    require_usable_device()
    import array_api_compat.cupy as xp
    import cupy

    gpu = cupy.cuda.Device(0)
    if str(device) not in ("None", "cuda", "cuda:0", str(gpu)):
        if not str(device).startswith("cuda:"):
            raise InputError(f"device is {short_repr(device)}", "'cuda' for the backend 'cupy'")
        got = f"backend 'cupy' uses the first visible GPU, got device {short_repr(device)}"
        raise BackendUnavailable(f"{got}; use --device cuda, and choose the GPU with CUDA_VISIBLE_DEVICES")
    gpu.use()
    if precision == "tf32":
        require_tf32(*divmod(int(gpu.compute_capability), 10))
    set_tf32(precision == "tf32")
    return CupyBackend("cupy", xp, gpu, dtype, fused, precision, graphs)
