"""Checkpoints load on any backend; broken and foreign files are rejected."""

import numpy as np
import pytest
from helpers import NUMPY, NUMPY64, build_network, input_error, same_bits, small_data, small_model

from backends import get_backend
from dnn import AdamW, CategoricalCrossentropy, Conv2D, Dense, Flatten, LinearDecay, Reshape, Sequential
from dnn.agreement.samples import samples
from dnn.checkpoints import load_model, load_weights, save_model
from dnn.io import safetensors as tensor_files
from dnn.io.safetensors import FORMAT, VERSION, CheckpointError

ABSENT = object()


def small(backend, units=5, seed=7):
    layers = [Dense(units, "relu"), Dense(3, "softmax")]
    model = build_network(layers, (4,), backend, seed)
    model.compile()
    return model


@pytest.fixture
def saved(tmp_path):
    model = small(NUMPY)
    save_model(model, tmp_path / "model.safetensors")
    return model, tmp_path / "model.safetensors"


def with_facts(path, **changes):
    """Write the file with other metadata and their checksum; ABSENT removes an entry."""
    about, arrays = tensor_files.read(path, FORMAT, VERSION, "checkpoint", CheckpointError)
    version = changes.pop("version", VERSION)
    facts = {name: value for name, value in {**about, **changes}.items() if value is not ABSENT}
    tensor_files.write(path, FORMAT, version, facts, arrays)


def test_loads_on_every_backend_with_the_same_bits(saved, backend):
    model, path = saved
    loaded = load_model(path, backend)
    for name, values in model.parameters.to_host().items():
        np.testing.assert_array_equal(loaded.parameters.to_host()[name], values)
    x = np.random.default_rng(0).random((6, 4), dtype=np.float32)
    np.testing.assert_allclose(loaded.predict(x), model.predict(x), rtol=1e-5)
    assert loaded.config() == model.config()


@pytest.mark.parametrize("first", ["numba", "torch"])
def test_a_backend_by_name_fits_the_file(tmp_path, first):
    path = tmp_path / "model.safetensors"
    layers = [Flatten()] if first == "numba" else [Conv2D(1, 2), Flatten()]
    save_model(Sequential([*layers, Dense(2)], input_shape=(3, 3, 1), backend=NUMPY64), path)
    chosen = load_model(path, "auto").backend
    assert chosen.dtype_name == "float64"
    assert chosen.reason == get_backend("auto", cpu_first=first).reason
    assert (
        load_model(path, lambda dtype, cpu_first: NUMPY64 if dtype == "float64" else NUMPY).backend is NUMPY64
    )
    with input_error("backend is .*, expected a backend, its name, or a function of dtype and cpu_first"):
        load_model(path, lambda dtype: NUMPY64)


def test_a_loss_keeps_its_settings(saved):
    model, path = saved
    model.compile(CategoricalCrossentropy(label_smoothing=0.1))
    save_model(model, path)
    assert load_model(path, NUMPY).loss == model.loss
    for settings, message in (
        ({"label_smoothing": 2.0}, "label_smoothing is 2.0"),
        ({"a": 1}, "'a'"),
        ([], ""),
    ):
        with_facts(path, loss_settings=settings)
        with pytest.raises(CheckpointError, match=f"is inconsistent.*{message}"):
            load_model(path, NUMPY)


def test_the_same_model_gives_the_same_file(saved, tmp_path):
    model, path = saved
    for _ in range(5):
        save_model(model, tmp_path / "again.safetensors")
        assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"version": VERSION + 1}, "version"),
        ({"dtype": "float16"}, "float16"),
        ({"dtype": "float64"}, "float64"),
        ({"layers": []}, "layers"),
        ({"layers": "none"}, "layers is .none"),
        ({"layers": [{"type": "Evil", "units": 3}]}, "Evil"),
        ({"layers": [{"type": "Dense", "units": 3, "code": "1"}]}, "code"),
        ({"layers": [{"type": "Dense", "units": "3"}]}, "units"),
        ({"input_shape": [9]}, "shape"),
        ({"input_shape": [-1]}, "input_shape"),
        ({"seed": "zero"}, "seed"),
        ({"loss": "none"}, "loss"),
        *[({name: ABSENT}, name) for name in ("layers", "seed", "epochs_done", "loss")],
    ],
)
def test_rejects_checkpoints_that_do_not_fit(saved, changes, word):
    _, path = saved
    with_facts(path, **changes)
    with pytest.raises(CheckpointError, match=word):
        load_model(path, NUMPY)


def test_rejects_files_of_other_programs(tmp_path):
    from safetensors.numpy import save_file

    save_file({"W": np.zeros(3, dtype=np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="another program"):
        load_model(tmp_path / "other.safetensors", NUMPY)
    with pytest.raises(CheckpointError, match="not a file"):
        load_model(tmp_path, NUMPY)


def test_weights_of_another_architecture_leave_the_model_as_it_was(saved):
    _, path = saved
    other = small(NUMPY, units=6, seed=1)
    before = other.parameters.to_host()
    with pytest.raises(CheckpointError, match="architecture"):
        load_weights(other, path)
    for name, values in other.parameters.to_host().items():
        np.testing.assert_array_equal(values, before[name])
    twin = small(NUMPY, seed=1)
    load_weights(twin, path)
    np.testing.assert_array_equal(
        twin.parameters.to_host()["dense_1.W"], saved[0].parameters.to_host()["dense_1.W"]
    )


@pytest.mark.parametrize(("make", "shape"), [pytest.param(m, s, id=name) for name, m, s in samples()])
def test_every_layer_survives_save_and_load(make, shape, tmp_path):
    backend, layer = NUMPY, make()
    begin, shape = ([], shape) if layer.n_categories else ([Reshape(shape)], (int(np.prod(shape)),))
    layers = [*begin, layer, Flatten(), Dense(3, "softmax")]
    model = build_network(layers, shape, backend, 3)
    model.compile()
    x = np.random.default_rng(0).random((6, *model.input_shape), dtype=np.float32)
    x = np.floor(x * layer.n_categories) if layer.n_categories else x
    model.fit(x, np.arange(6) % 3, batch_size=3)
    save_model(model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors", backend)
    assert loaded.config() == model.config()
    assert same_bits(loaded.predict(x), model.predict(x))
    # Random streams continue too: a second epoch is the same for both.
    for m in (model, loaded):
        m.compile()
        m.fit(x, np.arange(6) % 3, batch_size=3)
    assert same_bits(loaded.predict(x), model.predict(x))


def test_a_model_comes_back_with_its_optimizer_schedule_and_penalty(tmp_path):
    backend, path = NUMPY, tmp_path / "model.safetensors"
    x, y = small_data()
    optimizer = AdamW(LinearDecay(0.05, steps=40, warmup=3), beta1=0.8, weight_decay=0.2, clip_norm=2.0)
    model = small_model(backend, compiled=False)
    model.compile("categorical_crossentropy", optimizer, metrics=(), l1=0.01, l2=0.02)
    model.fit(x, y, batch_size=10, epochs=2)
    save_model(model, path)
    again = load_model(path, backend)
    assert again.optimizer == optimizer
    assert (again.penalty.l1, again.penalty.l2) == (0.01, 0.02)
    assert again.metrics == ()
    assert again.epochs_done == 2
    again.fit(x, y, batch_size=50)  # the schedule continues from update 10
    rate = backend.to_host(again.optimizer_state.control)[0]
    assert rate == np.float32(optimizer.learning_rate.rates()[10])
