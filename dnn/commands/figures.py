"""Matplotlib figures written straight to files, without a window or pyplot's global state."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backends.errors import InputError, reraise, short_repr
from dnn.io.atomic_files import write_atomically

SUFFIXES = (".png", ".svg", ".pdf")


@contextmanager
def picture(path: Path, width: float, height: float) -> Iterator[Any]:
    """Yield a matplotlib figure to draw on, and write it when the ``with`` block ends.

    Args:
        path: its suffix selects the format: .png, .svg or .pdf.
        width, height: size in inches, at 120 pixels per inch.
    Raises InputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    yield figure
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix.removeprefix("."))
    with reraise(OSError, f"picture {path} cannot be written", "a file in a folder that exists"):
        write_atomically(path, content.getbuffer())


def require_picture_path(argument: str, path: Path) -> Path:
    """Return the path. Raises InputError: its suffix is no known format, or its folder does not exist."""
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"{argument} is {short_repr(str(path))}, expected a file that ends in {', '.join(SUFFIXES)}"
        )
    if not os.path.isdir(path.parent):
        raise InputError(f"{argument} is {short_repr(str(path))}, expected a file in a folder that exists")
    return path
