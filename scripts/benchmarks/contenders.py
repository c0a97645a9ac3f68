"""The table of contenders: a name, what it is, what it needs, and how it is prepared."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from backends import InputError
from backends.errors import install
from benchmarks import floors, ours, peers, pytorch
from benchmarks.task import Prepared, Task
from dnn.validation.settings import look_up

PEERS, FAST = install("peers"), install("fast")
TORCH = ("torch",)


@dataclass(frozen=True)
class Contender:
    """One way to train the network.

    Args:
        label: what it is, for tables and pictures.
        kind: "ours", "peer" or "floor".
        prepare: loads and builds everything; see ``Prepared``.
        modules: that must be importable.
        install: the command that gets them.
        environment: variables that must be set before its process starts.
        device: where it runs unless its name says otherwise, as "torch:cuda" does; None: it takes no device.
    """

    label: str
    kind: str
    prepare: Callable[[Task], Prepared]
    modules: tuple[str, ...] = ()
    install: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    device: str | None = None


def _keras(backend: str) -> Contender:
    title = {"jax": "JAX", "torch": "torch", "tensorflow": "TensorFlow"}[backend]
    variables = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return Contender(f"Keras fit on {title}", "peer", peers.keras, ("keras", backend), PEERS, variables)


CONTENDERS: Mapping[str, Contender] = MappingProxyType(
    {
        "numpy": Contender("ours on NumPy alone", "ours", ours.on("numpy")),
        "numba": Contender("ours on NumPy with Numba", "ours", ours.on("numba"), ("numba",), FAST),
        "torch": Contender("ours on torch", "ours", ours.on("torch"), TORCH, device="cpu"),
        "torch-graphs": Contender(
            "ours on torch, CUDA graphs", "ours", ours.on("torch", graphs=True), TORCH, device="cuda"
        ),
        "cupy": Contender("ours on CuPy", "ours", ours.on("cupy"), ("cupy",), device="cuda"),
        "pytorch": Contender("PyTorch eager", "peer", pytorch.in_memory(), TORCH, device="cpu"),
        # With the fused Adam from here on: the best that a PyTorch user can have.
        "pytorch-fused": Contender(
            "PyTorch eager, fused Adam", "peer", pytorch.in_memory(fused=True), TORCH, device="cpu"
        ),
        "torch-compile": Contender(
            "torch.compile, fused Adam",
            "peer",
            pytorch.in_memory(compiled=True, fused=True),
            TORCH,
            device="cpu",
        ),
        "pytorch-graph": Contender(
            "PyTorch, a CUDA graph, fused Adam",
            "peer",
            pytorch.in_memory(captured=True, fused=True, capturable=True),
            TORCH,
            device="cuda",
        ),
        "tutorial": Contender(
            "PyTorch tutorial, DataLoader", "peer", pytorch.tutorial, ("torch", "torchvision")
        ),
        "keras-jax": _keras("jax"),
        "keras-torch": _keras("torch"),
        "keras-tensorflow": _keras("tensorflow"),
        "jax": Contender("JAX, an epoch in one jit", "peer", peers.jax, ("jax",), PEERS),
        "sklearn": Contender("scikit-learn MLPClassifier", "peer", peers.sklearn, ("sklearn",), PEERS),
        "floor-numpy": Contender("products alone, NumPy", "floor", floors.on("numpy")),
        "floor-torch": Contender(
            "products alone, torch.mm", "floor", floors.on("torch"), TORCH, device="cpu"
        ),
        "floor-onednn": Contender("products alone, oneDNN in torch", "floor", floors.onednn, TORCH),
        "floor-cupy": Contender("products alone, CuPy", "floor", floors.on("cupy"), ("cupy",), device="cuda"),
    }
)


def get_contender(name: str) -> Contender:
    """The contender of this name, such as "torch" or, on another device, "torch:cuda".

    Raises:
        InputError: there is none, or it takes no device.
    """
    first, colon, device = name.partition(":")
    contender = look_up("contender", first, CONTENDERS)
    if not colon:
        return contender
    if contender.device is None:
        able = ", ".join(n for n, c in CONTENDERS.items() if c.device)
        raise InputError(f"contender is {name!r}, but {first} takes no device; these do: {able}")
    return replace(contender, label=f"{contender.label} on {device}", device=device)


def why_not(name: str) -> str | None:
    """Why a contender cannot run here as far as can be told without starting it; None: it may."""
    contender = get_contender(name)
    missing = [m for m in contender.modules if importlib.util.find_spec(m) is None]
    if not missing:
        return None
    return f"{' and '.join(missing)} not installed" + (f"; {contender.install}" if contender.install else "")


THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def environment(name: str, threads: int | None) -> dict[str, str]:
    """The environment in which a contender's process is started: libraries read it when they load."""
    variables = {**os.environ, **get_contender(name).environment}
    if threads is not None:
        variables.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    return variables


def available(names: Sequence[str] | None = None) -> tuple[list[str], dict[str, str]]:
    """(those of the names that may run here; each other's reason).

    Args:
        names: None: all but those that need a GPU, which would not be compared with their like.
    """
    if names is None:
        names = [name for name, contender in CONTENDERS.items() if contender.device != "cuda"]
    reasons = {name: why_not(name) for name in names}
    return [n for n, why in reasons.items() if why is None], {n: w for n, w in reasons.items() if w}
