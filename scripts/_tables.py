"""Tables as plain text."""

from collections.abc import Sequence


def columns(
    headings: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1, ruled: bool = False
) -> str:
    """Cells in columns: the first ``left`` columns are aligned to the left, numbers to the right.

    Args:
        ruled: with a line under the headings.

    >>> print(columns(("", "ms"), [("ours", "2.5"), ("theirs", "12.0")]))
              ms
    ours     2.5
    theirs  12.0
    """
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    if ruled:
        text.insert(1, "─" * max(map(len, text)))
    return "\n".join(text)
