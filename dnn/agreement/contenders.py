"""The contenders by name: every backend, and native PyTorch."""

from functools import partial

from backends import BackendUnavailable, InputError, backend_names, get_backend
from dnn.agreement.contender import Contender
from dnn.agreement.native import PyTorchContender
from dnn.agreement.ours import BackendContender

NATIVE = "pytorch"


def contender_ids() -> tuple[str, ...]:
    """Every id that is tried by default: each backend, torch on CUDA, and native PyTorch."""
    return (*backend_names(), "torch:cuda", NATIVE, f"{NATIVE}:cuda")


def get_contender(name: str, precision: str = "float32") -> Contender:
    """The contender of an id: a backend's name or "pytorch", with ":device" where wanted.

    Args:
        precision: "tf32" is judged with bounds of its own.

    Raises:
        InputError: an unknown name.
        BackendUnavailable: it cannot run here.
    """
    library, _, device = name.partition(":")
    if library not in (*backend_names(), NATIVE):
        known = ", ".join((*backend_names(), NATIVE))
        raise InputError(f"backend is {name!r}, expected one of {known}, or one with :device")
    native = library == NATIVE
    open_backend = partial(get_backend, "torch" if native else library, device or None, precision=precision)
    made = (PyTorchContender if native else BackendContender)(name, lambda dtype: open_backend(dtype=dtype))
    made.backend()  # now, so that what cannot run says so before anything is measured
    return made


def available_contenders(precision: str = "float32") -> tuple[list[Contender], dict[str, str]]:
    """All that can run here, and why each other cannot."""
    able: list[Contender] = []
    missing: dict[str, str] = {}
    for name in contender_ids():
        try:
            able.append(get_contender(name, precision))
        except BackendUnavailable as error:
            missing[name] = str(error)
    return able, missing
