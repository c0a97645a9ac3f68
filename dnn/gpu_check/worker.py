"""One part, in this process: ``python -m dnn.gpu_check.worker PART --settings JSON``.

The last line on stdout is JSON: {"result"} or {"reason"}.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from dnn.gpu_check.common import Settings
from dnn.gpu_check.parts import PARTS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("--settings", default="{}", metavar="JSON")
    arguments = parser.parse_args()
    answer: dict[str, Any]
    try:
        answer = {"result": PARTS[arguments.part].run(Settings(**json.loads(arguments.settings)))}
    except Exception as error:  # whatever a driver or a library raises is this part's result
        lines = str(error).strip().splitlines() or [""]
        answer = {"reason": f"{type(error).__name__}: {lines[0]}"}
    print(json.dumps(answer, default=str), flush=True)
    return 0 if "result" in answer else 1


if __name__ == "__main__":
    sys.exit(main())
