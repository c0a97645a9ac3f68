"""The parts of the check: functions from CheckOptions to rows, their time limits, and the table of results.

``_workers`` runs each part in its own process, so a hang or crash does not affect the others. Rows are
printed as they arrive. Warnings are errors in all parts.
"""

import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from _workers import Answer, run_in_process
from checkout import SCRIPTS_FOLDER

from backends import BackendUnavailable, get_backend
from dnn.commands.command_line import print_status

LIBRARIES = ("cupy", "torch")
Row = dict[str, Any]
"""A result as JSON values. A row fails if it has a "reason", or if "holds" is False."""
NamedRows = Iterator[tuple[str, Row]]


def row_holds(row: Row) -> bool:
    """Return whether a row passed."""
    return "reason" not in row and bool(row.get("holds", True))


@dataclass(frozen=True)
class CheckOptions:
    """Settings shared by all parts."""

    data_dir: str | None = None  # data folder with MNIST; None: DNN_DATA_DIR, else ./data
    device: str = "cuda"


def report_libraries(settings: CheckOptions) -> NamedRows:
    """Yield facts about each library, the driver and the GPU, or the reason why the library cannot run."""
    for library in LIBRARIES:
        try:
            yield library, get_backend(library, settings.device).describe()
        except BackendUnavailable as error:
            yield library, {"reason": str(error)}


