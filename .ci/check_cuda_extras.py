"""Resolve the extras cuda12 and cuda13 with pip and uv, as on a user's machine.

    .venv-oldest/bin/python .ci/check_cuda_extras.py FOLDER

Each extra is resolved in FOLDER, which becomes an environment with pip and uv alone, and beside the packages
of the Python that runs this file, such as a torch for the CPU. Only metadata is downloaded. Exit code 1: an
extra is missing, two toolkits or two CuPys would be installed, the toolkit has another version, or pip tries
more than three versions of torch. Older pip downloads a whole wheel for each: raise the bound of the toolkit
in pyproject.toml.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CUDA_VERSIONS = ("12", "13")


def run(*command: object) -> str:
    """Run a command without this machine's pip and uv settings; return its output."""
    settings = {
        "PIP_FIND_LINKS": "",
        "PIP_CONSTRAINT": "",
        "PIP_CONFIG_FILE": os.devnull,
        "UV_NO_CONFIG": "1",
    }
    done = subprocess.run(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
        env={**os.environ, **settings},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{command} failed:\n{done.stdout[-2000:]}")
    return done.stdout


def find_problems(cuda: str, output: str, installed: dict[str, str]) -> list[str]:
    """Return the problems of a resolution.

    Args:
        cuda: major version of CUDA.
        output: of pip or uv.
        installed: packages of the environment before.
    """
    lines = [line for line in output.splitlines() if line.startswith(("Would install ", " + "))]
    text = "\n".join(lines).lower().replace("_", "-")
    found = dict(re.findall(r" ([a-z][\w.-]*?)(?:==|-)(\d\S*)", text))  # package -> version to install
    after = {**installed, **found}
    problems = [line.strip() for line in output.splitlines() if "does not provide the extra" in line]
    tried = sorted(set(re.findall(r"torch-([\d.]+)-cp", output)))
    if len(tried) > 3:
        problems.append(f"pip tries torch {', '.join(tried)}")
    cupys = [name for name in after if name.startswith("cupy")]
    if len(cupys) != 1:
        problems.append(f"the CuPys are {cupys}, expected one")
    toolkit = after.get("cuda-toolkit", "none")
    if toolkit.split(".")[0] != cuda:
        problems.append(f"cuda-toolkit is {toolkit}, expected {cuda}")
    # New packages must be for one CUDA version. A replaced torch leaves the files of its own toolkit behind.
    other = [n for n in found if re.search(r"-cu1[23]$", n) and not n.endswith(f"-cu{cuda}")]
    if other:
        problems.append(f"a second toolkit would be installed: {sorted(other)}")
    return problems


def main(folder: Path) -> bool:
    venv.create(folder, with_pip=True)
    tools = folder.absolute() / "bin"
    run(tools / "python", "-m", "pip", "install", "--quiet", "--upgrade", "pip", "uv")
    here = {part.name.lower().replace("_", "-"): part.version for part in distributions()}
    bad = False
    for python, installed in ((tools / "python", {}), (sys.executable, here)):
        commands = {
            "pip": [tools / "python", "-m", "pip", "--python", python, "install"],
            "uv": [tools / "uv", "pip", "install", "--python", python],
        }
        for cuda in CUDA_VERSIONS:
            for tool, command in commands.items():
                output = run(*command, "--dry-run", f".[cuda{cuda}]")
                problems = find_problems(cuda, output, installed)
                print(f"cuda{cuda} in {python}, {tool}: {'; '.join(problems) or 'right'}")
                bad |= bool(problems)
    return bad


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
