"""Compare a kernel's function with its reference on all cases."""

from __future__ import annotations

import re

import numpy as np
from helpers import assert_close, assert_ulp, same_bits
from kernel_cases import Case, Numbers, cases

from backends.reference import Kernels, declarations


def unpack_case(case):
    """Return the case with tuples of arrays unpacked: slots becomes "slots[0]", "slots[1]"."""
    found: Case = {}
    for argument, value in case.items():
        group = isinstance(value, tuple) and any(isinstance(part, np.ndarray) for part in value)
        found |= {f"{argument}[{i}]": part for i, part in enumerate(value)} if group else {argument: value}
    return found


def pack_arguments(parts):
    """Return the arguments of a call from a case that ``unpack_case`` unpacked."""
    found: Case = {}
    for argument, value in parts.items():
        name, index = re.fullmatch(r"(\w+)(?:\[(\d)\])?", argument).groups()
        found[name] = value if index is None else (*found.get(name, ()), value)
    return list(found.values())


def on_device(backend, name, case, variant):
    """Return the case's arrays, unpacked, as new arrays of the backend."""
    declared, args = declarations(Kernels)[name], unpack_case(case)
    for argument, value in args.items():
        if isinstance(value, np.ndarray):
            if variant == "strided" and argument.partition("[")[0] not in declared.writes:
                # Every second column of a wider array.
                wide = np.repeat(value, 2, axis=-1) if value.ndim else value
                args[argument] = backend.from_host(wide)[..., ::2]
            elif variant == "turned" and argument.partition("[")[0] not in declared.writes:
                # Axes in memory from last to first.
                axes = tuple(reversed(range(value.ndim)))
                turned = backend.from_host(np.ascontiguousarray(value.transpose(axes)))
                args[argument] = backend.xp.permute_dims(turned, axes)
            else:
                args[argument] = backend.from_host(value.copy())
    if variant == "alias":
        args |= {written: args[read] for read, written in declared.aliases}
    return args


def ulp_bound(name, case):
    """Return the ULP allowed per element if both make the same few roundings; None: use eta."""
    if name in ("gather_rows", "threefry", "clip_value", "max_pool2d", "smooth_moves", "warp_images") or (
        name in ("activation", "activation_backward") and case["name"] in ("linear", "relu")
    ):
        return 0  # they copy, select, or round once
    return None


def eta_bound(case, dtype):
    """Return the allowed error by eta: a dozen roundings, and about sqrt(K) more for a sum of K products.

    exp, tanh and division have errors of up to 4 ULP in vectorized libraries, and cancellation may double
    them. For a gradient, K is the number of rows, which may be thousands. A sum of K numbers of random sign
    in one lane has a relative error of sqrt(K / 6) eps / 2. So two such sums differ by 0.3 sqrt(K) eps; the
    bound is twice that.
    """
    arrays = [a for a in unpack_case(case).values() if hasattr(a, "shape")]
    longest = max((max(a.shape, default=1) for a in arrays), default=1)
    rows = max((a.size // a.shape[-1] for a in arrays if a.ndim > 1 and a.size), default=0)
    return (12.0 + 2.0 * min(longest, 100) ** 0.5 + 0.6 * rows**0.5) * float(np.finfo(dtype).eps)


def assert_equals_reference(backend, name, variant="plain", kernels=None, only=None):
    """Check that the kernel writes what the reference writes, and nothing else.

    Args:
        variant: "plain", "strided" or "turned" inputs, "special" numbers, or "alias": all aliases that are
            allowed.
        kernels: whose method is checked; None: the backend's.
        only: an activation; None: all.
    """
    declared, dtype = declarations(Kernels)[name], backend.dtype_name
    kernel = getattr(kernels or backend.kernels, name)
    standard = getattr(Kernels(backend.xp), name)
    # Only one update from an infinite gradient: torch writes m + (1 - beta1) (g - m), which in the next
    # is NaN where the reference has inf. p is NaN in both from the first on.
    steps = 3 if "control" in declared.writes and variant != "special" else 1
    for case in cases(name, Numbers(5, dtype, variant == "special")):
        if only not in (None, case.get("name"), case.get("activation")):
            continue
        bound = ulp_bound(name, case)
        got, want = (on_device(backend, name, case, variant) for _ in range(2))
        # NumPy warns of each NaN that it makes; here they are wanted.
        with np.errstate(all="ignore"):
            for _ in range(steps):
                assert kernel(*pack_arguments(got)) is None
                standard(*pack_arguments(want))
        written = set(declared.writes)
        if variant == "alias":
            written |= {read for read, _ in declared.aliases}
        host = {k: v for k, v in unpack_case(case).items() if isinstance(v, np.ndarray)}
        for argument, before in host.items():
            sizes = {k: v.shape for k, v in host.items()}
            what = f"{name} {case.get('name', case.get('activation', ''))} {argument} for {sizes}"
            after, desired = (backend.to_host(a[argument]) for a in (got, want))
            if argument.partition("[")[0] not in written:
                assert same_bits(np.ascontiguousarray(after), before), f"{what} was written"
            elif bound is None:
                assert_close(after, desired, eta_bound(case, dtype), what)
            else:
                assert_ulp(after, desired, bound, what)
