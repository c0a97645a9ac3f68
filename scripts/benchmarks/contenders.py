"""The table of contenders: a name, what it is, what it needs, and how it is prepared."""

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from backends import InputError
from backends.errors import install_command
from benchmarks import floors, ours, peers, pytorch
from benchmarks.task import Prepared, Task
from dnn.validation.settings import look_up

PEERS = install_command("peers")
FAST = install_command("fast")


@dataclass(frozen=True)
class Contender:
    """One way to train the network."""

    label: str  # what it is, for tables and pictures
    prepare: Callable[[Task], Prepared]  # loads and builds everything; see ``Prepared``
    modules: str = ""  # that must be importable, by their names with spaces between
    install: str = ""  # the command that gets them
    # Variables that must be set before its process starts.
    environment: Mapping[str, str] = field(default_factory=dict)
    # Where it runs unless its name says otherwise, as "torch:cuda" does; None: it takes no device.
    device: str | None = None


def _keras(backend: str, title: str) -> Contender:
    variables = {"KERAS_BACKEND": backend}
    return Contender(f"Keras fit on {title}", peers.keras, f"keras {backend}", PEERS, variables)


def _torch(label: str, **options: bool) -> Contender:
    return Contender(label, pytorch.in_memory(**options), "torch", device="cpu")


def _on_torch(label: str, device: str = "cpu", **options: bool) -> Contender:
    return Contender(f"ours on torch{label}", ours.on("torch", **options), "torch", device=device)


def _on_cupy(label: str, **options: bool) -> Contender:
    return Contender(f"ours on CuPy{label}", ours.on("cupy", **options), "cupy", device="cuda")


CONTENDERS: Mapping[str, Contender] = {
    "numpy": Contender("ours on NumPy alone", ours.on("numpy")),
    "numba": Contender("ours on NumPy with Numba", ours.on("numba"), "numba", FAST),
    "torch": _on_torch(""),
    "torch-graphs": _on_torch(", CUDA graphs", "cuda", graphs=True),
    "cupy": _on_cupy(""),
    "cupy-graphs": _on_cupy(", CUDA graphs", graphs=True),
    "pytorch": _torch("PyTorch eager"),
    # With the fused Adam from here on: the best that a PyTorch user can have.
    "pytorch-fused": _torch("PyTorch eager, fused Adam", fused=True),
    "torch-compile": _torch("torch.compile, fused Adam", compiled=True, fused=True),
    "keras-jax": _keras("jax", "JAX"),
    "keras-torch": _keras("torch", "torch"),
    "jax": Contender("JAX, an epoch in one jit", peers.jax, "jax", PEERS),
    "sklearn": Contender("scikit-learn MLPClassifier", peers.sklearn, "sklearn", PEERS),
    "floor-numpy": Contender("products alone, NumPy", floors.on("numpy")),
    "floor-torch": Contender("products alone, torch.mm", floors.on("torch"), "torch", device="cpu"),
}


def get_contender(name: str) -> Contender:
    """The contender of this name, such as "torch" or, on another device, "torch:cuda".

    Raises InputError: there is none, or it takes no device.
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
    missing = [m for m in contender.modules.split() if importlib.util.find_spec(m) is None]
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

    None stands for all but those that need a GPU, which would not be compared with their like.
    """
    if names is None:
        names = [name for name, contender in CONTENDERS.items() if contender.device != "cuda"]
    reasons = {name: why_not(name) for name in names}
    return [n for n, why in reasons.items() if why is None], {n: w for n, w in reasons.items() if w}
