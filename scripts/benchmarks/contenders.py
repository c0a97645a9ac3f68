"""The table of contenders: name, label and preparation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from backends import InputError
from benchmarks import ours, peers
from benchmarks.task import Prepared, Task
from dnn.settings.checks import look_up


@dataclass(frozen=True)
class Contender:
    """One way to train the network."""

    label: str  # for tables and plots
    prepare: Callable[[Task], Prepared]  # loads the data and builds the network; fails without its library
    # Default device; a name such as "torch:cuda" overrides it. None: it accepts no device.
    device: str | None = None


def _ours(backend: str, label: str, device: str | None = None, graphs: bool = False) -> Contender:
    return Contender(f"ours on {label}", partial(ours.prepare, name=backend, graphs=graphs), device=device)


PEAK = "product"
"""Contender that times what the processor reaches at most."""
CONTENDERS: Mapping[str, Contender] = {
    "numpy": _ours("numpy", "NumPy alone"),
    "numba": _ours("numba", "NumPy with Numba"),
    "torch": _ours("torch", "torch", "cpu"),
    "torch-graphs": _ours("torch", "torch, CUDA graphs", "cuda", graphs=True),
    "cupy": _ours("cupy", "CuPy", "cuda"),
    "cupy-graphs": _ours("cupy", "CuPy, CUDA graphs", "cuda", graphs=True),
    "pytorch": Contender("PyTorch eager", peers.prepare_pytorch, "cpu"),
    # The fused Adam is the fastest one that PyTorch users have.
    "pytorch-fused": Contender(
        "PyTorch eager, fused Adam", partial(peers.prepare_pytorch, fused=True), "cpu"
    ),
    "torch-compile": Contender(
        "torch.compile, fused Adam", partial(peers.prepare_pytorch, compiled=True, fused=True), "cpu"
    ),
    "jax": Contender("JAX, an epoch in one jit", peers.prepare_jax),
    PEAK: Contender("a product of two large matrices", peers.prepare_product),
}
CPU_CONTENDERS = [
    name for name, contender in CONTENDERS.items() if contender.device != "cuda" and name != PEAK
]
"""Contenders that run by default. GPU times should not be compared with theirs."""
WORKLOAD_CONTENDERS = ("numba", "torch", "numpy", "pytorch", "pytorch-fused", "jax", PEAK)
"""Contenders that time the workloads by default. The others take too long for nine networks."""


def get_contender(name: str) -> Contender:
    """Return the contender of a name such as "torch" or, on another device, "torch:cuda".

    Raises InputError: the name is unknown, or the contender accepts no device.
    """
    first, colon, device = name.partition(":")
    contender = look_up("contender", first, CONTENDERS)
    if not colon:
        return contender
    if contender.device is None:
        able = ", ".join(n for n, c in CONTENDERS.items() if c.device)
        raise InputError(f"contender is {name!r}, but {first} accepts no device", cure=f"these do: {able}")
    return replace(contender, label=f"{contender.label} on {device}", device=device)
