"""Each "yes" of docs/guide/expectations.md, as a small test of that name on NumPy."""

import copy
import csv
import json
import pickle
import re
import subprocess
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
import torch
from documents import ROOT
from helpers import Kept, same_bits, small_data, small_model, weights
from PIL import Image

import dnn
from backends import InputError, get_backend
from dnn import Adam, AdamW, Callback, Dense, EarlyStopping, Layer, Sequential
from dnn.checkpoints import load_model, save_model
from dnn.datasets import load_csv, load_image_folder
from dnn.losses import MeanSquaredError

ROWS = re.findall(
    r"^\| ([^|]+?) \| (yes|no) \| ([^|]*?) ?\| (?:`(\w+)` )?\|$",
    (ROOT / "docs" / "guide" / "expectations.md").read_text(encoding="utf-8"),
    flags=re.MULTILINE,
)
NUMPY = get_backend("numpy")


def test_the_table_is_these_tests():
    """A row that becomes "yes" gets a test here, and a test here a row."""
    named = [test for _, answer, _, test in ROWS if answer == "yes"]
    here = [name for name in globals() if name.startswith("test_")]
    assert sorted([*named, "test_the_table_is_these_tests"]) == sorted(here)
    assert all(not test for _, answer, _, test in ROWS if answer == "no")
    assert len(ROWS) >= 40
    assert len({expected for expected, *_ in ROWS}) == len(ROWS)


def network(*layers, loss="categorical_crossentropy", optimizer="adam", inputs=(6,), **options):
    model = Sequential(list(layers), input_shape=inputs, backend=NUMPY)
    model.compile(loss, optimizer, **options)
    return model


def learns(model, x, y, **options):
    """Whether the loss falls."""
    losses = model.fit(x, y, **{"batch_size": 10, "epochs": 5, **options}).history["loss"]
    return losses[-1] < losses[0]


def fitted(x, y, **options):
    """The weights after a training of the small model."""
    model = small_model(NUMPY)
    model.fit(x, y, **{"batch_size": 10, "epochs": 2, **options})
    return weights(model)


# ----- data


def test_numbers_of_any_dtype():
    x, y = small_data()
    whole = np.rint(x * 4)
    for dtype in ("float64", "int16", "int64"):
        assert same_bits(fitted(whole.astype(dtype), y.astype("uint8")), fitted(whole, y))
    assert same_bits(fitted(x > 0, y), fitted((x > 0).astype("float32"), y))


def test_lists_and_data_frames():
    class Frame:
        """What is asked of a data frame."""

        columns, dtypes = ["a", "b", "c", "d", "e", "f"], [np.dtype("f4")] * 6

        def __array__(self, dtype=None, copy=None):
            return np.asarray(x, dtype=dtype)

    x, y = small_data()
    for given in (x.tolist(), Frame()):
        assert same_bits(fitted(given, y.tolist()), fitted(x, y))


def test_torch_tensors():
    x, y = small_data()
    assert same_bits(fitted(torch.from_numpy(x), torch.from_numpy(y)), fitted(x, y))


def test_sparse_matrices():
    x, y = small_data()
    assert same_bits(fitted(scipy.sparse.csr_array(x), y), fitted(x, y))


def test_memory_maps(tmp_path):
    x, y = small_data()
    np.save(tmp_path / "x.npy", x)
    assert same_bits(fitted(np.load(tmp_path / "x.npy", mmap_mode="r"), y), fitted(x, y))


def test_batches_from_iterables():
    x, y = small_data()
    parts = [(x[i : i + 10], y[i : i + 10]) for i in range(0, 50, 10)]
    data = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    wanted = fitted(x, y, shuffle=False)
    assert same_bits(fitted(parts, None), wanted)
    assert same_bits(fitted(torch.utils.data.DataLoader(data, 10), None), wanted)
    assert same_bits(fitted((part for part in parts * 2), None, steps_per_epoch=5), wanted)


def test_csv_files(tmp_path):
    (tmp_path / "a.csv").write_text("size,kind\n1.5,ash\n2,elm\n0,ash\n")
    table = load_csv(tmp_path / "a.csv", target="kind")
    assert (table.x.tolist(), table.y.tolist(), table.classes) == (
        [[1.5], [2.0], [0.0]], [0, 1, 0], ("ash", "elm")
    )  # fmt: skip


