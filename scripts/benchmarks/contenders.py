"""The table of contenders: name, label, requirements and preparation."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

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


def _ours(backend: str, label: str, device: str | None = None, graphs: bool = False) -> Contender:
    prepare = partial(ours.prepare, name=backend, graphs=graphs)
    return Contender(f"ours on {label}", prepare, backend, device=device)


def _pytorch(label: str, compiled: bool = False, fused: bool | None = None) -> Contender:
    prepare = partial(pytorch.prepare, compiled=compiled, fused=fused)
    return Contender(label, prepare, "torch", device="cpu")


CONTENDERS: Mapping[str, Contender] = {
    "numpy": _ours("numpy", "NumPy alone"),
    "numba": replace(_ours("numba", "NumPy with Numba"), install_command=INSTALL_FAST),
    "torch": _ours("torch", "torch", "cpu"),
    "torch-graphs": _ours("torch", "torch, CUDA graphs", "cuda", graphs=True),
    "cupy": _ours("cupy", "CuPy", "cuda"),
    "cupy-graphs": _ours("cupy", "CuPy, CUDA graphs", "cuda", graphs=True),
    "pytorch": _pytorch("PyTorch eager"),
    # The fused Adam is the fastest one that PyTorch users have.
    "pytorch-fused": _pytorch("PyTorch eager, fused Adam", fused=True),
    "torch-compile": _pytorch("torch.compile, fused Adam", compiled=True, fused=True),
    "keras-jax": Contender(
        "Keras fit on JAX", peers.prepare_keras, "keras jax", INSTALL_PEERS, {"KERAS_BACKEND": "jax"}
    ),
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
    """Return the variables for a contender's process. Libraries read them when they are loaded."""
    limits = {} if threads is None else dict.fromkeys(THREAD_VARIABLES, str(threads))
    return {**get_contender(name).environment, **limits}


def available(names: Sequence[str] | None = None) -> tuple[list[str], dict[str, str]]:
    """Return (names that may run here, {other name: reason}).

    Args:
        names: None: all contenders that run on the CPU; GPU times should not be compared with them.
    """
    if names is None:
        names = [name for name, contender in CONTENDERS.items() if contender.device != "cuda"]
    reasons = {name: why_not(name) for name in names}
    return [n for n, why in reasons.items() if why is None], {n: w for n, w in reasons.items() if w}
