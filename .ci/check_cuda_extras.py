"""Resolve the extras cuda12 and cuda13 as on a user's machine, with pip and uv.

    python .ci/check_cuda_extras.py FOLDER        (FOLDER is created; only pip and uv are installed in it)

Each extra is resolved in a fresh environment and over today's torch: an environment with the metadata of the
packages that a plain install brings today, as if they were installed. Only metadata is downloaded. Exit code
1: an extra is missing, two toolkits or two CuPys would be installed, or the toolkit does not match torch.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRA_CUDA_VERSIONS = {"cuda12": 12, "cuda13": 13}
Found = dict[str, str]  # normalised package name -> version


def user_environment() -> dict[str, str]:
    """Return the environment without this machine's pip and uv settings."""
    variables = {k: v for k, v in os.environ.items() if k not in ("PIP_FIND_LINKS", "PIP_CONSTRAINT")}
    return {**variables, "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, env=user_environment(), cwd=ROOT)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done


def normalise_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def resolve_with_pip(python: Path, requirement: str, fresh: bool) -> tuple[list[dict[str, object]], str]:
    """Return (metadata of the packages that pip would install, its stderr)."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [str(python), "-m", "pip", "install", "--dry-run", "--report", str(report), requirement]
        done = run(*command, *(["--ignore-installed"] if fresh else []))
        return [part["metadata"] for part in json.loads(report.read_text())["install"]], done.stderr


def resolve_with_uv(python: Path, requirement: str, fresh: bool) -> tuple[Found, str]:
    """Return (packages that uv would install, its stderr)."""
    uv = str(python.parent / "uv")
    done = run(uv, "pip", "install", "--dry-run", "--python", str(python), requirement,
               *(["--reinstall"] if fresh else []))  # fmt: skip
    found = re.findall(r"^ \+ ([\w.-]+)==(\S+)", done.stderr, re.MULTILINE)
    return {normalise_name(name): version for name, version in found}, done.stderr


def pretend_installed(python: Path, metadata: list[dict[str, object]]) -> Found:
    """Write the metadata of distributions into an environment; return their names and versions."""
    where = run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    for facts in metadata:
        folder = Path(where) / f"{str(facts['name']).replace('-', '_')}-{facts['version']}.dist-info"
        folder.mkdir(exist_ok=True)
        lines = ["Metadata-Version: 2.1", f"Name: {facts['name']}", f"Version: {facts['version']}"]
        lines += [f"Requires-Dist: {line}" for line in facts.get("requires_dist", [])]  # type: ignore[attr-defined]
        lines += [f"Provides-Extra: {line}" for line in facts.get("provides_extra", [])]  # type: ignore[attr-defined]
        (folder / "METADATA").write_text("\n".join(lines) + "\n")
        (folder / "INSTALLER").write_text("pip\n")
        (folder / "RECORD").write_text("")
    return {normalise_name(str(facts["name"])): str(facts["version"]) for facts in metadata}


def find_faults(extra: str, found: Found, output: str, before: Found) -> list[str]:
    """Return the problems of a resolution.

    Args:
        found: packages that would be installed.
        output: the resolver's stderr.
        before: packages that are already installed.
    """
    cuda, after = EXTRA_CUDA_VERSIONS[extra], {**before, **found}
    problems = [line.strip() for line in output.splitlines() if "does not provide the extra" in line]
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
    run(sys.executable, "-m", "venv", str(folder))
    python = folder / "bin" / "python"
    run(str(python), "-m", "pip", "install", "--quiet", "--upgrade", "pip", "uv")
    today, _ = resolve_with_pip(python, ".", fresh=True)
    bad = False
    for over_today in (False, True):
        before = pretend_installed(python, today) if over_today else {}
        for extra in EXTRA_CUDA_VERSIONS:
            by_pip, output = resolve_with_pip(python, f".[{extra}]", fresh=not over_today)
            named = {normalise_name(str(facts["name"])): str(facts["version"]) for facts in by_pip}
            for tool, (found, words) in (
                ("pip", (named, output)),
                ("uv", resolve_with_uv(python, f".[{extra}]", fresh=not over_today)),
            ):
                problems = find_faults(extra, found, words, before)
                after = {**before, **found}
                names = ("torch", "cuda-toolkit", "cupy-cuda12x", "cupy-cuda13x")
                short = ", ".join(f"{n} {after[n]}" for n in names if n in after)
                print(f"{extra}, {'over today' if over_today else 'fresh'}, {tool}: {short}")
                for line in problems:
                    print(f"    WRONG: {line}")
                bad = bad or bool(problems)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
