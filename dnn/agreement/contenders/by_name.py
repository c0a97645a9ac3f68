"""The contenders by name: every backend, native PyTorch, and ONNX Runtime."""

from functools import partial

from backends import BackendUnavailable, backend_names, get_backend
from dnn.agreement.contenders.contender import Contender
from dnn.agreement.contenders.native import PyTorchContender
from dnn.agreement.contenders.onnx_runtime import OnnxContender
from dnn.agreement.contenders.ours import BackendContender
from dnn.settings.checks import look_up, require_kind


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
    # Name -> (class, backend that holds its arrays).
    kinds: dict[str, tuple[type[Contender], str]] = {
        **{backend: (BackendContender, backend) for backend in backend_names()},
        "pytorch": (PyTorchContender, "torch"),
        "onnxruntime": (OnnxContender, "numpy"),
    }
    kind, holder = look_up("backend", library, kinds)
    return kind(name, partial(get_backend, holder, device or None, precision=precision))


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
