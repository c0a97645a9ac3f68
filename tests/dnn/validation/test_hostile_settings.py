"""Settings of every type: refused in a sentence before anything is changed, or kept as they were given.

Generated inputs: 700 for what is made, 150 backends, 200 models, 150 for compile, 300 for fit and its kin:
1,500.
"""

import inspect
import json
import warnings

import numpy as np
import pytest
from hostile import assert_sentence, examples, odd_values
from hypothesis import given
from hypothesis import strategies as st

import dnn
from backends import BackendUnavailable, InputError, get_backend
from dnn import Dense, Sequential
from dnn.layers import LAYERS
from dnn.lbfgs import LBFGS
from dnn.losses import LOSSES
from dnn.optimizers import OPTIMIZERS
from dnn.optimizers.schedules import SCHEDULES

MAKERS = [
    *LAYERS.values(), *OPTIMIZERS.values(), *SCHEDULES.values(), *LOSSES.values(), LBFGS, dnn.EarlyStopping,
]  # fmt: skip


def usual(cls):
    """Settings with which a class can be made."""
    return getattr(cls, "examples", ({},))[0]


WINDOWS = ("kernel_size", "pool_size", "strides", "padding", "dilation")  # one number stands for a pair


def settings_of(cls):
    """Names of what a class is made with."""
    return [name for name in inspect.signature(cls).parameters if name not in ("self", "args", "kwargs")]


@st.composite
def made_with(draw):
    """(class, settings): the usual ones, with one to three that are odd."""
    cls = draw(st.sampled_from([c for c in MAKERS if settings_of(c)]))
    chosen = draw(st.lists(st.sampled_from(settings_of(cls)), min_size=1, max_size=3, unique=True))
    return cls, {**usual(cls), **{name: draw(odd_values()) for name in chosen}}


def assert_table(schedule):
    """A table of rates, or too long a one."""
    with np.errstate(all="ignore"):
        try:
            rates = schedule.rates()
        except InputError as error:
            assert_sentence(error)
        else:
            assert rates.dtype == np.float64
            assert rates.shape[0] > schedule.warmup


def same(kept, asked):
    if isinstance(kept, dict) and isinstance(asked, (list, tuple)):
        kept = kept["layers"]  # a list of layers becomes a Block
    if isinstance(kept, dict) and isinstance(asked, dict):
        return all(same(kept[name], value) for name, value in asked.items())  # which tells its defaults too
    if isinstance(kept, (list, tuple)) and isinstance(asked, (list, tuple)):
        return len(kept) == len(asked) and all(map(same, kept, asked))
    return kept == asked


@pytest.mark.slow
def test_whatever_is_made_keeps_its_settings():
    """700: layers, optimizers, schedules, losses, L-BFGS and early stopping."""
    made = []

    @examples(700)
    @given(made_with())
    def check(case):
        cls, settings = case
        try:
            thing = cls(**settings)
        except InputError as error:
            assert_sentence(error)
            return
        made.append(cls)
        config = thing.config() if hasattr(thing, "config") else thing.__dict__
        json.dumps(config, default=str).encode()
        if cls in LAYERS.values():
            assert cls(**config).config() == config
        if cls in SCHEDULES.values():
            assert_table(thing)
        for name, asked in settings.items():
            if name not in WINDOWS and asked not in (None, ""):
                assert same(config.get(name, asked), asked), name

    check()
    assert len(set(made)) > 15


def test_backends_that_are_none():
    """150."""
    names = st.sampled_from(["numpy", "numba", "torch", "strict", "cupy", "auto"]) | odd_values()
    devices = st.sampled_from(["cpu", "cuda", "cpu:1", "cuda:x", "meta", "device1", "mps"]) | odd_values()
    dtypes = st.sampled_from(["float32", "float64", "float16", np.float32]) | odd_values()
    precisions = st.sampled_from(["float32", "tf32"]) | odd_values()

    @examples(150)
    @given(names, st.none() | devices, dtypes | st.just("float32"), precisions | st.just("float32"))
    def check(name, device, dtype, precision):
        try:
            backend = get_backend(name, device, dtype, precision=precision)
        except (InputError, BackendUnavailable) as error:
            assert_sentence(error)
        else:
            assert backend.name == name or name == "auto"
            assert (backend.dtype_name, backend.precision) == (dtype, precision)
            assert backend.to_host(backend.zeros(3)).tolist() == [0, 0, 0]

    check()


