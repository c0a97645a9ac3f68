"""Names of Keras and other libraries that do not exist here, and what to use instead."""

from typing import TYPE_CHECKING, Any

from backends import InputError
from backends.errors import MissingAttribute
from dnn.validation.settings import is_integer, look_up, require

_ONE_LIST = "all layers in the list of Sequential([...])"
_BRANCHES = "Residual, Parallel, or PyTorch for other graphs"
MODEL_NAMES = {
    "add": _ONE_LIST, "pop": _ONE_LIST, "build": "Sequential([Input(shape), ...])",
    "train_on_batch": "model.fit(x, y, batch_size=len(x)), or loss_of, backward and update in a loop",
    "test_on_batch": "model.evaluate(x, y)", "predict_on_batch": "model.predict(x)",
    "predict_step": "model.predict(x)", "train_step": "loss_of, backward and update in a loop",
    "fit_generator": "model.fit(batches, steps_per_epoch=...)",
    "get_weights": "model.parameters.to_host()", "set_weights": "model.parameters.load(values)",
    "weights": "model.parameters", "trainable_weights": "model.parameters",
    "trainable_variables": "model.parameters", "state_dict": "model.parameters.to_host()",
    "load_state_dict": "model.parameters.load(values)",
    "save_weights": "model.save(path)", "load_weights": "dnn.checkpoints.load_weights(model, path)",
    "get_config": "model.config()", "to_json": "model.config()", "export": "dnn export, or dnn.interop.onnx",
    "trainable": "layer.trainable of each layer", "to": "get_backend('torch', 'cuda') for a new model",
    "train": "nothing: fit trains, evaluate and predict do not", "eval": "nothing: predict evaluates",
    "predict_classes": "model.predict(x).argmax(axis=1)", "predict_proba": "model.predict(x)",
    "score": "model.evaluate(x, y).accuracy", "count_params": "model.parameters.count",
    "history": "the History that fit returns", "metrics_names": "model.evaluate(x, y).as_dict()",
}  # fmt: skip
"""Attribute of a model in Keras, PyTorch or scikit-learn -> what to use."""

MODULE_NAMES = {
    "LambdaCallback": "a subclass of Callback", "LearningRateScheduler": "Adam(schedule), see dnn.schedules",
    "BackupAndRestore": "dnn.callbacks.TrainingCheckpoint", "TerminateOnNaN": "dnn.callbacks.TerminateOnNaN",
    "ProgbarLogger": "fit(verbose=1)", "Model": f"Sequential; {_BRANCHES}", "Add": f"Residual; {_BRANCHES}",
    "Concatenate": f"Parallel; {_BRANCHES}", "Lambda": "a subclass of Layer with forward and backward",
    "ReLU": "Activation('relu')", "Softmax": "Activation('softmax')", "Normalization": "BatchNormalization()",
    "InputLayer": "Input(shape)", "ZeroPadding2D": "padding= of Conv2D", "RandomZoom": "RandomElastic",
    "RandomFlip": "a generator of batches", "Conv2DTranspose": "PyTorch", "UpSampling2D": "PyTorch",
    "DepthwiseConv2D": "Conv2D(filters, size, groups=channels)", "SimpleRNN": "PyTorch, or Conv1D",
    "LSTM": "PyTorch, or Conv1D", "GRU": "PyTorch, or Conv1D", "Bidirectional": "PyTorch, or Conv1D",
    "MultiHeadAttention": "PyTorch", "GlobalAveragePooling1D": "AveragePooling1D of all steps, and Flatten",
    "GlobalMaxPooling1D": "MaxPooling1D of all steps, and Flatten",
    "to_categorical": "class numbers as they are, or numpy.eye(C)[y]",
}  # fmt: skip
"""Name in the modules of Keras -> what to use."""


class KerasNames:
    """Base of models: ``get_layer``, and errors for other attributes that the models of Keras have."""

    layers: tuple[Any, ...]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            kind = type(self).__name__
            if name in MODEL_NAMES:
                raise MissingAttribute(f"a {kind} has no {name}", MODEL_NAMES[name])
            raise AttributeError(f"{kind!r} object has no attribute {name!r}")

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        got = f"a {type(self).__name__} was called like a function"
        raise InputError(got, "model.predict(x), or model.forward(x, training=False) on arrays of the device")

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """Return the layer of this name, or at this position. Raises InputError: there is none."""
        if index is None:
            return look_up("name", name, {layer.name: layer for layer in self.layers})
        require(name is None, "name", name, "None beside an index")
        fits = is_integer(index) and -len(self.layers) <= index < len(self.layers)
        require(fits, "index", index, f"an integer from 0 to {len(self.layers) - 1}")
        return self.layers[index]


def refuse_name(name: str) -> Any:
    """Raise an error for a name that a module lacks: InputError with what to use if Keras has the name."""
    if name in MODULE_NAMES:  # ``from dnn import name`` would drop the text of an AttributeError
        raise InputError(f"{name} of Keras is not in this library", MODULE_NAMES[name])
    raise AttributeError(f"dnn has no attribute {name!r}")
