"""What a setting may be, written as the type of its field: ``beta1: Share = 0.9``."""

from functools import partial
from typing import Annotated, get_type_hints

from dnn.validation.settings import (
    natural_number,
    positive_integer,
    require_bool,
    require_integer,
    require_number,
    require_positive,
)

NotNegative = Annotated[float, partial(require_number, low=0.0)]
Positive = Annotated[float, require_positive]
Share = Annotated[float, partial(require_number, low=0.0, high=1.0)]  # 1 excluded
Count = Annotated[int, positive_integer]
Flag = Annotated[bool, require_bool]
Natural = Annotated[int, natural_number]
ClassNumber = Annotated[int | None, require_integer]


class Checked:
    """Base of frozen dataclasses: each field is checked against its type when an object is made.
    Raises InputError: a setting out of range.
    """

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self), include_extras=True).items():
            for check in getattr(hint, "__metadata__", ()):
                check(name, getattr(self, name))
