"""PyTorch as an array library: CPU, CUDA or MPS tensors, no autograd, no torch.nn.

The kernels write into the tensors that are there (``out=``) and use torch's fused calls. The backward
calls are the ones that autograd uses underneath.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from backends import numpy_random, torch_layers
from backends.backend import Backend, Step
from backends.dispatch import Override
from backends.errors import BackendUnavailable, InputError
from backends.reference.activations import LEAK
from backends.torch_optimizers import optimizer_overrides

Array = Any  # torch.Tensor
aten = torch.ops.aten


def gather_rows(xp: Any, rows: Array, index: Array, out: Array, scale: float) -> None:
    if rows.dtype == out.dtype:
        torch.index_select(rows, 0, index, out=out)
        if scale != 1.0:
            out.mul_(scale)
    else:
        picked = torch.index_select(rows, 0, index)
        if scale == 1.0:
            out.copy_(picked)
        else:
            # Not torch.mul(picked, scale): of integers and a float it works in float32.
            out.copy_(picked).mul_(scale)


SOFTPLUS_LINEAR = 40.0
"""Above it log(1 + e^z) is z in float64 too; at 20, torch's own choice, 2e-9 would be missing."""

_FORWARD = {
    "linear": lambda z, y: None if y is z else y.copy_(z),
    "sigmoid": lambda z, y: torch.sigmoid(z, out=y),
    "tanh": lambda z, y: torch.tanh(z, out=y),
    "relu": lambda z, y: torch.clamp_min(z, 0.0, out=y),
    "softmax": lambda z, y: torch.softmax(z, -1, out=y),
    "leaky_relu": lambda z, y: aten.leaky_relu.out(z, LEAK, out=y),
    "elu": lambda z, y: aten.elu.out(z, out=y),
    "gelu": lambda z, y: aten.gelu.out(z, approximate="tanh", out=y),
    "softplus": lambda z, y: aten.softplus.out(z, 1.0, SOFTPLUS_LINEAR, out=y),
}

_BACKWARD = {
    "linear": lambda dy, z, y, dz: None if dz is dy else dz.copy_(dy),
    "sigmoid": lambda dy, z, y, dz: aten.sigmoid_backward.grad_input(dy, y, grad_input=dz),
    "tanh": lambda dy, z, y, dz: aten.tanh_backward.grad_input(dy, y, grad_input=dz),
    "relu": lambda dy, z, y, dz: aten.threshold_backward.grad_input(dy, z, 0.0, grad_input=dz),
    "softmax": lambda dy, z, y, dz: aten._softmax_backward_data.out(dy, y, -1, y.dtype, grad_input=dz),
    "leaky_relu": lambda dy, z, y, dz: aten.leaky_relu_backward.grad_input(dy, z, LEAK, False, grad_input=dz),
    # Not elu_backward, in which NaN would become dy.
    "elu": lambda dy, z, y, dz: torch.mul(dy, torch.clamp_max(y, 0.0).add_(1.0), out=dz),
    "gelu": lambda dy, z, y, dz: aten.gelu_backward.grad_input(dy, z, approximate="tanh", grad_input=dz),
    "softplus": lambda dy, z, y, dz: aten.softplus_backward.grad_input(
        dy, z, 1.0, SOFTPLUS_LINEAR, grad_input=dz
    ),
}


def activation(xp: Any, kind: str, z: Array, y: Array) -> None:
    _FORWARD[kind](z, y)


def activation_backward(xp: Any, kind: str, dy: Array, z: Array, y: Array, dz: Array) -> None:
    _BACKWARD[kind](dy, z, y, dz)


def dense(xp: Any, kind: str, x: Array, W: Array, b: Array, y: Array) -> None:
    torch.addmm(b, x, W, out=y)
    _FORWARD[kind](y, y)


# What oneDNN computes in the same pass as the product. Its relu would turn NaN into 0. Its sigmoid gives 0
# where the result is below 2e-38, next to the smallest normal number.
_EPILOGUES = {"linear": "none", "sigmoid": "sigmoid", "tanh": "tanh"}


def onednn_linear(x: Array, W: Array, b: Array | None, epilogue: str) -> Array:
    """f(x W + b) in new memory; a private call, which torch.compile makes too."""
    return torch.ops.mkldnn._linear_pointwise(x, W.T, b, epilogue, [], "")


def dense_onednn(xp: Any, kind: str, x: Array, W: Array, b: Array, y: Array) -> None:
    epilogue = _EPILOGUES.get(kind)
    y.copy_(onednn_linear(x, W, b, epilogue or "none"))
    if epilogue is None:
        _FORWARD[kind](y, y)


