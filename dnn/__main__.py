"""The command ``dnn``: ``dnn train ...`` and ``scripts/train.py ...`` run ``dnn.commands.train``."""

import sys
from importlib import import_module

from backends.errors import unknown_name_error
from dnn import __version__
from dnn.io.notices import print_line, try_print

COMMANDS = ("train", "evaluate", "predict", "draw", "export", "doctor", "agree")


def usage() -> list[str]:
    """Return the list of commands, each with the first line of its module's docstring."""
    lines = ["usage: dnn COMMAND ...   (dnn COMMAND --help says more; dnn --version)", ""]
    for name in COMMANDS:
        about = import_module(f"dnn.commands.{name}").__doc__ or ""  # python -OO removes it
        lines.append(f"    {name:<10}" + about.partition("\n")[0])
    return lines


def main() -> int:
    """Run the command named by the first argument with the remaining arguments; return the exit code."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        for line in usage():
            print_line(line)
    elif name == "--version":
        print_line(f"array-api-dnn {__version__}")
    elif name not in COMMANDS:
        try_print(sys.stderr, f"dnn: error: {unknown_name_error('command', name, COMMANDS)} (see dnn --help)")
        return 2
    else:
        sys.argv = [f"dnn {name}", *arguments]
        import_module(f"dnn.commands.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
