"""The table of contenders: name, label, requirements and preparation."""

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from backends import InputError
from backends.errors import install_command
from benchmarks import ours, peers, pytorch
from benchmarks.task import Prepared, Task
from dnn.validation.settings import look_up

INSTALL_PEERS = install_command("peers")
INSTALL_FAST = install_command("fast")


@dataclass(frozen=True)
class Contender:
    """One way to train the network."""

    label: str  # for tables and plots
    prepare: Callable[[Task], Prepared]  # loads the data and builds the network
    modules: str = ""  # required modules, separated by spaces
    install_command: str = ""  # command that installs them
    environment: Mapping[str, str] = field(default_factory=dict)  # variables to set before its process starts
    # Default device; a name such as "torch:cuda" overrides it. None: it accepts no device.
    device: str | None = None


def _keras(backend: str, title: str) -> Contender:
    variables = {"KERAS_BACKEND": backend}
    return Contender(
        f"Keras fit on {title}", peers.prepare_keras, f"keras {backend}", INSTALL_PEERS, variables
    )


def _pytorch(label: str, **options: bool) -> Contender:
    return Contender(label, pytorch.prepare_pytorch(**options), "torch", device="cpu")


def _ours_on_torch(label: str, device: str = "cpu", **options: bool) -> Contender:
    return Contender(f"ours on torch{label}", ours.prepare_on("torch", **options), "torch", device=device)


def _ours_on_cupy(label: str, **options: bool) -> Contender:
    return Contender(f"ours on CuPy{label}", ours.prepare_on("cupy", **options), "cupy", device="cuda")


CONTENDERS: Mapping[str, Contender] = {
    "numpy": Contender("ours on NumPy alone", ours.prepare_on("numpy")),
    "numba": Contender("ours on NumPy with Numba", ours.prepare_on("numba"), "numba", INSTALL_FAST),
    "torch": _ours_on_torch(""),
    "torch-graphs": _ours_on_torch(", CUDA graphs", "cuda", graphs=True),
    "cupy": _ours_on_cupy(""),
    "cupy-graphs": _ours_on_cupy(", CUDA graphs", graphs=True),
    "pytorch": _pytorch("PyTorch eager"),
    # The fused Adam is the fastest one that PyTorch users have.
    "pytorch-fused": _pytorch("PyTorch eager, fused Adam", fused=True),
    "torch-compile": _pytorch("torch.compile, fused Adam", compiled=True, fused=True),
    "keras-jax": _keras("jax", "JAX"),
    "keras-torch": _keras("torch", "torch"),
    "jax": Contender("JAX, an epoch in one jit", peers.prepare_jax, "jax", INSTALL_PEERS),
    "sklearn": Contender("scikit-learn MLPClassifier", peers.prepare_sklearn, "sklearn", INSTALL_PEERS),
}


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
        raise InputError(f"contender is {name!r}, but {first} accepts no device; these do: {able}")
    return replace(contender, label=f"{contender.label} on {device}", device=device)


def why_not(name: str) -> str | None:
    """Return why a contender cannot run here, or None. Only its modules are looked up; nothing is started."""
    contender = get_contender(name)
    missing = [m for m in contender.modules.split() if importlib.util.find_spec(m) is None]
    if not missing:
        return None
    return f"{' and '.join(missing)} not installed" + (
        f"; {contender.install_command}" if contender.install_command else ""
    )


THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def environment(name: str, threads: int | None) -> dict[str, str]:
    """Return the environment for a contender's process. Libraries read it when they are loaded."""
    variables = {**os.environ, **get_contender(name).environment}
    if threads is not None:
        variables.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    return variables


def available(names: Sequence[str] | None = None) -> tuple[list[str], dict[str, str]]:
    """Return (names that may run here, {other name: reason}).

    Args:
        names: None: all contenders that run on the CPU; GPU times should not be compared with them.
    """
    if names is None:
        names = [name for name, contender in CONTENDERS.items() if contender.device != "cuda"]
    reasons = {name: why_not(name) for name in names}
    return [n for n, why in reasons.items() if why is None], {n: w for n, w in reasons.items() if w}