def test_image_folders(tmp_path):
    for name, grey in (("dark", 0), ("light", 255)):
        (tmp_path / name).mkdir()
        Image.new("L", (9, 5), grey).save(tmp_path / name / "1.png")
    folder = load_image_folder(tmp_path, size=(4, 4))
    assert folder.x.shape == (2, 4, 4, 1)
    assert folder.x[:, 0, 0, 0].tolist() == [0, 255]
    assert (folder.y.tolist(), folder.classes) == ([0, 1], ("dark", "light"))


def test_augmentation():
    moved = dnn.RandomTranslation(1), dnn.RandomRotation(10.0), dnn.RandomElastic(5.0, 2.0)
    model = network(*moved, dnn.Flatten(), Dense(3, "softmax"), inputs=(5, 5, 1))
    x = np.random.default_rng(0).random((20, 5, 5, 1), dtype=np.float32)
    assert learns(model, x, np.arange(20) % 3)
    assert same_bits(model.predict(x), model.predict(x))


def test_rescaling():
    x, y = small_data()
    x = np.rint(np.clip(x, -2, 2) * 60 + 120).astype("uint8")
    model, wanted = network(dnn.Rescaling(1 / 255), Dense(3, "softmax")), network(Dense(3, "softmax"))
    assert learns(model, x, y)
    wanted.fit(x / 255, y, batch_size=10, epochs=5)
    np.testing.assert_allclose(model.predict(x), wanted.predict(x / 255), rtol=1e-4)


def test_weights_of_examples_and_classes():
    x, y = small_data()
    plain = fitted(x, y)
    assert not same_bits(fitted(x, y, sample_weight=np.linspace(0, 1, 50)), plain)
    assert not same_bits(fitted(x, y, class_weight={0: 5.0}), plain)
    assert not same_bits(fitted(x, y, class_weight="balanced"), plain)


def test_validation():
    x, y = small_data()
    one = small_model(NUMPY).fit(x, y, validation_split=0.2).history
    two = small_model(NUMPY).fit(x[:40], y[:40], validation_data=(x[40:], y[40:])).history
    assert one["val_loss"] == two["val_loss"]
    assert one["val_accuracy"] == two["val_accuracy"]


# ----- models


def test_sequential_and_summary():
    lines = []
    small_model(NUMPY).summary(lines.append)
    assert any(line.startswith("dense_1 (Dense, relu)") and line.endswith("56") for line in lines)
    assert lines[-1].split() == ["total", "83"]


def test_convolutional_networks():
    layers = dnn.Conv2D(4, 3, "relu"), dnn.MaxPooling2D(), dnn.AveragePooling2D(), dnn.Flatten()
    x = np.random.default_rng(0).random((30, 10, 10, 2), dtype=np.float32)
    y = (x[:, :5].mean((1, 2, 3)) > x[:, 5:].mean((1, 2, 3))).astype(int)
    assert learns(network(*layers, Dense(2, "softmax"), inputs=(10, 10, 2)), x, y)


def test_normalization_and_dropout():
    layers = Dense(16), dnn.BatchNormalization(), dnn.LayerNormalization(), dnn.Dropout(0.1)
    assert learns(network(*layers, Dense(3, "softmax")), *small_data())


def test_several_outputs():
    x, _ = small_data()
    model = network(Dense(8, "tanh"), Dense(2), loss="mse")
    history = model.fit(x, x[:, :2], epochs=2).history
    assert "mean_absolute_error" in history
    model = network(Dense(3, "sigmoid"), loss="bce", optimizer=Adam(0.1))
    labels = (x[:, :3] > 0).astype(float)
    model.fit(x, labels, batch_size=10, epochs=20)
    right = ((model.predict(x) > 0.5) == labels).mean()
    assert model.evaluate(x, labels).accuracy == pytest.approx(right)
    assert right > 0.9


class Double(Layer):
    """y = 2 x."""

    def forward(self, x, *, training):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


def test_own_layer():
    x, y = small_data()
    model, wanted = network(Double(), Dense(3, "softmax")), network(Dense(3, "softmax"))
    wanted.parameters.load(model.parameters.to_host())
    assert learns(model, x, y)
    wanted.fit(2 * x, y, batch_size=10, epochs=5)
    np.testing.assert_allclose(model.predict(x), wanted.predict(2 * x), rtol=1e-5)


