"""Calls of this library leave torch's modes, which would change their bits, and restore them afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch

from backends.numpy.thread_count import ThreadCount

EXACT = {"none", "ieee", "highest"}  # names of float32's full precision
LIBRARIES = {"cpu": "mkldnn", "cuda": "cuda"}

# The public attributes call these functions, in five times the time. torch has them from 2.9 on.
_get: Any = getattr(torch._C, "_get_fp32_precision_getter", lambda *_: torch.get_float32_matmul_precision())
_set: Any = getattr(
    torch._C, "_set_fp32_precision_setter",
    lambda *key: torch.set_float32_matmul_precision("highest" if key[-1] == "ieee" else key[-1]),
)  # fmt: skip


class Isolation:
    """The modes of one type of device.

    A process has one precision of products, as a BLAS has one number of threads. So ``ThreadCount`` controls
    it: the full precision has the number 1, each other setting the next one.
    """

    def __init__(self, device_type: str, keeps_precision: bool) -> None:
        self.device_type = device_type
        library = None if keeps_precision else LIBRARIES.get(device_type)
        self._products = [(library, operation) for operation in ("matmul", "conv") if library]
        self._settings = [["ieee" for _ in self._products]]
        self._precision = ThreadCount(self._read, self._write)

    def _read(self) -> int:
        names = [_get(*product) for product in self._products]
        if EXACT.issuperset(names):
            return 1
        if names not in self._settings:
            self._settings.append(names)
        return self._settings.index(names) + 1

    def _write(self, number: int) -> None:
        for product, name in zip(self._products, self._settings[number - 1], strict=True):
            _set(*product, name)

    @property
    def is_needed(self) -> bool:
        """Whether the calling thread is in a mode that has an effect."""
        return (
            torch.is_inference_mode_enabled()  # its tensors cannot be written outside of it
            or torch.is_autocast_enabled(self.device_type)
            or self._precision.outside > 1  # also if another thread is in ``enter``
        )

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Return a context in which these modes are off; whether autograd records does not change."""
        grad = torch.set_grad_enabled(torch.is_grad_enabled())
        autocast = torch.autocast(self.device_type, enabled=False)
        numpy = np.errstate(all="ignore")
        with torch.inference_mode(False), grad, autocast, self._precision.section(1), numpy:
            yield


isolation_of = cache(Isolation)
