"""Helpers of several test files: comparisons of host arrays, small data and models."""

import os
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from backends import InputError, get_backend
from backends.torch.backend import TorchBackend
from dnn import Callback, Dense, Sequential

MAX_SECONDS = 300
"""For what takes seconds alone: other programs may use the same cores."""
BACKENDS = ("numpy", "numba", "torch", "strict", "strict:device1", "cupy", "torch:cuda")
"""name[:device], in the order in which the tests run them."""
NUMPY = get_backend("numpy")
NUMPY64 = get_backend("numpy", dtype="float64")

NOT_IN_TORCH = {"GaussianNoise"}
"""Names of layers, activations, losses and optimizers without a counterpart in torch."""

needs_fork = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
three_backends = pytest.mark.parametrize("backend_id", ["numpy", "torch", "strict"])
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def assert_close(actual, desired, bound, what=""):
    """Assert equal dtype, shape and non-finite elements; the finite elements have eta <= ``bound``.

    eta = norm(actual - desired) / norm(desired), with 0 / 0 = 0.
    """
    actual, desired = np.asarray(actual), np.asarray(desired)
    assert (actual.dtype, actual.shape) == (desired.dtype, desired.shape), what
    if actual.dtype.kind != "f":
        np.testing.assert_array_equal(actual, desired, err_msg=what)
        return
    finite = np.isfinite(desired)
    np.testing.assert_array_equal(actual[~finite], desired[~finite], err_msg=f"{what}: non-finite")
    a, d = actual[finite].astype(np.float64), desired[finite].astype(np.float64)
    distance, size = float(np.linalg.norm(a - d)), float(np.linalg.norm(d))
    eta = distance / size if size else distance
    assert eta <= bound, what


def same_bits(a, b):
    """Whether dtype, shape and bytes are equal (NaN included).

    Use it only for results that have the same bits on any processor:

    - One backend runs the same kernels on the same numbers, shapes and number of threads. The address of the
      numbers has no effect: batches and parameters start on a 64-byte boundary, and BLAS kernels depend on
      the address modulo 16 at most. Another batch size may change the bits.
    - Copies, selections, integers, and single operations that IEEE 754 rounds correctly.
    """
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def assert_same_training(one, other, history, other_history):
    """Models and histories with the same bits: the same kernels get the same numbers in the same shapes.

    On numba and on a GPU to rounding: a plan (``backends.plan``), which takes examples that lie in one array,
    adds in another order than the layers, and that order depends on the processor.
    """
    if one.backend.name != "numba" and one.backend.device_type != "cuda":
        assert same_bits(weights(one), weights(other))
        assert history == other_history
        return
    assert_close(weights(one), weights(other), 1e-5)
    for name, values in history.items():
        assert_close(np.array(values), np.array(other_history[name]), 1e-5, name)


def input_error(match):
    """Return a context that expects an InputError with a message that matches."""
    return pytest.raises(InputError, match=match)


def assert_listed(where, listed, known):
    """Assert that a list of CONTRIBUTING.md has exactly the known names; the message says where it is."""
    missing, unknown = (sorted({*a} - {*b}) for a, b in ((known, listed), (listed, known)))
    assert not missing, f"add {', '.join(missing)} to {where}"
    assert not unknown, f"remove {', '.join(unknown)} from {where}: the library has no such name"


def others_slow(values, quick):
    """Return values for ``parametrize``; all except those in ``quick`` are marked as slow."""
    values = list(values)
    assert set(quick) <= set(values), "a quick value does not exist any more"
    return [v if v in quick else pytest.param(v, marks=pytest.mark.slow) for v in values]


float64_is_slow = pytest.mark.parametrize("dtype", others_slow(["float32", "float64"], ["float32"]))


def small_data(n=50, seed=0):
    """Return x (n, 6) float32 and class numbers y (n,) of 3 classes that a network can learn."""
    rng = np.random.default_rng([1, seed])
    x = rng.normal(size=(n, 6)).astype(np.float32)
    return x, np.argmax(x[:, :3] + 0.1 * rng.normal(size=(n, 3)), axis=1)


def build_network(
    layers,
    shape=(6,),
    backend=NUMPY,
    seed=0,
):
    """Return a model that is not compiled; the defaults fit ``small_data``."""
    return Sequential(layers, input_shape=shape, backend=backend, seed=seed)


def small_model(
    backend=NUMPY,
    seed=0,
    hidden="relu",
    output="softmax",
    compiled=True,
):
    """6 - 8 - 3, compiled with the defaults (cross-entropy, Adam)."""
    model = build_network([Dense(8, hidden), Dense(3, output)], backend=backend, seed=seed)
    if compiled:
        model.compile()
    return model


def fit_small(model=None, batch_size=10, **settings):
    """Train a model, or a new ``small_model``, on ``small_data``."""
    return (model or small_model()).fit(*small_data(), batch_size=batch_size, **settings)


def numbers(history):
    """Return the lists of a history that do not hold times."""
    return {name: values for name, values in history.items() if name != "seconds"}


def weights(model):
    """Return all parameters of a model in one vector on the host."""
    return np.concatenate([v.ravel() for v in model.parameters.to_host().values()])


def with_random_averages(model, seed=0):
    """Return the model after a random number was added to each parameter and running average."""
    stream = np.random.default_rng(seed)
    values = model.parameters.to_host()
    model.parameters.load({k: v + stream.random(v.shape).astype(v.dtype) for k, v in values.items()})
    return model


def shifted_correlation(image, wanted):
    """Return the largest correlation of two images over shifts of one pixel."""
    shifted = [np.roll(image, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return max(float(np.corrcoef(one.ravel(), wanted.ravel())[0, 1]) for one in shifted)


class MetaBackend(TorchBackend):
    """The overrides for CUDA, on meta tensors."""

    device_type = "cuda"


def on_meta():
    return MetaBackend("torch", get_backend("torch").xp, torch.device("meta"), "float32")


class Kept(Callback):
    """Collects training states every ``every`` updates within an epoch, and after each epoch."""

    def __init__(self, every=1):
        self.every = every
        self.states = []

    def on_progress(self, progress):
        if progress.updates < progress.updates_per_epoch:
            self.states.append(progress.take_state())

    def on_epoch_saved(self, take):
        self.states.append(take())


@contextmanager
def no_reads_back(monkeypatch, backend):
    """Make every way to copy a number to the host raise AssertionError."""

    def refuse(self, *args, **options):
        raise AssertionError("a number was read back to the host")

    with monkeypatch.context() as patched:
        for name in ("float", "bool", "int", "index", "complex", "array", "iter"):
            patched.setattr(backend.array_type, f"__{name}__", refuse)
        yield
