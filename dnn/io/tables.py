"""Tables as plain text."""

from collections.abc import Sequence


def format_columns(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a table as text: the first ``left`` columns are left-aligned, the others right-aligned.

    >>> print(format_columns([("", "ms"), ("ours", "2.5"), ("theirs", "12.0")]))
              ms
    ours     2.5
    theirs  12.0
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
