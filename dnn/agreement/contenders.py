"""The contenders by name: every backend, native PyTorch, and ONNX Runtime."""

from functools import partial

from backends import BackendUnavailable, InputError, backend_names, get_backend
from dnn.agreement.contender import Contender
from dnn.agreement.native import PyTorchContender
from dnn.agreement.onnx_runtime import OnnxContender
from dnn.agreement.ours import BackendContender

NATIVE_ID = "pytorch"
ONNX_ID = "onnxruntime"
FOREIGN_CONTENDERS = {NATIVE_ID: ("torch", PyTorchContender), ONNX_ID: ("numpy", OnnxContender)}
"""Name -> the backend that holds its arrays, and its class; all others are a backend themselves."""


def contender_ids() -> tuple[str, ...]:
    """Every id that is tried by default: each backend, torch on CUDA, native PyTorch, ONNX Runtime."""
    return (*backend_names(), "torch:cuda", NATIVE_ID, f"{NATIVE_ID}:cuda", ONNX_ID)


def get_contender(name: str, precision: str = "float32") -> Contender:
    """The contender of an id: a backend's name, "pytorch" or "onnxruntime", with ":device" where wanted.

    Args:
        precision: "tf32" is judged with bounds of its own.

    Raises:
        InputError: an unknown name.
        BackendUnavailable: it cannot run here.
    """
    library, _, device = name.partition(":")
    if library not in (*backend_names(), *FOREIGN_CONTENDERS):
        known = ", ".join((*backend_names(), *FOREIGN_CONTENDERS))
        raise InputError(f"backend is {name!r}, expected one of {known}, or one with :device")
    held, kind = FOREIGN_CONTENDERS.get(library, (library, BackendContender))
    open_backend = partial(get_backend, held, device or None, precision=precision)
    made = kind(name, lambda dtype: open_backend(dtype=dtype))
    made.backend  # noqa: B018  # now, so that what cannot run says so before anything is measured
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
