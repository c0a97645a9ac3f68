"""A training step on CuPy never waits for a number: its arrays here refuse to be read by the host.

The overrides run on NumPy arrays, other kernels through the functions that array-api-compat gives to CuPy.
"""

from functools import partial

import array_api_compat.numpy as npx
import host_cuda
import numpy as np
import pytest
from array_api_compat._internal import get_xp
from array_api_compat.common import _aliases
from helpers import others_slow

from backends.cupy.reproducible import multiply_matrices
from backends.reproducible import ReproducibleNamespace
from backends.reproducible.sums import matmul
from dnn import Adam, Dense, Flatten, OneCycle, Sequential
from dnn.agreement.cases import loss_variants, optimizer_variants
from dnn.agreement.samples import samples
from dnn.inputs.examples import Examples
from dnn.training.loop import Batches


def refuse(self, *arguments, **options):
    raise AssertionError("the host reads or writes an array")


class CardArray(np.ndarray):
    """An array of which only kernels read the numbers."""

    __bool__ = __float__ = __int__ = __index__ = __complex__ = __iter__ = refuse
    item = tolist = tobytes = nonzero = refuse

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return on_card(array)  # also if it is a single number

    def __getitem__(self, key):
        if is_mask(key):  # the host needs the number of True values
            refuse(self)
        return on_card(super().__getitem__(key))

    def __setitem__(self, key, value):
        if is_mask(key):
            refuse(self)
        super().__setitem__(key, value)


def is_mask(key):
    """Whether one of the indices is an array of bool."""
    indices = key if isinstance(key, tuple) else (key,)
    return any(isinstance(i, np.ndarray) and i.dtype == np.bool_ for i in indices)


def on_card(value):
    """Return a result of NumPy as on the card, where also single numbers are arrays."""
    if isinstance(value, tuple):
        return tuple(map(on_card, value))
    return np.asarray(value).view(CardArray) if isinstance(value, np.ndarray | np.generic) else value


class Namespace:
    """NumPy's functions, some of them wrapped by array-api-compat as it wraps CuPy's."""

    sealed = False  # True: no more arrays are copied to the card

    def __getattr__(self, name):
        found = getattr(npx, name)
        if isinstance(found, type) or not callable(found):
            return found
        if name == "asarray" and self.sealed:
            return refuse
        if name in _aliases.__all__:
            found = get_xp(np)(getattr(_aliases, name))
        return lambda *arguments, **options: on_card(found(*arguments, **options))


STEPS = {
    **{name: {"loss": loss} for name, loss in loss_variants()},
    **{name: {"optimizer": optimizer} for name, optimizer in optimizer_variants()},
    "penalty": {"l1": 0.1, "l2": 0.1},
    "clip_norm": {"optimizer": Adam(OneCycle(0.1, 9), clip_norm=0.1)},
    "clip_value": {"optimizer": Adam(clip_value=0.1)},
    "metrics": {"loss": "mean_squared_error", "metrics": ["r2", "mean_absolute_error"]},
}
EXACT = ReproducibleNamespace(
    Namespace(), {"matmul": partial(matmul, Namespace(), multiply=multiply_matrices)}
)
NAMESPACES = {"float32": Namespace(), "reproducible": EXACT}
each_precision = pytest.mark.parametrize("precision", NAMESPACES)


def assert_reads_nothing(precision, layers, x, **options):
    """Make updates with arrays on the card, by a plan if there is one."""
    backend = host_cuda.CupyOverridesOnNumpy(
        "cupy", NAMESPACES[precision], "cpu", "float32", precision=precision
    )
    model = Sequential(layers, input_shape=x.shape[1:], backend=backend)
    model.compile(**options)
    before = np.array(model.parameters.vector)
    y = np.arange(len(x)) % 3
    batches = Batches(model, Examples(on_card(x), on_card(y), None), 4)
    batches.begin(1)
    batches.run(2)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Namespace, "sealed", True)
        batches.run(2)
    assert not np.array_equal(model.parameters.vector, before)


@pytest.fixture(autouse=True)
def on_the_host(monkeypatch):
    host_cuda.install(monkeypatch)
    monkeypatch.setattr(_aliases, "array_namespace", lambda *arrays: Namespace())
    monkeypatch.setattr(_aliases, "is_cupy_namespace", lambda xp: True)
    monkeypatch.setattr(
        host_cuda.CupyOverridesOnNumpy, "owns", lambda self, array: isinstance(array, CardArray)
    )
    monkeypatch.setattr(host_cuda.CupyOverridesOnNumpy, "to_host", lambda self, array: np.asarray(array))
    monkeypatch.setattr(
        host_cuda.CupyOverridesOnNumpy, "from_host", lambda self, array: on_card(np.array(array))
    )


@each_precision
@pytest.mark.parametrize("name", STEPS)
def test_an_update_reads_nothing(name, precision):
    x = np.random.default_rng(1).random((16, 5), dtype=np.float32)
    assert_reads_nothing(precision, [Dense(4, "tanh"), Dense(3)], x, **STEPS[name])


LAYER_SAMPLES = {name: rest for name, *rest in samples()}


@pytest.mark.parametrize("precision", others_slow(NAMESPACES, ["float32"]))
@pytest.mark.parametrize("name", LAYER_SAMPLES)
def test_a_layer_reads_nothing(name, precision):
    make, shape = LAYER_SAMPLES[name]
    layer = make()
    x = np.random.default_rng(1).random((16, *shape), dtype=np.float32)
    x = np.floor(x * layer.n_categories) if layer.n_categories else x
    assert_reads_nothing(precision, [layer, Flatten(), Dense(3)], x)