@dataclass(frozen=True)
class Halved(MeanSquaredError):
    """Half of the squared error."""

    name = "halved"

    def bind(self, backend):
        kernels = super().bind(backend)

        def halve(kernel, outputs, targets, losses, gradient):
            kernel(outputs, targets, losses, gradient)
            losses[...] = losses / 2
            gradient[...] = gradient / 2

        return {form: lambda *arrays, k=kernel: halve(k, *arrays) for form, kernel in kernels.items()}


def test_own_loss():
    x, _ = small_data()
    model = network(Dense(2), loss=Halved())
    whole = network(Dense(2), loss="mse")
    assert model.evaluate(x, x[:, :2]).loss == pytest.approx(whole.evaluate(x, x[:, :2]).loss / 2)
    assert learns(model, x, x[:, :2])


def test_register(tmp_path, monkeypatch):
    monkeypatch.setattr(dnn.LAYERS, "_entries", dict(dnn.LAYERS))
    x, _ = small_data()
    model = network(dnn.register(Double)(), Dense(3, "softmax"))
    save_model(model, tmp_path / "model")
    assert same_bits(load_model(tmp_path / "model", NUMPY).predict(x), model.predict(x))


def test_branches():
    x, y = small_data()
    model = network(
        dnn.Residual([Dense(6, "relu"), Dense(6)]), dnn.Parallel([Dense(2), [Dense(4, "tanh"), Dense(3)]]),
        Dense(3, "softmax"),
    )  # fmt: skip
    assert [layer.output_shape for layer in model.layers] == [(6,), (5,), (3,)]
    assert learns(model, x, y)


def test_sequences():
    words = np.random.default_rng(0).integers(0, 9, (60, 7))
    y = (words == 3).any(axis=1).astype(int)
    layers = dnn.Embedding(9, 4), dnn.Conv1D(6, 3, "relu"), dnn.Flatten(), Dense(2, "softmax")
    model = network(*layers, inputs=(7,), optimizer=Adam(0.02))
    assert learns(model, words, y, epochs=30)
    assert model.evaluate(words, y).accuracy > 0.95


def test_freezing():
    model = network(Dense(8, "relu", trainable=False), Dense(3, "softmax"))
    before = model.parameters.to_host()
    model.fit(*small_data())
    after = model.parameters.to_host()
    assert [name for name in after if not same_bits(after[name], before[name])] == ["dense_2.W", "dense_2.b"]


# ----- training


def test_optimizers():
    x, y = small_data()
    for name in ("sgd", "rmsprop", "adagrad", "adam", "adamw"):
        assert learns(network(Dense(3, "softmax"), optimizer=name), x, y)
    assert learns(network(Dense(3, "softmax"), optimizer=dnn.SGD(0.1, 0.9, nesterov=True)), x, y)


def test_schedules():
    rate = dnn.LinearDecay(0.01, steps=10, warmup=4)
    model = network(Dense(3, "softmax"), optimizer=Adam(rate))
    seen = []

    class Watch(Callback):
        every = 1

        def on_progress(self, progress):
            seen.append(float(self.model.optimizer_state.control[0]))

    model.fit(*small_data(), batch_size=10, epochs=3, callbacks=[Watch()])
    np.testing.assert_allclose(seen[:14], rate.rates()[:14], rtol=1e-6)
    for schedule in (dnn.CosineDecay(0.01, 10), dnn.StepDecay(0.01, 10, 5), dnn.OneCycle(0.01, 10)):
        assert learns(network(Dense(3, "softmax"), optimizer=Adam(schedule)), *small_data())


def test_clipping():
    x, y = small_data()
    for optimizer in (dnn.SGD(1.0, clip_norm=0.01), dnn.SGD(1.0, clip_value=0.001)):
        model = network(Dense(3, "softmax"), optimizer=optimizer)
        before = weights(model)
        model.fit(x, y, batch_size=50)
        assert 0 < np.linalg.norm(weights(model) - before) < 0.0101


def test_penalties():
    x, y = small_data()

    def size(**options):
        model = network(Dense(3, "softmax"), **options)
        model.fit(x, y, batch_size=10, epochs=20)
        return np.abs(model.parameters.to_host()["dense_1.W"]).sum()

    for options in ({"l1": 0.1}, {"l2": 0.1}, {"optimizer": AdamW(weight_decay=1.0)}):
        assert size(**options) < size()


