"""One part, in this process: ``python -m gpu_checks.worker PART --settings JSON``; see ``_workers``."""

from __future__ import annotations

import argparse
import json
import sys

from _workers import answer

from gpu_checks.common import Settings
from gpu_checks.parts import PARTS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("--settings", default="{}", metavar="JSON")
    arguments = parser.parse_args()
    settings = Settings(**json.loads(arguments.settings))
    return answer(lambda: {"result": PARTS[arguments.part].run(settings)})


if __name__ == "__main__":
    sys.exit(main())
