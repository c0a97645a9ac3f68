"""Names of types that many modules use."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from backends import Array

Shape = tuple[int, ...]  # of an array, or of one example without the batch axis
Logs = dict[str, float]  # name of a number of an epoch -> the number
HostArrays = dict[str, np.ndarray]  # name -> array
DeviceArrays = Mapping[str, Array]  # name -> array of a backend
Json = dict[str, Any]  # a JSON object