def test_label_smoothing():
    x, y = small_data()
    smooth = network(Dense(3, "softmax"), loss=dnn.CategoricalCrossentropy(label_smoothing=0.2))
    logits = torch.log(torch.from_numpy(smooth.predict(x)))
    wanted = torch.nn.functional.cross_entropy(logits, torch.from_numpy(y), label_smoothing=0.2)
    assert smooth.evaluate(x, y).loss == pytest.approx(float(wanted), rel=1e-5)


def test_early_stopping():
    x, y = small_data()
    stop = EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    model = network(Dense(32, "relu"), Dense(3, "softmax"), optimizer=Adam(0.1))
    history = model.fit(x, y, batch_size=5, epochs=100, validation_split=0.3, callbacks=[stop]).history
    assert len(history["loss"]) == stop.best_epoch + 2 < 100
    assert model.evaluate(x[35:], y[35:]).loss == pytest.approx(min(history["val_loss"]))


def test_model_checkpoint(tmp_path):
    x, y = small_data()
    best = dnn.ModelCheckpoint(tmp_path / "best", save_best_only=True)
    model = network(Dense(32, "relu"), Dense(3, "softmax"), optimizer=Adam(0.1))
    history = model.fit(x, y, batch_size=5, epochs=9, validation_split=0.3, callbacks=[best]).history
    found = load_model(tmp_path / "best", NUMPY).evaluate(x[35:], y[35:]).loss
    assert found == pytest.approx(min(history["val_loss"]))


def test_resuming():
    kept = Kept()
    whole = fitted(*small_data(), callbacks=[kept])
    for state in (kept.states[1], kept.states[5]):
        assert same_bits(fitted(*small_data(), resume=copy.deepcopy(state)), whole)


def test_logs(tmp_path, monkeypatch):
    scalars = []

    class SummaryWriter:
        """tensorboardX's, which need not be installed."""

        def __init__(self, log_dir):
            self.add_scalar = lambda *given: scalars.append(given)
            self.flush = self.close = lambda: None

    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=SummaryWriter))
    loggers = [dnn.CSVLogger(tmp_path / "csv"), dnn.JSONLogger(tmp_path / "json"), dnn.TensorBoard(tmp_path)]
    losses = small_model(NUMPY).fit(*small_data(), epochs=2, callbacks=loggers).history["loss"]
    rows = list(csv.DictReader((tmp_path / "csv").read_text().splitlines()))
    lines = [json.loads(line) for line in (tmp_path / "json").read_text().splitlines()]
    assert [float(row["loss"]) for row in rows] == [line["loss"] for line in lines] == losses
    assert [value for name, value, _ in scalars if name == "loss"] == losses


def test_own_callback():
    class Mine(Callback):
        def on_epoch_end(self, epoch, logs):
            logs["twice"] = 2.0 * epoch
            self.model.stop_training = epoch == 3

    history = small_model(NUMPY).fit(*small_data(), epochs=9, callbacks=[Mine()])
    assert history.history["twice"] == [2.0, 4.0, 6.0]


def test_own_loop():
    (x, y), model = small_data(), small_model(NUMPY)
    model.reserve(10, training=True)
    for _ in range(2):
        for start in range(0, 50, 10):
            part = slice(start, start + 10)
            _, _, gradient = model.loss_of(x[part], y[part], training=True)
            model.backward(gradient)
            model.update()
    assert same_bits(weights(model), fitted(x, y, shuffle=False))


def test_lbfgs():
    (x, y), model = small_data(), small_model(NUMPY)
    before = model.evaluate(x, y).loss
    state = dnn.fit_lbfgs(model, x, y)
    assert model.evaluate(x, y).loss == pytest.approx(state.value, abs=1e-6)
    assert state.value < before / 10


def test_own_metrics():
    x, y = small_data()

    def surest(y, outputs):
        return outputs.max(axis=1)

    model = network(Dense(3, "softmax"), metrics=["accuracy", surest, "mae"])
    assert {"accuracy", "surest", "val_surest"} <= model.fit(x, y, validation_split=0.2).history.keys()
    assert model.evaluate(x, y).surest == pytest.approx(model.predict(x).max(axis=1).mean())


def test_reduce_lr_on_plateau():
    model = network(Dense(3, "softmax"), optimizer=Adam(0.5))
    plateau = dnn.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=100.0)
    rates = model.fit(*small_data(), epochs=4, callbacks=[plateau]).history["learning_rate"]
    assert rates == [0.5, 0.5, 0.25, 0.125]


