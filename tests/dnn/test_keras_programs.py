"""Three programs as keras.io writes them run here. A changed line has Keras's line in a comment."""

import pytest

MLP = """\
import numpy as np
import dnn as keras  # import keras
from dnn import layers  # from keras import layers

(x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
x_train = x_train.reshape(60000, 784).astype("float32")[:3000] / 255
y_train = y_train[:3000]
x_test = x_test.reshape(10000, 784).astype("float32")[:1000] / 255
y_test = y_test[:1000]

model = keras.Sequential(
    [
        keras.Input(shape=(784,), name="digits"),
        layers.Dense(64, activation="relu", name="dense_1"),
        layers.Dropout(0.1),
        layers.Dense(64, activation="swish", name="dense_2"),
        layers.Dense(10, activation="softmax", name="predictions"),
    ]
)
model.summary()
model.compile(
    optimizer=keras.optimizers.RMSprop(learning_rate=1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(),
    metrics=["sparse_categorical_accuracy"],
)


def scheduler(epoch, lr):
    if epoch < 2:
        return lr
    return lr * 0.5


callbacks = [
    keras.callbacks.EarlyStopping(
        monitor="val_loss",
        min_delta=1e-2,
        patience=2,
        verbose=1,
    ),
    keras.callbacks.ModelCheckpoint(
        filepath="mymodel_{epoch}.keras",
        save_best_only=True,
        monitor="val_loss",
        verbose=1,
    ),
    keras.callbacks.LearningRateScheduler(scheduler, verbose=1),
]
history = model.fit(
    x_train,
    y_train,
    epochs=4,
    batch_size=64,
    callbacks=callbacks,
    validation_split=0.2,
    verbose=2,
)
print(sorted(history.history.keys()))
results = model.evaluate(x_test, y_test, batch_size=128)
print("test loss, test acc:", results)
predictions = model.predict(x_test[:3])
print("predictions shape:", predictions.shape)
model = keras.models.load_model("mymodel_1.keras")
score = model.evaluate(x_test, y_test, verbose=0)
"""

CNN = """\
import numpy as np
import dnn as keras  # import keras
from dnn import layers  # from keras import layers

num_classes = 10
input_shape = (28, 28, 1)
(x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
x_train = x_train[:1000].astype("float32") / 255
x_test = x_test[:500].astype("float32") / 255
x_train = np.expand_dims(x_train, -1)
x_test = np.expand_dims(x_test, -1)
y_train = keras.utils.to_categorical(y_train[:1000], num_classes)
y_test = keras.utils.to_categorical(y_test[:500], num_classes)


def mean_confidence(y_true, y_pred):
    return model.backend.xp.max(y_pred, axis=-1)  # keras.ops.max(y_pred, axis=-1)


model = keras.Sequential(
    [
        keras.Input(shape=input_shape),
        layers.RandomTranslation(2),  # layers.RandomTranslation(0.1, 0.1)
        layers.RandomRotation(18),  # layers.RandomRotation(0.05)
        layers.Conv2D(16, kernel_size=(3, 3), activation="relu"),
        layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Conv2D(32, kernel_size=(3, 3), activation="relu", padding="same"),
        layers.BatchNormalization(),
        layers.MaxPool2D(pool_size=(2, 2)),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(num_classes, activation="softmax"),
    ]
)
model.summary()
model.compile(
    loss="categorical_crossentropy",
    optimizer=keras.optimizers.Adam(learning_rate=1e-3),
    metrics=["accuracy", mean_confidence],
)
batch_size = 128
epochs = 1
for epoch in range(epochs):
    for step in range(len(x_train) // batch_size):
        x_batch = x_train[step * batch_size : (step + 1) * batch_size]
        y_batch = y_train[step * batch_size : (step + 1) * batch_size]
        loss, accuracy, confidence = model.train_on_batch(x_batch, y_batch)
    print("epoch", epoch, "loss", loss)
model.fit(x_train, y_train, batch_size=batch_size, epochs=epochs, validation_split=0.1)
score = model.evaluate(x_test, y_test, verbose=0)
print("Test loss:", score[0])
print("Test accuracy:", score[1])
"""

REGRESSION = """\
import numpy as np
import dnn as keras  # import keras
from dnn.layers import Dense  # from keras.layers import Dense
from dnn.models import Sequential  # from keras.models import Sequential

rng = np.random.default_rng(0)
x = rng.normal(size=(600, 8))
y = x @ rng.normal(size=8) + 0.1 * rng.normal(size=600)
sample_weight = rng.uniform(0.5, 1.5, size=600)

model = Sequential(
    [
        keras.Input(shape=(8,)),
        Dense(64, activation="relu"),
        Dense(64, activation="relu"),
        Dense(1),
    ]
)
model.compile(optimizer="rmsprop", loss="mse", metrics=["mae"])
history = model.fit(
    x,
    y,
    epochs=20,
    batch_size=16,
    validation_split=0.2,
    sample_weight=sample_weight,
    verbose=0,
)
mse, mae = model.evaluate(x, y, verbose=0)
print(model.predict(x[:5]).flatten())
score = [mse, mae]
"""


@pytest.mark.parametrize(
    ("program", "unchanged", "best", "worst"),
    [(MLP, 0.95, 0.0, 0.6), (CNN, 0.85, 0.0, 2.5), (REGRESSION, 0.8, 0.0, 0.3)],
)
def test_a_program_of_keras(program, unchanged, best, worst, mnist_dir, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("DNN_DATA_DIR", str(mnist_dir))
    monkeypatch.chdir(tmp_path)
    lines = [line for line in program.splitlines() if line.strip()]
    changed = [line for line in lines if "  # " in line]
    assert 1 - len(changed) / len(lines) >= unchanged
    names = {"__name__": "program"}
    exec(compile(program, "program", "exec"), names)
    assert best < names["score"][0] < worst
    if program is MLP:
        history = names["history"].history
        assert history["learning_rate"][2] == pytest.approx(history["learning_rate"][0] / 2)
        assert "val_sparse_categorical_accuracy" in history
        assert "epoch 1: saved mymodel_1.keras" in capsys.readouterr().out
