"""One contender, measured once, in this process:

    python -m benchmarks.worker NAME --settings JSON

The last line on stdout is JSON: ``Measurement``'s fields, or {"name", "reason"} if it could not run.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
import warnings
from typing import Any

import numpy as np
from _workers import CannotRun, answer

from benchmarks.contenders import THREAD_VARIABLES, get_contender
from benchmarks.settings import Settings, from_json
from benchmarks.task import Prepared, Task, load, scaled

LOOKED_AT = 10_000  # training examples whose loss is computed after training


def peak_memory_mb() -> float:
    """The most memory this process ever had, in MB.

    Not ru_maxrss where it can be avoided: Linux starts it at the parent's memory at the fork.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    except (OSError, StopIteration):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def import_memory_mb(settings: Settings) -> float | None:
    """What importing torch and torchvision takes; None where the data set needs neither."""
    if settings.dataset in ("digits", "random"):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torchvision  # noqa: F401
    return peak_memory_mb()


def pin(name: str, threads: int | None) -> None:
    """Keep XLA, which counts the cores it may use and reads no variable, to as many cores."""
    if threads is None:
        return
    found = {os.environ.get(variable) for variable in THREAD_VARIABLES}
    if found != {str(threads)}:
        raise CannotRun(
            f"threads is {threads}, but {', '.join(THREAD_VARIABLES)} were not set so before this process "
            f"started; start it through benchmarks.rotation or set them"
        )
    if "jax" in name and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def quality(prepared: Prepared, task: Task) -> dict[str, float]:
    """Training loss and test accuracy of the network as it is, computed alike for all contenders."""
    if prepared.probabilities is None:
        return {}
    p = prepared.probabilities(scaled(task.x[:LOOKED_AT]))
    y = task.y[:LOOKED_AT]
    loss = -np.mean(np.log(np.maximum(p[np.arange(len(y)), y], 1e-30), dtype=np.float64))
    test = prepared.probabilities(scaled(task.x_test))
    return {"train_loss": float(loss), "test_accuracy": float(np.mean(test.argmax(1) == task.y_test))}


def measure(name: str, settings: Settings) -> dict[str, Any]:
    """Prepare, warm up, train, look at the clock between chunks.

    Returns:
        name, ms (an update: the median over the chunks), chunks (ms an update of each),
        preparation (s: data, building, compiling, warming up), import_mb, peak_mb, trained (updates in all),
        train_loss and test_accuracy after them, facts.

    Raises:
        CannotRun: it cannot, with the reason.
    """
    contender = get_contender(name)
    os.environ.update(contender.environment)
    pin(name, settings.threads)
    import_mb = import_memory_mb(settings)
    start = time.perf_counter()
    task = load(settings)
    prepared = contender.prepare(task)
    # Everyone trains equally long before the clock starts. Contenders that train whole epochs do it with
    # a call of the size that is timed, so that it is compiled.
    prepared.run(task.whole)
    preparation = time.perf_counter() - start
    size = task.whole if prepared.whole else min(settings.chunk, settings.updates)
    chunks = []
    for _ in range(settings.updates // size):
        start = time.perf_counter()
        prepared.run(size)
        chunks.append(1e3 * (time.perf_counter() - start) / size)
    return {
        "name": name,
        "ms": statistics.median(chunks),
        "chunks": chunks,
        "preparation": preparation,
        "import_mb": import_mb,
        "peak_mb": peak_memory_mb(),
        "trained": task.whole + size * len(chunks),
        **quality(prepared, task),
        "facts": {"python": platform.python_version(), "numpy": np.__version__, **prepared.facts},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--settings", default="{}", metavar="JSON", help="fields of benchmarks.Settings")
    arguments = parser.parse_args()
    return answer(lambda: measure(arguments.name, from_json(arguments.settings)))


if __name__ == "__main__":
    sys.exit(main())
