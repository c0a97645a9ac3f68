"""Make a script use the code of its own checkout, even if another copy of this project is installed.

Python puts the script's folder, scripts/, on sys.path, but not its parent, which holds ``dnn`` and
``backends``: they would be imported from an installed copy, maybe of another checkout. Importing this module
adds the parent folder.
"""

import sys
from pathlib import Path
from types import TracebackType

SCRIPTS_FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(SCRIPTS_FOLDER.parent), str(SCRIPTS_FOLDER)]  # the second one for scripts/examples


def _report_interrupt(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print one line instead of a traceback for Ctrl-C during imports. Python sets the exit code."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    elif sys.stderr is not None:
        print(f"{Path(sys.argv[0]).name}: interrupted", file=sys.stderr, flush=True)


sys.excepthook = _report_interrupt