def dense_backward(
    xp: Any,
    kind: str,
    dy: Array,
    x: Array,
    y: Array,
    W: Array,
    dz: Array,
    dW: Array,
    db: Array,
    dx: Array | None,
) -> None:
    _BACKWARD[kind](dy, y, y, dz)
    _weight_gradients(x, dz, dW, db)
    if dx is not None:
        torch.mm(dz, W.T, out=dx)


NARROW = 32
"""Up to so many columns MKL's x^T dz is slower than its dz^T x and a copy."""


def _weight_gradients(x: Array, dz: Array, dW: Array, db: Array) -> None:
    if dz.shape[1] > NARROW or dW.device.type != "cpu":
        torch.mm(x.T, dz, out=dW)
    else:
        dW.copy_(torch.mm(dz.T, x).T)
    torch.sum(dz, 0, out=db)


def dense_backward_onednn(
    xp: Any,
    kind: str,
    dy: Array,
    x: Array,
    y: Array,
    W: Array,
    dz: Array,
    dW: Array,
    db: Array,
    dx: Array | None,
) -> None:
    _BACKWARD[kind](dy, y, y, dz)
    _weight_gradients(x, dz, dW, db)
    if dx is not None:
        dx.copy_(onednn_linear(dz, W.T, None, "none"))


def softmax_cross_entropy(
    xp: Any, kind: str, logits: Array, targets: Array, losses: Array, dlogits: Array
) -> None:
    batch = logits.shape[0]
    log_p = torch.log_softmax(logits, 1)
    column = targets[:, None]
    torch.neg(torch.gather(log_p, 1, column)[:, 0], out=losses)
    torch.exp(log_p, out=dlogits)
    dlogits.scatter_(1, column, -1.0, reduce="add")
    dlogits.mul_(1.0 / batch)


def threefry_on_cpu(xp: Any, key: tuple[int, int], high: Array, low: Array, out: Array) -> None:
    """NumPy's, in the tensors' own memory: torch has no 32-bit words that wrap around."""
    numpy_random.threefry(np, key, high.numpy(), low.numpy(), out.numpy())


def has_onednn() -> bool:
    """Whether this torch has the private call, with the arguments that are known here."""
    if not torch.backends.mkldnn.is_available():
        return False
    try:
        one = torch.ones(1, 1)
        return float(onednn_linear(one, one, one[0], "none")) == 2.0
    except (AttributeError, RuntimeError, TypeError):
        return False


WARM_UP = 3  # steps before the recording, as torch's documentation has it


class CudaGraphs:
    """``run(n)`` for a step recorded as CUDA graphs: one of ``unroll`` steps, one of a single step.

    Recording executes nothing, so the steps that warm the libraries up are real ones. If recording fails
    there is one warning, and the steps are run one by one.
    """

    def __init__(self, step: Step, unroll: int, device: Any) -> None:
        self.step, self.unroll = step, unroll
        self.stream = torch.cuda.Stream(device)
        self.cold, self.failed = WARM_UP, False
        self.graphs: dict[int, Any] = {}  # steps -> graph

    def __call__(self, n: int) -> None:
        if self.cold and not self.failed:
            warm = min(n, self.cold)
            self.cold, n = self.cold - warm, n - warm
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                self._eagerly(warm)
            torch.cuda.current_stream().wait_stream(self.stream)
        for size in (self.unroll, 1):
            while n >= size and not self.failed:
                graph = self._graph(size)
                if graph is not None:
                    graph.replay()
                    n -= size
        self._eagerly(n)

    def _eagerly(self, n: int) -> None:
        for _ in range(n):
            self.step()

    def _graph(self, size: int) -> Any:
        """The recording of so many steps; None if it cannot be made."""
        if size not in self.graphs:
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph, stream=self.stream):
                    self._eagerly(size)
            except RuntimeError as error:
                self.failed = True
                first = str(error).splitlines()[0]
                warnings.warn(f"CUDA graphs do not work here ({first}); going on without", stacklevel=2)
                return None
            self.graphs[size] = graph
        return self.graphs[size]


