"""The contenders by name: every backend, native PyTorch, and ONNX Runtime."""

from functools import partial

from backends import BackendUnavailable, backend_names, get_backend
from dnn.agreement.contender import Contender
from dnn.agreement.native import PyTorchContender
from dnn.agreement.onnx_runtime import OnnxContender
from dnn.agreement.ours import BackendContender
from dnn.validation.settings import look_up, require_kind

Kinds = dict[str, tuple[str, type[Contender]]]
FOREIGN_CONTENDERS: Kinds = {
    "pytorch": ("torch", PyTorchContender), "onnxruntime": ("numpy", OnnxContender),
}  # fmt: skip
"""Contenders that are not backends: id -> (backend that holds its arrays, class)."""


def contender_ids() -> tuple[str, ...]:
    """Return the ids that are tried by default: each backend, torch on CUDA, native PyTorch, ONNX Runtime."""
    return (*backend_names(), "torch:cuda", "pytorch", "pytorch:cuda", "onnxruntime")


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
    ours: Kinds = {backend: (backend, BackendContender) for backend in backend_names()}
    held, kind = look_up("backend", library, ours | FOREIGN_CONTENDERS)
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
