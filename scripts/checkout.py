"""Make a script run the code of its own checkout, also where another copy of this project is installed.

Python puts the folder of the script, scripts/, on sys.path, but not the folder above, which holds ``dnn`` and
``backends``: they would come from wherever they are installed, maybe from another checkout. No import or
``runpy`` call looks in a folder that is not on sys.path, so this one line is needed; it is here alone.
"""

import sys
from pathlib import Path
from types import TracebackType

SCRIPTS_FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(SCRIPTS_FOLDER.parent), str(SCRIPTS_FOLDER)]  # the second one for scripts/examples


def _report_interrupt(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C while Python still imports: a sentence instead of a traceback; the exit code is the system's."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    elif sys.stderr is not None:
        print(f"{Path(sys.argv[0]).name}: interrupted", file=sys.stderr, flush=True)


sys.excepthook = _report_interrupt
