"""The order and defaults of arguments, on which users rely. A * before a name: keyword-only."""

from inspect import Parameter, signature

import dnn
from dnn.layers import LAYERS
from dnn.lbfgs import fit_lbfgs
from dnn.losses import LOSSES
from dnn.optimizers import OPTIMIZERS, SCHEDULES

CLASSES = [
    *LAYERS.values(), *LOSSES.values(), *OPTIMIZERS.values(), *SCHEDULES.values(), dnn.Sequential,
    dnn.EarlyStopping, dnn.ReduceLROnPlateau, dnn.ModelCheckpoint, dnn.CSVLogger,
]  # fmt: skip
FUNCTIONS = [
    getattr(dnn.Sequential, name) for name in ("compile", "fit", "evaluate", "predict", "input_gradient")
]
OF_ALL = {"self", "trainable", "warmup"}
EXPECTED = """
ELU alpha=1.0
GELU approximate=tanh
Activation activation
AveragePooling1D pool_size=2 *padding=valid *ceil_mode=False *count_include_pad=False
AveragePooling2D pool_size=2 *padding=valid *ceil_mode=False *count_include_pad=False
BatchNormalization *epsilon=1e-05 *momentum=0.1
Block layers
Conv1D filters kernel_size activation=linear *use_bias=True *padding=valid *strides=1
Conv2D filters kernel_size activation=linear *use_bias=True *padding=valid *strides=1 *dilation=1 *groups=1
Dense units activation=linear *use_bias=True
Dropout rate
Embedding input_dim output_dim
GaussianNoise stddev
LayerNormalization *epsilon=1e-05
LeakyReLU slope=0.01
MaxPooling1D pool_size=2 *padding=valid *ceil_mode=False
MaxPooling2D pool_size=2 *padding=valid *ceil_mode=False
Parallel branches *merge=concatenate
RandomElastic strength sigma=5.0 degrees=0.0 scale=0.0 shear=0.0
RandomRotation degrees
RandomTranslation pixels
Rescaling scale offset=0.0
Reshape target_shape
Residual layers
CategoricalCrossentropy label_smoothing=0.0
SparseCategoricalCrossentropy label_smoothing=0.0
BinaryCrossentropy pos_weight=1.0
SGD learning_rate=0.01 momentum=0.0 nesterov=False
Adagrad learning_rate=0.01 *epsilon=1e-10
RMSprop learning_rate=0.01 *decay=0.99 *epsilon=1e-08 *momentum=0.0 *centered=False
Adam learning_rate=0.001 beta1=0.9 beta2=0.999 epsilon=1e-08 *amsgrad=False
AdamW learning_rate=0.001 beta1=0.9 beta2=0.999 epsilon=1e-08 weight_decay=0.01 *amsgrad=False
Constant rate
StepDecay initial steps every factor=0.1
LinearDecay initial steps final=0.0
CosineDecay initial steps final=0.0
OneCycle highest steps rise=0.3 div_factor=25.0 final_div_factor=10000.0
Sequential layers=() *backend=auto *seed=0
Sequential.compile *l1=0.0 *l2=0.0
Sequential.fit x batch_size=100 epochs=1 verbose=auto callbacks=() validation_split=0.0 shuffle=True *blocks=1
Sequential.evaluate x batch_size=1000 verbose=auto
Sequential.predict x batch_size=1000 verbose=auto
Sequential.input_gradient x y batch_size=1000
load_model path backend=auto allow_nonfinite=False
fit_lbfgs model x y *chunk_size=1000
EarlyStopping monitor=val_loss min_delta=0.0 patience=0 verbose=0 mode=auto restore_best_weights=False
ReduceLROnPlateau monitor=val_loss factor=0.1 patience=10 verbose=0 mode=auto min_delta=0.0001 cooldown=0 min_lr=0.0
ModelCheckpoint filepath monitor=val_loss verbose=0 save_best_only=False mode=auto
CSVLogger filename
"""  # noqa: E501


def described(function):
    """Return a line with the name and the arguments, without those that are None by default."""
    words = [function.__qualname__]
    for name, argument in signature(function).parameters.items():
        if name not in OF_ALL and argument.default not in (None, ""):
            star = "*" if argument.kind is Parameter.KEYWORD_ONLY else ""
            default = "" if argument.default is Parameter.empty else f"={argument.default}"
            words.append(f"{star}{name}{default}")
    return " ".join(words)


def test_arguments():
    found = [described(each) for each in (*CLASSES, *FUNCTIONS, dnn.load_model, fit_lbfgs)]
    assert [line for line in EXPECTED.strip().splitlines() if line not in found] == []
