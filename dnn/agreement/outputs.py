"""``compare_outputs``: the outputs of another program with the weights of a model."""

from math import prod
from typing import Any

from backends import get_backend
from dnn.agreement import bounds
from dnn.agreement.contenders.contender import require_shapes
from dnn.agreement.contenders.oracle import make_disturbed_oracle, make_oracle, measure_condition
from dnn.agreement.contenders.ours import BackendContender
from dnn.agreement.records import Record
from dnn.copies import assemble_model, contents_of
from dnn.inputs.conversion import as_array
from dnn.sequential import Sequential
from dnn.settings.checks import require_kind
from dnn.typing import HostArrays


def compare_outputs(model: Sequential, x: Any, outputs: Any) -> Record:
    """Compare another program's outputs with those of the model in float64, and return error and bound.

    The error is eta = norm(X - X64) / norm(X64), the bound u ((sqrt(k - 1) + 2) c + 2): k is the number of
    terms of the longest sum, c the measured condition.

    Args:
        model: has the weights of the other program. x: (N, ...), as for ``predict``.
        outputs: an array of any library in place of ``model.predict(x)``.
    Raises InputError: no numbers. ArrayMismatch: it has another shape.

    >>> import numpy as np
    >>> from backends import get_backend
    >>> from dnn import Dense
    >>> model = Sequential([Dense(2)], input_shape=(3,), backend=get_backend("numpy"))
    >>> x = np.ones((4, 3), np.float32)
    >>> compare_outputs(model, x, model.predict(x)).holds, compare_outputs(model, x, np.ones((4, 2))).holds
    (True, False)
    """
    require_kind("model", model, Sequential)
    parts = contents_of(model)._replace(objective=())

    def predict(contender: BackendContender) -> HostArrays:
        return {"outputs": assemble_model(parts, contender.backend).predict(x)}

    expected = predict(make_oracle())
    condition = measure_condition((predict(make_disturbed_oracle(seed)) for seed in range(4)), expected)
    k = max((prod(a.shape[:-1]) for a in parts.arrays.values() if a.ndim > 1), default=1)
    bound = bounds.layer(k, bounds.UNIT_ROUNDOFFS[model.backend.dtype_name], condition["outputs"], 2.0)
    got = as_array(get_backend("numpy"), "outputs", outputs)
    require_shapes({"outputs": got}, expected)
    measured = bounds.eta(got, expected["outputs"])
    return Record("L2", "compare_outputs", "outputs", model.backend.name, measured, bound)
