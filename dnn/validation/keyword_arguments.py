"""Keyword arguments of Keras and PyTorch that do not exist here, and what to use instead."""

from collections.abc import Iterable
from inspect import signature

from backends.errors import InputError

CURES = {
    "input_shape": "give Sequential the shape: Sequential(layers, input_shape=shape)",
    "input_dim": "give Sequential the shape: Sequential(layers, input_shape=(n,))",
    "in_features": "give Sequential the shape: Sequential(layers, input_shape=(n,))",
    "kernel_initializer": "use initializer=", "bias_initializer": "leave it out: biases start at 0",
    "kernel_regularizer": "use model.compile(l1=, l2=)", "bias": "use use_bias=", "stride": "use strides=",
    "from_logits": "leave it out: the last layer's activation decides",
    "reduction": "leave it out: a loss is the mean over the batch", "lr": "use learning_rate=",
    "decay": "use a schedule as learning_rate=", "beta_1": "use beta1=", "beta_2": "use beta2=",
    "betas": "use beta1= and beta2=", "eps": "use epsilon=", "rho": "use decay=", "p": "use rate=",
    "global_clipnorm": "use clip_norm=", "clipnorm": "use clip_norm=", "clipvalue": "use clip_value=",
}  # fmt: skip
"""Keyword argument of layers, losses and optimizers of other libraries -> what to do."""


class NoSuchArgument(InputError, TypeError):
    """A class lacks an argument that classes of other libraries have."""


def check_keywords(cls: type, keywords: Iterable[str]) -> None:
    """Raise NoSuchArgument with a cure if the class lacks an argument that other libraries have."""
    for name in keywords:
        if name in CURES and not _accepts(cls, name):
            raise NoSuchArgument(f"{cls.__name__} has no argument {name!r}; {CURES[name]}")


def _accepts(cls: type, name: str) -> bool:
    parameters = signature(cls.__init__).parameters  # type: ignore[misc]
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
