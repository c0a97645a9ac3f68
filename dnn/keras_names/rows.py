"""Tables of names with the text for each, as lines."""


def parse_rows(text: str) -> dict[str, str]:
    """Return name -> cure for lines of "name name ...: cure"."""
    rows = [line.split(": ", 1) for line in text.strip().splitlines()]
    return {name: cure for names, cure in rows for name in names.split()}
