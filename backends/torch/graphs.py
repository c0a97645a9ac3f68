"""Steps recorded as CUDA graphs of torch."""

from collections.abc import Callable
from typing import Any

import torch

from backends.backend import Step
from backends.recording import Recorded


class CudaGraphs(Recorded):
    """All of it on one device, and on a stream of its own as long as nothing is recorded."""

    def __init__(self, step: Step, unroll: int, device: Any) -> None:
        super().__init__(step, unroll)
        self.device, self.stream = device, torch.cuda.Stream(device)

    def __call__(self, n: int) -> None:
        with torch.cuda.device(self.device):  # whose streams are waited for, and which is synchronised
            super().__call__(n)

    def warm_up(self, n: int) -> None:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            self.eagerly(n)
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, n: int) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            self.eagerly(n)
        replay: Callable[[], None] = graph.replay
        return replay
