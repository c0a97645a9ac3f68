"""Matplotlib figures written straight to files, without a window or pyplot's global state."""

import functools
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from backends.errors import reraise
from dnn.io.atomic_files import write_atomically
from dnn.io.notices import warn
from dnn.settings.checks import require

SUFFIXES = (".png", ".svg", ".pdf")
CHINESE_LABELS = Path(__file__).with_name("labels.zh.json")
"""English phrase -> its translation, in the order of replacement."""


@contextmanager
def picture(path: Path, width: float, height: float) -> Iterator[Any]:
    """Yield a matplotlib figure to draw on, and write it when the ``with`` block ends.

    Args:
        path: its suffix selects the format: .png, .svg or .pdf. A name that ends in .zh before the
            suffix, as in curves.zh.png, selects Chinese labels.
        width, height: size in inches, at 120 pixels per inch.
    Raises InputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    yield figure
    if path.stem.endswith(".zh"):
        translate_labels(figure)
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix.removeprefix("."))
    with reraise(OSError, f"picture {path} cannot be written", "a file in a folder that exists"):
        write_atomically(path, content.getbuffer())


@functools.cache
def find_chinese_font() -> str | None:
    """Return the path of an installed font with Chinese characters, or None with a warning.

    Fonts that draw them as in Japan, Korea, Taiwan or Hong Kong are the last choice.
    """
    from matplotlib import font_manager

    found = []
    for path in font_manager.findSystemFonts():
        with suppress(OSError, RuntimeError):  # FreeType cannot read every font file
            font = font_manager.get_font(path)
            if font.get_char_index(ord("训")):
                is_foreign = font.family_name.endswith(("JP", "KR", "TC", "HK"))
                found.append((is_foreign, "regular" not in path.lower(), path))
    if found:
        return min(found)[2]
    warn("labels stay English because no Chinese font is installed; install one, such as Noto Sans SC")
    return None


def translate_labels(figure: Any) -> None:
    """Replace the figure's English labels by Chinese ones, if a font for them is installed."""
    from matplotlib.text import Text

    font = find_chinese_font()
    if font is None:
        return
    translations = json.loads(CHINESE_LABELS.read_text(encoding="utf-8"))
    for text in figure.findobj(Text):
        label = text.get_text()
        for english, chinese in translations.items():
            label = label.replace(english, chinese)
        if label != text.get_text():
            text.set_text(label)
            text.get_fontproperties().set_file(font)


def require_picture_path(argument: str, path: Path) -> None:
    """Raise InputError: the suffix is no known format."""
    require(path.suffix in SUFFIXES, argument, str(path), f"a file that ends in {', '.join(SUFFIXES)}")
