"""One contender in this process, a slice at a time; ``_workers`` says how it is called and answers."""

import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from _workers import LAST, CannotRun, serve

from benchmarks.contenders import THREAD_VARIABLES, Contender, get_contender
from benchmarks.settings import Settings, from_json
from benchmarks.task import Prepared, Task, load, scaled

LOOKED_AT = 10_000  # training examples whose loss is computed after training


def peak_memory_mb() -> float | None:
    """Return the peak memory of this process in MB; None on Windows.

    Not ru_maxrss where it can be avoided: Linux starts it at the parent's memory at the fork.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def import_memory_mb(settings: Settings) -> float | None:
    """What importing torch and torchvision takes; None where the data set needs neither, and on Windows."""
    if settings.dataset in ("digits", "random"):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torchvision  # noqa: F401
    return peak_memory_mb()


def pin(name: str, threads: int | None) -> None:
    """Keep XLA to as many cores: it counts those that it may use, and reads no variable.

    Raises CannotRun: the variables that the other libraries read do not say ``threads``.
    """
    if threads is None:
        return
    found = {os.environ.get(variable) for variable in THREAD_VARIABLES}
    if found != {str(threads)}:
        raise CannotRun(
            f"threads is {threads}, but not all of {', '.join(THREAD_VARIABLES)} were {threads} when this "
            f"process started; set them, or start it by benchmarks.rotation"
        )
    if "jax" in name and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


WAKE = 0.15  # seconds of training before a slice: a system may leave all threads on one core for a while


def quality(prepared: Prepared, task: Task) -> dict[str, float]:
    """Training loss and test accuracy of the network as it is, computed alike for all contenders."""
    if prepared.probabilities is None:
        return {}
    p = prepared.probabilities(scaled(task.x[:LOOKED_AT]))
    y = task.y[:LOOKED_AT]
    loss = -np.mean(np.log(np.maximum(p[np.arange(len(y)), y], 1e-30), dtype=np.float64))
    test = prepared.probabilities(scaled(task.x_test))
    return {"train_loss": float(loss), "test_accuracy": float(np.mean(test.argmax(1) == task.y_test))}


def timed(run: Callable[[int], None], size: int, times: int) -> list[float]:
    """Milliseconds an update of each of several calls of ``run(size)``, which waits for its end."""
    chunks = []
    for _ in range(times):
        start = time.perf_counter()
        run(size)
        chunks.append(1e3 * (time.perf_counter() - start) / size)
    return chunks


def busy() -> float | None:
    """Seconds that cores have worked for other processes, or were taken away; None where it is not told."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _, _, *rest = (int(ticks) for ticks in file.readline().split()[1:9])
        return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK") - time.process_time()
    except (OSError, ValueError):
        return None


def train(
    contender: Contender, settings: Settings, times: int | None = None
) -> tuple[Prepared, Task, dict[str, Any]]:
    """Prepare, warm up, and train by the clock: ``times`` chunks, or as many as the settings' updates are.

    Returns:
        what was trained, its task, and: ms (an update: the median over the chunks), chunks (ms an update
        of each), preparation (s: data, building, compiling, warming up), trained (updates in all).

    Raises CannotRun: tf32 is asked of somebody else's library.
    """
    if settings.precision != "float32" and contender.kind == "peer":
        raise CannotRun(f"precision {settings.precision!r} is for ours and the floors")
    start = time.perf_counter()
    task = load(settings, contender.device)
    prepared = contender.prepare(task)
    # Everyone trains equally long before the clock starts. Contenders that train whole epochs do it with
    # a call of the size that is timed, so that it is compiled.
    prepared.run(task.whole)
    preparation = time.perf_counter() - start
    size = task.whole if prepared.whole else min(settings.chunk, settings.updates)
    chunks = timed(prepared.run, size, settings.updates // size if times is None else times)
    found = {
        "ms": statistics.median(chunks or [0.0]),
        "chunks": chunks,
        "preparation": preparation,
        "trained": task.whole + size * len(chunks),
    }
    return prepared, task, found


def measure(name: str, settings: Settings) -> Iterator[dict[str, Any]]:
    """Prepare, and time a slice for each line of the standard input; the last time look at what was learned.

    Yields:
        name, what ``train`` found, other (cores that worked for others meanwhile), import_mb, peak_mb; in the
        end train_loss and test_accuracy, and facts.

    Raises CannotRun: it cannot, with the reason.
    """
    contender = get_contender(name)
    os.environ.update(contender.environment)
    pin(name, settings.threads)
    import_mb = import_memory_mb(settings)
    prepared, task, found = train(contender, settings, 0)
    size = task.whole if prepared.whole else min(settings.chunk, settings.updates)
    for line in sys.stdin:
        awake = time.perf_counter() + WAKE
        while not prepared.whole and time.perf_counter() < awake:
            prepared.run(size)
            found["trained"] += size
        before = busy()
        start = time.perf_counter()
        (ms,) = timed(prepared.run, size, 1)
        after = busy()
        seconds = time.perf_counter() - start
        other = None if before is None or after is None else max(0.0, after - before) / seconds
        found = {**found, "ms": ms, "trained": found["trained"] + size, "other": other}
        facts = {"python": platform.python_version(), "numpy": np.__version__, **prepared.facts}
        memory = {"import_mb": import_mb, "peak_mb": peak_memory_mb()}  # without what the next line takes
        end = {**quality(prepared, task), "facts": facts} if line.strip() == LAST else {}
        yield {"name": name, **found, **memory, **end}


if __name__ == "__main__":
    sys.exit(serve(__doc__, lambda name, settings: measure(name, from_json(settings))))
