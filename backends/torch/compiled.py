"""The CUDA kernels of ``backends.cupy`` on torch's tensors, through torch's own compiler: a private call."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch

from backends.cupy import sources
from backends.cupy.compiled import real_of


@cache
def raw_kernel(name: str, real: str, device: Any) -> Any:
    """A kernel with pointers, for REAL "float" or "double", called with (grid, block, arguments)."""
    from torch.utils import cpp_extension

    # torch adds the toolkit's headers, and without a toolkit refuses; our text includes none.
    home, cpp_extension.CUDA_HOME = cpp_extension.CUDA_HOME, cpp_extension.CUDA_HOME or ""
    try:
        with torch.cuda.device(device):
            return torch.cuda._compile_kernel(sources.module(name, real), name)
    finally:
        cpp_extension.CUDA_HOME = home


def bound(name: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any) -> Callable[[], None]:
    """A function that starts a kernel so, on the current stream; the arrays' device must be current."""
    device = next(a.device for a in arguments if isinstance(a, torch.Tensor))
    kernel = raw_kernel(name, real_of(name, arguments), device)
    # An int goes over as C's; a float would as C's double, so numbers are in arrays.
    sizes = ((*size, 1, 1)[:3] for size in (grid, block))
    return partial(kernel, *sizes, list(arguments))


def launch(name: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any) -> None:
    """Start a kernel."""
    with torch.cuda.device(next(a.device for a in arguments if isinstance(a, torch.Tensor))):
        bound(name, grid, block, *arguments)()


@cache
def compiles() -> bool:
    """Whether this torch has the private call, and a number is right. AMD's warps have 64 threads, not 32."""
    if torch.version.hip is not None:
        return False
    try:
        y, b = torch.full((1, 2), -1.0, device="cuda"), torch.tensor([3.0, 0.5], device="cuda")
        launch("bias_activation", (1, 1), (32,), sources.FUSED_KINDS.index("relu"), b, 2, y)
        return bool(y.tolist() == [[2.0, 0.0]])
    except Exception:  # of torch, CUDA and the compiler
        return False
