"""Tables of layers and activations with their torch.nn modules.

Register a custom layer by ``LAYER_TWINS.add("Mine", LayerTwin(...))``.
"""

from typing import Any

from backends.table import Table
from dnn.interop.torch.twins import (
    LayerTwin,
    Module,
    NoTwin,
    activation_from_module,
    conv_maker,
    conv_padding,
    image_module,
    layer_maker,
    layer_norm_from_module,
    make_batch_norm,
    make_reshape,
    nn_module,
    own_module,
    pool_padding,
    require_same,
    reshape_from_module,
)
from dnn.layers import (
    ELU,
    GELU,
    AveragePooling1D,
    AveragePooling2D,
    BatchNormalization,
    Block,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    LeakyReLU,
    MaxPooling1D,
    MaxPooling2D,
    Parallel,
    Rescaling,
    Residual,
)
from dnn.layers.augmentation import Augmentation

_VECTOR_AXES = (0,)
_POOL_SETTINGS = {
    "pool_size": "kernel_size",
    "strides": "stride",
    "padding": "padding",
    "ceil_mode": "ceil_mode",
}
_SCALES = {"gamma": ("weight", _VECTOR_AXES), "beta": ("bias", _VECTOR_AXES)}

LAYER_TWINS: Table[LayerTwin] = Table("layer with a twin in torch", {
    "Dense": LayerTwin(
        ("Linear",),
        lambda layer: nn_module("Linear", layer.input_shape[0], layer.units, layer.use_bias),
        lambda module, activation, name: Dense(
            module.out_features, activation, use_bias=module.bias is not None, name=name
        ),
        {"W": ("weight", (1, 0)), "b": ("bias", _VECTOR_AXES)},  # torch's weight is (n_out, n_in)
        has_activation=True,
        acts_on="features",
    ),
    "Embedding": LayerTwin(
        ("Embedding",),
        lambda layer: own_module("Embedding", layer.input_dim, layer.output_dim),
        layer_maker(
            Embedding, {"input_dim": "num_embeddings", "output_dim": "embedding_dim"},
            padding_idx=None, max_norm=None,
        ),
        {"W": ("weight", (0, 1))},
        acts_on="axes",
    ),
    "Conv2D": LayerTwin(
        ("Conv2d",),
        lambda layer: image_module(
            "Conv2d", layer.input_shape[2], layer.filters, layer.size, layer.strides, conv_padding(layer),
            layer.spacing, layer.groups, bias=layer.use_bias,
        ),
        conv_maker(Conv2D, "dilation", "groups"),
        {"W": ("weight", (2, 3, 1, 0)), "b": ("bias", _VECTOR_AXES)},  # torch's is (n_out, n_in, h, w)
        has_activation=True,
        acts_on="channels",
    ),
    "Conv1D": LayerTwin(
        ("Conv1d",),
        lambda layer: image_module(
            "Conv1d", layer.input_shape[1], layer.filters, layer.kernel_size, layer.strides,
            conv_padding(layer, 1), bias=layer.use_bias,
        ),
        conv_maker(Conv1D, groups=1, dilation=(1,)),
        {"W": ("weight", (2, 1, 0)), "b": ("bias", _VECTOR_AXES)},  # torch's is (n_out, n_in, k)
        has_activation=True,
        acts_on="channels",
    ),
    "MaxPooling2D": LayerTwin(
        ("MaxPool2d",),
        lambda layer: image_module(
            "MaxPool2d", layer.size, layer.strides, pool_padding(layer), ceil_mode=layer.ceil_mode
        ),
        layer_maker(MaxPooling2D, _POOL_SETTINGS, dilation=1, return_indices=False),
        acts_on="channels",
    ),
    "AveragePooling2D": LayerTwin(
        ("AvgPool2d",),
        lambda layer: image_module(
            "AvgPool2d", layer.size, layer.strides, pool_padding(layer), layer.ceil_mode,
            layer.count_include_pad,
        ),
        layer_maker(
            AveragePooling2D, _POOL_SETTINGS | {"count_include_pad": "count_include_pad"},
            divisor_override=None,
        ),
        acts_on="channels",
    ),
    "MaxPooling1D": LayerTwin(
        ("MaxPool1d",),
        lambda layer: image_module(
            "MaxPool1d", layer.pool_size, layer.strides, pool_padding(layer)[1], ceil_mode=layer.ceil_mode
        ),
        layer_maker(MaxPooling1D, _POOL_SETTINGS, dilation=1, return_indices=False),
        acts_on="channels",
    ),
    "AveragePooling1D": LayerTwin(
        ("AvgPool1d",),
        lambda layer: image_module(
            "AvgPool1d", layer.pool_size, layer.strides, pool_padding(layer)[1], layer.ceil_mode,
            layer.count_include_pad,
        ),
        layer_maker(AveragePooling1D, _POOL_SETTINGS | {"count_include_pad": "count_include_pad"}),
        acts_on="channels",
    ),
    # A Flatten follows these two modules. Without it, or with other output sizes, they are usual poolings.
    "GlobalAveragePooling2D": LayerTwin(
        ("AdaptiveAvgPool2d",),
        lambda layer: image_module("AdaptiveAvgPool2d", 1),
        layer_maker(GlobalAveragePooling2D),
        acts_on="channels",
    ),
    "GlobalMaxPooling2D": LayerTwin(
        ("AdaptiveMaxPool2d",),
        lambda layer: image_module("AdaptiveMaxPool2d", 1),
        layer_maker(GlobalMaxPooling2D, return_indices=False),
        acts_on="channels",
    ),
    "BatchNormalization": LayerTwin(
        ("BatchNorm1d", "BatchNorm2d"),
        make_batch_norm,
        layer_maker(BatchNormalization, {"momentum": "momentum", "epsilon": "eps"}, track_running_stats=True),
        _SCALES,
        {"running_mean": ("running_mean", _VECTOR_AXES), "running_variance": ("running_var", _VECTOR_AXES)},
        acts_on="channels",
    ),
    "LayerNormalization": LayerTwin(
        ("LayerNorm",),
        lambda layer: nn_module("LayerNorm", layer.input_shape[-1], layer.epsilon),
        layer_norm_from_module,
        _SCALES,
        acts_on="features",
    ),
    "Dropout": LayerTwin(
        ("Dropout",),
        lambda layer: nn_module("Dropout", layer.rate),
        layer_maker(Dropout, {"rate": "p"}),
        acts_on="elements",
    ),
    "Flatten": LayerTwin(
        ("Flatten",), lambda layer: nn_module("Flatten"), layer_maker(Flatten), acts_on="axes"
    ),
    "Reshape": LayerTwin(("Unflatten",), make_reshape, reshape_from_module, acts_on="axes"),
    "Rescaling": LayerTwin(
        ("Scale",),
        lambda layer: own_module("Scale", layer.scale, layer.offset),
        layer_maker(Rescaling, {"scale": "scale", "offset": "offset"}),
        acts_on="elements",
    ),
    "Activation": LayerTwin(
        ("Identity",),
        lambda layer: activation_module(layer.activation),
        activation_from_module,
        acts_on="elements",
    ),
    # With default settings, these three convert back to an Activation of the same name.
    "LeakyReLU": LayerTwin(
        ("LeakyReLU",),
        lambda layer: nn_module("LeakyReLU", layer.slope),
        layer_maker(LeakyReLU, {"slope": "negative_slope"}),
        acts_on="elements",
    ),
    "ELU": LayerTwin(
        ("ELU",),
        lambda layer: nn_module("ELU", layer.alpha),
        layer_maker(ELU, {"alpha": "alpha"}),
        acts_on="elements",
    ),
    "GELU": LayerTwin(
        ("GELU",),
        lambda layer: nn_module("GELU", approximate=layer.approximate),
        layer_maker(GELU, {"approximate": "approximate"}),
        acts_on="elements",
    ),
    # Containers are created empty; ``dnn.interop.torch.convert`` adds their children.
    "Block": LayerTwin(
        ("Sequential",),
        lambda layer: nn_module("Sequential"),
        layer_maker(Block, {"layers": "inner"}),
        acts_on="axes",
    ),
    "Residual": LayerTwin(
        ("Residual",),
        lambda layer: own_module("Residual", "add"),
        lambda module, activation, name: Residual(module.inner[1].layers, name=name),
        acts_on="axes",
    ),
    "Parallel": LayerTwin(
        ("Parallel",),
        lambda layer: own_module("Parallel", layer.merge),
        layer_maker(Parallel, {"branches": "inner", "merge": "merge"}),
        acts_on="axes",
    ),
    # Augmentations act only in training, so predictions do not change without them.
    "Augmentation": LayerTwin(
        ("Identity",), lambda layer: nn_module("Identity"), activation_from_module, acts_on="elements"
    ),
})  # fmt: skip
"""Layer class -> twin. "Augmentation" covers all augmentations. GaussianNoise has no twin in torch.nn."""

