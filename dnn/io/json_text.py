"""JSON text without NaN and infinity, which JSON lacks."""

import json
from typing import Any


def as_json(content: Any, indent: int | None = None) -> str:
    """Return JSON text, with null in place of NaN and infinity."""
    return json.dumps(json.loads(json.dumps(content), parse_constant=lambda _: None), indent=indent)