@dataclass(frozen=True, eq=False)
class TorchBackend(Backend):
    """PyTorch tensors on one device."""

    graphs: bool = False

    OVERRIDES: ClassVar[Mapping[str, Override]] = {
        "gather_rows": Override(gather_rows),
        "activation": Override(activation),
        "activation_backward": Override(activation_backward),
        "dense": Override(dense),
        "dense_backward": Override(dense_backward),
        "conv2d": Override(torch_layers.conv2d),
        "conv2d_backward": Override(torch_layers.conv2d_backward),
        "max_pool2d": Override(torch_layers.max_pool2d),
        "max_pool2d_backward": Override(torch_layers.max_pool2d_backward),
        "batch_norm": Override(torch_layers.batch_norm),
        "batch_norm_backward": Override(torch_layers.batch_norm_backward),
        "layer_norm": Override(torch_layers.layer_norm),
        "layer_norm_backward": Override(torch_layers.layer_norm_backward),
        "softmax_cross_entropy": Override(softmax_cross_entropy, kinds=("integer",)),
    }

    def declared_overrides(self) -> Mapping[str, Override]:
        declared = {**self.OVERRIDES, **optimizer_overrides(self.device.type)}
        if self.device.type == "cpu":
            declared["threefry"] = Override(threefry_on_cpu)
        if self.device.type == "cpu" and has_onednn():
            for name, function in (("dense", dense_onednn), ("dense_backward", dense_backward_onednn)):
                declared[name] = Override(function, dtypes=("float32",), otherwise=declared[name])
        return declared

    def from_host(self, array: np.ndarray, dtype: Any = None) -> Array:
        array = np.asarray(array)
        # torch takes neither negative strides nor, without a warning, read-only memory.
        if not array.flags.writeable or any(stride < 0 for stride in array.strides):
            array = array.copy()
        return torch.from_numpy(array).to(device=self.device, dtype=dtype)

    def to_host(self, array: Array) -> np.ndarray:
        host: np.ndarray = array.detach().cpu().numpy()
        return host

    def view(self, array: Array, shape: tuple[int, ...]) -> Array:
        try:
            return array.view(shape)
        except RuntimeError as error:
            raise ValueError(str(error)) from None

    def owns(self, array: Any) -> bool:
        return isinstance(array, torch.Tensor) and array.device == self.device

    def capture(self, step: Step, unroll: int = 25) -> Callable[[int], None]:
        """A plain loop, without the records that torch keeps of each call for autograd; or CUDA graphs."""
        loop = CudaGraphs(step, unroll, self.device) if self.graphs else super().capture(step, unroll)

        def run(n: int) -> None:
            with torch.inference_mode():
                loop(n)

        return run

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    def describe_library(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "tf32": torch.get_float32_matmul_precision() != "highest",
        }
        if self.device.type == "cuda":
            facts["device_name"] = torch.cuda.get_device_name(self.device)
            facts["cuda"] = torch.version.cuda
            facts["graphs"] = self.graphs
            facts["tested_on_gpu"] = False
        return facts


def _warm_up() -> None:
    # oneMKL 2024.2 can pick a low-accuracy variant of a unary function when threads race on its first
    # call (pytorch#188792); one quiet call each settles the choice.
    for dtype in (torch.float32, torch.float64):
        x = torch.full((64,), 0.5, dtype=dtype)
        for function in (torch.exp, torch.log, torch.tanh, torch.sigmoid, torch.sqrt):
            function(x)


def make(
    device: Any, dtype: str, fused: bool, precision: str = "float32", graphs: bool = False
) -> TorchBackend:
    """The factory that ``get_backend("torch")`` calls."""
    import array_api_compat.torch as xp

    try:
        place = torch.device("cpu" if device is None else device)
    except (RuntimeError, TypeError):
        raise InputError(
            f"device is {device!r}, expected 'cpu', 'cuda', 'cuda:N' or 'mps' for the backend 'torch'"
        ) from None
    if place.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            why = "this torch is a CPU build" if torch.version.cuda is None else "torch finds none"
            raise BackendUnavailable(
                f"backend 'torch' on {device!r} needs a CUDA device, but {why}; "
                f"use --device cpu, or install the NVIDIA driver and a CUDA build of torch"
            )
        index = torch.cuda.current_device() if place.index is None else place.index
        if index >= count:
            raise BackendUnavailable(
                f"backend 'torch' has {count} CUDA device(s), got {device!r}; expected cuda:0 to "
                f"cuda:{count - 1}"
            )
        place = torch.device("cuda", index)
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
    elif place.type == "mps":
        if not torch.backends.mps.is_available():
            raise BackendUnavailable("backend 'torch' on 'mps' needs Apple's Metal; use --device cpu")
        if dtype == "float64":
            raise InputError("dtype is 'float64', expected 'float32' on the device 'mps'")
        place = torch.device("mps", 0)
    elif place.type != "cpu":
        raise InputError(
            f"device is {device!r}, expected 'cpu', 'cuda', 'cuda:N' or 'mps' for the backend 'torch'"
        )
    elif re.fullmatch(r"cpu:[1-9]\d*", str(place)):
        raise InputError(f"device is {device!r}, expected 'cpu': there is one CPU device")
    else:
        place = torch.device("cpu")
    if place.type != "cuda" and (precision == "tf32" or graphs):
        setting = "precision 'tf32'" if precision == "tf32" else "graphs"
        raise BackendUnavailable(f"{setting} needs a CUDA device, got the backend 'torch' on {str(place)!r}")
    _warm_up()
    return TorchBackend("torch", xp, place, dtype, fused, precision, graphs)
