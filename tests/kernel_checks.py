"""Compare a kernel with its reference on the calls of the agreement check."""

from copy import copy
from functools import cache
from itertools import chain

import numpy as np

from backends import get_backend
from backends.reference import ACTIVATIONS
from dnn.agreement import QUICK, level0_kernels, make_oracle
from dnn.agreement.calls.call import make_draw
from dnn.agreement.contenders.ours import MARGIN, BackendContender
from dnn.agreement.setup import Setup

REFERENCE = get_backend("numpy", dtype="float64", fused=False)


def kernel_of(call):
    """Return the name of the kernel that a call runs; several optimizers may share one."""
    return call.optimizer.bind(REFERENCE).__name__ if call.optimizer else call.kernel


@cache
def _short_calls(activations):
    found = {}
    with np.errstate(all="ignore"):
        for make in chain(*level0_kernels.CALL_GENERATORS.values()):
            for call in make(make_draw(5)):
                if level0_kernels.is_short(call):
                    found.setdefault(kernel_of(call), []).append(call)
    return found


def calls_of(name):
    """Return the calls of a kernel with short arrays."""
    return _short_calls(tuple(ACTIVATIONS))[name]


class LayoutContender(BackendContender):
    """A backend that reads arrays in another layout: "strided", "turned", or "plain"."""

    def __init__(self, backend, layout="plain"):
        super().__init__(backend.name, lambda dtype: backend)
        self.layout = layout

    def place(self, host, is_written):
        if is_written or self.layout == "plain" or not host.ndim:
            return super().place(host, is_written)
        if self.layout == "strided":  # every second column of a wider array
            array = self.backend.from_host(np.repeat(host, 2, axis=-1))[..., ::2]
        else:  # axes in memory from last to first
            axes = tuple(reversed(range(host.ndim)))
            turned = self.backend.from_host(np.ascontiguousarray(host.transpose(axes)))
            array = self.backend.xp.permute_dims(turned, axes)
        return self.backend.zeros(2 * MARGIN), array


def assert_equals_reference(backend, name, layout="plain", kernel_methods=None, only=None):
    """Check that the kernel writes what the reference writes, and nothing else.

    Args:
        kernel_methods: whose method is checked; None: the backend's.
        only: an activation; None: all.
    """
    if kernel_methods is not None:
        backend = copy(backend)
        object.__setattr__(backend, "kernels", kernel_methods)
    setup = Setup("L0", [LayoutContender(backend, layout)], make_oracle(), None, QUICK, 5)
    calls = [call for call in calls_of(name) if only in (None, call.arguments[0])]
    assert calls
    with np.errstate(all="ignore"):
        records = [r for call in calls for r in level0_kernels.judge_call(setup, call, (backend.dtype_name,))]
    broken = [r for r in records if not r.holds]
    assert not broken, broken[:3]
