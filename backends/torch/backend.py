"""PyTorch as an array library: CPU, CUDA or MPS tensors, without autograd, modules or torch.optim."""

import os
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch

from backends.backend import Backend, Facts, RunUpdates, Step
from backends.errors import BackendUnavailable, InputError, install_command, short_repr
from backends.nvidia import find_extra, find_obstacle, query_cards
from backends.processor import limiting_variables, require_tf32
from backends.recording import RecordedSteps
from backends.reference import Kernels
from backends.torch.isolation import isolation_of
from backends.torch.kernels import kernels_for

Array = Any  # torch.Tensor
THREAD_END_SECONDS = 0.03


class CudaGraphs(RecordedSteps):
    """Steps recorded on one device; warm-up steps run on a separate stream, as torch requires."""

    def __init__(self, step: Step, device: Any, forms: set[str] | None = None) -> None:
        super().__init__(step, forms)
        self.device = device
        self.stream = torch.cuda.Stream(device)

    def __call__(self, n: int) -> None:
        with torch.cuda.device(self.device):  # the streams below belong to the current device
            super().__call__(n)

    def warm_up(self, n: int) -> None:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            self.run_eagerly(n)
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, n: int) -> Step:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            self.run_eagerly(n)
        replay: Step = graph.replay
        return replay


@dataclass(frozen=True, eq=False)
class TorchBackend(Backend):
    """PyTorch tensors on one device."""

    graphs: bool = False

    CURE = "use the device 'cpu', or install a build of torch for this driver and this card"

    @property
    def device_type(self) -> str:
        return str(self.device.type)

    def kernel_class(self) -> type[Kernels]:
        return kernels_for(self.device_type)

    def isolated(self) -> AbstractContextManager[None]:
        isolation = isolation_of(self.device_type, self.precision == "tf32")
        return isolation.enter() if isolation.is_needed else super().isolated()

    def from_host(self, array: np.ndarray, dtype: Any = None) -> Array:
        array = np.asarray(array)
        # torch rejects negative strides, and warns about read-only memory.
        if not array.flags.writeable or any(stride < 0 for stride in array.strides):
            array = array.copy()
        if torch.is_inference_mode_enabled():  # its tensors cannot be written outside of it
            with torch.inference_mode(False):
                return self.from_host(array, dtype)
        return torch.from_numpy(array).to(device=self.device, dtype=dtype)

    def to_host(self, array: Array) -> np.ndarray:
        host: np.ndarray = array.detach().cpu().numpy()
        return host

    def view(self, array: Array, shape: tuple[int, ...]) -> Array:
        try:
            return array.view(shape)
        except RuntimeError as error:
            raise ValueError(str(error)) from None

    def capture(self, step: Step, forms: set[str] | None = None) -> RunUpdates:
        """A plain loop in inference mode (no autograd bookkeeping), or CUDA graphs."""
        loop = CudaGraphs(step, self.device, forms) if self.graphs else super().capture(step)
        run: RunUpdates = torch.inference_mode()(loop)
        return run

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    @property
    def thread_count(self) -> int:
        return torch.get_num_threads() if self.device.type == "cpu" else 1

    def set_threads(self, n: int) -> None:
        if self.device.type != "cpu":
            super().set_threads(n)
        torch.set_num_threads(n)

    def describe_library(self) -> Facts:
        facts: Facts = {
            "torch": torch.__version__,
            "tf32": self.precision == "tf32",
        }
        if self.device.type == "cpu":
            facts["torch_kernels"] = torch.backends.cpu.get_cpu_capability()
            facts |= {name.lower(): value for name, value in limiting_variables().items() if "DNN" in name}
        if self.device.type == "cuda":
            facts["device_name"] = torch.cuda.get_device_name(self.device)
            facts["cuda"] = torch.version.cuda
            facts["graphs"] = self.graphs
            facts["tested_on_gpu"] = False
        return facts


