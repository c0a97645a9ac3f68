"""The command ``array-agreement``, also ``python -m array_agreement``."""

import argparse
import re
import sys
from collections.abc import Sequence

from array_agreement.targets import InputError, TargetUnavailable

UNITS = {"s": 1, "min": 60, "h": 3600}


def seconds(text: str) -> float:
    """Return the seconds of "90s", "10min" or "1h".

    >>> seconds("10min")
    600.0
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|h)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no time, expected one such as 90s, 10min or 1h")
    return float(found[1]) * UNITS[found[2]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 if there are new findings, 2 after an error, and 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        "array-agreement", description="Find what an array library computes wrongly."
    )
    command = parser.add_subparsers(required=True).add_parser(
        "sweep", help="call each function of the standard"
    )
    add = command.add_argument
    add("target", help="numpy, torch, jax, dask, cupy, strict, torch:cuda or a module that can be imported")
    add("--functions", default="*", metavar="PATTERN", help="such as 'linalg.*,exp' (default: all)")
    add("--dtypes", nargs="+", metavar="DTYPE", help="such as float32 complex128 (default: all)")
    add("--budget", type=seconds, default=600.0, metavar="TIME", help="such as 90s or 10min (default: 10min)")
    add(
        "--report", metavar="FILE", help="write FILE.json and FILE.md, and each case to FILE.jsonl as it ends"
    )
    add("--resume", action="store_true", help="go on from FILE.jsonl")
    add("--known", metavar="JSON", help="a file of findings that are expected")
    options = vars(parser.parse_args(arguments))
    is_terminal = sys.stderr.isatty()

    def show(line: str) -> None:
        if is_terminal:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)

    try:
        from array_agreement.sweeps import sweep  # needs mpmath

        report = sweep(**options, show=show)
    except (InputError, TargetUnavailable, OSError) as error:
        print(f"array-agreement: {error}", file=sys.stderr)
        return 2
    show("")
    print(report.to_markdown())
    return 130 if report.interrupted else int(bool(report.new))


if __name__ == "__main__":
    sys.exit(main())