ACTIVATION_TWINS: Table[tuple[str, dict[str, Any]]] = Table("activation", {
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
"""Activation -> (class in torch.nn, keyword arguments). "linear" needs no module."""


def activation_module(activation: str) -> Module:
    """Return the torch.nn module of an activation ("linear": nn.Identity).

    Raises NoTwin: ACTIVATION_TWINS has no entry for the activation.
    """
    if activation == "linear":
        return nn_module("Identity")
    if activation not in ACTIVATION_TWINS:
        expected = f"one of linear, {', '.join(ACTIVATION_TWINS)}"
        raise NoTwin(f"activation {activation!r} has no counterpart in torch.nn", expected)
    name, arguments = ACTIVATION_TWINS[activation]
    return nn_module(name, **arguments)


def activation_of(module: Module) -> str | None:
    """Return the name of the activation of a module, or None for other modules and for non-default settings
    that only a layer has (LeakyReLU, ELU, GELU).

    Raises NoTwin: an activation with settings that ours does not have.
    """
    if not type(module).__module__.startswith("torch.nn."):
        return None  # a custom class with the same name
    if type(module).__name__ == "Identity":
        return "linear"
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
        name = "Augmentation"
    if name not in LAYER_TWINS:
        raise NoTwin(f"layer {layer.name!r} is {name}, expected one of {', '.join(LAYER_TWINS)}")
    return LAYER_TWINS[name]