@cache
def _prepare_for_forks() -> None:
    """Let the children that this process forks compute with one thread.

    The threads of GNU OpenMP do not survive a fork: a child that used several would wait for them for ever.
    MKL's memory manager is locked at times while a thread ends that has computed, and a child forked then
    would wait for ever too (4 of 60; after THREAD_END_SECONDS 0 of 200). So a fork waits for that time.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=partial(time.sleep, THREAD_END_SECONDS),
            after_in_child=partial(torch.set_num_threads, 1),
        )


def _explain_missing_cuda() -> tuple[str, str]:
    """Return (why torch finds no CUDA device, the cure)."""
    cards = query_cards()
    extra = find_extra(cards)
    if not cards:
        cure = "use the device 'cpu', or install the NVIDIA driver first"
    elif extra is None:
        cure = "update the NVIDIA driver"
    else:  # pip would keep the torch that is installed
        cure = f"pip uninstall -y torch torchvision && {install_command(extra)}"
    if torch.version.cuda is None:
        return "this torch is a CPU build", cure
    obstacle = find_obstacle(int(torch.version.cuda.partition(".")[0]), cards)
    if obstacle is None:
        return "torch finds none", "use the device 'cpu', or check nvidia-smi and CUDA_VISIBLE_DEVICES"
    return f"torch {torch.__version__} was built for CUDA {torch.version.cuda}, and {obstacle}", cure


def _parse_device(device: Any) -> torch.device:
    """Parse a device and check that torch can use it here.

    Raises:
        InputError: not a device of torch.
        BackendUnavailable: this machine has no such device.
    """
    kinds = "'cpu', 'cuda', 'cuda:N' or 'mps' for the backend 'torch'"
    wrong = InputError(f"device is {short_repr(device)}", kinds)
    try:
        parsed = torch.device("cpu" if device is None else device)
    except (RuntimeError, TypeError, ValueError):
        raise wrong from None
    if parsed.type == "cpu" and not parsed.index:
        return torch.device("cpu")
    if parsed.type == "mps":
        if not torch.backends.mps.is_available():
            raise BackendUnavailable("backend 'torch' on 'mps' needs Apple's Metal; use the device 'cpu'")
        return torch.device("mps", 0)
    if parsed.type != "cuda":
        raise wrong
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        why, cure = _explain_missing_cuda()
        raise BackendUnavailable(
            f"backend 'torch' on {short_repr(device)} needs a CUDA device, but {why}; {cure}"
        )
    index = torch.cuda.current_device() if parsed.index is None else parsed.index
    if index >= count:
        got = f"backend 'torch' has {count} CUDA device(s), got {short_repr(device)}"
        raise BackendUnavailable(f"{got}; expected cuda:0 to cuda:{count - 1}")
    return torch.device("cuda", index)


def make(
    device: Any, dtype: str, fused: bool, precision: str = "float32", graphs: bool = False
) -> TorchBackend:
    """Return the backend; ``get_backend("torch")`` calls this factory."""
    import array_api_compat.torch as xp

    parsed = _parse_device(device)
    if parsed.type == "cuda":
        if precision == "tf32":
            require_tf32(*torch.cuda.get_device_capability(parsed))
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
    elif precision == "tf32" or graphs:
        got = f"got the backend 'torch' on {str(parsed)!r}"
        raise BackendUnavailable(f"precision 'tf32' and graphs need a CUDA device, {got}")
    # oneMKL 2024.2 may choose a low-accuracy variant of a unary function if threads race on its first call
    # (pytorch#188792). One call of each before any threads fixes the choice.
    for real in (torch.float32, torch.float64):
        x = torch.full((64,), 0.5, dtype=real)
        for function in (torch.exp, torch.log, torch.tanh, torch.sigmoid, torch.sqrt):
            function(x)
    _prepare_for_forks()
    return TorchBackend("torch", xp, parsed, dtype, fused, precision, graphs)
