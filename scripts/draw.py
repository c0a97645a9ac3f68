#!/usr/bin/env python3
"""Draw a digit in your browser, and see what the network makes of it on every backend that runs here."""

import argparse
from pathlib import Path

import _command


def parse() -> argparse.Namespace:
    parser = _command.Parser(
        description=__doc__,
        epilog="Ctrl-C ends it. Example: draw.py runs/first, after train.py --run-dir runs/first",
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="the run folder of a training")
    parser.set_defaults(allow_nonfinite=False)  # it would answer nothing
    add = parser.add_argument_group("the page").add_argument
    add("--host", default="127.0.0.1", help="the address that it is served at (default: this computer only)")
    add("--port", type=int, default=8000, help="0: any free one (default: %(default)s)")
    add("--keep", metavar="DIR", type=Path, help="for drawings that you keep (default: RUN-drawings)")
    _command.add_deskew(parser)
    _command.add_backend_arguments(parser, default="numpy", dtype=False)
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    from backends import InputError
    from backends.errors import install

    try:
        from drawing.server import make_app, serve
    except ImportError as error:
        raise InputError(
            f"the page needs Starlette and uvicorn, which cannot be imported ({error}); {install('page')}"
        ) from None
    from drawing.comparison import Comparison
    from drawing.keeping import Kept
    from drawing.reading import Reader

    configuration, model = _command.open_run(arguments)
    only_digits = configuration.get("dataset") in ("mnist", "digits")
    run = arguments.run.resolve()
    kept = Kept(arguments.keep or run.with_name(f"{run.name}-drawings"))
    reader = Reader(model, only_digits, arguments.deskew)
    comparison = Comparison(model)
    app = make_app(run.name, reader, comparison, kept, arguments.host)
    serve(app, arguments.host, arguments.port, comparison.open)


if __name__ == "__main__":
    _command.run(main, parse())
