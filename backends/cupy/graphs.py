"""Planned updates recorded as CUDA graphs of CuPy: launches of kernels alone, for it refuses cuBLAS there."""

from collections.abc import Callable

from backends.recording import Recorded


class CupyGraphs(Recorded):
    """Recorded on a stream of its own, which the default one cannot be, and replayed on the current one."""

    def record(self, n: int) -> Callable[[], None]:
        import cupy

        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            stream.begin_capture()
            try:
                self.eagerly(n)
            finally:
                graph = stream.end_capture()
        launch: Callable[[], None] = graph.launch
        return launch
