"""NumPy arrays with Numba's compiled loops where NumPy needs many passes (the extra ``fast``).

Whole updates of dense networks are shared by workers of its own (``plans``). A single kernel has one thread
beside the BLAS: a second pool of waiting threads would cost more than it saves. The loops are compiled on
first use for the machine at hand and kept on disk, beside the package's own byte code.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numba
from llvmlite import binding

from backends.dispatch import Override, overrides_in
from backends.numba import optimizers, plans, random
from backends.numba.team import team
from backends.numpy import backend as numpy_backend
from backends.numpy.backend import NumpyBackend
from backends.plan import Plan


@dataclass(frozen=True, eq=False)
class NumbaBackend(NumpyBackend):
    """NumPy's backend with compiled loops, and NumPy's own overrides for the rest."""

    OVERRIDES: ClassVar[Sequence[Override]] = (*overrides_in(optimizers, random), *NumpyBackend.OVERRIDES)

    def planned(self, plan: Plan) -> Callable[[int], None] | None:
        return plans.planned(plan) if self.fused and self.wrap is None else None

    def describe_library(self) -> dict[str, Any]:
        workers = team()
        sharing = {} if workers is None else {"workers": workers.workers}
        processor = numba.config.CPU_NAME or binding.get_host_cpu_name()
        ours = {"numba": numba.__version__, "numba_processor": processor}
        return {**ours, **super().describe_library(), **sharing}


def make(device: Any, dtype: str, fused: bool) -> NumbaBackend:
    """The factory that ``get_backend("numba")`` calls."""
    plain = numpy_backend.make(device, dtype, fused)
    return NumbaBackend("numba", plain.xp, plain.device, dtype, fused)
