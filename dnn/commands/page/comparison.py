"""Compare one picture's outputs on all available backends with NumPy in float64."""

import threading

import numpy as np

from backends import BackendUnavailable, backend_names, get_backend
from dnn.agreement import bounds, make_oracle
from dnn.agreement.samples import sum_lengths
from dnn.commands.page.reader import HostArray, forward, layers_with_weights
from dnn.copies import assemble_model, contents_of
from dnn.sequential import Sequential
from dnn.typing import Json


class Comparison:
    """A model on all available backends. ``open`` or the first ``compare`` creates them."""

    def __init__(self, model: Sequential) -> None:
        self._parts = contents_of(model)._replace(objective=(), optimizer_arrays={})
        self._dtype = model.backend.dtype_name
        self._inner = [sum_lengths(layer, 1)[0] for layer in layers_with_weights(model)]
        self._lock = threading.Lock()
        self._oracle: Sequential | None = None  # NumPy in float64 with the reference kernels
        self._models: dict[str, Sequential] = {}
        self._missing: list[str] = []

    def open(self) -> Sequential:
        """Create the oracle and the backends, and return the oracle.

        Run each backend once, because some import large libraries or compile at their first call.
        """
        with self._lock:
            if self._oracle is not None:
                return self._oracle
            for name in (*backend_names(), "torch:cuda"):
                library, _, device = name.partition(":")
                try:
                    model = assemble_model(self._parts, get_backend(library, device or None, self._dtype))
                except BackendUnavailable:
                    self._missing.append(name)
                    continue
                forward(model, np.zeros((1, *model.input_shape), np.uint8))
                self._models[name] = model
            self._oracle = assemble_model(self._parts, make_oracle().backend)
            return self._oracle

    def compare(self, picture: HostArray) -> Json:
        """Return each backend's prediction for a picture (height, width) uint8, and its distance to float64.

        The distance is norm(z - z64) / norm(z64), where z is the last layer's output before its activation.
        The bound is that of level L2, ``bounds.forward``.
        """
        oracle = self.open()
        x = picture.reshape(1, *oracle.input_shape)
        z64 = forward(oracle, x).z
        rows: list[Json] = []
        for name, model in self._models.items():
            result = forward(model, x)
            rows.append({
                "backend": name, "digit": int(result.outputs[0].argmax()),
                "probability": float(np.max(result.outputs[0])), "difference": bounds.eta(result.z, z64),
            })  # fmt: skip
        largest = max(row["difference"] for row in rows)
        bound = bounds.forward(self._inner, bounds.UNIT_ROUNDOFFS[self._dtype])
        return {
            "rows": rows, "missing": self._missing, "largest": largest,
            "bound": bound, "holds": largest <= bound,
        }  # fmt: skip
