"""A probe: can CuPy capture a matrix product that cublasLt is asked for directly?

CuPy refuses every cuBLAS call while a stream is captured. This asks cublasLt itself, through ctypes, with a
handle and a workspace of its own and the algorithm chosen beforehand; captures one product; replays it on new
data; and compares with float64. If it holds, CuPy's training step can become a graph the same way.

Constants and structures are those of cublasLt.h (CUDA 12 and 13).
"""

import ctypes
from typing import Any

COMPUTE_32F, REAL_32F = 68, 0  # CUBLAS_COMPUTE_32F, CUDA_R_32F
MAX_WORKSPACE_BYTES = 1  # CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES
WORKSPACE = 32 << 20
M, K, N = 100, 784, 500


class Heuristic(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t."""

    _fields_ = (
        ("algo", ctypes.c_uint64 * 8),
        ("workspace_size", ctypes.c_size_t),
        ("state", ctypes.c_int),
        ("waves", ctypes.c_float),
        ("reserved", ctypes.c_int * 4),
    )


def loaded_library() -> str:
    """The path of the cublasLt that this process has loaded."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            if "libcublasLt.so" in line:
                return line.split(maxsplit=5)[-1].strip()
    raise RuntimeError("CuPy has loaded no libcublasLt.so")


class Product:
    """C = A B of row-major float32 matrices, as the column-major C^T = B^T A^T, ready to be launched."""

    def __init__(self, a: Any, b: Any, c: Any, workspace: Any) -> None:
        self.lt = ctypes.CDLL(loaded_library())
        self.a, self.b, self.c, self.workspace = a, b, c, workspace
        self.handle = self._made("cublasLtCreate")
        self.operation = self._made("cublasLtMatmulDescCreate", COMPUTE_32F, REAL_32F)
        (m, k), n = a.shape, b.shape[1]
        self.layouts = [self._layout(rows, columns) for rows, columns in ((n, k), (k, m), (n, m))]
        preference = self._made("cublasLtMatmulPreferenceCreate")
        size = ctypes.c_size_t(WORKSPACE)
        self._call(
            "cublasLtMatmulPreferenceSetAttribute", preference, MAX_WORKSPACE_BYTES, ctypes.byref(size),
            ctypes.c_size_t(ctypes.sizeof(size)),
        )  # fmt: skip
        self.choice, count = Heuristic(), ctypes.c_int()
        left, right, out = self.layouts
        self._call(
            "cublasLtMatmulAlgoGetHeuristic", self.handle, self.operation, left, right, out, out,
            preference, 1, ctypes.byref(self.choice), ctypes.byref(count),
        )  # fmt: skip
        if count.value == 0:
            raise RuntimeError("cublasLt knows no algorithm for this product")
        self.one, self.zero = ctypes.c_float(1.0), ctypes.c_float(0.0)

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self.lt, name)(*arguments)
        if status:
            raise RuntimeError(f"{name} returned {status}")

    def _made(self, name: str, *arguments: Any) -> ctypes.c_void_p:
        made = ctypes.c_void_p()
        self._call(name, ctypes.byref(made), *arguments)
        return made

    def _layout(self, rows: int, columns: int) -> ctypes.c_void_p:
        sizes = (ctypes.c_uint64(rows), ctypes.c_uint64(columns), ctypes.c_int64(rows))
        return self._made("cublasLtMatrixLayoutCreate", REAL_32F, *sizes)

    def launch(self, stream: Any) -> None:
        """One product on this stream."""
        left, right, out = self.layouts
        pointers = [ctypes.c_void_p(array.data.ptr) for array in (self.b, self.a, self.c, self.workspace)]
        b, a, c, workspace = pointers
        self._call(
            "cublasLtMatmul", self.handle, self.operation, ctypes.byref(self.one), b, left, a, right,
            ctypes.byref(self.zero), c, out, c, out, ctypes.byref(self.choice), workspace,
            ctypes.c_size_t(WORKSPACE), ctypes.c_void_p(stream.ptr),
        )  # fmt: skip


def probe() -> dict[str, Any]:
    """Whether the captured product is right on data that came after the capture; and its microseconds."""
    import gc
    import time

    import cupy

    a, b, c = (cupy.random.rand(*shape, dtype=cupy.float32) for shape in ((M, K), (K, N), (M, N)))
    cupy.matmul(a, b)  # loads cublasLt
    product = Product(a, b, c, cupy.empty(WORKSPACE, dtype=cupy.uint8))
    stream = cupy.cuda.Stream(non_blocking=True)
    cupy.cuda.Device().synchronize()
    product.launch(stream)
    stream.synchronize()

    def error() -> float:
        wanted = cupy.matmul(a.astype(cupy.float64), b.astype(cupy.float64))
        return float(cupy.linalg.norm(c - wanted) / cupy.linalg.norm(wanted))

    found: dict[str, Any] = {"library": loaded_library(), "eager_error": error()}
    gc.collect()
    gc.disable()
    try:
        with stream:
            stream.begin_capture()
            try:
                product.launch(stream)
            finally:
                graph = stream.end_capture()
    finally:
        gc.enable()
    a[...] = cupy.random.rand(M, K, dtype=cupy.float32)
    c[...] = 0
    cupy.cuda.Device().synchronize()
    graph.launch(stream)
    stream.synchronize()
    found["captured_error"] = error()
    start = time.perf_counter()
    for _ in range(1000):
        graph.launch(stream)
    stream.synchronize()
    found["microseconds_a_replay"] = 1e3 * (time.perf_counter() - start)
    bound = 2.0**-24 * (K**0.5 + 10)
    found["holds"] = found["eager_error"] <= bound and found["captured_error"] <= bound
    return found
