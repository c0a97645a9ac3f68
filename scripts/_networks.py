"""The hidden layers of the networks that the benchmark times and that the lecture compares."""

from collections.abc import Iterable

from dnn.layers import Activation, BatchNormalization, Dense, Dropout, Layer


def hidden_layers(
    units: Iterable[int], activation: str, normalised: bool, dropout: float, initializer: str | None = None
) -> list[Layer]:
    """Return Dense layers with these numbers of units.

    Args:
        normalised: whether batch normalisation stands before each activation.
        dropout: rate after each layer; 0: none.
    """
    layers: list[Layer] = []
    for n in units:
        if normalised:
            layers += [Dense(n), BatchNormalization(), Activation(activation)]
        else:
            layers.append(Dense(n, activation, initializer=initializer))
        if dropout:
            layers.append(Dropout(dropout))
    return layers
