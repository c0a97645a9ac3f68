"""Run each page's programs in this environment with the packages that its first lines install, no others."""

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted(page for page in ROOT.glob("docs/**/*.md") if ".zh" not in page.name)]


def make_environment(folder: Path, packages: list[str]) -> Path:
    """Return the Python of a new environment that adds packages to those of this one."""
    venv.create(folder, with_pip=True)
    (site,) = folder.glob("lib/*/site-packages")
    below = [path for path in sys.path if path.endswith("-packages")]
    (site / "below.pth").write_text("\n".join([*below, str(ROOT)]))
    python = folder / "bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], cwd=ROOT, check=True)
    return python


environments = {"": Path(sys.executable)}
with tempfile.TemporaryDirectory() as folder:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        program = "\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
        packages = re.findall(r"`pip install (?:-e )?\"?(\..*?)\"?`", text.partition("```")[0])
        name = "-".join(re.findall(r"\w+", " ".join(packages)))
        if program and name not in environments:
            environments[name] = make_environment(Path(folder, name), packages)
        if program:
            print(page.relative_to(ROOT), *packages, flush=True)
            command = [environments[name], "-c", program]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