def run_script(settings: CheckOptions, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script on the settings' data, with warnings as errors."""
    command = [sys.executable, "-W", "error::UserWarning", str(SCRIPTS_FOLDER / script), *options]
    if settings.data_dir is not None:
        command += ["--data-dir", settings.data_dir]
    return subprocess.run(command, capture_output=True, text=True)


def last_line(text: str) -> str:
    """Return the last line of a program's output."""
    return (text.strip().splitlines() or ["it printed nothing"])[-1]


def agreement(settings: CheckOptions, libraries: Sequence[str] = LIBRARIES, options: str = "") -> NamedRows:
    """Compare libraries on the device with agree.py, once for each entry of ``libraries``.

    An entry is the names of libraries that one run compares. Yields (entry, row): the row says whether all
    comparisons hold and which are broken, or has the reason why agree.py did not run.
    """
    for entry in libraries:
        names = [name if name == "numpy" else f"{name}:{settings.device}" for name in entry.split()]
        done = run_script(settings, "agree.py", "--json", *options.split(), "--backends", ",".join(names))
        if done.returncode in (0, 1):
            report = json.loads(done.stdout)
            records = report["records"]
            broken = [record for record in records if record["verdict"] != "holds"]
            yield entry, {"holds": report["holds"], "comparisons": len(records), "broken": broken[:20]}
        else:
            yield entry, {"reason": last_line(done.stderr)}


FORMS: Mapping[str, str] = {
    "cupy": "planned",
    "cupy graphs": "graphs, planned",
    "cupy tf32": "layers",
    "torch": "layers",
    "torch graphs": "graphs, layers",
    "torch tf32": "layers",
    "torch graphs tf32": "graphs, layers",
}
"""Library and options of a training -> the ``update_forms`` that its network must have."""


def train(settings: CheckOptions, form: str) -> Row:
    """Run train.py with its defaults (6000 updates, linear decay, metrics); return parts of result.json."""
    library, *words = form.split()
    with TemporaryDirectory() as folder:
        place = Path(folder) / "run"
        on = ("--backend", library, "--device", settings.device, "--require-backend")
        options = ["--graphs"] * ("graphs" in words) + ["--precision", "tf32"] * ("tf32" in words)
        done = run_script(settings, "train.py", *on, *options, "--quiet", "--run-dir", str(place))
        if done.returncode != 0:
            return {"reason": f"train.py ended with code {done.returncode}: {last_line(done.stderr)}"}
        result = json.loads((place / "result.json").read_text(encoding="utf-8"))
    names = ("seconds_to_first_update", "ms_per_update", "seconds", "test_accuracy", "weights_sha256")
    return {"form": result["describe"].get("update_forms"), **{name: result[name] for name in names}}


def forms(settings: CheckOptions) -> NamedRows:
    """Train twice in each of FORMS: which form ran, times, accuracy, and whether the bits are equal."""
    digests = {}  # name of a form -> digest of its weights
    for name, expected in FORMS.items():
        row = train(settings, name)
        if "reason" not in row:
            digest = digests[name] = row["weights_sha256"]
            equal = {
                "bits of two runs": train(settings, name).get("weights_sha256") == digest,
                "bits without graphs": digests.get(name.replace(" graphs", ""), digest) == digest,
            }
            row |= {"holds": row["form"] == expected and all(equal.values()), **equal}
        yield name, row


class Part(NamedTuple):
    """A check function and its time limit in seconds."""

    run: Callable[[CheckOptions], NamedRows]
    seconds: int


PartResult = dict[str, Any]
"""Result of a part: "seconds", "rows" by name, and "reason" if it was not completed."""
PARTS: Mapping[str, Part] = {
    "doctor": Part(report_libraries, 40),
    "forms": Part(forms, 240),
    # On the first run CuPy compiles about 300 kernels here, and for "bits" once more with other options.
    "agreement_cupy": Part(partial(agreement, libraries=["numpy cupy"]), 150),
    "agreement_torch": Part(partial(agreement, libraries=["numpy torch pytorch"]), 80),
    "bits": Part(partial(agreement, options="--bits --quick"), 90),
    # L4 has no bounds for TF32. Each library is compared alone, because one may be missing.
    "agreement_tf32": Part(
        partial(agreement, options="--precision tf32 --levels L0,L1,L2,L3"), 60
    ),
}  # fmt: skip
"""Parts in running order, the most important first."""
BUDGET_SECONDS = 470
"""Time limit for all parts together: afterwards no part starts, and the running one is stopped."""


def work(name: str, settings: CheckOptions) -> Iterator[Answer]:
    """Run one part in this process."""
    warnings.simplefilter("error", UserWarning)
    for row, found in PARTS[name].run(settings):
        yield {"row": row, "found": found}


def run_part(name: str, settings: CheckOptions, limit: float) -> PartResult:
    """Run one part in its own process. Rows that arrive before the time limit are kept."""
    start = time.perf_counter()
    outcome: PartResult = {"seconds": 0.0, "rows": {}}
    for answer in run_in_process(work, name, settings, timeout=limit):
        if "reason" in answer:
            outcome["reason"] = answer["reason"]
        else:
            outcome["rows"][answer["row"]] = answer["found"]
    outcome["seconds"] = time.perf_counter() - start
    return outcome


def run_parts(names: Sequence[str], settings: CheckOptions) -> Iterator[tuple[str, PartResult]]:
    """Yield (name, outcome) as each part ends. A part gets a reason if the time budget is spent."""
    start = time.perf_counter()
    for name in names:
        left = BUDGET_SECONDS - (time.perf_counter() - start)
        if left < 5:
            yield name, {"seconds": 0.0, "rows": {}, "reason": f"not started: {BUDGET_SECONDS} s are over"}
        else:
            print_status(f"{name} ...")
            yield name, run_part(name, settings, min(left, PARTS[name].seconds))


def table(outcomes: dict[str, PartResult]) -> str:
    """Return a line for each row of each part. Failures start with FAILED."""
    text = []
    for name, outcome in outcomes.items():
        text.append(f"{name}  ({outcome['seconds']:.0f} s)")
        for row, found in outcome["rows"].items():
            values = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in found.items())
            text.append(f"    {'' if row_holds(found) else 'FAILED: '}{row}: {', '.join(values)}")
        if "reason" in outcome:
            text.append(f"    FAILED: {outcome['reason']}")
    return "\n".join(text)


def part_holds(outcome: PartResult) -> bool:
    """Return whether a part was completed and all its rows passed."""
    return "reason" not in outcome and all(map(row_holds, outcome["rows"].values()))


def what_to_send(outcomes: dict[str, PartResult], json_file: object) -> str:
    """Return what a report of this run contains."""
    file = f"the file {json_file}" if json_file else "the file of a run with --json gpu.json"
    text = f"To report this run, send {file}, everything printed above, and the output of doctor.py."
    failed = ",".join(name for name, outcome in outcomes.items() if not part_holds(outcome))
    if failed:
        text += f"\nThese parts failed: {failed}. Run them alone with --parts {failed}, and send all output."
    return text
