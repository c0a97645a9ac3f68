"""The contenders by name: every backend, and native PyTorch."""

from functools import partial

from backends import BackendUnavailable, backend_names, get_backend
from dnn.agreement.contenders.contender import Contender
from dnn.agreement.contenders.native import PyTorchContender
from dnn.agreement.contenders.ours import BackendContender
from dnn.settings.checks import look_up, require_kind


def contender_ids() -> tuple[str, ...]:
    """Return the ids that are tried by default: each backend, torch on CUDA, and native PyTorch."""
    return (*backend_names(), "torch:cuda", "pytorch", "pytorch:cuda")


def get_contender(name: str, precision: str = "float32") -> Contender:
    """Return the contender with this id: a backend's name or "pytorch", each with an optional ":device".

    Args:
        precision: "float32", or "tf32" with wider bounds.

    Raises:
        InputError: an unknown name.
        BackendUnavailable: it cannot run here.
    """
    library, _, device = require_kind("name", name, str).partition(":")
    holders = {**{backend: backend for backend in backend_names()}, "pytorch": "torch"}
    open_backend = partial(get_backend, look_up("backend", library, holders), device or None)
    kind = PyTorchContender if library == "pytorch" else BackendContender
    return kind(name, partial(open_backend, precision=precision))


def available_contenders(precision: str = "float32") -> tuple[list[Contender], dict[str, str]]:
    """Return the contenders that can run here, and for each other id the reason why it cannot."""
    able: list[Contender] = []
    missing: dict[str, str] = {}
    for name in contender_ids():
        try:
            able.append(get_contender(name, precision))
        except BackendUnavailable as error:
            missing[name] = str(error)
    return able, missing
