"""Addition: the text that an example adds to one file."""

from typing import NamedTuple


class Addition(NamedTuple):
    """Text for one file: a new file, or text to append, or to insert before the text ``before``."""

    file: str
    text: str
    before: str = ""

    def write(self, root):
        path = root / self.file
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if self.before:
            assert old.count(self.before) == 1, (
                f"{self.file} has {old.count(self.before)} times {self.before!r}"
            )
            new = old.replace(self.before, self.text + self.before)
        else:
            new = old + self.text
        path.write_text(new, encoding="utf-8")


def document_part(line):
    """Return a line for the list of components and one for the changelog."""
    return [Addition("docs/guide/parts.md", f"\n- {line}\n"), Addition("CHANGELOG.md", f"- {line}\n")]
