"""Starting this Python again: the package is found there too, whether or not it is installed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def python_environment(root: Path, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment (or these variables) with ``root`` first on PYTHONPATH."""
    chosen = dict(os.environ if variables is None else variables)
    chosen["PYTHONPATH"] = os.pathsep.join([str(root), *filter(None, [chosen.get("PYTHONPATH")])])
    return chosen
