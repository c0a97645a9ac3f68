"""Resolve the extras cuda12 and cuda13 with pip and uv, as on a user's machine.

    python .ci/check_cuda_extras.py FOLDER        (FOLDER becomes an environment that has only pip and uv)

Each extra is resolved in a fresh environment and over today's torch: an environment with the metadata of the
packages that a plain install brings today, as if they were installed. Only metadata is downloaded. Exit code
1: an extra is missing, two toolkits or two CuPys would be installed, the toolkit does not match torch, or pip
tries more than three versions of torch. Older pip downloads a whole wheel for each: raise the bound of the
toolkit in pyproject.toml.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXTRA_CUDA_VERSIONS = {"cuda12": 12, "cuda13": 13}


def run(*command: object) -> str:
    """Run a command without this machine's pip and uv settings; return its output."""
    variables = {k: v for k, v in os.environ.items() if k not in ("PIP_FIND_LINKS", "PIP_CONSTRAINT")}
    done = subprocess.run(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
        env={**variables, "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{command} failed:\n{done.stdout[-2000:]}")
    return done.stdout


def resolve(python: Path, requirement: str, *options: str) -> tuple[list[dict[str, Any]], str]:
    """Return (metadata of the packages that pip would install, its output)."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        output = run(python, "-m", "pip", "install", "--dry-run", "--report", report, requirement, *options)
        return [part["metadata"] for part in json.loads(report.read_text())["install"]], output


def resolve_with_uv(python: Path, requirement: str, *options: str) -> tuple[dict[str, str], str]:
    """Return (version of each package that uv would install, its output)."""
    uv = python.with_name("uv")
    output = run(uv, "pip", "install", "--dry-run", "--python", python, requirement, *options)
    return dict(re.findall(r"^ \+ ([\w.-]+)==(\S+)", output, re.MULTILINE)), output


def versions(metadata: list[dict[str, Any]]) -> dict[str, str]:
    """Return the version of each package by its normalised name."""
    return {re.sub(r"[-_.]+", "-", facts["name"]).lower(): facts["version"] for facts in metadata}


def write_metadata(python: Path, metadata: list[dict[str, Any]]) -> None:
    """Write the metadata of distributions into an environment."""
    where = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    for facts in metadata:
        folder = Path(where) / f"{facts['name'].replace('-', '_')}-{facts['version']}.dist-info"
        folder.mkdir(exist_ok=True)
        lines = ["Metadata-Version: 2.1", f"Name: {facts['name']}", f"Version: {facts['version']}"]
        lines += [f"Requires-Dist: {line}" for line in facts.get("requires_dist", [])]
        lines += [f"Provides-Extra: {line}" for line in facts.get("provides_extra", [])]
        (folder / "METADATA").write_text("\n".join(lines) + "\n")
        (folder / "INSTALLER").write_text("pip\n")
        (folder / "RECORD").write_text("")


def find_faults(extra: str, found: dict[str, str], after: dict[str, str], output: str) -> list[str]:
    """Return the problems of a resolution.

    Args:
        found: packages that would be installed.
        after: all packages of the environment afterwards.
        output: of pip.
    """
    cuda = EXTRA_CUDA_VERSIONS[extra]
    problems = [line.strip() for line in output.splitlines() if "does not provide the extra" in line]
    tried = sorted(set(re.findall(r"torch-([\d.]+)-cp", output)))
    if len(tried) > 3:
        problems.append(f"pip tries torch {', '.join(tried)}")
    cupys = [f"{n} {v}" for n, v in after.items() if n.startswith("cupy")]
    if len(cupys) != 1 or int(cupys[0].split()[1].split(".")[0]) < 14:
        problems.append(f"CuPy: {cupys}, expected one of version 14 or newer")
    toolkit = after.get("cuda-toolkit", "none")
    if toolkit.split(".")[0] != str(cuda):
        problems.append(f"cuda-toolkit is {toolkit}, expected {cuda}")
    # New packages must be for one CUDA version. A replaced torch leaves the files of its own toolkit behind.
    other = [n for n in found if re.search(r"-cu1[23]$", n) and not n.endswith(f"-cu{cuda}")]
    if other:
        problems.append(f"a second toolkit would be installed: {sorted(other)}")
    torch = tuple(int(part) for part in after["torch"].split("+")[0].split(".")[:2])
    if (torch < (2, 11)) != (cuda == 12):
        problems.append(f"torch {after['torch']} is not for CUDA {cuda}")
    return problems


def main(folder: Path) -> int:
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--upgrade", "pip", "uv")
    today, _ = resolve(python, ".", "--ignore-installed")
    bad = False
    for over_today in (False, True):
        if over_today:
            write_metadata(python, today)
        for extra in EXTRA_CUDA_VERSIONS:
            requirement = f".[{extra}]"
            metadata, output = resolve(python, requirement, *([] if over_today else ["--ignore-installed"]))
            by_uv = resolve_with_uv(python, requirement, *([] if over_today else ["--reinstall"]))
            for tool, (found, words) in {"pip": (versions(metadata), output), "uv": by_uv}.items():
                after = {**versions(today), **found} if over_today else found
                problems = find_faults(extra, found, after, words)
                names = ("torch", "cuda-toolkit", "cupy-cuda12x", "cupy-cuda13x")
                short = ", ".join(f"{name} {after[name]}" for name in names if name in after)
                print(f"{extra}, {'over today' if over_today else 'fresh'}, {tool}: {short}")
                for line in problems:
                    print(f"    WRONG: {line}")
                bad = bad or bool(problems)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
