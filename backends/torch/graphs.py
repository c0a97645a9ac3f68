"""Steps recorded as CUDA graphs and replayed, so that launches cost next to nothing."""

import warnings
from typing import Any

import torch

from backends.backend import Step

WARM_UP = 3  # steps before the recording, as torch's documentation has it


class CudaGraphs:
    """``run(n)`` for a step recorded as CUDA graphs: one of ``unroll`` steps, one of a single step.

    Recording executes nothing, so the steps that warm the libraries up are real ones. If recording fails
    there is one warning, and the steps are run one by one. So is what is asked for one step at a time, as an
    epoch's short last batch: a recording would cost more than it saves.
    """

    def __init__(self, step: Step, unroll: int, device: Any) -> None:
        self.step, self.unroll, self.device = step, unroll, device
        self.stream = torch.cuda.Stream(device)
        self.cold, self.failed = WARM_UP, False
        self.graphs: dict[int, Any] = {}  # steps -> graph

    def __call__(self, n: int) -> None:
        with torch.cuda.device(self.device):  # whose streams are waited for, and which is synchronised
            self._run(n)

    def _run(self, n: int) -> None:
        alone = n == 1
        if self.cold and not self.failed:
            warm = min(n, self.cold)
            self.cold, n = self.cold - warm, n - warm
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                self._eagerly(warm)
            torch.cuda.current_stream().wait_stream(self.stream)
        for size in (self.unroll, 1):
            while n >= size and not self.failed and (size in self.graphs or not alone):
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
