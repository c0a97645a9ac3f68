"""How fast it is on the card, how many kernels an update takes, and how much memory."""

import statistics
from collections import Counter

from benchmarks.contenders import get_contender
from benchmarks.floors import flops
from benchmarks.ours import Trainer, build
from benchmarks.worker import timed, train

from gpu_checks.common import Result, Settings

UNROLLS = (1, 5, 25, 50)  # updates in one graph


def _microseconds(name: str, settings: Settings, precision: str = "float32", unroll: int = 25) -> Result:
    """A contender of the benchmark on the card: microseconds an update, and seconds until it was ready."""
    contender = get_contender(f"{name}:{settings.device}")
    _, _, found = train(contender, settings.benchmark(precision=precision, unroll=unroll))
    return {"us": 1e3 * found["ms"], "prepared in s": found["preparation"]}


def _speed(library: str, settings: Settings) -> Result:
    """Microseconds an update: layer by layer, planned, and from graphs of several lengths."""
    found: Result = {}
    for precision in ("float32", "tf32"):
        found[f"{precision} layers"] = _microseconds(f"{library}-layers", settings, precision)
        # With TF32 CuPy has neither plans nor graphs, and torch has no plans.
        if library == "cupy" and precision == "float32":
            found[f"{precision} launches"] = _microseconds(library, settings, precision)
        for unroll in UNROLLS if precision == "float32" else [25] if library == "torch" else []:
            made = _microseconds(f"{library}-graphs", settings, precision, unroll)
            found[f"{precision} graph of {unroll}"] = made
    return found


def speed_cupy(settings: Settings) -> Result:
    """Microseconds an update on CuPy."""
    return _speed("cupy", settings)


def speed_torch(settings: Settings) -> Result:
    """Microseconds an update on torch."""
    return _speed("torch", settings)


def speed_native(settings: Settings) -> Result:
    """Microseconds an update of native PyTorch: a good user's loop, with fused Adam, and as a CUDA graph."""
    return {name: _microseconds(name, settings) for name in ("pytorch", "pytorch-fused", "pytorch-graph")}


def speed_compile(settings: Settings) -> Result:
    """Microseconds an update of native PyTorch compiled, which takes a while."""
    return {"torch-compile": _microseconds("torch-compile", settings)}


def kernels(settings: Settings) -> Result:
    """GPU kernels an update, by name, as torch's profiler sees them (CuPy's too: it watches the process)."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    task, updates = settings.task(), 20
    found: Result = {}
    for library, backend in settings.both(found):
        trainer = Trainer(build(task, backend), task)
        trainer.run(updates)
        with profile(activities=[ProfilerActivity.CUDA]) as profiled:
            trainer.run(updates)
            torch.cuda.synchronize()
        names = Counter(e.name for e in profiled.events() if "cuda" in str(e.device_type).lower())
        found[library] = {
            "an_update": sum(names.values()) / updates,
            "names": {name[:80]: count / updates for name, count in names.most_common(40)},
        }
    return found


def floor(settings: Settings) -> Result:
    """Microseconds of the update's products alone, and the card's copy bandwidth."""
    import torch

    found: Result = {"flop_an_update": flops((784, 500, 500, 10), 100)}
    for library, _ in settings.both(found):
        for precision in ("float32", "tf32"):
            found[f"{library} {precision}"] = _microseconds(f"floor-{library}", settings, precision)
    source = torch.zeros(1 << 28, dtype=torch.uint8, device=settings.device)
    target = torch.empty_like(source)

    def copy(n: int) -> None:
        for _ in range(n):
            target.copy_(source)
        torch.cuda.synchronize()

    copy(5)
    ms = statistics.median(timed(copy, size=20, times=5))
    found["copy GB/s"] = 2 * source.numel() / ms / 1e6
    return found


def memory(settings: Settings) -> Result:
    """MB of the card that training takes, as each library counts them."""
    import torch

    task = settings.task()
    found: Result = {}
    for library, backend in settings.both(found):
        Trainer(build(task, backend), task).run(100)
        if library == "torch":
            taken = torch.cuda.max_memory_reserved(settings.device)
        else:
            import cupy

            taken = cupy.get_default_memory_pool().total_bytes()
        found[f"{library} MB"] = taken / 1e6
    return found
