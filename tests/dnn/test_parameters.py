"""One flat vector, aligned named views into it, and an atomic load."""

import numpy as np
import pytest
from helpers import NUMPY, both_dtypes, input_error, same_bits

from dnn.parameters import Parameters

SHAPES = {"a.W": (3, 5), "a.b": (5,), "c.W": (5, 16), "scalar": ()}


def some_values():
    rng = np.random.default_rng(3)
    return {name: rng.normal(size=shape).astype("float32") for name, shape in SHAPES.items()}


def test_views_share_the_vector(backend):
    parameters = Parameters(backend, SHAPES)
    values = some_values()
    parameters.vector[...] = parameters.gradient_vector[...] = float("nan")  # also the padding between views
    parameters.load(values)
    assert not backend.to_host(parameters.gradient_vector).any()
    assert {n: v.shape for n, v in parameters.to_host().items()} == SHAPES
    assert all(same_bits(v, values[n]) for n, v in parameters.to_host().items())
    assert parameters.count == 15 + 5 + 80 + 1
    # The padding is 0, so the vector's sum of squares is the views'.
    flat = backend.to_host(parameters.vector).astype(np.float64)
    assert np.sum(flat**2) == pytest.approx(
        sum(np.sum(v.astype(np.float64) ** 2) for v in values.values()), rel=1e-12
    )
    parameters.vector[...] = 0.0
    assert not any(v.any() for v in parameters.to_host().values())
    parameters.gradient_by_name["a.b"][...] = 1.0
    assert backend.to_host(parameters.gradient_vector).sum() == 5


@both_dtypes
@pytest.mark.parametrize("backend_id", ["numpy", "torch"])
def test_views_start_on_cache_lines(make_backend, backend_id, dtype):
    backend = make_backend(backend_id, dtype)
    parameters = Parameters(backend, SHAPES)
    for views in (parameters.by_name, parameters.gradient_by_name):
        assert all(backend.to_host(v).ctypes.data % 64 == 0 for v in views.values())


def test_rejects_too_many_parameters():
    with input_error("has 68719476752 parameters, expected at most 68719476736"):
        Parameters(NUMPY, {"W": (2**18, 2**18), "b": (1,)})


def test_to_host_copies(backend):
    parameters = Parameters(backend, SHAPES)
    parameters.to_host()["a.b"][...] = 9.0
    assert not backend.to_host(parameters.vector).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("a.b"), r"weights are named \['a.W', 'c.W', 'scalar'\], expected .*'a.b'"),
        (lambda v: v.update(d=v["a.b"]), "weights are named .*'d'"),
        (
            lambda v: v.update({"c.W": v["c.W"].T}),
            r"'c.W' have shape \(16, 5\) and dtype float32, expected \(5, 16\)",
        ),
        (lambda v: v.update({"c.W": v["c.W"].astype("f8")}), "dtype float64, expected"),
    ],
)
def test_load_rejects_invalid_values_without_writing(backend, change, message):
    parameters, values = Parameters(backend, SHAPES), some_values()
    change(values)
    with input_error(message):
        parameters.load(values)
    assert not backend.to_host(parameters.vector).any()
