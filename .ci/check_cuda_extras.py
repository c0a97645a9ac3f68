"""Resolve the extras cuda12 and cuda13 as on a user's machine: fresh and over today's torch, with pip and uv.

    python .ci/check_cuda_extras.py FOLDER        (FOLDER is made new; nothing is installed but pip and uv)

Only metadata is downloaded. "Over today's torch" is an environment that holds the metadata of what a plain
install brings today, as if that were installed. Exit code 1 where an extra is missing, where two toolkits
or two CuPys come together, or where a toolkit is not the one of the torch beside it.
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
EXTRAS = {"cuda12": 12, "cuda13": 13}
Found = dict[str, str]  # normalised name -> version


def user_environment() -> dict[str, str]:
    """Without this machine's constraints and folders of wheels."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PIP_FIND_LINKS", "PIP_CONSTRAINT")}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, env=user_environment(), cwd=ROOT)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def with_pip(python: Path, requirement: str, fresh: bool) -> tuple[list[dict[str, object]], str]:
    """(metadata of what pip would install, what it said)."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [str(python), "-m", "pip", "install", "--dry-run", "--report", str(report), requirement]
        done = run(*command, *(["--ignore-installed"] if fresh else []))
        return [part["metadata"] for part in json.loads(report.read_text())["install"]], done.stderr


def with_uv(python: Path, requirement: str, fresh: bool) -> tuple[Found, str]:
    """(what uv would install, what it said)."""
    uv = str(python.parent / "uv")
    done = run(uv, "pip", "install", "--dry-run", "--python", str(python), requirement,
               *(["--reinstall"] if fresh else []))  # fmt: skip
    found = re.findall(r"^ \+ ([\w.-]+)==(\S+)", done.stderr, re.MULTILINE)
    return {normalised(name): version for name, version in found}, done.stderr


def pretend_installed(python: Path, metadata: list[dict[str, object]]) -> Found:
    """Put the metadata of these distributions into an environment."""
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
    return {normalised(str(facts["name"])): str(facts["version"]) for facts in metadata}


def faults(extra: str, found: Found, said: str, before: Found) -> list[str]:
    """What is wrong with an outcome: what would be there afterwards, and what the resolver said."""
    cuda, after = EXTRAS[extra], {**before, **found}
    wrong = [line.strip() for line in said.splitlines() if "does not provide the extra" in line]
    cupys = [f"{n} {v}" for n, v in after.items() if n.startswith("cupy")]
    if len(cupys) != 1 or int(cupys[0].split()[1].split(".")[0]) < 14:
        wrong.append(f"CuPy: {cupys}, expected one of version 14 or newer")
    toolkit = after.get("cuda-toolkit", "none")
    if toolkit.split(".")[0] != str(cuda):
        wrong.append(f"cuda-toolkit is {toolkit}, expected {cuda}")
    # What comes anew must be of one CUDA; a torch that is replaced leaves its own toolkit's files behind.
    other = [n for n in found if re.search(r"-cu1[23]$", n) and not n.endswith(f"-cu{cuda}")]
    if other:
        wrong.append(f"a second toolkit comes along: {sorted(other)}")
    torch = tuple(int(part) for part in after["torch"].split("+")[0].split(".")[:2])
    if (torch < (2, 11)) != (cuda == 12):
        wrong.append(f"torch {after['torch']} is of another CUDA than {cuda}")
    return wrong


def main(folder: Path) -> int:
    run(sys.executable, "-m", "venv", str(folder))
    python = folder / "bin" / "python"
    run(str(python), "-m", "pip", "install", "--quiet", "--upgrade", "pip", "uv")
    today, _ = with_pip(python, ".", fresh=True)
    bad = False
    for kept in (False, True):
        before = pretend_installed(python, today) if kept else {}
        for extra in EXTRAS:
            by_pip, said = with_pip(python, f".[{extra}]", fresh=not kept)
            named = {normalised(str(facts["name"])): str(facts["version"]) for facts in by_pip}
            for tool, (found, words) in (
                ("pip", (named, said)),
                ("uv", with_uv(python, f".[{extra}]", fresh=not kept)),
            ):
                wrong = faults(extra, found, words, before)
                after = {**before, **found}
                names = ("torch", "cuda-toolkit", "cupy-cuda12x", "cupy-cuda13x")
                short = ", ".join(f"{n} {after[n]}" for n in names if n in after)
                print(f"{extra}, {'over today' if kept else 'fresh'}, {tool}: {short}")
                for line in wrong:
                    print(f"    WRONG: {line}")
                bad = bad or bool(wrong)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
