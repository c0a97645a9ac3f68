"""Draw a digit in your browser and see the network's prediction on every available backend."""

from argparse import Namespace
from pathlib import Path
from typing import NoReturn

from backends.errors import install_command, reraise
from dnn.commands import command_line, options
from dnn.commands.pictures import own_images


def parse() -> Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="Ctrl-C stops the server. Example: %(prog)s runs/first",
    )
    parser.add_argument("run", metavar="RUN", type=Path, help=options.RUN_HELP)
    parser.set_defaults(allow_nonfinite=False)  # such a network could not answer
    add = parser.add_argument_group("server").add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: this computer only)")
    add("--port", type=int, default=8000, help="0: any free port (default: %(default)s)")
    options.add_images_argument(parser)
    options.add_backend_arguments(parser, default="numpy", dtype=False)
    return parser.parse_args()


def draw(arguments: Namespace) -> None:
    got = "the page needs Starlette and uvicorn, which cannot be imported"
    with reraise(ImportError, got, cure=install_command("page")):
        from dnn.commands.page.server import make_app, serve
    from dnn.commands.page.comparison import Comparison
    from dnn.commands.page.reader import Reader

    configuration, model = options.open_run(arguments.run, arguments)
    names, _ = own_images(configuration, model, arguments.folder)
    if not names:
        options.digit_shape(arguments.run, configuration, model)
    only_digits = configuration.get("dataset") in ("mnist", "digits")
    run = arguments.run.resolve()
    drawings = run.with_name(f"{run.name}-drawings")
    reader = Reader(model, only_digits, names)
    comparison = Comparison(model)
    app = make_app(run.name, reader, comparison, drawings, arguments.host)
    serve(app, arguments.host, arguments.port, comparison.open)


def main() -> NoReturn:
    command_line.run(draw, parse)