def test_models_that_are_none():
    """200."""
    layer = st.sampled_from([Dense, Dense, *LAYERS.values()]).map(lambda cls: cls(**usual(cls)))
    layers = st.lists(layer | odd_values(), max_size=3) | odd_values()
    shapes = st.lists(st.integers(1, 6) | odd_values(), max_size=3) | odd_values()
    backends = st.sampled_from([get_backend("numpy"), get_backend("numpy", dtype="float64")])

    @examples(200)
    @given(layers, shapes, backends | odd_values(), st.integers(0, 2**64) | odd_values())
    def check(layers, shape, backend, seed):
        try:
            model = Sequential(layers, input_shape=shape, backend=backend, seed=seed)
        except InputError as error:
            assert_sentence(error)
        else:
            assert model.input_shape == tuple(shape)
            x = np.ones((2, *shape), backend.dtype_name)
            assert model.predict(x).shape == (2, model.outputs)

    check()


def small_model():
    layers = [Dense(5, "relu"), Dense(3, "softmax")]
    model = Sequential(layers, input_shape=(4,), backend=get_backend("numpy"), seed=1)
    model.compile()
    return model


def test_goals_that_are_none():
    """150."""
    model = small_model()
    x, y = np.ones((6, 4), np.float32), np.array([0, 1, 2, 0, 1, 2])
    names = ("loss", "optimizer", "metrics", "l1", "l2")
    fitting = st.sampled_from([*LOSSES, *OPTIMIZERS]) | st.sampled_from([(), ["accuracy"], 0.1])

    @examples(150)
    @given(st.dictionaries(st.sampled_from(names), fitting | odd_values(), min_size=1, max_size=3))
    def check(settings):
        before = model.loss
        try:
            model.compile(**settings)
        except InputError as error:
            assert_sentence(error)
            assert model.loss is before
        else:
            model.fit(x, y, batch_size=6)
            assert np.isfinite(model.predict(x)).all()
            model.compile()

    # Numbers that are allowed and far too large: that the training overflows is right.
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        check()


def test_trainings_that_are_none():
    """300: one argument of fit, evaluate or predict is odd; nothing is changed by one that is refused."""
    model = small_model()
    rng = np.random.default_rng(16)
    x, y = rng.random((12, 4), dtype=np.float32), rng.integers(0, 3, 12)
    names = {
        "fit": (
            "batch_size",
            "epochs",
            "validation_data",
            "validation_split",
            "class_weight",
            "sample_weight",
        ),
        "evaluate": ("batch_size", "sample_weight"),
        "predict": ("batch_size",),
    }
    calls = st.sampled_from([(call, name) for call in names for name in names[call]])
    weights = st.dictionaries(st.integers(0, 3) | odd_values().filter(hashable), odd_values(), max_size=2)
    pairs = st.tuples(st.just(x) | odd_values(), st.just(y) | odd_values())

    @examples(300)
    @given(calls, odd_values() | weights | pairs | st.lists(odd_values(), min_size=12, max_size=12))
    def check(call, value):
        if call == ("fit", "epochs") and type(value) is int and value > 5:
            return  # it would be done
        before = model.parameters.values.copy()
        data = (x,) if call[0] == "predict" else (x, y)
        try:
            getattr(model, call[0])(*data, **{call[1]: value})
        except InputError as error:
            assert_sentence(error)
            np.testing.assert_array_equal(model.parameters.values, before)
        else:
            assert np.isfinite(model.parameters.values).all()

    check()


def hashable(value):
    try:
        hash(value)
    except TypeError:
        return False
    return True


@pytest.mark.parametrize("name", ["", None])
def test_no_name_is_the_usual_one(name):
    model = Sequential([Dense(3, name=name)], input_shape=(2,), backend=get_backend("numpy"))
    assert model.layers[0].name == "dense_1"
