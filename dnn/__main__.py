"""The command ``dnn``: ``dnn train ...`` is ``scripts/train.py ...``, from a checkout or from a wheel."""

import ast
import sys
from importlib import import_module
from pathlib import Path

from backends.errors import unknown
from dnn import __version__

COMMANDS = ("train", "evaluate", "predict", "draw", "export", "doctor", "agree")


def scripts() -> Path:
    """The folder of the scripts: within the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "_scripts"
    return inside if inside.is_dir() else package.parent / "scripts"


def usage() -> str:
    """What there is to call; each script's first line says what it does."""
    lines = ["usage: dnn COMMAND ...   (dnn COMMAND --help says more; dnn --version)", ""]
    for name in COMMANDS:
        about = ast.get_docstring(ast.parse((scripts() / f"{name}.py").read_text(encoding="utf-8"))) or ""
        lines.append(f"    {name:<10}{about.splitlines()[0]}")
    return "\n".join(lines)


def main() -> int:
    """Run the script that the first argument names, with the others; returns the exit code."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(usage())
    elif name == "--version":
        print(f"array-api-dnn {__version__}")
    elif name not in COMMANDS:
        print(f"dnn: error: {unknown('command', name, COMMANDS)} (see dnn --help)", file=sys.stderr)
        return 2
    else:
        sys.path.insert(0, str(scripts()))  # as Python does for a script
        sys.argv = [f"dnn {name}", *arguments]
        script = import_module(name)
        import_module("_command").run(script.main, script.parse())
    return 0


if __name__ == "__main__":
    sys.exit(main())
