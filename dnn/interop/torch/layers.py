"""Tables of layers and activations with their torch.nn modules.

Register a custom layer by ``LAYER_TWINS.add("Mine", LayerTwin(...))``.
"""

from typing import Any

from backends.table import Table
from dnn.interop.torch.twins import (
    LayerTwin,
    Module,
    Tensors,
    find_twin,
    nn_module,
    require_same,
    settings_twin,
)
from dnn.layers import Activation, Layer
from dnn.layers.augmentation import Augmentation

_VECTOR_AXES = (0,)


def _weights(*axes: int) -> Tensors:
    """Return the parameters of a layer with W and b; the axes permute torch's weight to W."""
    return {"W": ("weight", axes), "b": ("bias", _VECTOR_AXES)}


_SCALES = {"gamma": ("weight", _VECTOR_AXES), "beta": ("bias", _VECTOR_AXES)}
_AVERAGES = {
    "running_mean": ("running_mean", _VECTOR_AXES), "running_variance": ("running_var", _VECTOR_AXES),
}  # fmt: skip
_CONV = {
    "filters": "out_channels", "kernel_size": "kernel_size", "strides": "stride", "padding": "padding",
}  # fmt: skip
_POOL = {"pool_size": "kernel_size", "strides": "stride", "padding": "padding", "ceil_mode": "ceil_mode"}
_AVERAGE = {**_POOL, "count_include_pad": "count_include_pad"}

LAYER_TWINS: Table[LayerTwin] = Table("layer with a twin in torch", dict([
    # torch's weights are (n_out, n_in), (n_out, n_in, h, w) and (n_out, n_in, k).
    settings_twin(
        "Dense", "Linear", {"units": "out_features"}, tensors=_weights(1, 0), acts_on="features"
    ),
    settings_twin(
        "Conv2D", "Conv2d", {**_CONV, "dilation": "dilation", "groups": "groups"},
        tensors=_weights(2, 3, 1, 0), acts_on="channels", padding_mode="zeros",
    ),
    settings_twin(
        "Conv1D", "Conv1d", _CONV, tensors=_weights(2, 1, 0), acts_on="channels", padding_mode="zeros",
        groups=1, dilation=1,
    ),
    settings_twin(
        "Embedding", "Embedding", {"input_dim": "num_embeddings", "output_dim": "embedding_dim"},
        tensors={"W": ("weight", (0, 1))}, acts_on="", padding_idx=None, max_norm=None,
        scale_grad_by_freq=False,
    ),
    settings_twin(
        "MaxPooling2D", "MaxPool2d", _POOL, acts_on="channels", dilation=1, return_indices=False
    ),
    settings_twin(
        "AveragePooling2D", "AvgPool2d", _AVERAGE, acts_on="channels", divisor_override=None
    ),
    settings_twin(
        "MaxPooling1D", "MaxPool1d", _POOL, acts_on="channels", dilation=1, return_indices=False
    ),
    settings_twin("AveragePooling1D", "AvgPool1d", _AVERAGE, acts_on="channels"),
    # A Flatten follows these two modules. Without it, or with other output sizes, they are usual poolings.
    settings_twin(
        "GlobalAveragePooling2D", "AdaptiveAvgPool2d", {}, acts_on="channels", output_size=1
    ),
    settings_twin(
        "GlobalMaxPooling2D", "AdaptiveMaxPool2d", {}, acts_on="channels", output_size=1, return_indices=False
    ),
    settings_twin(
        "BatchNormalization", "BatchNorm1d", {"momentum": "momentum", "epsilon": "eps"},
        for_images="BatchNorm2d", tensors={**_SCALES, **_AVERAGES}, acts_on="channels",
        track_running_stats=True,
    ),
    settings_twin(
        "LayerNormalization", "LayerNorm", {"epsilon": "eps"}, tensors=_SCALES, acts_on="features"
    ),
    settings_twin("Dropout", "Dropout", {"rate": "p"}),
    settings_twin("Flatten", "Flatten", {}, acts_on="", start_dim=1, end_dim=-1),
    settings_twin(
        "Reshape", "Unflatten", {"target_shape": "unflattened_size"}, acts_on="", dim=1
    ),
    settings_twin("Rescaling", "Scale", {"scale": "scale", "offset": "offset"}),
    ("Activation", LayerTwin(
        ("Identity",),
        lambda layer: activation_module(layer.activation),
        lambda module, activation, name: Activation(activation, name=name),
        acts_on="elements",
    )),
    # With default settings, these three convert back to an Activation of the same name.
    settings_twin("LeakyReLU", "LeakyReLU", {"slope": "negative_slope"}),
    settings_twin("ELU", "ELU", {"alpha": "alpha"}),
    settings_twin("GELU", "GELU", {"approximate": "approximate"}),
    # Containers are created empty; ``dnn.interop.torch.convert`` adds their children.
    settings_twin("Block", "Sequential", {}),
    settings_twin("Residual", "Residual", {}),
    settings_twin("Parallel", "Parallel", {"merge": "merge"}),
]))  # fmt: skip
"""Layer class -> twin. GaussianNoise has no twin in torch.nn."""

ACTIVATION_TWINS: Table[tuple[str, dict[str, Any]]] = Table("activation", {
    "linear": ("Identity", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "relu": ("ReLU", {}),
    "softmax": ("Softmax", {"dim": -1}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.01}),
    "elu": ("ELU", {"alpha": 1.0}),
    "gelu": ("GELU", {"approximate": "tanh"}),
    "silu": ("SiLU", {}),
    "softplus": ("Softplus", {"beta": 1.0, "threshold": 40.0}),  # torch's 20 causes errors of 2e-9
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