def test_progress(capsys):
    small_model(NUMPY).fit(*small_data(), epochs=2)
    assert capsys.readouterr().out == ""
    small_model(NUMPY).fit(*small_data(), epochs=2, verbose=1)
    assert [line[:9] for line in capsys.readouterr().out.splitlines()] == ["epoch 1/2", "epoch 2/2"]


# ----- results


def test_evaluate_and_predict():
    (x, y), model = small_data(), small_model(NUMPY)
    probabilities = model.predict(x)
    assert type(probabilities) is np.ndarray
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)
    found = model.evaluate(x, y)
    assert found.loss == pytest.approx(-np.log(probabilities[np.arange(50), y]).mean(), rel=1e-5)
    assert found.accuracy == pytest.approx((probabilities.argmax(axis=1) == y).mean())


def test_seeds():
    x, y = small_data()
    one, two, other = (small_model(NUMPY, seed=seed) for seed in (1, 1, 2))
    for model in (one, two, other):
        model.fit(x, y, batch_size=10, epochs=2)
    assert same_bits(weights(one), weights(two))
    assert not same_bits(weights(one), weights(other))


def test_saving_and_loading(tmp_path):
    (x, y), model = small_data(), small_model(NUMPY)
    model.compile("categorical_crossentropy", Adam(dnn.CosineDecay(0.01, 50), clip_norm=1.0), l2=0.01)
    model.fit(x, y, batch_size=10, epochs=2)
    save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model", NUMPY)
    assert again.optimizer == model.optimizer
    assert again.penalty.l2 == 0.01
    assert same_bits(again.predict(x), model.predict(x))


def test_scikit_learn():
    from sklearn.model_selection import GridSearchCV

    from dnn.interop.sklearn import DNNClassifier

    x, y = small_data(60)
    network = DNNClassifier((20,), learning_rate_init=0.05, tol=0.01, random_state=0)
    search = GridSearchCV(network, {"alpha": [1e-2, 1e3]}, cv=2).fit(x, y)
    assert search.best_params_ == {"alpha": 1e-2}
    assert search.score(x, y) > 0.9


def test_copy_and_pickle():
    (x, y), model = small_data(), small_model(NUMPY)
    model.fit(x, y)
    for other in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        other.fit(x, y)
        assert same_bits(other.predict(x), fitted_twice(x, y))


def fitted_twice(x, y):
    model = small_model(NUMPY)
    for _ in range(2):
        model.fit(x, y)
    return model.predict(x)


def test_plot(tmp_path):
    figure = small_model(NUMPY).fit(*small_data(), epochs=2, validation_split=0.2).plot()
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]
    figure.savefig(tmp_path / "curves.png")


def test_another_backend(tmp_path):
    (x, y), model = small_data(), small_model(NUMPY)
    model.fit(x, y, batch_size=10, epochs=2)
    save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model", get_backend("torch"))
    assert isinstance(again.parameters.values, torch.Tensor)
    np.testing.assert_allclose(again.predict(x), model.predict(x), rtol=1e-5)


def test_to_torch_and_back():
    from dnn.interop.torch import from_torch, to_torch

    (x, _), model = small_data(), small_model(NUMPY)
    module = to_torch(model, logits=False)
    with torch.no_grad():
        np.testing.assert_allclose(module(torch.from_numpy(x)).numpy(), model.predict(x), rtol=1e-5)
    assert same_bits(weights(from_torch(module, NUMPY)), weights(model))


def test_errors_are_sentences():
    x, y = small_data()
    with pytest.raises(InputError, match=r"^x has shape \(50, 5\), expected \(N, 6\)$"):
        small_model(NUMPY).fit(x[:, :5], y)
    with pytest.raises(InputError, match=r"^optimizer is 'adm', expected one of .*; did you mean 'adam'"):
        small_model(NUMPY).compile(optimizer="adm")


def test_command_line():
    shown = subprocess.run([sys.executable, "-m", "dnn", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 0
    assert {"train", "evaluate", "predict"} <= set(shown.stdout.split())


def test_types():
    """mypy --strict of a user's program is in tests/test_wheel.py."""
    assert (ROOT / "dnn" / "py.typed").is_file()
    assert (ROOT / "backends" / "py.typed").is_file()
