"""NumPy arrays with Numba's compiled loops where NumPy needs many passes (the extra ``fast``).

Updates of dense networks run on worker threads (``plans``). A single kernel runs on one thread beside the
BLAS: a second pool of waiting threads would cost more than it saves. The loops are compiled at first use for
this machine's processor and cached on disk, next to the package's byte code.
"""

from typing import Any, ClassVar

import numba
from llvmlite import binding

from backends.backend import Facts, RunUpdates
from backends.errors import BackendUnavailable
from backends.numba import plans, reproducible
from backends.numba.kernels import NumbaKernels
from backends.numba.worker_pool import worker_pool
from backends.numpy import backend as numpy_backend
from backends.numpy.backend import NumpyBackend
from backends.plan import Plan, PlanForms
from backends.reference import Kernels


class NumbaBackend(NumpyBackend):
    """NumPy's backend with compiled loops; kernels without one are NumPy's."""

    REPRODUCIBLE_FUNCTIONS: ClassVar[Any] = staticmethod(reproducible.functions)

    def kernel_class(self) -> type[Kernels]:
        return NumbaKernels

    @property
    def plan_forms(self) -> PlanForms | None:
        plannable = type(self.kernels) is NumbaKernels and not self.kernels.is_wrapped
        return plans.FORMS if plannable and worker_pool() else None

    def compile_plan(self, plan: Plan) -> RunUpdates | None:
        forms = self.plan_forms
        return plans.compile_plan(plan) if forms and forms.contain(plan, self.kernels) else None

    def describe_library(self) -> Facts:
        processor = numba.config.CPU_NAME or binding.get_host_cpu_name()
        facts = {"numba": numba.__version__, "numba_processor": processor, **super().describe_library()}
        if pool := worker_pool():
            facts["workers"] = pool.workers
        return facts


def make(device: Any, dtype: str, fused: bool) -> NumbaBackend:
    """Return the backend; ``get_backend("numba")`` calls this factory."""
    if numba.config.DISABLE_JIT:
        raise BackendUnavailable("backend 'numba' compiles nothing; unset NUMBA_DISABLE_JIT")
    plain = numpy_backend.make(device, dtype, fused)
    return NumbaBackend("numba", plain.xp, plain.device, dtype, fused)
