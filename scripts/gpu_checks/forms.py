"""Check each form of an update on each library: that it ran, its time, its reproducibility, its accuracy."""

import statistics
import time
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.ours import Trainer, build, without_plans
from benchmarks.task import Task

from backends import Backend
from gpu_checks.common import CheckOptions, NamedRows, Row

N_UPDATES = 100  # in each of the two runs that are compared bit by bit
LOST = "the card reports this error until the process ends, so the other forms are skipped"


class Form(NamedTuple):
    """How updates are requested, and the ``update_forms`` that the network must have afterwards."""

    library: str
    expected: str
    precision: str = "float32"
    graphs: bool = False
    planned: bool = True  # False: layer by layer, even if the backend plans updates


FORMS: Mapping[str, Form] = {
    "cupy layers": Form("cupy", "layers", planned=False),
    "cupy": Form("cupy", "planned"),
    "cupy graphs": Form("cupy", "graphs, planned", graphs=True),
    "cupy tf32": Form("cupy", "layers", "tf32"),
    "torch": Form("torch", "layers"),
    "torch graphs": Form("torch", "graphs, layers", graphs=True),
    "torch tf32": Form("torch", "layers", "tf32"),
    "torch graphs tf32": Form("torch", "graphs, layers", "tf32", graphs=True),
}  # fmt: skip


def forms(settings: CheckOptions) -> NamedRows:
    """Yield a row for each of FORMS."""
    task = settings.task()
    found: dict[str, bytes] = {}  # name of a form -> its weights
    for name, form in FORMS.items():
        backend = None
        try:
            backend = settings.backend(form.library, precision=form.precision, graphs=form.graphs)
            row, weights = try_form(form, backend, settings, task)
        except Exception as error:  # CuPy, torch and CUDA raise many types; warnings are errors here
            reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            if backend is not None and is_lost(backend):
                yield name, {"reason": f"{reason}; {LOST}"}
                return
            yield name, {"reason": reason}
            continue
        found[name] = weights
        same = weights == found.get(name.replace(" graphs", ""), weights)
        yield name, row | {"holds": row["holds"] and same, "bits without graphs": same}


def is_lost(backend: Backend) -> bool:
    """Whether an error of the card lasts: CUDA then reports it for every later call of the process."""
    try:
        backend.synchronize()
    except Exception:  # each library raises its own types
        return True
    return False


def try_form(form: Form, backend: Backend, settings: CheckOptions, task: Task) -> tuple[Row, bytes]:
    """Return the row of a form, and its weights after N_UPDATES updates."""
    if not form.planned:
        backend = without_plans(backend)
    start = time.perf_counter()
    trainer = Trainer(build(task, backend), task)
    trainer.run(1)
    ready = time.perf_counter() - start
    trainer.run(N_UPDATES - 1)
    weights = backend.to_host(trainer.batches.network.parameters.vector).tobytes()
    again = Trainer(build(task, backend), task)
    again.run(N_UPDATES)
    same = weights == backend.to_host(again.batches.network.parameters.vector).tobytes()
    us = statistics.median(_time_epoch(again, task) for _ in range(5))
    ran = ", ".join(sorted(trainer.batches.network.update_forms))
    holds = same and ran == form.expected
    return {
        "holds": holds, "form": ran, "expected": form.expected, "us": us, "first update after s": ready,
        "bits of two runs": same,
    }, weights  # fmt: skip


def _time_epoch(trainer: Trainer, task: Task) -> float:
    """Train for an epoch and return microseconds per update."""
    start = time.perf_counter()
    trainer.run(task.updates_per_epoch)
    return 1e6 * (time.perf_counter() - start) / task.updates_per_epoch
