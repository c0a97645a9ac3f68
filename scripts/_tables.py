"""Tables as plain text and as Markdown."""

from collections.abc import Sequence


def format_columns(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a table as text: the first ``left`` columns are left-aligned, the others right-aligned.

    >>> print(format_columns(("", "ms"), [("ours", "2.5"), ("theirs", "12.0")]))
              ms
    ours     2.5
    theirs  12.0
    """
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(grid: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table. The first row of the grid is the headings."""
    lines = [grid[0], ["---"] * len(grid[0]), *grid[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
