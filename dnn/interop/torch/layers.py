"""Tables of layers and activations with their torch.nn modules.

Register a custom layer by ``LAYER_TWINS.add("Mine", LayerTwin(...))``.
"""

from ast import literal_eval
from typing import Any

from backends.table import Table
from dnn.interop.torch.twins import (
    LayerTwin,
    Module,
    Tensors,
    find_twin,
    nn_module,
    parse_pairs,
    require_same,
    settings_twin,
)
from dnn.layers import Activation, Layer
from dnn.layers.augmentation import Augmentation

# Our parameter or buffer -> torch's, and the axes that permute torch's array to ours.
_BIAS = {"b": ("bias", (0,))}
_SCALES = {"gamma": ("weight", (0,)), "beta": ("bias", (0,))}
_AVERAGES = {"running_mean": ("running_mean", (0,)), "running_variance": ("running_var", (0,))}
_TENSORS: dict[str, Tensors] = {
    # torch's weights are (n_out, n_in), (n_out, n_in, h, w) and (n_out, n_in, k).
    "Dense": {"W": ("weight", (1, 0)), **_BIAS},
    "Conv2D": {"W": ("weight", (2, 3, 1, 0)), **_BIAS},
    "Conv1D": {"W": ("weight", (2, 1, 0)), **_BIAS},
    "Embedding": {"W": ("weight", (0, 1))},
    "BatchNormalization": {**_SCALES, **_AVERAGES},
    "LayerNormalization": _SCALES,
}

# Our layer | module, for images | what it treats alike | our setting:the module's | required values
# A Flatten follows the modules of global poolings. Without it, or with other sizes, they are usual poolings.
# With default settings, LeakyReLU, ELU and GELU convert back to an Activation of the same name.
# Containers are created empty; ``dnn.interop.torch.convert`` adds their children.
_ROWS = """
Dense | Linear | features | units:out_features
Conv2D | Conv2d | channels | filters:out_channels kernel_size strides:stride padding dilation groups \
| padding_mode='zeros'
Conv1D | Conv1d | channels | filters:out_channels kernel_size strides:stride padding \
| padding_mode='zeros' groups=1 dilation=1
Embedding | Embedding | | input_dim:num_embeddings output_dim:embedding_dim \
| padding_idx=None max_norm=None scale_grad_by_freq=False
MaxPooling2D | MaxPool2d | channels | pool_size:kernel_size strides:stride padding ceil_mode \
| dilation=1 return_indices=False
AveragePooling2D | AvgPool2d | channels | pool_size:kernel_size strides:stride padding ceil_mode \
count_include_pad | divisor_override=None
MaxPooling1D | MaxPool1d | channels | pool_size:kernel_size strides:stride padding ceil_mode \
| dilation=1 return_indices=False
AveragePooling1D | AvgPool1d | channels | pool_size:kernel_size strides:stride padding ceil_mode \
count_include_pad
GlobalAveragePooling2D | AdaptiveAvgPool2d | channels | | output_size=1
GlobalMaxPooling2D | AdaptiveMaxPool2d | channels | | output_size=1 return_indices=False
BatchNormalization | BatchNorm1d BatchNorm2d | channels | momentum epsilon:eps | track_running_stats=True
LayerNormalization | LayerNorm | features | epsilon:eps
Dropout | Dropout | elements | rate:p
Flatten | Flatten | | | start_dim=1 end_dim=-1
Reshape | Unflatten | | target_shape:unflattened_size | dim=1
Rescaling | Scale | elements | scale offset
LeakyReLU | LeakyReLU | elements | slope:negative_slope
ELU | ELU | elements | alpha
GELU | GELU | elements | approximate
Block | Sequential | elements
Residual | Residual | elements
Parallel | Parallel | elements | merge
"""


def _parse_values(text: str) -> dict[str, Any]:
    """Return the values in words such as "dim=-1"."""
    words = (word.partition("=") for word in text.split())
    return {name: literal_eval(value) for name, _, value in words}


def _parse_row(row: str) -> tuple[str, LayerTwin]:
    """Return a layer's name and its twin."""
    name, modules, acts_on, settings, others = (row + " | |").split("|")[:5]
    return settings_twin(
        name.strip(), modules.split(), parse_pairs(settings),
        _TENSORS.get(name.strip(), {}), acts_on.strip(),
        _parse_values(others),
    )  # fmt: skip


LAYER_TWINS: Table[LayerTwin] = Table("layer with a twin in torch", dict([
    *map(_parse_row, _ROWS.strip().splitlines()),
    ("Activation", LayerTwin(
        ("Identity",),
        lambda layer: activation_module(layer.activation),
        lambda module, activation, name: Activation(activation, name=name),
        acts_on="elements",
    )),
]))  # fmt: skip
"""Layer class -> twin. GaussianNoise has no twin in torch.nn."""

_ACTIVATION_ROWS = """
linear | Identity |
sigmoid | Sigmoid |
tanh | Tanh |
relu | ReLU |
softmax | Softmax | dim=-1
leaky_relu | LeakyReLU | negative_slope=0.01
elu | ELU | alpha=1.0
gelu | GELU | approximate='tanh'
silu | SiLU |
softplus | Softplus | beta=1.0 threshold=40.0
"""  # torch's threshold of Softplus, 20, causes errors of 2e-9
ACTIVATION_TWINS: Table[tuple[str, dict[str, Any]]] = Table("activation", {
    name: (module.strip(), _parse_values(values))
    for row in _ACTIVATION_ROWS.strip().splitlines() for name, module, values in [row.split(" |")]
})  # fmt: skip
"""Activation -> (class in torch.nn, keyword arguments)."""


def activation_module(activation: str) -> Module:
    """Return the torch.nn module of an activation. Raises NoTwin: ACTIVATION_TWINS has no entry for it."""
    name, arguments = find_twin("activation", activation, ACTIVATION_TWINS)
    return nn_module(name, **arguments)


def activation_of(module: Module) -> str | None:
    """Return the name of the activation of a module, or None for other modules and for non-default settings
    that only a layer has (LeakyReLU, ELU, GELU).

    Raises NoTwin: an activation with settings that ours does not have.
    """
    if not type(module).__module__.startswith("torch.nn."):
        return None  # a custom class with the same name
    for activation, (name, arguments) in ACTIVATION_TWINS.items():
        if type(module).__name__ == name:
            # dim is not checked: dim 1 of (B, n) is the last axis, and the rank is unknown here.
            fixed = {k: v for k, v in arguments.items() if k not in ("dim", "threshold")}
            if name in LAYER_TWINS and any(getattr(module, k) != v for k, v in fixed.items()):
                return None
            require_same(module, **fixed)
            return activation
    return None


def twin_of_layer(layer: Layer) -> LayerTwin:
    """Return the twin of a layer. Raises NoTwin: LAYER_TWINS has no entry for its class."""
    name = type(layer).__name__
    if name not in LAYER_TWINS and isinstance(layer, Augmentation):
        name = "Activation"  # a linear one: augmentations act only in training
    return find_twin("layer", name, LAYER_TWINS)
