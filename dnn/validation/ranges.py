"""What a setting may be, written as the type of its field: ``beta1: Share = 0.9``."""

from functools import partial
from typing import Annotated, get_type_hints

import numpy as np

from dnn.validation import settings

NotNegative = Annotated[float, partial(settings.require_number, low=0.0)]
Positive = Annotated[float, settings.require_positive]
Share = Annotated[float, partial(settings.require_number, low=0.0, high=1.0)]  # 1 excluded
Count = Annotated[int, settings.positive_integer]
Flag = Annotated[bool, settings.require_bool]
Natural = Annotated[int, settings.natural_number]
ClassNumber = Annotated[int | None, settings.require_integer]


class Checked:
    """Base of frozen dataclasses: when an object is made, each field is checked against its type, and numbers
    of NumPy become plain ones.
    Raises InputError: a setting out of range.
    """

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self), include_extras=True).items():
            value = getattr(self, name, None)
            if isinstance(value, np.generic):  # NumPy's own numbers would make float32 arrays float64
                object.__setattr__(self, name, value := value.item())
            for check in getattr(hint, "__metadata__", ()):
                check(name, value)
