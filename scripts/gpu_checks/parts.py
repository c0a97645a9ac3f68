"""The parts of the check: functions from CheckOptions to rows, and their time limits.

``_workers`` runs each part in its own process, so a hang or crash does not affect the others. Rows are
printed as they arrive. Warnings are errors in all parts.
"""

import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from _workers import Answer
from checkout import SCRIPTS_FOLDER

from gpu_checks.common import LIBRARIES, CheckOptions, NamedRows, Row
from gpu_checks.forms import FORMS, Form, forms
from gpu_checks.kernels import kernels


def report_libraries(settings: CheckOptions) -> NamedRows:
    """Yield facts about the libraries, the driver and the GPU."""
    yield "python", {"version": sys.version.split()[0]}
    yield from settings.each_library(lambda library, backend: iter([(library, backend.describe())]))
    try:
        smi = subprocess.run(["nvidia-smi"], capture_output=True, text=True, timeout=20)
        yield "nvidia-smi", {"printed": smi.stdout.strip() or smi.stderr.strip()}
    except (OSError, subprocess.TimeoutExpired) as error:
        yield "nvidia-smi", {"reason": str(error)}


def run_script(settings: CheckOptions, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script on the settings' data, with warnings as errors."""
    command = [sys.executable, "-W", "error::UserWarning", str(SCRIPTS_FOLDER / script), *options]
    if settings.data_dir is not None:
        command += ["--data-dir", settings.data_dir]
    return subprocess.run(command, capture_output=True, text=True)


def check_agreement(settings: CheckOptions, libraries: str, *options: str) -> Row:
    """Run agree.py for these libraries on the device; return whether all comparisons hold, or which fail."""
    names = [name if name == "numpy" else f"{name}:{settings.device}" for name in libraries.split()]
    done = run_script(settings, "agree.py", "--json", *options, "--backends", ",".join(names))
    if done.returncode not in (0, 1):
        return {"reason": last_line(done.stderr)}
    report = json.loads(done.stdout)
    broken = [r for r in report["records"] if r["verdict"] != "holds"]
    return {"holds": report["holds"], "comparisons": len(report["records"]), "broken": broken[:20]}


def last_line(text: str) -> str:
    """Return the last line of a program's output."""
    return (text.strip().splitlines() or ["it printed nothing"])[-1]


def agreement(*libraries: str, options: tuple[str, ...] = ()) -> Callable[[CheckOptions], NamedRows]:
    """Return a part with a row for each entry of ``libraries``: names that one run of agree.py compares."""

    def rows(settings: CheckOptions) -> NamedRows:
        for names in libraries:
            yield names, check_agreement(settings, names, *options)

    return rows


def train(settings: CheckOptions, form: Form, *options: str) -> Row:
    """Run train.py with its defaults (6000 updates, linear decay, metrics); return parts of result.json."""
    options = ("--precision", form.precision, *["--graphs"] * form.graphs, *options)
    with TemporaryDirectory() as folder:
        place = Path(folder) / "run"
        on = ("--backend", form.library, "--device", settings.device, "--require-backend")
        done = run_script(settings, "train.py", *on, "--quiet", "--run-dir", str(place), *options)
        if done.returncode != 0:
            return {"reason": f"train.py ended with code {done.returncode}: {last_line(done.stderr)}"}
        result = json.loads((place / "result.json").read_text(encoding="utf-8"))
    numbers = ("seconds_to_first_update", "ms_per_update", "seconds", "test_accuracy")
    ran = result["describe"].get("update_forms")
    return {"holds": ran == form.expected, "form": ran, **{name: result[name] for name in numbers}}


def full_runs(settings: CheckOptions) -> NamedRows:
    """Run train.py for each of FORMS that it can request: times and accuracy."""
    for name, form in FORMS.items():
        if form.planned:
            yield name, train(settings, form)


class Part(NamedTuple):
    """A check function and its time limit in seconds."""

    run: Callable[[CheckOptions], NamedRows]
    seconds: int


PARTS: Mapping[str, Part] = {
    "doctor": Part(report_libraries, 40),
    "forms": Part(forms, 140),
    "kernels": Part(kernels, 40),
    # On the first run CuPy compiles about 300 kernels here, and for "bits" once more with other options.
    "agreement_cupy": Part(agreement("numpy cupy"), 150),
    "agreement_torch": Part(agreement("numpy torch pytorch"), 80),
    "bits": Part(agreement(*LIBRARIES, options=("--bits", "--quick")), 90),
    "full_runs": Part(full_runs, 100),
    # L4 has no bounds for TF32. Each library is compared alone, because one may be missing.
    "agreement_tf32": Part(
        agreement(*LIBRARIES, options=("--precision", "tf32", "--levels", "L0,L1,L2,L3")), 60
    ),
}  # fmt: skip
"""Parts in running order, the most important first."""
BUDGET_SECONDS = 470
"""Time limit for all parts together: afterwards no part starts, and the running one is stopped."""


def try_library(library: str, settings: CheckOptions) -> Iterator[Answer]:
    """Raise what prevents the use of a library; yield nothing."""
    settings.backend(library)
    yield from ()


def work(name: str, settings: CheckOptions) -> Iterator[Answer]:
    """Run one part in this process."""
    warnings.simplefilter("error", UserWarning)
    for row, found in PARTS[name].run(settings):
        yield {"row": row, "found": found}
