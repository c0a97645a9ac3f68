"""The contenders by name: every backend, native PyTorch, and ONNX Runtime."""

from functools import partial

from backends import BackendUnavailable, InputError, backend_names, get_backend
from dnn.agreement.contender import Contender
from dnn.agreement.native import PyTorchContender
from dnn.agreement.onnx_runtime import OnnxContender
from dnn.agreement.ours import BackendContender
from dnn.validation.settings import require_kind

NATIVE_ID = "pytorch"
ONNX_ID = "onnxruntime"
FOREIGN_CONTENDERS = {NATIVE_ID: ("torch", PyTorchContender), ONNX_ID: ("numpy", OnnxContender)}
"""Contenders that are not backends: id -> (backend that holds its arrays, class)."""


def contender_ids() -> tuple[str, ...]:
    """Return the ids that are tried by default: each backend, torch on CUDA, native PyTorch, ONNX Runtime."""
    return (*backend_names(), "torch:cuda", NATIVE_ID, f"{NATIVE_ID}:cuda", ONNX_ID)


def get_contender(name: str, precision: str = "float32") -> Contender:
    """Return the contender with this id: a backend's name, "pytorch" or "onnxruntime", each with an optional
    ":device".

    Args:
        precision: "float32", or "tf32" with wider bounds.

    Raises:
        InputError: an unknown name.
        BackendUnavailable: it cannot run here.
    """
    library, _, device = require_kind("name", name, str).partition(":")
    if library not in (*backend_names(), *FOREIGN_CONTENDERS):
        known = ", ".join((*backend_names(), *FOREIGN_CONTENDERS))
        raise InputError(f"backend is {name!r}", f"one of {known}, or one with :device")
    held, kind = FOREIGN_CONTENDERS.get(library, (library, BackendContender))
    open_backend = partial(get_backend, held, device or None, precision=precision)
    return kind(name, lambda dtype: open_backend(dtype=dtype))


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
