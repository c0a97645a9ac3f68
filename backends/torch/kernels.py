"""The kernels that torch computes faster than the reference, for each type of device."""

from functools import cache
from typing import Any

import torch

from backends.cupy import sources
from backends.reference import Kernels
from backends.reference.optimizers import FLUSH_EVERY, MOMENT_FLOOR
from backends.reference.signatures import Array, Arrays, Key, Numbers
from backends.registry import host_kernels
from backends.torch.dense import TorchDense
from backends.torch.images import TorchImages
from backends.torch.optimizers import TorchOptimizers


class TorchKernels(TorchDense, TorchImages, TorchOptimizers):
    """Kernels on tensors of any device."""


class TorchCpuKernels(TorchKernels):
    """Kernels on tensors in the host's memory, where NumPy's kernels can work too."""

    def threefry(self, key: Key, high: Array, low: Array, out: Array) -> None:
        """Compute in the memory of the tensors: numba's generator takes a third of the time of NumPy's."""
        host_kernels().threefry(key, high.numpy(), low.numpy(), out.numpy())

    def warp_images(self, x: Array, matrix: Array, moves: Array, y: Array) -> None:
        """Call NumPy's kernel on the memory of the tensors: a fifth of the reference's time."""
        host_kernels().warp_images(x.numpy(), matrix.numpy(), moves.numpy(), y.numpy())

    def batch_norm(
        self, x: Array, gamma: Array, beta: Array, running: Arrays, settings: Numbers, stats: Arrays, y: Array
    ) -> None:
        """Subtract a first estimate of the mean from x.

        On the CPU torch adds the rows one after another: the mean of 1000 equal numbers is off by up to 1e-5.
        """
        first = torch.mean(x, 0)
        shift = torch.zeros_like(first), running[1]
        super().batch_norm(torch.sub(x, first, out=y), gamma, beta, shift, settings, stats, y)
        stats[0].add_(first)
        running[0].lerp_(stats[0], settings[0])

    def _flush(self, moment: Array, updates: Array) -> Array:
        """Set small numbers to 0 in place."""
        if int(updates) % FLUSH_EVERY == 0:
            torch.hardshrink(moment, MOMENT_FLOOR, out=moment)
        return moment


class TorchJiteratorKernels(TorchKernels):
    """Kernels on a CUDA device if torch can compile the generator."""

    def threefry(self, key: Key, high: Array, low: Array, out: Array) -> None:
        out.copy_(_compiled_threefry()(high, low, key0=key[0], key1=key[1]))


@cache
def _compiled_threefry() -> Any:
    """Compile the generator: a function of (high, low, key0=, key1=) in one launch; the reference has 190."""
    return torch.cuda.jiterator._create_jit_fn(sources.function("threefry"), key0=0, key1=0)


def compiles_threefry() -> bool:
    """Return whether torch's private jiterator can compile the generator and gives correct numbers."""
    key = (0x13198A2E, 0xFFFFFFFF)
    words = torch.tensor([0, 1, 0xFFFFFFFF])
    expected = torch.zeros_like(words)
    Kernels(torch).threefry(key, words[2:], words, expected)
    try:
        found = _compiled_threefry()(words[2:].cuda(), words.cuda(), key0=key[0], key1=key[1])
        return bool(torch.equal(found.cpu(), expected))
    except Exception:  # torch, CUDA and the compiler raise many types
        return False


def kernels_for(device_type: str) -> type[TorchKernels]:
    """Return the class for a type of device."""
    if device_type == "cpu":
        return TorchCpuKernels
    return TorchJiteratorKernels if device_type == "cuda" and compiles_threefry() else TorchKernels
