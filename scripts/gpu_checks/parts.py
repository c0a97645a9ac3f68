"""The parts of the check: functions from Settings to rows, and their time limits.

``_workers`` runs each part in its own process, so a hang or crash does not affect the others. Rows are
printed as they arrive. Warnings are errors in all parts.
"""

import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from _workers import SCRIPTS_FOLDER, Answer, serve

from backends import BackendUnavailable
from gpu_checks.common import LIBRARIES, Row, Rows, Settings
from gpu_checks.forms import FORMS, forms, kernels


def report_libraries(settings: Settings) -> Rows:
    """Yield facts about the libraries, the driver and the GPU."""
    yield "python", {"version": sys.version.split()[0]}
    for library in LIBRARIES:
        try:
            yield library, settings.backend(library).describe()
        except BackendUnavailable as error:
            yield library, {"reason": str(error)}
    try:
        smi = subprocess.run(["nvidia-smi"], capture_output=True, text=True, timeout=20)
        yield "nvidia-smi", {"printed": smi.stdout.strip() or smi.stderr.strip()}
    except (OSError, subprocess.TimeoutExpired) as error:
        yield "nvidia-smi", {"reason": str(error)}


def run_script(settings: Settings, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script on the settings' data, with warnings as errors."""
    command = [sys.executable, "-W", "error::UserWarning", str(SCRIPTS_FOLDER / script), *options]
    if settings.data_dir is not None:
        command += ["--data-dir", settings.data_dir]
    return subprocess.run(command, capture_output=True, text=True)


def check_agreement(settings: Settings, libraries: str, *options: str) -> Row:
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


def agreement_cupy(settings: Settings) -> Rows:
    """Check L0 to L4 on CuPy, compared with NumPy."""
    yield "float32", check_agreement(settings, "numpy cupy")


def agreement_torch(settings: Settings) -> Rows:
    """Check L0 to L4 on torch, with our layers and with native PyTorch."""
    yield "float32", check_agreement(settings, "numpy torch pytorch")


def agreement_tf32(settings: Settings) -> Rows:
    """Check L0 to L3 with TF32 products and their own bounds, one library at a time: one may be missing."""
    for library in LIBRARIES:
        yield library, check_agreement(settings, library, "--precision", "tf32", "--levels", "L0,L1,L2,L3")


def compare_digests(settings: Settings) -> Rows:
    """Compare the digests of trainings in the precision "reproducible" with NumPy's."""
    for library in LIBRARIES:
        yield library, check_agreement(settings, library, "--bits", "--quick")


TRAIN_RUNS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "cupy": (), "cupy graphs": ("--graphs",), "cupy tf32": ("--precision", "tf32"),
    "torch": (), "torch graphs": ("--graphs",), "torch graphs tf32": ("--graphs", "--precision", "tf32"),
})  # fmt: skip
"""Name of the run, which starts with the backend -> options for train.py."""


def train(settings: Settings, library: str, *options: str) -> Row:
    """Run train.py with its defaults (6000 updates, linear decay, metrics); return parts of result.json."""
    with TemporaryDirectory() as folder:
        place = Path(folder) / "run"
        on = ("--backend", library, "--device", settings.device, "--require-backend")
        done = run_script(settings, "train.py", *on, "--quiet", "--run-dir", str(place), *options)
        if done.returncode != 0:
            return {"reason": f"train.py ended with code {done.returncode}: {last_line(done.stderr)}"}
        result = json.loads((place / "result.json").read_text(encoding="utf-8"))
    found = {
        name: result[name]
        for name in ("seconds_to_first_update", "ms_per_update", "seconds", "test_accuracy")
    }
    return {**found, "form": result["describe"].get("update_forms")}


def full_runs(settings: Settings) -> Rows:
    """Run train.py for each of TRAIN_RUNS: time to the first update, time per update, and accuracy."""
    for name, options in TRAIN_RUNS.items():
        row = train(settings, name.split()[0], *options)
        yield name, {"holds": row.get("form") == FORMS[name].expected, **row}


@dataclass(frozen=True)
class Part:
    """A check function and its time limit in seconds."""

    run: Callable[[Settings], Rows]
    seconds: int


PARTS: Mapping[str, Part] = MappingProxyType({
    "doctor": Part(report_libraries, 30),
    "forms": Part(forms, 120),
    "agreement_cupy": Part(agreement_cupy, 90),
    "agreement_torch": Part(agreement_torch, 80),
    "bits": Part(compare_digests, 40),
    "full_runs": Part(full_runs, 100),
    "kernels": Part(kernels, 20),
    "agreement_tf32": Part(agreement_tf32, 60),
})  # fmt: skip
"""Parts in running order, the most important first."""
BUDGET_SECONDS = 470
"""Time limit for all parts together: afterwards no part starts, and the running one is stopped."""


def work(name: str, settings: str) -> Iterator[Answer]:
    """Run one part in this process."""
    warnings.simplefilter("error", UserWarning)
    for row, found in PARTS[name].run(Settings(**json.loads(settings))):
        yield {"row": row, "found": found}


if __name__ == "__main__":
    sys.exit(serve(__doc__, work))
